//! Many rings in one mapping.

mod builder;
mod raw;
mod slots;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use crate::config::RingConfig;
use crate::error::{Cause, Error, Result};
use crate::layout::PoolLayout;
use crate::region::Region;
use crate::ring::{Held, Home, Ring, Ticket};
use crate::setup::{self, Learned, OpenRing, Route, RouteSet, SlotMemory};

pub use builder::{Fallback, Make, PoolBuilder};
pub use raw::RawRing;
pub use stats::{FallbackStats, Stats};

use slots::{Slots, State, Word};
use stats::Counters;

/// Rings in one shared mapping.
///
/// A handle: clones share the pool, and the mapping lives as long as the last handle or claimed
/// ring. Threads may claim at the same time. A process forked after the pool was made has it too:
/// who holds which slot is kept in the shared mapping, so parent and children never claim the same
/// one. A child that drops its handle closes its own descriptors and leaves its relatives' rings
/// alone.
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
    /// # Errors
    /// [`Cause::NoSlotFree`], or the cause why a ring could not be made.
    pub fn claim<B: 'static>(&self) -> Result<Ring<B>> {
        let held = self.inner.claim_any()?;
        Ok(self.ring(held))
    }

    /// Claims the ring in slot `slot`: for a child that was given its number, as PostgreSQL's
    /// processes are.
    ///
    /// # Errors
    /// [`Cause::NoSuchSlot`], [`Cause::SlotTaken`], [`Cause::SlotRetired`],
    /// [`Cause::MadeElsewhere`] if the ring was made in another process after the fork, or the
    /// cause why a ring could not be made.
    pub fn claim_slot<B: 'static>(&self, slot: usize) -> Result<Ring<B>> {
        let held = self.inner.claim_slot(slot)?;
        Ok(self.ring(held))
    }

    fn ring<B: 'static>(&self, held: Box<Held>) -> Ring<B> {
        let home: Arc<dyn Home> = self.inner.clone();
        Ring::claimed(held, home)
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

/// What handles and claimed rings share.
struct Inner {
    config: RingConfig,
    layout: PoolLayout,
    routes: RouteSet,
    learned: Learned,
    counters: Counters,
    /// Where the search for a free slot begins.
    next: AtomicUsize,
    /// Before the region: it closes rings that lie in it.
    slots: Slots,
    region: Region,
}

impl Inner {
    fn new(config: RingConfig, layout: PoolLayout, routes: RouteSet) -> Result<Self> {
        let region = Region::anonymous(layout.total)?;
        #[allow(unsafe_code)]
        // SAFETY: the region lives beside the table, is dropped after it, and its header is
        // as long as the table (`layout`).
        let slots = unsafe { Slots::new(&region, layout.slots) };
        Ok(Self {
            config,
            layout,
            routes,
            learned: Learned::default(),
            counters: Counters::default(),
            next: AtomicUsize::new(0),
            slots,
            region,
        })
    }

    fn make_all(&self) -> Result<()> {
        let holder = std::process::id();
        for slot in 0..self.slots.count() {
            let seen = self.slots.look(slot);
            let held = self.try_claim(slot, seen, holder).map_err(|error| {
                error.during(format!("ring {} of {}", slot + 1, self.slots.count()))
            })?;
            self.give_back(held.expect("nobody else has the pool yet"));
        }
        Ok(())
    }

    fn claim_any(&self) -> Result<Box<Held>> {
        let holder = std::process::id();
        let count = self.slots.count();
        let start = self.next.load(Relaxed);
        let order = || (0..count).map(|i| (start + i) % count);
        // An open ring costs nothing; a new one costs system calls and a descriptor.
        let search_open = self.slots.keeps_any();
        let open = |slot: &usize| {
            let word = self.slots.look(*slot);
            word.state == State::Idle && self.slots.is_known(*slot, word)
        };
        let empty = |slot: &usize| self.slots.look(*slot).state == State::Empty;
        let open_first = order().take_while(|_| search_open).filter(open);
        for slot in open_first.chain(order().filter(empty)) {
            let seen = self.slots.look(slot);
            if let Some(held) = self.try_claim(slot, seen, holder)? {
                self.next.store((slot + 1) % count, Relaxed);
                return Ok(held);
            }
        }
        Err(Error::new("cannot claim a ring", Cause::NoSlotFree { slots: count }))
    }

    fn claim_slot(&self, slot: usize) -> Result<Box<Held>> {
        let what = || format!("cannot claim slot {slot}");
        let slots = self.slots.count();
        if slot >= slots {
            return Err(Error::new(what(), Cause::NoSuchSlot { slots }));
        }
        let holder = std::process::id();
        loop {
            let seen = self.slots.look(slot);
            let cause = match seen.state {
                State::Claimed => Cause::SlotTaken { holder: seen.holder },
                State::Retired => Cause::SlotRetired,
                State::Idle if !self.slots.is_known(slot, seen) => Cause::MadeElsewhere,
                State::Idle | State::Empty => {
                    match self.try_claim(slot, seen, holder)? {
                        Some(held) => return Ok(held),
                        // Somebody was quicker: look again.
                        None => continue,
                    }
                }
            };
            return Err(Error::new(what(), cause));
        }
    }

