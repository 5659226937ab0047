//! Who holds which slot.
//!
//! Two tables. One lies at the start of the shared mapping, a word for each slot, so that all
//! processes that inherited the pool agree on it. The other is each process's own: the rings that
//! it has a descriptor for. It is private because a descriptor means something only in the
//! process that has it, and because a relative that goes astray could scribble on a shared one.
//!
//! This room may hold `unsafe`: it reaches into the shared mapping, and passes boxed rings through
//! atomic pointers. It guarantees that a slot is held by at most one user at a time, in all
//! processes, and that only its holder touches its entry in the private table.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

use crate::layout::{POOL_WORDS, WORD};
use crate::region::Region;
use crate::ring::Held;

const _: () = assert!(size_of::<AtomicU64>() == WORD);

/// What a slot is to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No ring lies in it; its memory is zeroed.
    Empty,
    /// A ring lies in it that nobody uses; whoever has a descriptor for it may.
    Idle,
    /// Somebody holds it.
    Claimed,
    /// A kernel may still write to it: never used again.
    Retired,
}

/// A slot's word: state, holder and generation, changed as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) state: State,
    /// The number of the process that holds it; of an idle ring, of the process that made it, and
    /// without which perhaps nobody has a descriptor for it.
    pub(super) holder: u32,
    /// Counts the rings made in it.
    pub(super) generation: u32,
}

const HOLDER_BITS: u32 = 24;

/// How many numbers there are for processes, with 0, which is nobody's.
pub(super) const HOLDERS: u32 = 1 << HOLDER_BITS;

impl Word {
    fn pack(self) -> u64 {
        let holder = u64::from(self.holder % HOLDERS);
        u64::from(self.generation) << 32 | holder << 8 | self.state as u64
    }

    fn unpack(word: u64) -> Self {
        let state = match word as u8 {
            0 => State::Empty,
            1 => State::Idle,
            2 => State::Claimed,
            // What nobody wrote is nobody's to use.
            _ => State::Retired,
        };
        let holder = (word >> 8) as u32 % HOLDERS;
        Self { state, holder, generation: (word >> 32) as u32 }
    }
}

/// What this process knows of a slot.
#[derive(Debug, Default)]
struct Entry {
    /// The ring that this process has a descriptor for, while nobody here uses it.
    kept: AtomicPtr<Held>,
    /// That ring's generation; 0 if there is none.
    known: AtomicU32,
}

/// Entries in a piece: 16 KiB.
const PIECE: usize = 1024;

/// Both tables.
#[derive(Debug)]
pub(super) struct Slots {
    words: NonNull<AtomicU64>,
    /// In pieces, since the allocator gives a large table a mapping of its own.
    kept: Box<[Box<[Entry]>]>,
    count: usize,
    /// How many are kept, so that nobody looks for one where there is none.
    keeping: AtomicUsize,
}

// SAFETY: the words are shared memory, accessed atomically; the boxed rings are Send and change
// hands through atomic pointers.
unsafe impl Send for Slots {}
// SAFETY: as above: every access is atomic.
unsafe impl Sync for Slots {}

