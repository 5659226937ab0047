//! How a slot is claimed.

use std::sync::atomic::Ordering::Relaxed;

use super::inner::Inner;
use super::release::Last;
use super::slots::{State, Word};
use crate::error::{Cause, Error, Result};
use crate::process::Process;
use crate::ring::{Held, Ticket};

impl Inner {
    /// This process's number among those that use the pool.
    pub(super) fn me(&self) -> Result<u32> {
        self.owners.enrol(|| self.slots.next_number(), |number| self.bury(number))
    }

    /// Claims whichever ring is free, after taking back what the dead hold if none is.
    pub(super) fn claim_any(&self) -> Result<Box<Held>> {
        let me = self.me()?;
        loop {
            let freed = self.slots.freed();
            if let Some(held) = self.search(me)? {
                return Ok(held);
            }
            // A slot that was freed behind the search is free still, or somebody has it whom we
            // were slower than: then the count has changed. What the dead hold counts as freed.
            self.recover()?;
            if self.slots.freed() == freed {
                let slots = self.slots.count();
                return Err(Error::new("cannot claim a ring", Cause::NoSlotFree { slots }));
            }
        }
    }

    /// Claims the first ring that can be had, as the slots are seen one after the other.
    fn search(&self, me: u32) -> Result<Option<Box<Held>>> {
        let count = self.slots.count();
        let start = self.next.load(Relaxed);
        let seen = || (0..count).map(|i| (start + i) % count).map(|i| (i, self.slots.look(i)));
        // An open ring costs nothing; a new one costs system calls and a descriptor.
        let search_open = self.slots.keeps_any();
        let open = seen()
            .take_while(|_| search_open)
            .filter(|&(slot, word)| word.state == State::Idle && self.slots.is_known(slot, word));
        let empty = seen().filter(|(_, word)| word.state == State::Empty);
        for (slot, word) in open.chain(empty) {
            if let Some(held) = self.try_claim(slot, word, me)? {
                self.next.store((slot + 1) % count, Relaxed);
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// Claims this slot, after taking it back if its holder is dead.
    pub(super) fn claim_slot(&self, slot: usize) -> Result<Box<Held>> {
        let what = || format!("cannot claim slot {slot}");
        let slots = self.slots.count();
        if slot >= slots {
            return Err(Error::new(what(), Cause::NoSuchSlot { slots }));
        }
        let me = self.me()?;
        loop {
            let seen = self.slots.look(slot);
            let cause = match seen.state {
                State::Claimed => match self.owners.living(seen.holder) {
                    Some(holder) => Cause::SlotTaken { holder },
                    None => {
                        self.take_over(slot, seen, me);
                        continue;
                    }
                },
                State::Retired => Cause::SlotRetired,
                State::Idle if !self.slots.is_known(slot, seen) => {
                    if self.owners.living(seen.holder).is_none() {
                        self.take_over(slot, seen, me);
                        continue;
                    }
                    Cause::MadeElsewhere
                }
                State::Idle | State::Empty => {
                    match self.try_claim(slot, seen, me)? {
                        Some(held) => return Ok(held),
                        // Somebody was quicker: look again.
                        None => continue,
                    }
                }
            };
            return Err(Error::new(what(), cause));
        }
    }

    /// Claims a slot as it was seen: empty, for a new ring, or idle with a ring that is known here.
    /// `None` if somebody was quicker.
    pub(super) fn try_claim(&self, slot: usize, seen: Word, me: u32) -> Result<Option<Box<Held>>> {
        let Some(generation) = self.slots.claim(slot, seen, me) else {
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
                let ticket = Ticket {
                    slot: slot as u32,
                    generation,
                    maker: Some(Process::current()),
                    maker_number: me,
                };
                Ok(Some(Box::new(Held::new(ring, &self.config, ticket))))
            }
            Err(error) => {
                self.free(slot, generation, Last::NoRing);
                Err(error)
            }
        }
    }
}
