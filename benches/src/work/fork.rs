//! What a fork costs a process that has a pool, or none: a child that does nothing is forked, ends, is waited for.
#![allow(unsafe_code)]

use std::time::Instant;

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use uring_pool::{RingConfig, RingPool};

use super::{Took, timed};
use crate::Result;
use crate::rounds::quantile;

pub(super) fn run(slots: usize, forks: u64) -> Result<Took> {
    let build = |slots| RingPool::builder(RingConfig::new(64)?).rings(slots).build();
    let _pool = (slots > 0).then(|| build(slots)).transpose()?;
    let mut each = Vec::with_capacity(usize::try_from(forks)?);
    let took = timed(|| {
        for _ in 0..forks {
            let start = Instant::now();
            // SAFETY: this process has one thread, and the child leaves at once.
            match unsafe { fork() }? {
                ForkResult::Parent { child } => drop(waitpid(child, None)?),
                // SAFETY: ends the child, and touches no memory.
                ForkResult::Child => unsafe { libc::_exit(0) },
            }
            each.push(start.elapsed().as_nanos() as f64);
        }
        Ok(())
    })?;
    // The median of them all: on a busy machine a few wait long for a processor.
    let nanoseconds = quantile(&each, 0.5) * forks as f64;
    Ok(Took { nanoseconds: nanoseconds as u64, ..took })
}
