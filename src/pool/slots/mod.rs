//! Who holds which slot: how one is claimed, given back, and taken from the dead.
//!
//! Two tables. One lies in the shared mapping, so that all processes that inherited the pool agree
//! on it (`words`). The other is each process's own: the rings that it has a descriptor for
//! (`kept`). Whoever has claimed a slot's word may touch its entry in the private table, and
//! nobody else. What is here is checked over all its interleavings (`model`).
//!
//! The one `unsafe` call here is passed on; it guarantees nothing that its caller does not.

mod kept;
#[cfg(all(test, uring_pool_model))]
mod model;
mod words;

use std::sync::atomic::Ordering::Relaxed;

pub(super) use words::{HOLDERS, State, Word, Words};

use self::kept::{Kept, Place};
use crate::region::Region;
use crate::sync::AtomicUsize;

/// Both tables, of rings `T`.
#[derive(Debug)]
pub(super) struct Slots<T> {
    words: Words,
    kept: Kept<T>,
    /// Where the search for a free slot begins.
    next: AtomicUsize,
}

/// A slot that was claimed.
#[derive(Debug)]
pub(super) enum Claimed<T> {
    /// With an open ring.
    Open(Box<T>),
    /// Without one, its memory zeroed.
    Empty {
        slot: usize,
        /// That of the ring to be made in it.
        generation: u32,
        /// What this process had of a ring that a relative has since taken out of it.
        stale: Option<Box<T>>,
    },
}

impl<T> Slots<T> {
    /// The table at the start of `region`, whose bytes are zero: every slot empty.
    ///
    /// # Safety
    /// The region outlives this, and its first `count + 2` words are used for nothing else.
    #[allow(unsafe_code)]
    pub(super) unsafe fn new(region: &Region, count: usize) -> Self {
        // SAFETY: forwarded to the caller.
        Self::of(unsafe { Words::new(region, 0, count) })
    }

    fn of(words: Words) -> Self {
        Self { kept: Kept::new(words.count()), words, next: AtomicUsize::new(0) }
    }

    pub(super) fn count(&self) -> usize {
        self.words.count()
    }

    /// Counts the numbers that processes have asked for: of all processes, in the mapping.
    pub(super) fn next_number(&self) -> u64 {
        self.words.next_number()
    }

    #[inline]
    pub(super) fn look(&self, slot: usize) -> Word {
        self.words.look(slot)
    }

    /// Whether this process has a descriptor for the ring that lies in the slot now.
    #[inline]
    pub(super) fn is_known(&self, slot: usize, word: Word) -> bool {
        knows(self.kept.of(slot), word)
    }

    /// Claims whichever slot can be had, one with an open ring rather than an empty one; `None` if
    /// there is none. Before it says so it has `recover` take back what the dead hold.
    pub(super) fn claim_any<E>(
        &self,
        me: u32,
        mut recover: impl FnMut() -> Result<(), E>,
    ) -> Result<Option<Claimed<T>>, E> {
        if let Some(ring) = self.claim_last(me) {
            return Ok(Some(Claimed::Open(ring)));
        }
        loop {
            let freed = self.words.freed();
            if let Some(claimed) = self.search(me) {
                return Ok(Some(claimed));
            }
            // A slot that was freed behind the search is free still, or somebody has it whom we
            // were slower than: then the count has changed. What the dead hold counts as freed.
            recover()?;
            if self.words.freed() == freed {
                return Ok(None);
            }
        }
    }

    /// Claims the ring that was given back here last, and so is warm: looking for it takes the same
    /// time however many slots there are.
    #[inline]
    pub(super) fn claim_last(&self, me: u32) -> Option<Box<T>> {
        // No more often than there are slots, whatever became of the stack.
        for _ in 0..self.count() {
            let place = self.kept.pop()?;
            let seen = self.look(place.slot());
            if seen.state == State::Idle && knows(place, seen) {
                match self.try_claim_at(place, seen, me) {
                    Some(Claimed::Open(ring)) => return Some(ring),
                    Some(Claimed::Empty { .. }) => unreachable!("it was seen to be idle"),
                    None => {}
                }
            }
        }
        None
    }

