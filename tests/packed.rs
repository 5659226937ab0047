//! P2: rings packed slot by slot, driven full and round, never touch each other, nor a byte that is
//! not theirs.
#![allow(unsafe_code)]

mod common;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;

use common::sanitizer::{VALGRIND, left_out};
use common::{config, pool_by, routes_here};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use uring_pool::{Cause, PgAioUringCaps, Refusal, Ring, RingConfig, RingPool, Route, sys};

const RINGS: usize = 8;

/// From how many entries on only the narrowest and the widest rings are driven, of the usual CQ:
/// all, if `URING_POOL_LARGE` says nothing.
fn large() -> u32 {
    std::env::var("URING_POOL_LARGE").map_or(u32::MAX, |n| n.parse().expect("a number of entries"))
}

/// Every size class and both entry widths; CQs of the same length, twice, and many times the SQ's.
fn configs() -> Vec<RingConfig> {
    let mut all = Vec::new();
    let mut entries = vec![1, 2, 3, 64, 100, 128, 256, 1024, 4096, 32_768];
    if left_out(&[VALGRIND], "packed rings of more than 64 entries", "they would take minutes") {
        entries.retain(|&entries| entries <= 64);
    }
    for entries in entries {
        let plain = config(entries);
        if entries >= large() {
            all.extend([plain, plain.sqe128().cqe32()]);
            continue;
        }
        let sq = plain.sq_len();
        let mut sizes = vec![plain, plain.cq_entries(sq).unwrap()];
        sizes.extend(plain.cq_entries(8 * sq));
        for sized in sizes {
            all.extend([sized, sized.sqe128(), sized.cqe32(), sized.sqe128().cqe32()]);
        }
    }
    all
}

/// A pool's memory, where the test can see it, with some of the test's own behind it.
struct Ground {
    base: NonNull<u8>,
    len: NonZeroUsize,
}

impl Ground {
    const BEHIND: usize = 64 << 10;

    fn new(bytes: usize) -> Self {
        let len = NonZeroUsize::new(bytes + Self::BEHIND).unwrap();
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping touches nothing that exists.
        let base = unsafe { mmap_anonymous(None, len, protection, MapFlags::MAP_SHARED) };
        Self { base: base.unwrap().cast(), len }
    }

    /// The pool, in all but what is behind.
    fn pool(&self, route: Route, config: RingConfig) -> RingPool {
        let builder = RingPool::builder(config).rings(RINGS).routes(&[route]);
        let len = self.len.get() - Self::BEHIND;
        // SAFETY: shared, zeroed, and touched only where no ring lies; it is unmapped after the
        // pool and its rings, and never used again.
        unsafe { builder.build_in(self.base, len, common::page()) }.unwrap()
    }

