//! What a pool tells of itself.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use once_cell::race::OnceBox;

use crate::error::Cause;
use crate::setup::{OpenRing, Refusal, Route};

/// Rings that did not come to be by a certain route, and why the first of them did not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FallbackStats {
    /// How many rings this process made by a worse route.
    pub rings: usize,
    /// The first refusal. Each ring knows its own ([`Ring::refusals`](crate::Ring::refusals)).
    pub first: Refusal,
}

/// A pool's counters, at one moment. Other threads and processes may change them meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Slots of the pool.
    pub slots: usize,
    /// Slots held now, by whichever process.
    pub claimed: usize,
    /// Slots with an open ring that nobody uses.
    pub idle: usize,
    /// Slots out of service: a kernel may still write to their pages, which could not be replaced.
    pub retired: usize,
    /// Rings open in this process, inherited ones included.
    pub open: usize,
    /// Of those, by `init_mem`.
    pub init_mem: usize,
    /// Of those, by `direct`.
    pub direct: usize,
    /// Of those, by `separate`, with two mappings each.
    pub separate: usize,
    /// Rings that this process closed with requests under way that could not be brought home. Their
    /// buffers are leaked; their slots have new pages.
    pub abandoned: usize,
    /// Bytes of the pool's one mapping.
    pub bytes: usize,
    /// Bytes of one slot; 0 where no ring may lie in the pool's memory.
    pub bytes_per_ring: usize,
    /// How long this process waited, over all rings it made, for locked memory that closed rings
    /// had not given back yet.
    pub waited: Duration,
    /// Routes that were refused, best first.
    pub fallbacks: Vec<FallbackStats>,
    /// The pool's buffers, if it has any.
    pub buffers: Option<BufferStats>,
}

/// A pool's buffers ([`PoolBuilder::buffers`](crate::PoolBuilder::buffers)), at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BufferStats {
    /// How many there are.
    pub buffers: usize,
    /// Bytes of each.
    pub size: usize,
    /// Buffers taken now, by whichever process; of those that could not be brought home from the
    /// kernel, too.
    pub in_use: usize,
    /// Buffers out of service: a process died that had them, and a kernel may still write to them.
    pub retired: usize,
    /// Rings that this process made and that share one registration (Linux 6.12 and newer).
    pub rings_sharing: usize,
    /// Rings with a registration of their own, which pins the buffers and counts them as locked
    /// memory once more.
    pub rings_registering: usize,
    /// Rings with which they could not be registered: `read_fixed` is an ordinary read there.
    pub rings_without: usize,
    /// Why the first of those could not.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub refused: Option<Cause>,
}

#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&cause.map(|cause| cause.to_string()), serializer)
}

impl Stats {
    /// Rings open in this process by `route`.
    #[must_use]
    pub fn by_route(&self, route: Route) -> usize {
        match route {
            Route::InitMem => self.init_mem,
            Route::Direct => self.direct,
            Route::Separate => self.separate,
        }
    }
}

/// Counts what only this process knows.
#[derive(Debug, Default)]
pub(super) struct Counters {
    open: [AtomicUsize; Route::ALL.len()],
    abandoned: AtomicUsize,
    waited_ms: AtomicU64,
    refused: [(AtomicUsize, OnceBox<Refusal>); Route::ALL.len()],
}

impl Counters {
    pub(super) fn opened(&self, ring: &OpenRing) {
        self.open[ring.route() as usize].fetch_add(1, Relaxed);
        // Pauses are whole milliseconds.
        self.waited_ms.fetch_add(ring.waited().as_millis() as u64, Relaxed);
        for refusal in ring.refusals() {
            let (count, first) = &self.refused[refusal.route() as usize];
            count.fetch_add(1, Relaxed);
            first.get_or_init(|| Box::new(*refusal));
        }
    }

    pub(super) fn closed(&self, ring: &OpenRing) {
        self.open[ring.route() as usize].fetch_sub(1, Relaxed);
    }

    pub(super) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    pub(super) fn abandoned_so_far(&self) -> usize {
        self.abandoned.load(Relaxed)
    }

    pub(super) fn open(&self, route: Route) -> usize {
        self.open[route as usize].load(Relaxed)
    }

    pub(super) fn open_by_any(&self) -> usize {
        self.open.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub(super) fn waited(&self) -> Duration {
        Duration::from_millis(self.waited_ms.load(Relaxed))
    }

    pub(super) fn fallbacks(&self) -> Vec<FallbackStats> {
        let counted = |(count, first): &(AtomicUsize, OnceBox<Refusal>)| {
            let first = *first.get()?;
            Some(FallbackStats { rings: count.load(Relaxed), first })
        };
        self.refused.iter().filter_map(counted).collect()
    }
}