    /// Claims the first slot that can be had, as they are seen one after the other.
    fn search(&self, me: u32) -> Option<Claimed<T>> {
        let count = self.count();
        let start = self.next.load(Relaxed);
        let seen = || (0..count).map(|i| (start + i) % count).map(|i| (i, self.look(i)));
        // An open ring costs nothing; a new one costs system calls and a descriptor.
        let any_open = self.kept.any();
        let open = seen()
            .take_while(|_| any_open)
            .filter(|&(slot, word)| word.state == State::Idle && self.is_known(slot, word));
        let empty = seen().filter(|(_, word)| word.state == State::Empty);
        for (slot, word) in open.chain(empty) {
            if let Some(claimed) = self.try_claim(slot, word, me) {
                self.next.store((slot + 1) % count, Relaxed);
                return Some(claimed);
            }
        }
        None
    }

    /// Claims a slot as it was seen: empty, or idle with a ring that is known here. `None` if
    /// somebody was quicker.
    #[inline]
    pub(super) fn try_claim(&self, slot: usize, seen: Word, me: u32) -> Option<Claimed<T>> {
        self.try_claim_at(self.kept.of(slot), seen, me)
    }

    #[inline]
    fn try_claim_at(&self, place: Place<'_, T>, seen: Word, me: u32) -> Option<Claimed<T>> {
        let slot = place.slot();
        let generation = self.words.claim(slot, seen, me)?;
        let kept = place.take();
        Some(if seen.state == State::Idle {
            Claimed::Open(kept.expect("an idle ring was known here when it was claimed"))
        } else {
            Claimed::Empty { slot, generation, stale: kept }
        })
    }

    /// Ends a claim: the ring stays open, and whoever has a descriptor for it may claim it. Only the
    /// slot's holder calls this; `maker` is the number of the process that made the ring.
    #[inline]
    pub(super) fn give_back(&self, slot: usize, generation: u32, maker: u32, ring: Box<T>) {
        let place = self.kept.of(slot);
        place.keep(generation, ring);
        self.words.settle(slot, Word { state: State::Idle, holder: maker, generation });
        place.push();
    }

    /// Ends a claim: no ring lies in the slot any more, and it is fit for another, or not. Only the
    /// slot's holder calls this.
    pub(super) fn clear(&self, slot: usize, generation: u32, fit: bool) {
        let state = if fit { State::Empty } else { State::Retired };
        self.words.settle(slot, Word { state, holder: 0, generation });
    }

    /// Takes a slot over from a holder, or an idle ring's maker, that is dead, with what is kept
    /// of it here; `None` if somebody else was quicker. The heir holds it then.
    pub(super) fn inherit(&self, slot: usize, seen: Word, heir: u32) -> Option<Option<Box<T>>> {
        self.words.inherit(slot, seen, heir).then(|| self.kept.of(slot).take())
    }

    /// Slots that are lost if their holder is dead, as they are seen one after the other: what is
    /// claimed, and idle rings that are not known here. Not those of `me`.
    pub(super) fn perhaps_lost(&self, me: u32) -> impl Iterator<Item = (usize, Word)> + '_ {
        (0..self.count()).map(|slot| (slot, self.look(slot))).filter(move |&(slot, seen)| {
            seen.holder != me
                && match seen.state {
                    State::Claimed => true,
                    State::Idle => !self.is_known(slot, seen),
                    State::Empty | State::Retired => false,
                }
        })
    }

    /// Takes what is kept here of the slot. Only the pool's last owner in this process calls this.
    pub(super) fn take_kept(&self, slot: usize) -> Option<Box<T>> {
        self.kept.of(slot).take()
    }

    /// Claims the slot of a ring that [`take_kept`](Self::take_kept) took, if it is idle still.
    pub(super) fn reclaim(&self, slot: usize, generation: u32, me: u32) -> bool {
        let seen = self.look(slot);
        let idle = seen.state == State::Idle && seen.generation == generation;
        idle && self.words.claim(slot, seen, me).is_some()
    }
}

/// Whether this process has a descriptor for the ring that lies in the slot now.
#[inline]
fn knows<T>(place: Place<'_, T>, word: Word) -> bool {
    word.generation != 0 && place.known() == word.generation
}
