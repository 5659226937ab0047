//! Rings in every kind of memory: they work there, and one mapping holds them.
#![allow(unsafe_code)]

mod common;

use common::memory::{self, Kind, callers};
use common::{config, page};
use uring_pool::{Memory, PgAioUringCaps, RingPool};

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
            assert_eq!(ring.wait(1).unwrap().next().unwrap().result.unwrap(), 10, "{kind}");
        }
        drop(rings);
        assert_eq!(pool.stats().idle, RINGS, "{kind}");
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
