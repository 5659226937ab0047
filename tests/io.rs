//! Reads, writes, syncs and NOPs, by every route that there is.

mod common;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::rings::rings;
use common::{config, pool_by, routes_here};
use uring_pool::{Cause, Ring, RingPool};

fn nops(ring: &mut Ring<()>, tags: std::ops::Range<u64>) {
    let mut batch = ring.batch();
    for tag in tags {
        batch.nop().tag(tag).push().unwrap();
    }
    batch.submit().unwrap();
}

#[test]
fn what_is_written_is_read_back_whatever_the_route() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let block = |i: u8| vec![i; 4096];
        let mut batch = ring.batch();
        for i in 0..8u8 {
            batch.write_at(&file, block(i), 4096 * u64::from(i)).tag(i.into()).push().unwrap();
        }
        assert_eq!(batch.submit().unwrap(), 8);
        for done in ring.wait_through_signals(8).unwrap() {
            assert_eq!(done.result.unwrap(), 4096);
            assert_eq!(done.buf.unwrap(), block(done.tag as u8), "the buffer comes back as it was");
        }
        let mut batch = ring.batch();
        batch.fsync(&file).tag(100).push().unwrap();
        batch.fdatasync(&file).tag(101).push().unwrap();
        batch.submit().unwrap();
        let synced: Vec<_> =
            ring.wait_through_signals(2).unwrap().map(|done| done.result.unwrap()).collect();
        assert_eq!(synced, [0, 0]);

        let mut batch = ring.batch();
        for i in 0..8u8 {
            batch
                .read_at(&file, vec![0xff; 4096], 4096 * u64::from(i))
                .tag(i.into())
                .push()
                .unwrap();
        }
        batch.submit().unwrap();
        let mut seen = 0;
        for done in ring.wait_through_signals(8).unwrap() {
            assert_eq!(done.buf.unwrap(), block(done.tag as u8), "by the route");
            seen += 1;
        }
        assert_eq!((seen, ring.in_flight()), (8, 0));
    }
}

#[test]
fn the_end_of_a_file_is_a_short_read_and_beyond_it_none() {
    for mut ring in rings::<Box<[u8]>>(config(4)) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        for (offset, expected) in [(0, 10), (7, 3), (10, 0), (1000, 0)] {
            let mut batch = ring.batch();
            batch.read_at(&file, vec![b'.'; 16].into(), offset).push().unwrap();
            batch.submit().unwrap();
            let done = ring.wait_through_signals(1).unwrap().next().unwrap();
            assert_eq!(done.result.unwrap(), expected);
            let buf = done.buf.unwrap();
            assert_eq!(buf.len(), 16, "the length is the caller's business");
            assert!(buf[expected as usize..].iter().all(|&byte| byte == b'.'));
        }
    }
}

#[test]
fn an_error_of_one_request_comes_with_its_buffer_and_leaves_the_others_alone() {
    for mut ring in rings::<Vec<u8>>(config(4)) {
        let dir = File::open("/").unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut batch = ring.batch();
        batch.write_at(&file, b"good".to_vec(), 0).tag(1).push().unwrap();
        batch.read_at(&dir, vec![7; 32], 0).tag(2).push().unwrap();
        batch.write_at(&file, b"fine".to_vec(), 4).tag(3).push().unwrap();
        assert_eq!(batch.submit().unwrap(), 3);
        let mut done: Vec<_> = ring.wait_through_signals(3).unwrap().collect();
        done.sort_by_key(|done| done.tag);
        assert_eq!(done[0].result.as_ref().unwrap(), &4);
        assert_eq!(done[1].result.as_ref().unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(done[1].buf.as_deref(), Some(&[7; 32][..]));
        assert_eq!(done[2].result.as_ref().unwrap(), &4);
    }
}

#[test]
fn a_batch_that_is_dropped_or_forgotten_never_reaches_the_kernel() {
    for mut ring in rings::<Vec<u8>>(config(4)) {
        let mut file = tempfile::tempfile().unwrap();
        let mut batch = ring.batch();
        batch.write_at(&file, b"dropped".to_vec(), 0).push().unwrap();
        drop(batch);
        assert_eq!(ring.in_flight(), 0);

        let mut batch = ring.batch();
        batch.write_at(&file, b"forgotten".to_vec(), 0).push().unwrap();
        std::mem::forget(batch);

        let mut batch = ring.batch();
        batch.nop().tag(9).push().unwrap();
        assert_eq!(batch.submit().unwrap(), 1);
        let tags: Vec<_> = ring.wait_through_signals(1).unwrap().map(|done| done.tag).collect();
        assert_eq!(tags, [9]);
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
    }
}

#[test]
fn a_forgotten_batch_is_not_submitted_by_waiting_either() {
    for mut ring in rings::<Vec<u8>>(config(4)) {
        let mut file = tempfile::tempfile().unwrap();
        let mut batch = ring.batch();
        batch.write_at(&file, b"forgotten".to_vec(), 0).push().unwrap();
        std::mem::forget(batch);
        assert_eq!(
            ring.wait_through_signals(1).unwrap().count(),
            0,
            "nothing is in flight, so nothing is awaited"
        );
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), ring.in_flight()), ("", 0));
    }
}

