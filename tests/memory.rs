//! Rings in every kind of memory: they work there, one mapping holds them, and a slot that comes
//! back is safe to use, or not used.
#![allow(unsafe_code)]

mod common;

use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;

use common::{cannot, config};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use uring_pool::{Cause, Memory, PgAioUringCaps, RingPool, sys};

const RINGS: usize = 4;

/// Memory of the caller's, never unmapped.
fn callers(bytes: usize) -> NonNull<u8> {
    let len = NonZeroUsize::new(bytes).unwrap();
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping touches nothing that exists.
    unsafe { mmap_anonymous(None, len, protection, MapFlags::MAP_SHARED) }.unwrap().cast()
}

fn page() -> usize {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap().unwrap() as usize
}

/// A pool in each kind of memory that there is here.
fn pools(rings: usize) -> Vec<(&'static str, RingPool)> {
    let builder = || RingPool::builder(config(8)).rings(rings);
    let mut pools = vec![
        ("anonymous", builder().build().unwrap()),
        ("memfd", builder().memory(Memory::Memfd).build().unwrap()),
    ];
    let bytes = builder().bytes().unwrap();
    // SAFETY: shared, zeroed, given to nobody else, and never unmapped.
    let own = unsafe { builder().build_in(callers(bytes), bytes, page()) };
    pools.push(("the caller's", own.unwrap()));
    match builder().memory(Memory::HugePages).build() {
        Ok(pool) => pools.push(("huge pages", pool)),
        Err(error) => {
            assert!(matches!(error.cause(), Cause::NoHugePages { .. }), "{error}");
            cannot("huge pages", &error.to_string());
        }
    }
    pools
}

fn nop(pool: &RingPool, tag: u64) -> usize {
    let mut ring = pool.claim::<()>().unwrap();
    let mut batch = ring.batch();
    batch.nop().tag(tag).push().unwrap();
    batch.submit().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    let tags: Vec<_> = ring.peek().map(|done| done.tag).collect();
    assert_eq!(tags, [tag], "a completion of the ring that was there before");
    ring.slot().unwrap()
}

#[test]
fn rings_work_in_every_kind_of_memory_by_the_route_that_was_found_for_it() {
    for (kind, pool) in pools(RINGS) {
        let memory = match kind {
            "memfd" => Memory::Memfd,
            "huge pages" => Memory::HugePages,
            _ => Memory::Anonymous,
        };
        let caps = PgAioUringCaps::check_in(&config(8), memory).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut rings: Vec<_> = (0..RINGS).map(|_| pool.claim::<Vec<u8>>().unwrap()).collect();
        for (i, ring) in rings.iter_mut().enumerate() {
            assert_eq!(ring.route(), caps.route(), "{kind}");
            let mut batch = ring.batch();
            batch.write_at(&file, vec![i as u8; 10], 10 * i as u64).push().unwrap();
            batch.submit().unwrap();
            assert_eq!(ring.wait(1).unwrap().next().unwrap().result.unwrap(), 10, "{kind}");
        }
        drop(rings);
        assert_eq!(pool.stats().idle, RINGS, "{kind}");
    }
}

/// Claims a slot for liburing, leaves reads in flight that end only when it is closed.
fn leave_reads(pool: &RingPool, silent: &OwnedFd) -> usize {
    let buf = Box::leak(vec![0u8; 64].into_boxed_slice());
    let mut ring = sys::io_uring::default();
    // SAFETY: used only while the lease lives; the buffer is never freed.
    let lease = unsafe { pool.claim_raw(&mut ring) }.unwrap();
    for _ in 0..8 {
        // SAFETY: an open ring; the SQE is filled before it is submitted.
        let sqe = unsafe { sys::io_uring_get_sqe(&mut ring) };
        let (fd, at) = (silent.as_raw_fd(), buf.as_mut_ptr().cast());
        // SAFETY: as above; the buffer is never freed.
        unsafe { sys::io_uring_prep_read(sqe, fd, at, 64, u64::MAX as _) };
    }
    // SAFETY: as above.
    assert_eq!(unsafe { sys::io_uring_submit(&mut ring) }, 8);
    lease.slot()
}

#[test]
fn a_slot_of_every_kind_of_memory_is_recycled_with_new_pages_or_retired() {
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    for (kind, pool) in pools(RINGS) {
        let mut left = Vec::new();
        let rounds = if kind == "huge pages" { RINGS as u64 - 1 } else { 40 };
        for round in 0..rounds {
            left.push(leave_reads(&pool, &silent));
            let slot = nop(&pool, round);
            if kind == "huge pages" {
                assert!(!left.contains(&slot), "a slot that was not seen to go quiet");
            }
            // A ring that is kept would be claimed again; it, too, is to go.
            let mut raw = sys::io_uring::default();
            if kind != "huge pages" {
                // SAFETY: never used.
                drop(unsafe { pool.claim_raw(&mut raw) }.unwrap());
            }
        }
        let retired = if kind == "huge pages" { left.len() } else { 0 };
        assert_eq!(pool.stats().retired, retired, "{kind}");
    }
}

#[test]
fn memory_that_is_too_small_or_does_not_begin_at_a_page_is_refused() {
    let builder = || RingPool::builder(config(8)).rings(RINGS);
    let bytes = builder().bytes().unwrap();
    let base = callers(bytes + page());
    // SAFETY: refused before it is used.
    let small = unsafe { builder().build_in(base, bytes - 1, page()) }.unwrap_err();
    assert!(small.to_string().contains("too small"), "{small}");
    // SAFETY: inside the mapping.
    let askew = unsafe { base.add(8) };
    // SAFETY: refused before it is used.
    let askew = unsafe { builder().build_in(askew, bytes, page()) }.unwrap_err();
    assert!(askew.to_string().contains("at a page"), "{askew}");
}
