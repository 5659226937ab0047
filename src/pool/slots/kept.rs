//! What this process alone knows of the slots: the rings that it has a descriptor for.
//!
//! Private, because a descriptor means something only in the process that has it, and because a
//! relative that goes astray could scribble on what is shared.
//!
//! This room may hold `unsafe`: it passes boxed rings through atomic pointers. It guarantees that
//! each comes out once, if only a slot's holder touches the slot's entry.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

/// What this process knows of a slot.
#[derive(Debug)]
struct Entry<T> {
    /// The ring that this process has a descriptor for, while nobody here uses it.
    ring: AtomicPtr<T>,
    /// That ring's generation; 0 if there is none.
    known: AtomicU32,
    /// The entry below it on the stack, counted from 1; 0 is none.
    below: AtomicU32,
    /// 1 while it is on the stack, or about to be.
    stacked: AtomicU32,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self {
            ring: AtomicPtr::new(std::ptr::null_mut()),
            known: AtomicU32::new(0),
            below: AtomicU32::new(0),
            stacked: AtomicU32::new(0),
        }
    }
}

/// Entries in a piece: 24 KiB.
const PIECE: usize = 1024;

/// The table, and a stack of those of its slots that were given back here last.
///
/// The stack says where to look first, no more: a slot on it may be in use, by a relative say, and
/// an idle one may be missing.
#[derive(Debug)]
pub(super) struct Kept<T> {
    /// In pieces, since the allocator gives a large table a mapping of its own.
    entries: Box<[Box<[Entry<T>]>]>,
    /// How many are kept, so that nobody looks for one where there is none.
    keeping: AtomicUsize,
    /// The topmost entry, counted from 1, below a count of changes, by which one who was slow sees
    /// that the stack is not what it was.
    top: AtomicU64,
}

impl<T> Kept<T> {
    pub(super) fn new(count: usize) -> Self {
        let piece = |first: usize| (first..count.min(first + PIECE)).map(|_| Entry::default());
        Self {
            entries: (0..count).step_by(PIECE).map(|first| piece(first).collect()).collect(),
            keeping: AtomicUsize::new(0),
            top: AtomicU64::new(0),
        }
    }

    /// What is kept of this slot. Found once for all that is asked of it: that is a good part of what
    /// a claim costs.
    #[inline]
    pub(super) fn of(&self, slot: usize) -> Place<'_, T> {
        Place { kept: self, entry: &self.entries[slot / PIECE][slot % PIECE], slot }
    }

    /// Whether this process keeps any ring that nobody here uses. A relative may be using it.
    pub(super) fn any(&self) -> bool {
        self.keeping.load(Relaxed) > 0
    }

    /// Takes the topmost slot off the stack.
    #[inline]
    pub(super) fn pop(&self) -> Option<Place<'_, T>> {
        let mut top = self.top.load(Acquire);
        loop {
            let place = self.of((top as u32).checked_sub(1)? as usize);
            let new = changed(top) | u64::from(place.entry.below.load(Relaxed));
            match self.top.compare_exchange_weak(top, new, AcqRel, Acquire) {
                Ok(_) => {
                    // Before the caller looks at the slot: whoever gives it back after that look
                    // puts it on the stack again.
                    place.entry.stacked.store(0, Release);
                    return Some(place);
                }
                Err(now) => top = now,
            }
        }
    }
}

/// The place of one slot in the table.
#[derive(Debug)]
pub(super) struct Place<'k, T> {
    kept: &'k Kept<T>,
    entry: &'k Entry<T>,
    slot: usize,
}

impl<T> Clone for Place<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<'_, T> {}

