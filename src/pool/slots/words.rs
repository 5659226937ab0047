//! What everybody sees of the slots: a word for each at the start of the shared mapping.
//!
//! This room may hold `unsafe`: it reaches into the shared mapping. It guarantees that of all who
//! see a word and want the slot, in all processes, one gets it.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::layout::{POOL_WORDS, WORD};
use crate::region::Region;
use crate::sync::AtomicU64;

const _: () = assert!(size_of::<std::sync::atomic::AtomicU64>() == WORD);

/// What a slot is to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pool) enum State {
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
pub(in crate::pool) struct Word {
    pub(in crate::pool) state: State,
    /// The number of the process that holds it; of an idle ring, of the process that made it, and
    /// without which perhaps nobody has a descriptor for it.
    pub(in crate::pool) holder: u32,
    /// Counts the rings made in it.
    pub(in crate::pool) generation: u32,
}

const HOLDER_BITS: u32 = 24;

/// How many numbers there are for processes, with 0, which is nobody's.
pub(in crate::pool) const HOLDERS: u32 = 1 << HOLDER_BITS;

impl Word {
    #[inline]
    fn pack(self) -> u64 {
        let holder = u64::from(self.holder % HOLDERS);
        u64::from(self.generation) << 32 | holder << 8 | self.state as u64
    }

    #[inline]
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

/// The table in the shared mapping: two words for the pool, then the slots'.
#[derive(Debug)]
pub(in crate::pool) struct Words {
    #[cfg(not(all(test, uring_pool_model)))]
    at: std::ptr::NonNull<AtomicU64>,
    /// A model has no mapping: what its processes share is shared by its threads.
    #[cfg(all(test, uring_pool_model))]
    at: loom::sync::Arc<Vec<AtomicU64>>,
    count: usize,
}

// SAFETY: shared memory, accessed atomically.
unsafe impl Send for Words {}
// SAFETY: as above: every access is atomic.
unsafe impl Sync for Words {}

#[cfg(not(all(test, uring_pool_model)))]
impl Words {
    /// The table `offset` bytes, whole pages, into `region`, whose bytes are zero: every slot empty.
    ///
    /// # Safety
    /// The region outlives this, and `count + 2` words there are used for nothing else.
    pub(in crate::pool) unsafe fn new(region: &Region, offset: usize, count: usize) -> Self {
        Self { at: region.at(offset, (count + POOL_WORDS) * WORD).cast(), count }
    }

    fn at(&self, index: usize) -> &AtomicU64 {
        debug_assert!(index < self.count + POOL_WORDS);
        // SAFETY: there are `count + 2` words in the region (`new`).
        let at = unsafe { self.at.add(index) };
        // SAFETY: the word is aligned (the table begins at a page), zeroed when mapped, and
        // everybody accesses it atomically; the region outlives `self`.
        unsafe { at.as_ref() }
    }
}

#[cfg(all(test, uring_pool_model))]
impl Words {
    /// # Safety
    /// None is needed: it touches nothing.
    pub(in crate::pool) unsafe fn new(_: &Region, _: usize, count: usize) -> Self {
        Self::of_a_model(count)
    }

    pub(super) fn of_a_model(count: usize) -> Self {
        let words = (0..count + POOL_WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { at: loom::sync::Arc::new(words), count }
    }

    /// The same table, as another process sees it.
    pub(super) fn of_a_relative(&self) -> Self {
        Self { at: self.at.clone(), count: self.count }
    }

    fn at(&self, index: usize) -> &AtomicU64 {
        &self.at[index]
    }
}

impl Words {
    pub(in crate::pool) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn of(&self, slot: usize) -> &AtomicU64 {
        assert!(slot < self.count);
        self.at(slot + POOL_WORDS)
    }

    /// Counts the numbers that processes have asked for: of all processes, in the mapping.
    pub(super) fn next_number(&self) -> u64 {
        self.at(0).fetch_add(1, Relaxed)
    }

    /// Counts the slots that were freed so far: who found none, and sees it change, looks again.
    /// Not a load, which may return what was true some time ago.
    pub(super) fn freed(&self) -> u64 {
        self.at(1).fetch_add(0, AcqRel)
    }

    #[inline]
    pub(in crate::pool) fn look(&self, slot: usize) -> Word {
        Word::unpack(self.of(slot).load(Acquire))
    }

