//! What a fork costs a process that has a pool, or none: a child that does nothing is forked, ends, is waited for.
#![allow(unsafe_code)]

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use uring_pool::{RingConfig, RingPool};

use super::{Took, timed};
use crate::Result;

pub(super) fn run(slots: usize, forks: u64) -> Result<Took> {
    let build = |slots| RingPool::builder(RingConfig::new(64)?).rings(slots).build();
    let _pool = (slots > 0).then(|| build(slots)).transpose()?;
    timed(|| {
        for _ in 0..forks {
            // SAFETY: this process has one thread, and the child leaves at once.
            match unsafe { fork() }? {
                ForkResult::Parent { child } => drop(waitpid(child, None)?),
                // SAFETY: ends the child, and touches no memory.
                ForkResult::Child => unsafe { libc::_exit(0) },
            }
        }
        Ok(())
    })
}
