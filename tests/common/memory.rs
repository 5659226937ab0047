//! Pools in each kind of memory.
#![allow(unsafe_code)]

use std::fmt;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use uring_pool::{Cause, Memory, PoolBuilder, Result, RingPool};

/// The kinds of memory whose pages can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Anonymous,
    Memfd,
    Callers,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Anonymous => "anonymous",
            Kind::Memfd => "memfd",
            Kind::Callers => "the caller's",
        })
    }
}

pub(crate) fn pool(kind: Kind, builder: PoolBuilder) -> Result<RingPool> {
    match kind {
        Kind::Anonymous => builder.build(),
        Kind::Memfd => builder.memory(Memory::Memfd).build(),
        Kind::Callers => {
            let bytes = builder.bytes()?;
            // SAFETY: shared, zeroed, given to nobody else, and never unmapped.
            unsafe { builder.build_in(callers(bytes), bytes, super::page()) }
        }
    }
}

/// A pool in huge pages; where none are set aside, says so.
pub(crate) fn huge(builder: PoolBuilder) -> Option<RingPool> {
    match builder.memory(Memory::HugePages).build() {
        Ok(pool) => Some(pool),
        Err(error) => {
            assert!(matches!(error.cause(), Cause::NoHugePages { .. }), "{error}");
            super::cannot("huge pages", &error.to_string());
            None
        }
    }
}

/// Memory of the caller's, never unmapped.
pub(crate) fn callers(bytes: usize) -> NonNull<u8> {
    let len = NonZeroUsize::new(bytes).unwrap();
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping touches nothing that exists.
    unsafe { mmap_anonymous(None, len, protection, MapFlags::MAP_SHARED) }.unwrap().cast()
}
