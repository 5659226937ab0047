//! A program's own code that panics while it is dropped, by every route that there is.

mod common;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use common::counted::{Counted, alive};
use common::relatives::answers;
use common::rings::{number, one, rings};
use common::{config, descriptors, in_child, pool_by, routes_here};
use uring_pool::{Buf, BufMut};

/// Not by `panic!`, whose message is printed under a lock that another thread may have held when this
/// process was forked.
fn panics() {
    resume_unwind(Box::new("on purpose"));
}

struct Grudging(Counted);

impl Drop for Grudging {
    fn drop(&mut self) {
        panics();
    }
}

#[allow(unsafe_code)]
// SAFETY: forwarded to the buffer's.
unsafe impl Buf for Grudging {
    fn stable_ptr(&self) -> *const u8 {
        self.0.stable_ptr()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[allow(unsafe_code)]
// SAFETY: as above.
unsafe impl BufMut for Grudging {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.stable_mut_ptr()
    }
}

#[test]
fn a_buffer_that_panics_when_it_comes_home_leaves_its_slot_to_the_next_user() {
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    for route in routes_here(&config(8)) {
        // In a process of its own, whose descriptors are nobody else's.
        let child = in_child(|| {
            let pool = pool_by(route, config(8), 1);
            answers(&mut pool.claim().unwrap(), 1);
            let (before, of) = (descriptors(), Arc::new(()));
            let mut ring = pool.claim::<Grudging>().unwrap();
            let mut batch = ring.batch();
            batch.read(&silent, Grudging(Counted::new(&of))).push().unwrap();
            batch.submit().unwrap();
            assert!(catch_unwind(AssertUnwindSafe(|| drop(ring))).is_err());
            assert_eq!((alive(&of), descriptors()), (0, before));
            let stats = pool.stats();
            assert_eq!((stats.claimed, stats.idle, stats.abandoned), (0, 1, 0), "{stats:?}");
            answers(&mut pool.claim().unwrap(), 2);
            assert_eq!(descriptors(), before);
        });
        assert!(child.succeeded(), "by the route {route}");
    }
}

struct GrudgingFile(File);

impl AsFd for GrudgingFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for GrudgingFile {
    fn drop(&mut self) {
        panics();
    }
}

#[test]
fn a_last_share_that_panics_at_its_completion_leaves_the_ring_whole() {
    let (zero, of) = (File::open("/dev/zero").unwrap(), Arc::new(()));
    for mut ring in rings::<Counted>(config(4)) {
        // More rounds than there are places: none of them is lost.
        for _ in 0..10 {
            let file = Arc::new(GrudgingFile(zero.try_clone().unwrap()));
            let mut batch = ring.batch();
            batch.read_at(&file, Counted::new(&of), 0).keep(&file).push().unwrap();
            batch.submit().unwrap();
            assert_eq!(Arc::strong_count(&file), 2);
            drop(file);
            let next = AssertUnwindSafe(|| drop(ring.wait_through_signals(1).unwrap().next()));
            assert!(catch_unwind(next).is_err());
            assert_eq!((alive(&of), ring.in_flight()), (0, 0));
        }
        let done = one!(ring, |batch| batch.read_at(&zero, Counted::new(&of), 0).tag(5));
        assert_eq!((done.tag, number(&done)), (5, 64));
    }
}
