//! What never comes home, and what never left: rings that are dropped with a request that never
//! completes, and batches that are forgotten before they are submitted.
#![allow(unsafe_code)]

mod common;

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::counted::{Counted, alive};
use common::relatives::answers;
use common::rings::rings;
use common::{config, in_child, kernel, pool_by, routes_here};
use uring_pool::{Ring, sys};

/// A NOP that says nothing when it succeeds, as it always does.
fn silent_nop() -> sys::io_uring_sqe {
    const CQE_SKIP_SUCCESS: u8 = 1 << 6;
    sys::io_uring_sqe { flags: CQE_SKIP_SUCCESS, ..Default::default() }
}

#[test]
fn what_never_completes_is_waited_for_a_while_and_its_buffer_never_freed() {
    if kernel() < (5, 17) {
        return common::cannot("a request without completion", "needs Linux 5.17");
    }
    // In children, which no leak checker looks into: this leak is meant. All at once: they wait.
    let child = |route| {
        in_child(|| {
            let (of, pool) = (Arc::new(()), pool_by(route, config(8), 1));
            let mut ring = pool.claim::<Counted>().unwrap();
            let mut batch = ring.batch();
            // SAFETY: it points to nothing.
            unsafe { batch.push_raw(&silent_nop(), 7, Some(Counted::new(&of))) }.unwrap();
            assert_eq!(batch.submit().unwrap(), 1);
            assert_eq!((ring.peek().count(), ring.in_flight()), (0, 1));
            let begun = Instant::now();
            drop(ring);
            let waited = begun.elapsed();
            assert!(waited >= Duration::from_millis(900), "{waited:?}");
            assert_eq!(alive(&of), 1, "the kernel may still use it");
            let stats = pool.stats();
            assert_eq!((stats.abandoned, stats.claimed, stats.retired), (1, 0, 0), "{stats:?}");
            answers(&mut pool.claim().unwrap(), 3);
        })
    };
    let children: Vec<_> =
        routes_here(&config(8)).into_iter().map(|route| (route, child(route))).collect();
    for (route, child) in children {
        assert!(child.succeeded(), "by the route {route}");
    }
}

/// Where a forgotten batch was to write to.
struct Unwritten {
    file: File,
    /// A socket is written to while the request is submitted; writing to a file may be left to one of
    /// the kernel's threads, and cancelled before it begins.
    socket: (UnixStream, UnixStream),
}

impl Unwritten {
    /// Prepares its writes, and forgets the batch.
    fn forgotten_by(ring: &mut Ring<Counted>, of: &Arc<()>) -> Self {
        let (file, socket) = (tempfile::tempfile().unwrap(), UnixStream::pair().unwrap());
        socket.1.set_nonblocking(true).unwrap();
        let mut batch = ring.batch();
        batch.write_at(&file, Counted::new(of), 0).push().unwrap();
        batch.write(&socket.0, Counted::new(of)).push().unwrap();
        std::mem::forget(batch);
        assert_eq!(alive(of), 2);
        Self { file, socket }
    }

    fn is_so_still(&self) -> bool {
        let read = (&self.socket.1).read(&mut [0; 1]);
        let nothing = read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        nothing && self.file.metadata().unwrap().len() == 0
    }
}

#[test]
fn a_forgotten_batch_is_taken_back_when_its_ring_is_dropped() {
    for route in routes_here(&config(8)) {
        let (of, pool) = (Arc::new(()), pool_by(route, config(8), 1));
        let mut ring = pool.claim().unwrap();
        let unwritten = Unwritten::forgotten_by(&mut ring, &of);
        drop(ring);
        assert_eq!((alive(&of), pool.stats().idle), (0, 1), "by the route {route}");
        let mut next = pool.claim().unwrap();
        answers(&mut next, 3);
        assert_eq!((next.in_flight(), next.peek().count()), (0, 0));
        assert!(unwritten.is_so_still(), "by the route {route}");
    }
}

#[test]
fn a_forgotten_batch_is_taken_back_before_files_are_registered() {
    for mut ring in rings(config(8)) {
        let of = Arc::new(());
        let unwritten = Unwritten::forgotten_by(&mut ring, &of);
        ring.reserve_files(2).unwrap();
        assert_eq!((alive(&of), ring.in_flight()), (0, 0));
        assert!(unwritten.is_so_still());
    }
}

#[test]
fn a_forgotten_batch_is_not_submitted_by_liburing() {
    for mut ring in rings(config(8)) {
        let of = Arc::new(());
        let unwritten = Unwritten::forgotten_by(&mut ring, &of);
        // SAFETY: nothing is left behind.
        let raw = unsafe { ring.as_raw() };
        // SAFETY: the ring is open, and nobody else uses it.
        assert_eq!(unsafe { sys::io_uring_submit(raw) }, 0);
        assert_eq!((alive(&of), ring.in_flight()), (0, 0));
        assert!(unwritten.is_so_still());
    }
}
