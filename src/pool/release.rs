//! How a slot becomes free again: its ring given back or closed, or taken from the dead.

use super::inner::Inner;
use super::slots::Word;
use crate::error::Result;
use crate::process::Process;
use crate::ring::{Held, Home, Ticket};

/// What is known of the ring that lay in a slot last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// There was none: it could not be made.
    NoRing,
    /// It was closed. A kernel may write to its pages still, even if nothing was in flight: what is
    /// left of a ring is taken down later.
    Closed,
}

impl Inner {
    /// Closes a ring whose slot this process holds, and frees the slot.
    pub(super) fn recycle(&self, held: Box<Held>) {
        let Ticket { slot, generation, .. } = held.ticket;
        self.counters.closed(&held.ring);
        drop(held);
        self.free(slot as usize, generation, Last::Closed);
    }

    /// Makes a slot that this process holds, and that has no open ring, fit for another: with new
    /// pages, since a closed ring is taken down later, and may write until then.
    pub(super) fn free(&self, slot: usize, generation: u32, last: Last) {
        let fit = self.memory(slot).is_none_or(|memory| match last {
            Last::NoRing => {
                memory.clear();
                true
            }
            Last::Closed => memory.renew().is_ok(),
        });
        self.slots.clear(slot, generation, fit);
    }

    /// Takes back what dead processes hold, and rings that they alone could have used; returns how
    /// many slots.
    pub(super) fn recover(&self) -> Result<usize> {
        let me = self.me()?;
        // Few processes hold many slots: each is asked for once.
        let mut asked: Vec<(u32, bool)> = Vec::new();
        let mut recovered = 0;
        for (slot, seen) in self.slots.perhaps_lost(me) {
            let known = asked.iter().find(|(number, _)| *number == seen.holder);
            let lives = known.map(|&(_, lives)| lives).unwrap_or_else(|| {
                let lives = self.owners.living(seen.holder).is_some();
                asked.push((seen.holder, lives));
                lives
            });
            if !lives && self.take_over(slot, seen, me) {
                recovered += 1;
            }
        }
        Ok(recovered)
    }

    /// Frees a slot whose holder is dead: false if somebody else was quicker.
    pub(super) fn take_over(&self, slot: usize, seen: Word, me: u32) -> bool {
        let Some(kept) = self.slots.inherit(slot, seen, me) else { return false };
        // Of a ring made before the fork, this process has a descriptor, too.
        if let Some(held) = kept {
            self.counters.closed(&held.ring);
        }
        self.free(slot, seen.generation, Last::Closed);
        true
    }

    /// Frees what a dead process held under a number that this one is about to take.
    pub(super) fn bury(&self, number: u32) {
        if let Some(arena) = &self.arena {
            arena.retire(|word| word.holder == number);
        }
        for slot in 0..self.slots.count() {
            let seen = self.slots.look(slot);
            if seen.holder == number {
                self.take_over(slot, seen, number);
            }
        }
    }
}

impl Home for Inner {
    fn give_back(&self, held: Box<Held>) {
        let Ticket { slot, generation, maker_number, .. } = held.ticket;
        // A single-issuer ring obeys only the thread that made it; the next user may be another.
        if self.config.is_single_issuer() {
            return self.recycle(held);
        }
        self.slots.give_back(slot as usize, generation, maker_number, held);
    }

    fn close(&self, held: Box<Held>) {
        self.recycle(held);
    }

    fn abandon(&self, held: Box<Held>) {
        self.counters.abandoned();
        // Closed, it is cancelled some time, and writes to the pages that it had.
        self.recycle(held);
    }

    fn close_copy(&self, held: Box<Held>) {
        self.counters.closed(&held.ring);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Only a process that has claimed anything has made a ring.
        let me = self.owners.me();
        for slot in 0..self.slots.count() {
            let Some(held) = self.slots.take_kept(slot) else { continue };
            let Ticket { generation, maker, .. } = held.ticket;
            // Relatives may live on with the mapping. Only the maker may put the slot back, and
            // only while nobody uses its ring.
            let mine = maker == Some(Process::current());
            if mine && me.is_some_and(|me| self.slots.reclaim(slot, generation, me)) {
                self.recycle(held);
            }
        }
    }
}