#[test]
fn a_full_queue_hands_the_buffer_back() {
    for mut ring in rings::<Vec<u8>>(config(4)) {
        let file = tempfile::tempfile().unwrap();
        let mut batch = ring.batch();
        for _ in 0..4 {
            batch.write_at(&file, vec![1], 0).push().unwrap();
        }
        let full = batch.write_at(&file, b"fifth".to_vec(), 0).push().unwrap_err();
        assert_eq!(full.cause, Cause::SubmissionFull { entries: 4 });
        assert_eq!(full.buf.as_deref(), Some(&b"fifth"[..]));
        batch.submit().unwrap();

        let mut batch = ring.batch();
        for _ in 0..4 {
            batch.write_at(&file, vec![2], 0).push().unwrap();
        }
        batch.submit().unwrap();
        let mut batch = ring.batch();
        let full = batch.write_at(&file, b"ninth".to_vec(), 0).push().unwrap_err();
        assert_eq!(full.cause, Cause::TooManyInFlight { limit: 8 });
        assert_eq!(full.buf.as_deref(), Some(&b"ninth"[..]));
        drop(batch);
        assert_eq!(ring.wait_through_signals(8).unwrap().count(), 8);
    }
}

#[test]
fn queues_wrap_round_many_times_and_no_completion_is_lost() {
    let mut configs = vec![config(4), config(1)];
    if common::wide_entries() {
        configs.extend([config(4).cqe32(), config(4).sqe128()]);
    }
    for config in configs {
        for mut ring in rings::<()>(config) {
            let mut expected = 0;
            for round in 0..1000u64 {
                let n = 1 + round % u64::from(ring.sq_len());
                nops(&mut ring, expected..expected + n);
                let tags: Vec<_> =
                    ring.wait_through_signals(n as u32).unwrap().map(|done| done.tag).collect();
                assert_eq!(tags, (expected..expected + n).collect::<Vec<_>>());
                expected += n;
            }
        }
    }
}

#[test]
fn completions_that_are_not_taken_stay_for_the_next_time() {
    for mut ring in rings::<()>(config(8)) {
        nops(&mut ring, 0..5);
        let first = ring.wait_through_signals(5).unwrap().next().unwrap();
        assert_eq!(first.tag, 0);
        let rest: Vec<_> = ring.peek().map(|done| done.tag).collect();
        assert_eq!(rest, [1, 2, 3, 4]);
    }
}