    fn byte(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.len.get());
        // SAFETY: inside the mapping.
        unsafe { self.base.add(offset) }
    }

    /// A byte that tells its place.
    fn mark(offset: usize) -> u8 {
        (offset.wrapping_mul(0x9e37_79b9) >> 13) as u8
    }

    /// What nobody has written to so far.
    fn write_marks(&self, gaps: &[Range<usize>], what: &str) {
        for offset in gaps.iter().cloned().flatten() {
            let at = self.byte(offset);
            // SAFETY: mapped; if a kernel has written to it all the same, the test fails.
            assert_eq!(unsafe { at.read_volatile() }, 0, "{what}: byte {offset} is no ring's");
            // SAFETY: mapped, and nobody's.
            unsafe { at.write_volatile(Self::mark(offset)) };
        }
    }

    fn check_marks(&self, gaps: &[Range<usize>], what: &str) {
        for offset in gaps.iter().cloned().flatten() {
            // SAFETY: mapped; if a kernel writes to it all the same, the test fails.
            let byte = unsafe { self.byte(offset).read_volatile() };
            assert_eq!(byte, Self::mark(offset), "{what}: byte {offset} belongs to no ring");
        }
    }

    /// Where the ring's SQEs and its queues lie, by what the kernel told of itself.
    fn areas(&self, ring: &mut Ring<()>, config: &RingConfig) -> [Range<usize>; 2] {
        let wide = |bytes: usize, is: bool| bytes << usize::from(is);
        let text = format!("{config:?}");
        let sqe = wide(64, text.contains("SQE128"));
        let cqe = wide(16, text.contains("CQE32"));
        let (sq_len, cq_len) = (ring.sq_len() as usize, ring.cq_len() as usize);
        let extent = ring.extent();
        // SAFETY: nothing is done with it but looking.
        let raw = unsafe { ring.as_raw() };
        // SAFETY: the ring is neither moved nor dropped meanwhile.
        let sys::io_uring { sq, cq, .. } = unsafe { *raw };
        let at = |address: usize| address.checked_sub(self.base.addr().get()).unwrap();
        let sqes = at(sq.sqes.addr());
        let mut end = at(cq.cqes.addr()) + cqe * cq_len;
        if !sq.array.is_null() {
            end = end.max(at(sq.array.addr()) + 4 * sq_len);
        }
        assert_eq!(end, sqes + extent, "{text}: the extent is what the kernel uses");
        [sqes..sqes + sqe * sq_len, at(sq.ring_ptr.addr())..end]
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // SAFETY: the mapping is the test's own, and the pool in it is gone.
        unsafe { munmap(self.base.cast(), self.len.get()) }.unwrap();
    }
}

/// What lies between these areas, up to `end`; no two of which overlap.
fn gaps_between(mut areas: Vec<Range<usize>>, end: usize) -> Vec<Range<usize>> {
    areas.sort_by_key(|area| area.start);
    areas.push(end..end);
    let pairs = areas.windows(2);
    pairs
        .map(|pair| {
            assert!(pair[0].end <= pair[1].start, "{:?} and {:?} overlap", pair[0], pair[1]);
            pair[0].end..pair[1].start
        })
        .collect()
}

/// Fills the SQ and submits it, as often as the CQ takes.
fn fill(ring: &mut Ring<()>, mark: u64) -> u64 {
    let (sq, cq) = (u64::from(ring.sq_len()), u64::from(ring.cq_len()));
    for start in (0..cq).step_by(sq as usize) {
        let mut batch = ring.batch();
        for i in start..start + sq {
            batch.nop().tag(mark | i).push().unwrap();
        }
        assert_eq!(u64::from(batch.submit().unwrap()), sq);
    }
    cq
}

/// Reaps a full CQ and checks each entry.
fn check(ring: &mut Ring<()>, mark: u64, what: &str) {
    let cq = u64::from(ring.cq_len());
    let mut expected = 0;
    for done in ring.wait_through_signals(cq as u32).unwrap() {
        assert_eq!(done.tag, mark | expected, "{what}: another ring's entry");
        assert_eq!(done.result.unwrap(), 0, "{what}");
        expected += 1;
    }
    assert_eq!(expected, cq, "{what}: completions are missing");
}

/// Drives rings of this configuration full and round, side by side.
fn drive(config: RingConfig, route: Route) {
    let what = format!("{config:?} by {route}");
    let builder = RingPool::builder(config).rings(RINGS).routes(&[route]);
    let ground = Ground::new(builder.bytes().unwrap());
    let pool = ground.pool(route, config);
    let stride = pool.stats().bytes_per_ring;
    let mut rings: Vec<_> = (0..RINGS).map(|_| pool.claim::<()>().unwrap()).collect();
    let header = 0..pool.stats().bytes - RINGS * stride;
    let mut used = Vec::from([header]);
    for ring in &mut rings {
        assert!(ring.extent() <= stride, "{what}: {} > {stride}", ring.extent());
        used.extend(ground.areas(ring, &config));
    }
    let gaps = gaps_between(used, ground.len.get());
    ground.write_marks(&gaps, &what);
    // Once suffices to wrap, and large queues take their time.
    let rounds = if config.sq_len() < 1024 { 3 } else { 1 };
    for round in 0..rounds {
        // Shifts the heads, so that each round wraps at another place.
        for ring in &mut rings {
            let mut batch = ring.batch();
            batch.nop().push().unwrap();
            batch.submit().unwrap();
            assert_eq!(ring.wait_through_signals(1).unwrap().count(), 1);
        }
        let mark = |i: usize| (i as u64 + 1) << 48 | (round + 1) << 32;
        // All are full at the same time before the first is looked at.
        for (i, ring) in rings.iter_mut().enumerate() {
            fill(ring, mark(i));
        }
        for (i, ring) in rings.iter_mut().enumerate() {
            check(ring, mark(i), &what);
        }
    }
    ground.check_marks(&gaps, &what);
}

