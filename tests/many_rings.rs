//! As many rings as descriptors allow, in one pool.
//!
//! One test a file: it takes nearly all descriptors that the process may have.

mod common;

use common::{cannot, config, descriptors};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use uring_pool::{Limits, Make, PgAioUringCaps, RingPool};

const RINGS: usize = 15_000;

/// Whether that many rings may be had; raises the soft limit on descriptors if need be.
fn room() -> Result<(), String> {
    let needed = (RINGS + descriptors() + 64) as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < needed {
        let to = hard.max(needed);
        setrlimit(Resource::RLIMIT_NOFILE, needed, to)
            .map_err(|errno| format!("needs {needed} descriptors of {hard}: {errno}"))?;
    }
    let limits = Limits::read();
    let bytes = PgAioUringCaps::check(&config(64)).unwrap().mem_init_size().unwrap_or(8192) * RINGS;
    match limits.locked_memory {
        Some(limit) if limits.ipc_lock == Some(false) && limit.soft < bytes as u64 => {
            Err(format!("needs {bytes} bytes of locked memory of {}", limit.soft))
        }
        _ => Ok(()),
    }
}

#[test]
fn fifteen_thousand_rings_are_made_up_front_and_the_last_works_like_the_first() {
    if let Err(why) = room() {
        return cannot("fifteen thousand rings", &why);
    }
    let pool = RingPool::builder(config(64)).rings(RINGS).make(Make::UpFront).build().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.open, stats.idle, stats.claimed), (RINGS, RINGS, 0));
    for slot in [0, RINGS / 2, RINGS - 1] {
        let mut ring = pool.claim_slot::<()>(slot).unwrap();
        let mut batch = ring.batch();
        batch.nop().tag(slot as u64).push().unwrap();
        batch.submit().unwrap();
        let done = ring.wait_through_signals(1).unwrap().next().unwrap();
        assert_eq!((done.tag, done.result.unwrap()), (slot as u64, 0));
    }
    drop(pool);
    assert!(descriptors() < 100, "a dropped pool leaves no descriptor behind");
}
