//! Which reads and writes are left to the kernel's threads.

mod common;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use common::config;
use uring_pool::{AsyncPolicy, Batch, Ring};

/// Whether a request of a thread of its own was given to a worker: from Linux 5.12 on those are
/// this process's threads, and named after the thread they work for.
fn goes_to_a_worker<F>(policy: AsyncPolicy, in_flight: u32, push: F) -> bool
where
    F: for<'fd> FnOnce(&mut Batch<'_, 'fd, Vec<u8>>, &'fd Arc<File>) + Send,
{
    let body = || {
        // Which is read and written at once, where a file system might leave it to a worker.
        let file = File::options().read(true).write(true).open("/dev/zero");
        let file = Arc::new(file.unwrap());
        let mut ring = Ring::<Vec<u8>>::open(&config(16)).unwrap();
        ring.set_async_policy(policy);
        let mut batch = ring.batch();
        for _ in 0..in_flight {
            batch.timeout(Duration::from_secs(3600)).push().unwrap();
        }
        push(&mut batch, &file);
        batch.submit().unwrap();
        let done = ring.wait_through_signals(1).unwrap().next().unwrap();
        assert!(done.result.unwrap() > 0);
        let worker = format!("iou-wrk-{}", nix::unistd::gettid());
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .any(|name| name.trim_end() == worker)
    };
    std::thread::scope(|scope| scope.spawn(body).join().unwrap())
}

#[test]
fn what_a_policy_names_goes_to_a_worker_unless_it_only_borrows_its_descriptor() {
    use AsyncPolicy::{Always, Never, Postgres18, Postgres19};
    let small = || vec![0; 8192];
    let large = || vec![0; 32768];
    let forced = goes_to_a_worker(Never, 0, |batch, file| {
        batch.read_at(file, small(), 0).keep(file).force_async().push().map(drop).unwrap();
    });
    let inline = !goes_to_a_worker(Never, 0, |batch, file| {
        batch.write_at(file, large(), 0).push().map(drop).unwrap();
    });
    if !forced || !inline {
        let why = "workers are seen since Linux 5.12, and later ones leave /dev/zero to none";
        return common::cannot("policies", why);
    }
    for (policy, in_flight, expected) in [
        (Never, 5, [false; 3]),
        (Always, 0, [true; 3]),
        (Postgres18, 4, [false; 3]),
        (Postgres18, 5, [true; 3]),
        (Postgres19, 4, [false, true, false]),
        (Postgres19, 5, [true, true, false]),
    ] {
        let read = goes_to_a_worker(policy, in_flight, |batch, file| {
            batch.read_at(file, small(), 0).keep(file).push().map(drop).unwrap();
        });
        let long_read = goes_to_a_worker(policy, in_flight, |batch, file| {
            batch.read_at(file, large(), 0).keep(file).push().map(drop).unwrap();
        });
        let write = goes_to_a_worker(policy, in_flight, |batch, file| {
            batch.write_at(file, large(), 0).keep(file).push().map(drop).unwrap();
        });
        assert_eq!([read, long_read, write], expected, "{policy:?} {in_flight}");
    }
    for policy in [Always, Postgres18, Postgres19] {
        let borrowed = goes_to_a_worker(policy, 5, |batch, file| {
            batch.read_at(file, large(), 0).push().map(drop).unwrap();
        });
        assert!(!borrowed, "{policy:?}");
        let direct = goes_to_a_worker(policy, 5, |batch, file| {
            batch.read_at(file, large(), 0).keep(file).direct().push().map(drop).unwrap();
        });
        assert_eq!(direct, policy == Always, "{policy:?}");
    }
}
