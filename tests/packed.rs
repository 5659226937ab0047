//! P2: rings packed slot by slot, driven full and round, never touch each other.

mod common;

use common::{config, pool_by, routes_here};
use uring_pool::{Ring, RingConfig};

const RINGS: usize = 8;

/// Every size class and both entry widths; CQs of the same length, twice, and many times the SQ's.
fn configs() -> Vec<RingConfig> {
    let mut all = Vec::new();
    for entries in [1, 2, 3, 64, 100, 128, 256, 1024, 4096] {
        let plain = config(entries);
        let sq = plain.sq_len();
        for sized in [plain, plain.cq_entries(sq).unwrap(), plain.cq_entries(8 * sq).unwrap()] {
            all.extend([sized, sized.sqe128(), sized.cqe32(), sized.sqe128().cqe32()]);
        }
    }
    all
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
    for done in ring.wait(cq as u32).unwrap() {
        assert_eq!(done.tag, mark | expected, "{what}: another ring's entry");
        assert_eq!(done.result.unwrap(), 0, "{what}");
        expected += 1;
    }
    assert_eq!(expected, cq, "{what}: completions are missing");
}

#[test]
fn full_and_wrapped_queues_of_packed_rings_hold_only_their_own_entries() {
    if !routes_here(&config(1))[0].is_combined() {
        return common::cannot("packed rings", "needs Linux 6.5");
    }
    for config in configs() {
        for route in routes_here(&config).into_iter().filter(|route| route.is_combined()) {
            let what = format!("{config:?} by {route}");
            let pool = pool_by(route, config, RINGS);
            let stride = pool.stats().bytes_per_ring;
            let mut rings: Vec<_> = (0..RINGS).map(|_| pool.claim::<()>().unwrap()).collect();
            for ring in &rings {
                assert!(ring.extent() <= stride, "{what}: {} > {stride}", ring.extent());
            }
            for round in 0..3u64 {
                // Shifts the heads, so that the next round wraps at another place.
                for ring in &mut rings {
                    let mut batch = ring.batch();
                    batch.nop().push().unwrap();
                    batch.submit().unwrap();
                    assert_eq!(ring.wait(1).unwrap().count(), 1);
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
        }
    }
}

#[test]
fn neighbours_of_a_ring_that_comes_and_goes_keep_their_completions() {
    let config = config(64);
    for route in routes_here(&config) {
        let pool = pool_by(route, config, 3);
        let mut left = pool.claim_slot::<()>(0).unwrap();
        let mut right = pool.claim_slot::<()>(2).unwrap();
        for round in 0..100u64 {
            fill(&mut left, 1 << 48 | round << 32);
            fill(&mut right, 2 << 48 | round << 32);
            // A raw lease is closed and its pages are replaced each time.
            let mut raw = uring_pool::sys::io_uring::default();
            #[allow(unsafe_code)]
            // SAFETY: the ring is never used.
            let lease = unsafe { pool.claim_raw(&mut raw) }.unwrap();
            assert_eq!(lease.slot(), 1);
            drop(lease);
            check(&mut left, 1 << 48 | round << 32, "left");
            check(&mut right, 2 << 48 | round << 32, "right");
        }
    }
}