impl<T> Place<'_, T> {
    #[inline]
    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    /// The generation of the slot's ring that this process has a descriptor for; 0 if it has none.
    #[inline]
    pub(super) fn known(&self) -> u32 {
        self.entry.known.load(Acquire)
    }

    /// Keeps a ring. Only the slot's holder calls this.
    #[inline]
    pub(super) fn keep(&self, generation: u32, ring: Box<T>) {
        self.kept.keeping.fetch_add(1, Relaxed);
        debug_assert!(self.entry.ring.load(Relaxed).is_null(), "whoever claims takes what is kept");
        self.entry.ring.store(Box::into_raw(ring), Relaxed);
        // After the ring: a child that is forked in between must not look for one it has not.
        self.entry.known.store(generation, Release);
    }

    /// Takes a ring out: the one that lies in the slot, or one from before that a relative has
    /// replaced. Only the slot's holder calls this, or the pool's last owner.
    #[inline]
    pub(super) fn take(&self) -> Option<Box<T>> {
        self.entry.known.store(0, Relaxed);
        let ring = self.entry.ring.load(Relaxed);
        if ring.is_null() {
            return None;
        }
        self.entry.ring.store(std::ptr::null_mut(), Relaxed);
        self.kept.keeping.fetch_sub(1, Relaxed);
        // SAFETY: it came from `into_raw` in `keep`, by the slot's holder at that time, whose word
        // was released and acquired since; it is taken out once, as nobody else may now.
        Some(unsafe { Box::from_raw(ring) })
    }

    /// Puts the slot on the stack, unless it is there.
    #[inline]
    pub(super) fn push(&self) {
        if self.entry.stacked.swap(1, AcqRel) == 1 {
            return;
        }
        let stack = &self.kept.top;
        let mut top = stack.load(Relaxed);
        loop {
            self.entry.below.store(top as u32, Relaxed);
            // Counted from 1; a pool has fewer slots than 2^32.
            let new = changed(top) | (self.slot as u64 + 1);
            match stack.compare_exchange_weak(top, new, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }
}

/// The next count of changes, above an empty place for an entry.
fn changed(top: u64) -> u64 {
    ((top >> 32).wrapping_add(1)) << 32
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        let count = self.entries.iter().map(|piece| piece.len()).sum();
        for slot in 0..count {
            drop(self.of(slot).take());
        }
    }
}

#[cfg(all(test, not(uring_pool_model)))]
mod tests {
    use super::*;

    #[test]
    fn slots_come_off_the_stack_last_first_and_are_on_it_once() {
        let kept = Kept::<()>::new(3 * PIECE);
        for slot in [5, 2 * PIECE + 1, 7, 5] {
            kept.of(slot).push();
        }
        let pop = || kept.pop().map(|place| place.slot());
        let popped: Vec<usize> = std::iter::from_fn(pop).collect();
        assert_eq!(popped, [7, 2 * PIECE + 1, 5]);
        kept.of(5).push();
        assert_eq!((pop(), pop()), (Some(5), None), "once it is off, it can be put on");
    }

    #[test]
    fn the_count_of_changes_wraps_without_a_trace() {
        let kept = Kept::<()>::new(2);
        kept.top.store(u64::MAX << 32, Relaxed);
        kept.of(1).push();
        kept.of(0).push();
        let pop = || kept.pop().map(|place| place.slot());
        assert_eq!([pop(), pop(), pop()], [Some(0), Some(1), None]);
    }

    #[test]
    fn a_ring_comes_out_once_and_what_stays_is_dropped() {
        let kept = Kept::new(PIECE + 1);
        let ring = std::sync::Arc::new(());
        for slot in [0, PIECE] {
            kept.of(slot).keep(7, Box::new(std::sync::Arc::clone(&ring)));
        }
        assert_eq!((kept.of(PIECE).known(), kept.of(1).known(), kept.any()), (7, 0, true));
        let place = kept.of(PIECE);
        assert!(place.take().is_some() && place.take().is_none());
        assert_eq!(place.known(), 0);
        drop(kept);
        assert_eq!(std::sync::Arc::strong_count(&ring), 1);
    }
}
