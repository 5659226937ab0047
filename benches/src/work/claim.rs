//! Claim and return of an idle ring, by several threads at once.

use std::sync::Barrier;
use std::thread;

use uring_pool::{RingConfig, RingPool};

use super::{Took, timed};
use crate::Result;

pub(super) fn run(slots: usize, threads: u64, held: usize, operations: u64) -> Result<Took> {
    // Small rings: a pool of 15,000 of 256 entries is half a gigabyte of addresses.
    let pool = RingPool::builder(RingConfig::new(8)?).rings(slots).build()?;
    // Each thread finds an open one later.
    let ready: Vec<_> = (0..threads).map(|_| pool.claim::<()>()).collect::<Result<_, _>>()?;
    let others: Vec<_> = (0..held).map(|_| pool.claim::<()>()).collect::<Result<_, _>>()?;
    drop(ready);
    if threads == 1 {
        let took = timed(|| claims(&pool, operations));
        drop(others);
        return took;
    }
    let barrier = Barrier::new(threads as usize + 1);
    let each = operations / threads;
    thread::scope(|scope| {
        let at_work: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let claimed = claims(&pool, each).map_err(|error| error.to_string());
                    barrier.wait();
                    claimed
                })
            })
            .collect();
        let took = timed(|| {
            // They begin; and are done.
            barrier.wait();
            barrier.wait();
            Ok(())
        })?;
        for worker in at_work {
            worker.join().map_err(|_| "a thread panicked")??;
        }
        Ok(took)
    })
}

fn claims(pool: &RingPool, count: u64) -> Result<()> {
    for _ in 0..count {
        drop(pool.claim::<()>()?);
    }
    Ok(())
}