/// Whether this liburing puts such rings inside their own SQEs, which is undone: 2.5 to 2.8 do with
/// doubled ones.
fn misplaced(config: &RingConfig) -> bool {
    let caps = PgAioUringCaps::check(config).unwrap();
    let old = caps.loaded().is_some_and(|loaded| (loaded.major, loaded.minor) < (2, 9));
    let undone = |refusal: &Refusal| matches!(refusal.cause(), Cause::Misplaced { .. });
    old && format!("{config:?}").contains("SQE128") && caps.refusals().iter().any(undone)
}

#[test]
fn full_and_wrapped_queues_of_packed_rings_hold_only_their_own_entries_and_no_byte_beside() {
    let combined = |config: &RingConfig| {
        let routes = routes_here(config);
        routes.into_iter().filter(|route| route.is_combined()).collect::<Vec<_>>()
    };
    let smallest = combined(&config(1));
    if smallest.is_empty() {
        return common::cannot("packed rings", "needs Linux 6.5");
    }
    for config in configs() {
        let routes = combined(&config);
        // Else a ring that does not fit its slot would not be tried, and not be seen.
        let all = routes == smallest || routes == [Route::Direct] && misplaced(&config);
        // Before 6.10 memory in pieces is not taken.
        assert!(all || common::kernel() < (6, 10), "{config:?} only by {routes:?}");
        for route in routes {
            drive(config, route);
        }
    }
}

#[test]
fn neighbours_of_a_ring_that_comes_and_goes_keep_their_requests_and_completions() {
    let config = config(64);
    // And one that tries for itself what works here: an attempt that fails is seen by nobody else.
    let any = RingPool::builder(config).rings(4).build().unwrap();
    let pools = routes_here(&config).into_iter().map(|route| pool_by(route, config, 4));
    for pool in pools.chain([any]) {
        let mut left = pool.claim_slot::<()>(0).unwrap();
        let mut ahead = pool.claim_slot::<()>(2).unwrap();
        let mut right = pool.claim_slot::<()>(3).unwrap();
        for round in 0..100u64 {
            fill(&mut left, 1 << 48 | round << 32);
            fill(&mut right, 2 << 48 | round << 32);
            // What is prepared only the memory knows, until it is submitted.
            let mut prepared = ahead.batch();
            for i in 0..64 {
                prepared.nop().tag(3 << 48 | round << 32 | i).push().unwrap();
            }
            // A raw lease is closed and its pages are replaced each time.
            let mut raw = uring_pool::sys::io_uring::default();
            // SAFETY: the ring is never used.
            let lease = unsafe { pool.claim_raw(&mut raw) }.unwrap();
            assert_eq!(lease.slot(), 1);
            drop(lease);
            assert_eq!(prepared.submit().unwrap(), 64);
            let tags: Vec<u64> =
                ahead.wait_through_signals(64).unwrap().map(|done| done.tag).collect();
            assert!(tags.into_iter().eq((0..64).map(|i| 3 << 48 | round << 32 | i)), "{round}");
            check(&mut left, 1 << 48 | round << 32, "left");
            check(&mut right, 2 << 48 | round << 32, "right");
        }
    }
}