impl Slots {
    /// The table at the start of `region`, whose bytes are zero: every slot empty.
    ///
    /// # Safety
    /// The region outlives this, and its first `count + 2` words are used for nothing else.
    pub(super) unsafe fn new(region: &Region, count: usize) -> Self {
        Self {
            words: region.at(0, (count + POOL_WORDS) * WORD).cast(),
            kept: (0..count.div_ceil(PIECE))
                .map(|piece| {
                    (0..PIECE.min(count - piece * PIECE)).map(|_| Entry::default()).collect()
                })
                .collect(),
            count,
            keeping: AtomicUsize::new(0),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn entry(&self, slot: usize) -> &Entry {
        &self.kept[slot / PIECE][slot % PIECE]
    }

    fn word(&self, slot: usize) -> &AtomicU64 {
        assert!(slot < self.count());
        self.at(slot + POOL_WORDS)
    }

    /// Counts the numbers that processes have asked for: of all processes, in the mapping.
    pub(super) fn next_number(&self) -> u64 {
        self.at(0).fetch_add(1, Relaxed)
    }

    /// Counts the slots that were freed so far: who found none, and sees it change, looks again.
    pub(super) fn freed(&self) -> u64 {
        self.at(1).load(Acquire)
    }

    fn at(&self, index: usize) -> &AtomicU64 {
        debug_assert!(index < self.count() + POOL_WORDS);
        // SAFETY: there are `count + 2` words in the region (`new`).
        let at = unsafe { self.words.add(index) };
        // SAFETY: the word is aligned (the region begins at a page), zeroed when mapped, and
        // everybody accesses it atomically; the region outlives `self`.
        unsafe { at.as_ref() }
    }

    pub(super) fn look(&self, slot: usize) -> Word {
        Word::unpack(self.word(slot).load(Acquire))
    }

    /// Whether this process keeps any ring that nobody here uses. A relative may be using it.
    pub(super) fn keeps_any(&self) -> bool {
        self.keeping.load(Relaxed) > 0
    }

    /// Whether this process has a descriptor for the ring that lies in the slot now.
    pub(super) fn is_known(&self, slot: usize, word: Word) -> bool {
        self.entry(slot).known.load(Acquire) == word.generation && word.generation != 0
    }

    /// Claims a slot that was seen as `seen`, and returns its generation: a new one for an empty
    /// slot, where a ring will be made. `None` if somebody else was quicker.
    pub(super) fn claim(&self, slot: usize, seen: Word, holder: u32) -> Option<u32> {
        let generation = match seen.state {
            State::Idle => seen.generation,
            // 0 means none.
            State::Empty => seen.generation.wrapping_add(1).max(1),
            State::Claimed | State::Retired => return None,
        };
        let claimed = Word { state: State::Claimed, holder, generation };
        self.word(slot)
            .compare_exchange(seen.pack(), claimed.pack(), AcqRel, Relaxed)
            .is_ok()
            .then_some(generation)
    }

    /// Takes a slot over from a holder, or an idle ring's maker, that is dead: false if somebody
    /// else was quicker.
    pub(super) fn inherit(&self, slot: usize, seen: Word, heir: u32) -> bool {
        let taken = Word { state: State::Claimed, holder: heir, ..seen };
        matches!(seen.state, State::Claimed | State::Idle)
            && self.word(slot).compare_exchange(seen.pack(), taken.pack(), AcqRel, Relaxed).is_ok()
    }

    /// Ends a claim. Only the slot's holder calls this.
    pub(super) fn settle(&self, slot: usize, word: Word) {
        self.word(slot).store(word.pack(), Release);
        self.at(1).fetch_add(1, Release);
    }

    /// Keeps a ring in its slot's entry of the private table. Only the slot's holder calls this.
    pub(super) fn keep(&self, held: Box<Held>) {
        let ticket = held.ticket;
        self.keeping.fetch_add(1, Relaxed);
        let old = self.entry(ticket.slot()).kept.swap(Box::into_raw(held), AcqRel);
        // After the ring: a child that is forked in between must not look for one it has not.
        self.entry(ticket.slot()).known.store(ticket.generation, Release);
        debug_assert!(old.is_null(), "whoever claims a slot takes what is kept of it");
        // SAFETY: what the table held came from `into_raw` here, and is taken out once.
        drop(unsafe { boxed(old) });
    }

    /// Takes the ring out of the private table: the one that lies in the slot, or one from before
    /// that a relative has replaced. Only the slot's holder calls this, or the pool's last owner.
    pub(super) fn take(&self, slot: usize) -> Option<Box<Held>> {
        self.entry(slot).known.store(0, Relaxed);
        let old = self.entry(slot).kept.swap(std::ptr::null_mut(), AcqRel);
        // SAFETY: as in `keep`.
        let held = unsafe { boxed(old) }?;
        self.keeping.fetch_sub(1, Relaxed);
        Some(held)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for slot in 0..self.count() {
            drop(self.take(slot));
        }
    }
}

/// # Safety
/// `held` is null or came from `Box::into_raw`, and belongs to nobody else.
unsafe fn boxed(held: *mut Held) -> Option<Box<Held>> {
    // SAFETY: forwarded to the caller.
    (!held.is_null()).then(|| unsafe { Box::from_raw(held) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 4;

    fn word(state: State, generation: u32) -> Word {
        Word { state, holder: 0, generation }
    }

    fn slots(region: &Region) -> Slots {
        // SAFETY: the tests keep the region longer, and use it for nothing else.
        unsafe { Slots::new(region, COUNT) }
    }

    #[test]
    fn a_word_comes_back_as_it_was_packed() {
        for state in [State::Empty, State::Idle, State::Claimed, State::Retired] {
            let word = Word { state, holder: HOLDERS - 1, generation: u32::MAX };
            assert_eq!(Word::unpack(word.pack()), word);
        }
        let fresh = Word { state: State::Empty, holder: 0, generation: 0 };
        assert_eq!(fresh.pack(), 0, "a zeroed mapping is a table of empty slots");
        assert_eq!(Word::unpack(77).state, State::Retired);
    }

    #[test]
    fn only_the_first_of_two_who_saw_the_same_word_gets_the_slot() {
        let region = Region::anonymous(4096).unwrap();
        let (parent, child) = (slots(&region), slots(&region));
        let (a, b) = (parent.look(2), child.look(2));
        assert_eq!(parent.claim(2, a, 100), Some(1));
        assert_eq!(child.claim(2, b, 200), None);
        let word = child.look(2);
        assert_eq!((word.state, word.holder), (State::Claimed, 100));
        assert_eq!(child.claim(2, word, 200), None, "a claimed slot is not claimed again");
    }

    #[test]
    fn each_ring_made_in_a_slot_has_another_generation() {
        let region = Region::anonymous(4096).unwrap();
        let slots = slots(&region);
        let first = slots.claim(0, slots.look(0), 1).unwrap();
        slots.settle(0, word(State::Empty, first));
        let second = slots.claim(0, slots.look(0), 1).unwrap();
        assert_ne!(first, second);
        slots.settle(0, word(State::Idle, second));
        assert_eq!(slots.claim(0, slots.look(0), 1), Some(second), "an idle ring is the same");
    }

    #[test]
    fn a_generation_that_wraps_skips_the_value_that_means_none() {
        let region = Region::anonymous(4096).unwrap();
        let slots = slots(&region);
        slots.settle(1, word(State::Empty, u32::MAX));
        assert_eq!(slots.claim(1, slots.look(1), 1), Some(1));
    }

    #[test]
    fn a_dead_holders_slot_goes_to_one_heir_and_a_free_one_to_none() {
        let region = Region::anonymous(4096).unwrap();
        let slots = slots(&region);
        slots.claim(0, slots.look(0), 7).unwrap();
        let seen = slots.look(0);
        assert!(slots.inherit(0, seen, 8));
        assert!(!slots.inherit(0, seen, 9), "the second heir saw what is no longer so");
        assert_eq!(slots.look(0).holder, 8);
        slots.settle(0, word(State::Idle, 1));
        assert!(slots.inherit(0, slots.look(0), 9), "an idle ring's maker may be dead");
        slots.settle(0, word(State::Empty, 1));
        assert!(!slots.inherit(0, slots.look(0), 9), "there is nothing to inherit");
    }

    #[test]
    fn a_retired_slot_is_never_claimed() {
        let region = Region::anonymous(4096).unwrap();
        let slots = slots(&region);
        slots.settle(3, word(State::Retired, 5));
        assert_eq!(slots.claim(3, slots.look(3), 1), None);
    }
}
