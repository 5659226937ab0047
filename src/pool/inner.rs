//! What handles and claimed rings share.
//!
//! The `unsafe` calls here hand pieces of the region to the tables and to rings; it guarantees that
//! each piece has one user, and that the region is dropped last.

use std::fmt;

use super::arena::Arena;
use super::builder::Make;
use super::owners::Owners;
use super::slots::{Slots, State};
use super::stats::{Counters, Stats};
use crate::config::RingConfig;
use crate::error::Result;
use crate::layout::PoolLayout;
use crate::region::Region;
use crate::ring::{Held, Home};
use crate::setup::{self, Among, Learned, OpenRing, Route, RouteSet, SlotMemory};

/// The pool itself.
pub(super) struct Inner {
    pub(super) config: RingConfig,
    layout: PoolLayout,
    routes: RouteSet,
    make: Make,
    learned: Learned,
    pub(super) counters: Counters,
    /// Before the region: it closes rings that lie in it.
    pub(super) slots: Slots<Held>,
    pub(super) owners: Owners,
    /// As the slots, before the region.
    pub(super) arena: Option<Arena>,
    pub(super) region: Region,
}

impl Inner {
    pub(super) fn new(
        config: RingConfig,
        layout: PoolLayout,
        routes: RouteSet,
        make: Make,
        region: Region,
    ) -> Result<Self> {
        #[allow(unsafe_code)]
        // SAFETY: the region lives beside the table, is dropped after it, and its header is
        // as long as the table (`layout`).
        let slots = unsafe { Slots::new(&region, layout.slots) };
        // SAFETY: as above; the arena has pieces of the region of its own (`layout`).
        #[allow(unsafe_code)]
        let arena = layout.arena.map(|of| unsafe { Arena::new(&region, of, routes) });
        Ok(Self {
            config,
            layout,
            routes,
            make,
            learned: Learned::default(),
            counters: Counters::default(),
            slots,
            owners: Owners::new()?,
            arena,
            region,
        })
    }

    /// Makes every ring, in a pool that nobody else has yet.
    pub(super) fn make_all(&self) -> Result<()> {
        let me = self.me()?;
        for slot in 0..self.slots.count() {
            let seen = self.slots.look(slot);
            let claimed = self.slots.try_claim(slot, seen, me);
            let claimed = claimed.expect("nobody else has the pool yet");
            let held = self.opened(claimed, me).map_err(|error| {
                error.during(format!("ring {} of {}", slot + 1, self.slots.count()))
            })?;
            self.give_back(held);
        }
        Ok(())
    }

    /// Makes a ring in a slot that this process holds, and whose pages are zeroed.
    pub(super) fn make(&self, slot: usize) -> Result<OpenRing> {
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
                self.among(),
            )
        }
    }

    /// With how many rings the next one is to be open.
    fn among(&self) -> Among {
        let open = self.counters.open_by_any();
        let rings = match self.make {
            Make::UpFront => self.slots.count(),
            Make::OnClaim => open + 1,
        };
        Among { rings: rings as u64, open: open as u64 }
    }

    /// The slot's memory; `None` where the pool has none for rings.
    pub(super) fn memory(&self, slot: usize) -> Option<SlotMemory<'_>> {
        self.routes.any_combined().then(|| SlotMemory {
            region: &self.region,
            offset: self.layout.slot_at(slot),
            len: self.layout.ring.stride,
        })
    }

    pub(super) fn stats(&self) -> Stats {
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
            open: self.counters.open_by_any(),
            init_mem,
            direct,
            separate,
            abandoned: self.counters.abandoned_so_far(),
            bytes: self.region.len(),
            bytes_per_ring: self.memory(0).map_or(0, |memory| memory.len),
            waited: self.counters.waited(),
            fallbacks: self.counters.fallbacks(),
            buffers: self.arena.as_ref().map(Arena::stats),
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("slots", &self.slots.count()).finish_non_exhaustive()
    }
}