#[test]
fn deferred_task_work_is_reached_by_peek_and_by_wait() {
    let config = config(8).defer_taskrun();
    let pool = match RingPool::builder(config).rings(1).build().unwrap().claim::<()>() {
        Ok(_) => RingPool::builder(config).rings(1).build().unwrap(),
        Err(error) => {
            assert_eq!(error.cause(), Cause::ConfigRefused, "{error}");
            return common::cannot("DEFER_TASKRUN", "needs Linux 6.1");
        }
    };
    let (read, write) = nix_pipe();
    let mut ring = pool.claim::<Vec<u8>>().unwrap();
    let mut batch = ring.batch();
    batch.read_at(&read, vec![0; 1], u64::MAX).tag(1).push().unwrap();
    batch.submit().unwrap();
    File::from(write).write_all(b"x").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let done = loop {
        if let Some(done) = ring.peek().next() {
            break done;
        }
        assert!(Instant::now() < deadline, "peek never runs the deferred work");
    };
    assert_eq!((done.result.unwrap(), done.buf.unwrap()), (1, b"x".to_vec()));
}

#[test]
fn a_file_may_be_closed_once_its_request_is_submitted() {
    for mut ring in rings::<Vec<u8>>(config(4)) {
        let (read, write) = nix_pipe();
        let mut batch = ring.batch();
        batch.read_at(&read, vec![0; 4], u64::MAX).push().unwrap();
        batch.submit().unwrap();
        drop(read);
        // Would the number be looked up now, it would find this file instead.
        let _other = File::open("/dev/zero").unwrap();
        File::from(write).write_all(b"pipe").unwrap();
        let done = ring.wait_through_signals(1).unwrap().next().unwrap();
        assert_eq!((done.result.unwrap(), done.buf.unwrap()), (4, b"pipe".to_vec()));
    }
}

#[test]
fn dropping_a_ring_brings_home_what_is_in_flight_and_returns_its_slot() {
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 1);
        let (read, write) = nix_pipe();
        let mut ring = pool.claim::<Vec<u8>>().unwrap();
        let mut batch = ring.batch();
        for _ in 0..8 {
            batch.read_at(&read, vec![0; 4096], u64::MAX).push().unwrap();
        }
        batch.submit().unwrap();
        drop(ring);
        let stats = pool.stats();
        assert_eq!((stats.claimed, stats.idle, stats.retired), (0, 1, 0), "by the route {route}");

        // The reads are gone: what is written now stays in the pipe.
        File::from(write).write_all(b"later").unwrap();
        let mut later = String::new();
        File::from(read).read_to_string(&mut later).unwrap();
        assert_eq!(later, "later");
        let mut ring = pool.claim::<()>().unwrap();
        nops(&mut ring, 5..6);
        let tags: Vec<_> = ring.wait_through_signals(1).unwrap().map(|done| done.tag).collect();
        assert_eq!(tags, [5], "the next user sees no completion that is not its own");
    }
}

#[test]
fn a_ring_outlives_the_pool_it_came_from() {
    for mut ring in rings::<()>(config(4)) {
        nops(&mut ring, 0..4);
        assert_eq!(ring.wait_through_signals(4).unwrap().count(), 4);
    }
}

#[test]
fn a_single_issuer_ring_refuses_another_thread_and_gives_the_requests_back() {
    let config = config(4).single_issuer();
    let pool = RingPool::builder(config).build().unwrap();
    let mut ring = match pool.claim::<Vec<u8>>() {
        Ok(ring) => ring,
        Err(error) => {
            assert_eq!(error.cause(), Cause::ConfigRefused, "{error}");
            return common::cannot("SINGLE_ISSUER", "needs Linux 6.0");
        }
    };
    let file = tempfile::tempfile().unwrap();
    std::thread::spawn(move || {
        let mut batch = ring.batch();
        batch.write_at(&file, b"mine".to_vec(), 0).tag(3).push().unwrap();
        let error = batch.submit().unwrap_err();
        assert_eq!(error.error.cause(), Cause::NotTheIssuer);
        assert_eq!((error.submitted, error.returned.len()), (0, 1));
        assert_eq!(error.returned[0].tag, 3);
        assert_eq!(error.returned[0].buf.as_deref(), Some(&b"mine"[..]));
    })
    .join()
    .unwrap();
    assert_eq!(pool.stats().idle, 0, "it is not kept for a thread that could not use it");
    pool.claim::<()>().unwrap();
}

fn nix_pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe().unwrap()
}
