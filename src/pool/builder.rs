//! A pool's settings, and how it is put together.
//!
//! Its one `unsafe` function takes memory of the caller's, who answers for it; it guarantees that no more
//! of it is used than it was told.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;

use super::RingPool;
use super::arena;
use super::inner::Inner;
use crate::config::RingConfig;
use crate::error::{Cause, Error, Result};
use crate::layout::{ArenaLayout, PoolLayout};
use crate::region::{Memory, Region, page_size};
use crate::setup::{self, Route, RouteSet};

/// What happens to a ring that cannot be made by the best route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fallback {
    /// It is made by the next route. [`RingPool::stats`] and the ring itself tell.
    #[default]
    Allow,
    /// It is an error, unless the ring lies in the pool's memory (by whichever route).
    Deny,
}

/// When rings are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Make {
    /// When a slot is first claimed: an unused slot costs no descriptor, no pinned memory, and
    /// nothing at fork.
    #[default]
    OnClaim,
    /// All of them when the pool is built, as PostgreSQL does: every process forked after that
    /// inherits every ring.
    UpFront,
}

/// Settings of a [`RingPool`]; from [`RingPool::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder makes a pool when `build` is called"]
pub struct PoolBuilder {
    config: RingConfig,
    rings: usize,
    make: Make,
    routes: RouteSet,
    fallback: Fallback,
    memory: Memory,
    /// How many, and bytes of each.
    buffers: (usize, usize),
}

impl PoolBuilder {
    pub(super) fn new(config: RingConfig) -> Self {
        Self {
            config,
            rings: 1,
            make: Make::default(),
            routes: RouteSet::ALL,
            fallback: Fallback::default(),
            memory: Memory::default(),
            buffers: (0, 0),
        }
    }

    /// How many slots the pool has; 1 if nothing is said.
    pub fn rings(mut self, rings: usize) -> Self {
        self.rings = rings;
        self
    }

    /// When rings are made; on claim if nothing is said.
    pub fn make(mut self, make: Make) -> Self {
        self.make = make;
        self
    }

    /// Which routes may be tried, best first whatever their order here; all if nothing is said.
    /// Without a combined one the pool's mapping has no room for rings.
    pub fn routes(mut self, routes: &[Route]) -> Self {
        self.routes = RouteSet::only(routes);
        self
    }

    /// Whether a ring may have mappings of its own where combined ones fail; allowed if nothing is
    /// said.
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// What kind of memory the rings lie in; anonymous if nothing is said.
    pub fn memory(mut self, memory: Memory) -> Self {
        self.memory = memory;
        self
    }

    /// Gives the pool `count` buffers of `size` bytes each, in the same mapping:
    /// [`RingPool::buffer`]. They are registered with every ring, once for all where the kernel
    /// knows how to (Linux 6.12), so that requests which use them pin no pages. None if nothing is
    /// said.
    ///
    /// What is registered counts as the user's locked memory, with each ring where it cannot be
    /// shared. Where that is not allowed the buffers work as any others, and
    /// [`Stats::buffers`](crate::Stats::buffers) tells.
    pub fn buffers(mut self, count: usize, size: usize) -> Self {
        self.buffers = (count, size);
        self
    }

    pub(super) fn memory_kind(&self) -> Memory {
        self.memory
    }

    /// Bytes of shared memory that each ring will take in the pool, whole pages. On kernels that
    /// charge ring memory, it is what a ring adds to the user's locked memory.
    ///
    /// # Errors
    /// [`Cause::Invalid`] if that is beyond this machine's address space.
    pub fn bytes_per_ring(&self) -> Result<usize> {
        setup::layout_of(&self.config).map(|layout| layout.stride)
    }

    /// Maps the pool's memory and, with [`Make::UpFront`], makes every ring.
    ///
    /// # Errors
    /// [`Cause::Invalid`] for settings that contradict each other; else the cause why memory
    /// could not be mapped or a ring not be made. Nothing is left behind then. Where locked memory
    /// is short, though all rings fit the limit, [`Make::UpFront`] waits, up to three seconds for
    /// a ring, for what closed rings have not given back yet; what can never fit fails at once.
    pub fn build(self) -> Result<RingPool> {
        let (layout, routes) = self.layout()?;
        self.finish(layout, routes, Region::map(self.memory, layout.total)?)
    }

