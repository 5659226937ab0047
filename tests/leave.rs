//! Leaving a ring: what is under way is brought home, or never freed; and waiting is honest.
#![allow(unsafe_code)]

mod common;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use common::relatives::answers;
use common::sanitizer::{VALGRIND, left_out};
use common::{config, in_child, pool_by, routes_here};
use uring_pool::{Buf, BufMut, Cause, PgAioUringCaps, Ring, RingPool};

/// A buffer that counts how many of its kind were freed.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, SeqCst);
    }
}

// SAFETY: forwarded to the vector's.
unsafe impl Buf for Counted {
    fn stable_ptr(&self) -> *const u8 {
        self.0.stable_ptr()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

// SAFETY: as above.
unsafe impl BufMut for Counted {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.stable_mut_ptr()
    }
}

/// Submits `n` reads that nothing ever answers.
fn reads(ring: &mut Ring<Counted>, silent: &OwnedFd, n: usize) -> Arc<AtomicUsize> {
    let freed = Arc::new(AtomicUsize::new(0));
    let mut batch = ring.batch();
    for _ in 0..n {
        let buf = Counted(vec![0; 16], Arc::clone(&freed));
        batch.read_at(silent, buf, u64::MAX).push().unwrap();
    }
    batch.submit().unwrap();
    freed
}

#[test]
fn what_comes_home_is_freed_once_and_what_does_not_is_not() {
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 1);
        let mut ring = pool.claim::<Counted>().unwrap();
        let freed = reads(&mut ring, &silent, 8);
        assert_eq!(freed.load(SeqCst), 0);
        drop(ring);
        assert_eq!(freed.load(SeqCst), 8, "by the route {route}");
    }
}

#[test]
fn a_ring_that_cannot_be_brought_home_leaks_its_buffers_and_its_slot_gets_new_pages() {
    let config = config(8).single_issuer();
    if let Err(error) = PgAioUringCaps::check(&config) {
        assert_eq!(error.cause(), Cause::ConfigRefused, "{error}");
        return common::cannot("SINGLE_ISSUER", "needs Linux 6.0");
    }
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    // In a child, which no leak checker looks into: this leak is meant.
    let child = in_child(|| {
        // Another thread than the one that made it cannot make it do anything.
        let pool = RingPool::builder(config).build().unwrap();
        let mut ring = pool.claim::<Counted>().unwrap();
        let freed = reads(&mut ring, &silent, 4);
        std::thread::scope(|scope| scope.spawn(|| drop(ring)).join().unwrap());
        assert_eq!(freed.load(SeqCst), 0, "the kernel may still write to them");
        let stats = pool.stats();
        assert_eq!((stats.abandoned, stats.claimed, stats.retired), (1, 0, 0), "{stats:?}");
        answers(&mut pool.claim::<()>().unwrap(), 3);
    });
    assert!(child.succeeded());
}

#[test]
fn many_requests_are_brought_home_within_bounds() {
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    let mut ring = Ring::<Counted>::open(&config(256)).unwrap();
    let freed = [reads(&mut ring, &silent, 256), reads(&mut ring, &silent, 256)];
    drop(ring);
    assert_eq!(freed.map(|freed| freed.load(SeqCst)), [256, 256]);
}

#[test]
fn a_signal_ends_a_wait_and_loses_nothing() {
    let why = "it lets no signal through while a thread waits in io_uring_enter";
    if left_out(&[VALGRIND], "a_signal_ends_a_wait_and_loses_nothing", why) {
        return;
    }
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 1);
        // In a process of its own, for the timer.
        let child = in_child(|| {
            let mut ring = pool.claim::<Vec<u8>>().unwrap();
            extern "C" fn nothing(_: nix::libc::c_int) {}
            let handler = nix::sys::signal::SigHandler::Handler(nothing);
            let none = nix::sys::signal::SigSet::empty();
            let flags = nix::sys::signal::SaFlags::empty();
            let action = nix::sys::signal::SigAction::new(handler, flags, none);
            // SAFETY: the handler does nothing.
            unsafe { nix::sys::signal::sigaction(nix::sys::signal::SIGALRM, &action) }.unwrap();
            for already_there in [0, 1] {
                let mut batch = ring.batch();
                batch.read_at(&silent, vec![0; 1], u64::MAX).push().unwrap();
                batch.nop().tag(9).push().unwrap();
                batch.submit().unwrap();
                if already_there == 0 {
                    assert_eq!(ring.peek().map(|done| done.tag).collect::<Vec<_>>(), [9]);
                }
                let mut time: nix::libc::itimerval = unsafe_zeroed();
                time.it_value.tv_usec = 50_000;
                let none = std::ptr::null_mut();
                // SAFETY: both pointers are valid or null.
                unsafe { nix::libc::setitimer(nix::libc::ITIMER_REAL, &time, none) };
                let all = ring.in_flight();
                let error = ring.wait(all).unwrap_err();
                assert!(error.is_interrupted(), "{error}");
                assert_eq!(ring.peek().count(), already_there);
            }
        });
        assert!(child.succeeded(), "by the route {route}");
    }
}

fn unsafe_zeroed() -> nix::libc::itimerval {
    // SAFETY: integers, for which zeroes are values.
    unsafe { std::mem::zeroed() }
}

#[test]
fn memory_that_is_locked_is_recycled_all_the_same() {
    for route in routes_here(&config(8)) {
        let child = in_child(|| {
            let all = nix::sys::mman::MlockAllFlags::all();
            if let Err(errno) = nix::sys::mman::mlockall(all) {
                return common::cannot("locked memory", errno.desc());
            }
            let pool = pool_by(route, config(8), 2);
            for _ in 0..5 {
                let mut raw = uring_pool::sys::io_uring::default();
                // SAFETY: never used.
                drop(unsafe { pool.claim_raw(&mut raw) }.unwrap());
            }
            assert_eq!(pool.stats().retired, 0);
        });
        assert!(child.succeeded(), "by the route {route}");
    }
}

#[test]
fn a_buffer_whose_code_panics_leaves_the_ring_as_it_was() {
    struct Bad;
    // SAFETY: it gives out no address at all.
    unsafe impl Buf for Bad {
        fn stable_ptr(&self) -> *const u8 {
            panic!("on purpose")
        }

        fn len(&self) -> usize {
            0
        }
    }
    let mut ring = Ring::<Bad>::open(&config(8)).unwrap();
    let file = tempfile::tempfile().unwrap();
    let push = std::panic::AssertUnwindSafe(|| ring.batch().write_at(&file, Bad, 0).push().is_ok());
    assert!(std::panic::catch_unwind(push).is_err());
    assert_eq!(ring.in_flight(), 0);
    assert_eq!(ring.wait_through_signals(1).unwrap().count(), 0);
}