    /// Claims a slot as it was seen: the ring in it, or a new one. `None` if somebody was quicker.
    fn try_claim(&self, slot: usize, seen: Word, holder: u32) -> Result<Option<Box<Held>>> {
        let Some(generation) = self.slots.claim(slot, seen, holder) else {
            return Ok(None);
        };
        let kept = self.slots.take(slot);
        if seen.state == State::Idle {
            return Ok(Some(kept.expect("an idle ring was known here when it was claimed")));
        }
        // What is kept of an empty slot is a ring that a relative has since taken out of it.
        if let Some(stale) = kept {
            self.counters.closed(&stale.ring);
        }
        match self.make(slot) {
            Ok(ring) => {
                self.counters.opened(&ring);
                let ticket = Ticket { slot: slot as u32, generation, maker: holder };
                Ok(Some(Box::new(Held::new(ring, &self.config, ticket))))
            }
            Err(error) => {
                self.free(slot, generation);
                Err(error)
            }
        }
    }

    /// Makes a ring in a slot that this process holds, and whose pages are zeroed.
    fn make(&self, slot: usize) -> Result<OpenRing> {
        #[allow(unsafe_code)]
        // SAFETY: whoever holds a slot has its memory alone. The region outlives the ring: rings
        // in the table are closed before it (the order of fields), and a claimed one holds the
        // pool.
        unsafe {
            setup::open(
                &self.config,
                &self.layout.ring,
                self.routes,
                &self.learned,
                self.memory(slot),
            )
        }
    }

    /// The slot's memory; `None` where the pool has none for rings.
    fn memory(&self, slot: usize) -> Option<SlotMemory<'_>> {
        self.routes.any_combined().then(|| SlotMemory {
            region: &self.region,
            offset: self.layout.slot_at(slot),
            len: self.layout.ring.stride,
        })
    }

    /// Closes a ring whose slot this process holds, and frees the slot.
    fn recycle(&self, held: Box<Held>) {
        let Ticket { slot, generation, .. } = held.ticket;
        self.counters.closed(&held.ring);
        drop(held);
        self.free(slot as usize, generation);
    }

    /// Makes a slot that this process holds, and that has no open ring, fit for another: with new
    /// pages, since a closed ring is taken down later, and may write until then.
    fn free(&self, slot: usize, generation: u32) {
        let renewed = self.memory(slot).is_none_or(|memory| memory.renew().is_ok());
        let state = if renewed { State::Empty } else { State::Retired };
        self.slots.settle(slot, state, generation);
    }

    fn stats(&self) -> Stats {
        let (mut claimed, mut idle, mut retired) = (0, 0, 0);
        for slot in 0..self.slots.count() {
            match self.slots.look(slot).state {
                State::Claimed => claimed += 1,
                State::Idle => idle += 1,
                State::Retired => retired += 1,
                State::Empty => {}
            }
        }
        let [init_mem, direct, separate] = Route::ALL.map(|route| self.counters.open(route));
        Stats {
            slots: self.slots.count(),
            claimed,
            idle,
            retired,
            open: init_mem + direct + separate,
            init_mem,
            direct,
            separate,
            bytes: self.region.len(),
            bytes_per_ring: self.memory(0).map_or(0, |memory| memory.len),
            fallbacks: self.counters.fallbacks(),
        }
    }
}

impl Home for Inner {
    fn give_back(&self, held: Box<Held>) {
        let Ticket { slot, generation, .. } = held.ticket;
        // A single-issuer ring obeys only the thread that made it; the next user may be another.
        if self.config.is_single_issuer() {
            return self.recycle(held);
        }
        let slot = slot as usize;
        self.slots.keep(held);
        // The likeliest to be claimed next: its memory is warm.
        self.next.store(slot, Relaxed);
        self.slots.settle(slot, State::Idle, generation);
    }

    fn retire(&self, held: Box<Held>) {
        let Ticket { slot, generation, .. } = held.ticket;
        self.counters.closed(&held.ring);
        // Closed, it is cancelled some time; until then the kernel writes to this slot.
        drop(held);
        self.slots.settle(slot as usize, State::Retired, generation);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let me = std::process::id();
        for slot in 0..self.slots.count() {
            let Some(held) = self.slots.take(slot) else { continue };
            let seen = self.slots.look(slot);
            let Ticket { generation, maker, .. } = held.ticket;
            // Relatives may live on with the mapping. Only the maker may put the slot back, and
            // only while nobody uses its ring.
            let current = seen.state == State::Idle && seen.generation == generation;
            if maker == me && current && self.slots.claim(slot, seen, me).is_some() {
                self.recycle(held);
            }
        }
    }
}
