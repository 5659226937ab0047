//! Rings in every kind of memory: they work there, and one mapping holds them.
#![allow(unsafe_code)]

mod common;

use common::memory::{self, Kind, callers};
use common::{config, page, routes_here};
use nix::errno::Errno;
use uring_pool::{Cause, Fallback, Memory, PgAioUringCaps, Refusal, RingPool, Route};

const RINGS: usize = 4;

/// A pool in each kind of memory that there is here, and what to ask for to be told of its route.
fn pools(rings: usize) -> Vec<(String, Memory, RingPool)> {
    let builder = || RingPool::builder(config(8)).rings(rings);
    let mut pools: Vec<_> = [
        (Kind::Anonymous, Memory::Anonymous),
        (Kind::Memfd, Memory::Memfd),
        (Kind::Callers, Memory::Anonymous),
    ]
    .map(|(kind, memory)| (kind.to_string(), memory, memory::pool(kind, builder()).unwrap()))
    .into();
    if let Some(pool) = memory::huge(builder()) {
        pools.push(("huge pages".to_owned(), Memory::HugePages, pool));
    }
    pools
}

#[test]
fn rings_work_in_every_kind_of_memory_by_the_route_that_was_found_for_it() {
    for (kind, memory, pool) in pools(RINGS) {
        let caps = PgAioUringCaps::check_in(&config(8), memory).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut rings: Vec<_> = (0..RINGS).map(|_| pool.claim::<Vec<u8>>().unwrap()).collect();
        for (i, ring) in rings.iter_mut().enumerate() {
            assert_eq!(ring.route(), caps.route(), "{kind}");
            let mut batch = ring.batch();
            batch.write_at(&file, vec![i as u8; 10], 10 * i as u64).push().unwrap();
            batch.submit().unwrap();
            assert_eq!(
                ring.wait_through_signals(1).unwrap().next().unwrap().result.unwrap(),
                10,
                "{kind}"
            );
        }
        drop(rings);
        assert_eq!(pool.stats().idle, RINGS, "{kind}");
    }
}

/// `io_uring_queue_exit` of liburing 2.5 to 2.7 unmaps the SQEs, whose pages are the caller's.
#[test]
fn closed_rings_leave_the_callers_memory_mapped() {
    let config = config(64);
    for route in routes_here(&config) {
        let builder = || RingPool::builder(config).rings(RINGS).routes(&[route]);
        let bytes = builder().bytes().unwrap();
        let base = callers(bytes + page());
        // SAFETY: inside the mapping.
        let behind = unsafe { base.add(bytes) };
        // SAFETY: mapped, and not the pool's.
        unsafe { behind.write_bytes(0xa5, page()) };
        // SAFETY: shared, zeroed, given to nobody else, and never unmapped.
        let pool = unsafe { builder().build_in(base, bytes, page()) }.unwrap();
        let is_whole = |when: &str| {
            let mut resident = vec![0u8; bytes / page() + 1];
            let (at, len) = (base.as_ptr().cast(), bytes + page());
            // SAFETY: a byte for each page; what is not mapped is an error.
            let mapped = unsafe { nix::libc::mincore(at, len, resident.as_mut_ptr()) };
            assert_eq!(mapped, 0, "by the route {route}, {when}: pages are missing");
        };
        // One is closed by its user, one is left to the pool, one outlives the pool's handle.
        let mut raw = uring_pool::sys::io_uring::default();
        // SAFETY: the ring is never used.
        drop(unsafe { pool.claim_raw(&mut raw) }.unwrap());
        is_whole("after a ring was recycled");
        let late = pool.claim::<()>().unwrap();
        drop(pool.claim::<()>().unwrap());
        drop(pool);
        is_whole("while a ring is still open");
        drop(late);
        is_whole("after the last ring was closed");
        for offset in (0..bytes).step_by(page()) {
            // SAFETY: mapped, as was just seen, and the pool is gone; its pages were replaced.
            let byte = unsafe { base.add(offset) };
            // SAFETY: as above.
            unsafe { byte.write_volatile(1) };
        }
        for offset in 0..page() {
            // SAFETY: inside the mapping.
            let byte = unsafe { behind.add(offset) };
            // SAFETY: as above.
            assert_eq!(unsafe { byte.read_volatile() }, 0xa5, "byte {offset} behind the pool");
        }
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

#[test]
fn memory_of_a_file_on_a_disk_is_refused_by_the_kernel_itself_and_told() {
    use nix::sys::mman::{MapFlags, ProtFlags, mmap};
    use nix::sys::statfs::{TMPFS_MAGIC, statfs};
    let file = tempfile::NamedTempFile::new().unwrap();
    if statfs(file.path()).unwrap().filesystem_type() == TMPFS_MAGIC {
        return common::cannot("memory of a file on a disk", "files here are in memory");
    }
    let builder = || RingPool::builder(config(8)).rings(RINGS);
    let bytes = builder().bytes().unwrap();
    file.as_file().set_len(bytes as u64).unwrap();
    let len = std::num::NonZeroUsize::new(bytes).unwrap();
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping touches nothing that exists.
    let base = unsafe { mmap(None, len, protection, MapFlags::MAP_SHARED, file.as_file(), 0) };
    let base = base.unwrap().cast();
    // SAFETY: never unmapped, and nobody else's. It is of a file, which it must not be: the kernel
    // refuses it before it uses it.
    let pool = unsafe { builder().fallback(Fallback::Deny).build_in(base, bytes, page()) };
    let error = pool.unwrap().claim::<()>().unwrap_err();
    let (cause, errno) = if routes_here(&config(8))[0].is_combined() {
        (Cause::MemoryUnusable, Errno::EFAULT)
    } else {
        (Cause::NoMmapUnsupported, Errno::EINVAL)
    };
    common::refused::says(&error, errno, cause, &[]);
    // SAFETY: as above.
    let pool = unsafe { builder().build_in(base, bytes, page()) }.unwrap();
    let ring = pool.claim::<()>().unwrap();
    assert_eq!(ring.route(), Route::Separate);
    assert_eq!(ring.refusals().last().map(Refusal::cause), Some(cause));
}