    /// Claims a slot that was seen as `seen`, and returns its generation: a new one for an empty
    /// slot, where a ring will be made. `None` if somebody else was quicker.
    #[inline]
    pub(in crate::pool) fn claim(&self, slot: usize, seen: Word, holder: u32) -> Option<u32> {
        let generation = match seen.state {
            State::Idle => seen.generation,
            // 0 means none.
            State::Empty => seen.generation.wrapping_add(1).max(1),
            State::Claimed | State::Retired => return None,
        };
        let claimed = Word { state: State::Claimed, holder, generation };
        self.exchange(slot, seen, claimed).then_some(generation)
    }

    /// Takes a slot over from a holder, or an idle ring's maker, that is dead: false if somebody
    /// else was quicker.
    pub(in crate::pool) fn inherit(&self, slot: usize, seen: Word, heir: u32) -> bool {
        let taken = Word { state: State::Claimed, holder: heir, ..seen };
        matches!(seen.state, State::Claimed | State::Idle) && self.exchange(slot, seen, taken)
    }

    #[inline]
    fn exchange(&self, slot: usize, seen: Word, new: Word) -> bool {
        self.of(slot).compare_exchange(seen.pack(), new.pack(), AcqRel, Relaxed).is_ok()
    }

    /// Ends a claim. Only the slot's holder calls this.
    #[inline]
    pub(in crate::pool) fn settle(&self, slot: usize, word: Word) {
        self.of(slot).store(word.pack(), Release);
        self.at(1).fetch_add(1, Release);
    }
}

#[cfg(all(test, not(uring_pool_model)))]
mod tests {
    use super::*;

    const COUNT: usize = 4;

    fn word(state: State, generation: u32) -> Word {
        Word { state, holder: 0, generation }
    }

    fn words(region: &Region) -> Words {
        // SAFETY: the tests keep the region longer, and use it for nothing else.
        unsafe { Words::new(region, 0, COUNT) }
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
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn only_the_first_of_two_who_saw_the_same_word_gets_the_slot() {
        let region = Region::anonymous(4096).unwrap();
        let (parent, child) = (words(&region), words(&region));
        let (a, b) = (parent.look(2), child.look(2));
        assert_eq!(parent.claim(2, a, 100), Some(1));
        assert_eq!(child.claim(2, b, 200), None);
        let word = child.look(2);
        assert_eq!((word.state, word.holder), (State::Claimed, 100));
        assert_eq!(child.claim(2, word, 200), None, "a claimed slot is not claimed again");
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn each_ring_made_in_a_slot_has_another_generation() {
        let region = Region::anonymous(4096).unwrap();
        let words = words(&region);
        let first = words.claim(0, words.look(0), 1).unwrap();
        words.settle(0, word(State::Empty, first));
        let second = words.claim(0, words.look(0), 1).unwrap();
        assert_ne!(first, second);
        words.settle(0, word(State::Idle, second));
        assert_eq!(words.claim(0, words.look(0), 1), Some(second), "an idle ring is the same");
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_generation_that_wraps_skips_the_value_that_means_none() {
        let region = Region::anonymous(4096).unwrap();
        let words = words(&region);
        words.settle(1, word(State::Empty, u32::MAX));
        assert_eq!(words.claim(1, words.look(1), 1), Some(1));
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_dead_holders_slot_goes_to_one_heir_and_a_free_one_to_none() {
        let region = Region::anonymous(4096).unwrap();
        let words = words(&region);
        words.claim(0, words.look(0), 7).unwrap();
        let seen = words.look(0);
        assert!(words.inherit(0, seen, 8));
        assert!(!words.inherit(0, seen, 9), "the second heir saw what is no longer so");
        assert_eq!(words.look(0).holder, 8);
        words.settle(0, word(State::Idle, 1));
        assert!(words.inherit(0, words.look(0), 9), "an idle ring's maker may be dead");
        words.settle(0, word(State::Empty, 1));
        assert!(!words.inherit(0, words.look(0), 9), "there is nothing to inherit");
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_retired_slot_is_never_claimed() {
        let region = Region::anonymous(4096).unwrap();
        let words = words(&region);
        words.settle(3, word(State::Retired, 5));
        assert_eq!(words.claim(3, words.look(3), 1), None);
    }
}
