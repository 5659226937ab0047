//! Rings made, all of them open at the end. As c/make.c: they are left to the end of the process to close.

use std::mem::ManuallyDrop;

use io_uring::IoUring;
use uring_pool::{RingConfig, RingPool};

use super::{By, Took, no_such, timed};
use crate::{Result, in_c};

const ENTRIES: u32 = 64;

pub(super) fn run(by: By, rings: u64) -> Result<Took> {
    let count = usize::try_from(rings)?;
    match by {
        By::C => in_c::make(rings),
        By::Safe => timed(|| {
            let pool = RingPool::builder(RingConfig::new(ENTRIES)?).rings(count).build()?;
            let mut all = ManuallyDrop::new(Vec::with_capacity(count));
            for _ in 0..count {
                all.push(pool.claim::<()>()?);
            }
            Ok(())
        }),
        By::IoUring => timed(|| {
            let mut all = ManuallyDrop::new(Vec::with_capacity(count));
            for _ in 0..count {
                all.push(IoUring::new(ENTRIES)?);
            }
            Ok(())
        }),
        By::Raw | By::PushRaw | By::RawQueues => no_such(by),
    }
}
