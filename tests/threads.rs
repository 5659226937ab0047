//! One pool, many threads.

mod common;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use common::{config, pool_by, routes_here};
use uring_pool::{Cause, RingConfig, RingPool};

#[test]
fn threads_that_claim_at_the_same_time_never_hold_the_same_ring_and_lose_none() {
    const SLOTS: usize = 5;
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), SLOTS);
        let held: Vec<AtomicBool> = (0..SLOTS).map(|_| AtomicBool::new(false)).collect();
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (pool, held) = (pool.clone(), &held);
                scope.spawn(move || {
                    for round in 0..2000 {
                        let mut ring = match pool.claim::<()>() {
                            Ok(ring) => ring,
                            Err(error) => {
                                assert_eq!(error.cause(), Cause::NoSlotFree { slots: SLOTS });
                                std::thread::yield_now();
                                continue;
                            }
                        };
                        let mark = &held[ring.slot().unwrap()];
                        assert!(!mark.swap(true, SeqCst), "held twice");
                        let tag = thread << 32 | round;
                        let mut batch = ring.batch();
                        batch.nop().tag(tag).push().unwrap();
                        batch.submit().unwrap();
                        assert_eq!(ring.wait_through_signals(1).unwrap().next().unwrap().tag, tag);
                        assert!(mark.swap(false, SeqCst));
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!((stats.claimed, stats.retired), (0, 0));
        assert_eq!(stats.idle, stats.open, "every ring that was made is free again");
    }
}

/// A million; `URING_POOL_CLAIMS` asks for another number.
fn claims() -> usize {
    std::env::var("URING_POOL_CLAIMS").map_or(1_000_000, |n| n.parse().expect("a number of claims"))
}

#[test]
fn a_million_claims_hand_no_ring_out_twice_and_find_one_wherever_there_are_enough() {
    const THREADS: usize = 8;
    // As many slots as threads: whoever looks must find one, however the others come and go.
    let pool = pool_by(routes_here(&config(2))[0], config(2), THREADS);
    let held: Vec<AtomicBool> = (0..THREADS).map(|_| AtomicBool::new(false)).collect();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..claims() / THREADS {
                    let ring = pool.claim::<()>().unwrap();
                    let mark = &held[ring.slot().unwrap()];
                    assert!(!mark.swap(true, SeqCst), "held twice");
                    assert!(mark.swap(false, SeqCst));
                }
            });
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.claimed, stats.retired, stats.idle), (0, 0, stats.open));
}

#[test]
fn a_second_claim_gets_the_open_ring_and_makes_none() {
    let pool = pool_by(uring_pool::Route::Separate, config(8), 100);
    let slot = pool.claim::<()>().unwrap().slot();
    for _ in 0..50 {
        assert_eq!(pool.claim::<Vec<u8>>().unwrap().slot(), slot);
    }
    assert_eq!(pool.stats().open, 1);
}

#[test]
fn a_pool_makes_no_ring_before_one_is_claimed_and_keeps_it_when_it_is_returned() {
    let pool = RingPool::builder(config(8)).rings(1000).build().unwrap();
    assert_eq!((pool.stats().open, pool.slots()), (0, 1000));
    let rings: Vec<_> = (0..10).map(|_| pool.claim::<()>().unwrap()).collect();
    assert_eq!(pool.stats().open, 10);
    drop(rings);
    assert_eq!((pool.stats().open, pool.stats().idle), (10, 10), "returned rings stay open");
}

#[test]
fn pools_and_rings_go_to_other_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<RingPool>();
    shared::<RingConfig>();
    sent::<uring_pool::Ring<Vec<u8>>>();
    sent::<uring_pool::RawRing>();
    shared::<uring_pool::Error>();
}
