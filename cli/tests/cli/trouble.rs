//! Things that go wrong while it runs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::{BINARY, Run, file_of, folder, json, uring_pool};

#[test]
fn a_file_that_changes_between_the_reads_makes_the_checksums_differ() {
    let folder = folder();
    let path = file_of(50_000, folder.path());
    let file = File::options().write(true).open(&path).unwrap();
    let over = AtomicBool::new(false);
    let run = thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0u64.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                file.write_all_at(&n.to_ne_bytes(), 20_000).unwrap();
            }
        });
        let run = uring_pool(["demo", path.to_str().unwrap(), "--rings", "50", "--json"]);
        over.store(true, Ordering::Relaxed);
        run
    });
    run.one_line(1, &["checksums differ", path.to_str().unwrap()]);
    assert_eq!(json(&run.stdout)["checksum_ok"], false);
}

/// The first child that a process is seen to have; `None` if it ends without one.
fn first_child(parent: &mut std::process::Child) -> Option<Pid> {
    let list = format!("/proc/{0}/task/{0}/children", parent.id());
    while parent.try_wait().unwrap().is_none() {
        let children = fs::read_to_string(&list).unwrap_or_default();
        if let Some(first) = children.split_whitespace().next() {
            return Some(Pid::from_raw(first.parse().unwrap()));
        }
    }
    None
}

#[test]
fn a_worker_that_is_killed_is_told_by_its_number() {
    let folder = folder();
    let path = folder.path().join("sparse");
    // Long enough to read that the worker is still at it when it is found.
    File::create(&path).unwrap().set_len(256 << 20).unwrap();
    // A worker that was quicker nevertheless ended well: then once more.
    for _ in 0..10 {
        let mut demo = Command::new(BINARY)
            .args(["demo", path.to_str().unwrap(), "--rings", "1", "--workers", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let worker = first_child(&mut demo).expect("it forks");
        // It may be gone.
        let _ = kill(worker, Signal::SIGKILL);
        let run = Run::from(demo.wait_with_output().unwrap());
        if run.code != Some(0) {
            run.one_line(1, &["worker 0", "killed", "SIGKILL"]);
            return;
        }
    }
    panic!("no worker could be killed in ten runs");
}
