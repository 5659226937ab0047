//! Many rings in one mapping.

mod arena;
mod buffer;
mod builder;
mod claim;
mod inner;
mod need;
mod owners;
mod plan;
mod planned;
mod raw;
mod release;
mod slots;
mod stats;

use std::fmt;
use std::sync::Arc;

use crate::config::RingConfig;
use crate::error::Result;
use crate::ring::{Held, Home, Ring};

pub use buffer::PoolBuf;
pub use builder::{Fallback, Make, PoolBuilder};
pub use need::{Need, Resource, Verdict};
pub use plan::Plan;
pub use raw::RawRing;
pub use stats::{BufferStats, FallbackStats, Stats};

use inner::Inner;

/// Rings in one shared mapping.
///
/// A handle: clones share the pool, and the mapping lives as long as the last handle or claimed
/// ring. Threads may claim at the same time. A process forked after the pool was made has it too:
/// who holds which slot is kept in the shared mapping, so parent and children never claim the same
/// one. A child that drops its handle closes its own descriptors and leaves its relatives' rings
/// alone. A slot whose holder is killed is found, and made usable again with new pages.
///
/// ```no_run
/// use uring_pool::{RingConfig, RingPool};
///
/// let pool = RingPool::builder(RingConfig::new(64)?).rings(4000).build()?;
/// let ring = pool.claim::<Vec<u8>>()?;
/// println!("slot {:?} by the route {}", ring.slot(), ring.route());
/// # Ok::<(), uring_pool::Error>(())
/// ```
#[derive(Clone)]
pub struct RingPool {
    inner: Arc<Inner>,
}

impl RingPool {
    /// Begins a pool of rings of this configuration.
    pub fn builder(config: RingConfig) -> PoolBuilder {
        PoolBuilder::new(config)
    }

    /// Claims a ring, whichever is free: one that is open if there is one, which costs no system
    /// call of io_uring's, else a new one.
    ///
    /// Where locked memory is short for a new one, though what this process has open fits the
    /// limit, it waits up to three seconds for what closed rings have not given back yet.
    ///
    /// # Errors
    /// [`Cause::NoSlotFree`](crate::Cause::NoSlotFree), or the cause why a ring could not be made.
    #[inline]
    pub fn claim<B: 'static>(&self) -> Result<Ring<B>> {
        let held = self.inner.claim_any()?;
        Ok(self.ring(held))
    }

    /// Claims the ring in slot `slot`: for a child that was given its number, as PostgreSQL's
    /// processes are.
    ///
    /// # Errors
    /// [`NoSuchSlot`](crate::Cause::NoSuchSlot), [`SlotTaken`](crate::Cause::SlotTaken),
    /// [`SlotRetired`](crate::Cause::SlotRetired), [`MadeElsewhere`](crate::Cause::MadeElsewhere)
    /// if the ring was made in another process after the fork, or the cause why a ring could not
    /// be made.
    pub fn claim_slot<B: 'static>(&self, slot: usize) -> Result<Ring<B>> {
        let held = self.inner.claim_slot(slot)?;
        Ok(self.ring(held))
    }

    #[inline]
    fn ring<B: 'static>(&self, held: Box<Held>) -> Ring<B> {
        let home: Arc<dyn Home> = self.inner.clone();
        Ring::claimed(held, home)
    }

    /// Takes back the slots of processes that have died holding them, with new pages, and returns
    /// how many there were. Claims do so by themselves when no slot is free; a supervisor that
    /// sees a child die may do it at once.
    ///
    /// # Errors
    /// [`Cause::System`](crate::Cause::System) if this process cannot be enrolled with the pool.
    pub fn recover(&self) -> Result<usize> {
        self.inner.recover()
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.inner.slots.count()
    }

    /// The rings' configuration.
    #[must_use]
    pub fn config(&self) -> RingConfig {
        self.inner.config
    }

    /// Counters: what is open and claimed, by which route, and why not by a better one. It looks
    /// at every slot.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

impl fmt::Debug for RingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingPool")
            .field("config", &self.inner.config)
            .field("slots", &self.slots())
            .field("bytes", &self.inner.region.len())
            .finish_non_exhaustive()
    }
}
