//! Forking while another thread uses the library for the first time. A program of its own, with
//! one test: only a process that has not used it yet tells.
#![allow(unsafe_code)]

mod common;

use std::time::{Duration, Instant};

use common::config;
use common::in_child;
use uring_pool::RingPool;

/// What is worked out once may be half worked out at the moment of a fork: the child, which does
/// not have the thread that was at it, must not wait for it.
#[test]
fn a_child_forked_during_the_first_use_does_not_wait_for_it() {
    for round in 0..400u32 {
        // Without having used the library itself.
        let first = in_child(|| {
            let other = std::thread::spawn(use_it);
            // Some time within what the first use takes.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_micros(u64::from(round % 100) * 4) {
                std::hint::spin_loop();
            }
            let child = in_child(|| {
                nix::unistd::alarm::set(10);
                use_it();
            });
            assert!(child.succeeded(), "round {round}: the child waits for ever");
            other.join().unwrap();
        });
        assert!(first.succeeded());
    }
}

fn use_it() {
    let pool = RingPool::builder(config(4)).rings(1).build().unwrap();
    let mut ring = pool.claim::<()>().unwrap();
    ring.batch().nop().push().unwrap();
    assert_eq!(ring.wait(0).unwrap().count(), 0);
}