    /// As [`build`](Self::build), in memory of the caller's, such as a database's own shared
    /// memory: of [`bytes`](Self::bytes) bytes at least, with pages of `pages` bytes. Where those
    /// are not the system's small ones, slots are retired as in [`Memory::HugePages`].
    ///
    /// # Safety
    /// The memory is mapped shared (`MAP_SHARED`, not of a file on a disk), zeroed, begins at a
    /// page, and nobody else touches it. It stays mapped, in every process that has the pool, as
    /// long as any of the pool's rings is open there; and it is never used for anything else, but
    /// in new pages (unmap it, or punch them out), since what is left of a closed ring is taken
    /// down later.
    ///
    /// # Errors
    /// As [`build`](Self::build); [`Cause::Invalid`] if the memory is too small or does not begin
    /// at a page.
    #[allow(unsafe_code)]
    pub unsafe fn build_in(self, base: NonNull<u8>, len: usize, pages: usize) -> Result<RingPool> {
        let (layout, routes) = self.layout()?;
        let invalid = |why| Error::new("cannot build a pool in this memory", Cause::Invalid(why));
        let len = NonZeroUsize::new(len)
            .filter(|len| len.get() >= layout.total)
            .ok_or_else(|| invalid("it is too small: `bytes` tells what is needed"))?;
        if base.addr().get() % page_size() != 0 {
            return Err(invalid("it does not begin at a page"));
        }
        // SAFETY: forwarded to the caller.
        let region = unsafe { Region::of_the_callers(base, len, pages) };
        self.finish(layout, routes, region)
    }

    /// Bytes of memory that the pool takes.
    ///
    /// # Errors
    /// [`Cause::Invalid`] for settings that contradict each other.
    pub fn bytes(&self) -> Result<usize> {
        self.layout().map(|(layout, _)| layout.total)
    }

    fn finish(&self, layout: PoolLayout, routes: RouteSet, region: Region) -> Result<RingPool> {
        let inner = Arc::new(Inner::new(self.config, layout, routes, self.make, region)?);
        if self.make == Make::UpFront {
            inner.make_all()?;
        }
        Ok(RingPool { inner })
    }

    /// Where everything will lie, and by which routes it may come there.
    pub(super) fn layout(&self) -> Result<(PoolLayout, RouteSet)> {
        let invalid = |why| {
            Error::new(format!("cannot build a pool of {} rings", self.rings), Cause::Invalid(why))
        };
        if self.rings == 0 {
            return Err(invalid("a pool has at least one ring"));
        }
        if self.rings > u32::MAX as usize {
            return Err(invalid("a pool has at most 2^32 - 1 rings"));
        }
        if self.make == Make::UpFront && self.config.is_single_issuer() {
            return Err(invalid(
                "a single-issuer ring belongs to the thread that makes it, so none can be made \
                 up front for others",
            ));
        }
        let mut routes = self.routes;
        if self.fallback == Fallback::Deny {
            routes = routes.without(Route::Separate);
        }
        if routes.best_first().next().is_none() {
            return Err(invalid("no route is allowed"));
        }
        let ring = setup::layout_of(&self.config)?;
        let mut layout = PoolLayout::new(&self.config, ring, self.rings, routes.any_combined())?;
        let (buffers, size) = self.buffers;
        if buffers > 0 {
            if size == 0 || size > ArenaLayout::PIECE {
                return Err(invalid("its buffers have from 1 byte to 1 GiB"));
            }
            if buffers > u32::MAX as usize {
                return Err(invalid("a pool has at most 2^32 - 1 buffers"));
            }
            let source = if routes.any_combined() { arena::source_len()? } else { 0 };
            layout = layout.with_arena(buffers, size, source)?;
        }
        Ok((layout, routes))
    }
}
