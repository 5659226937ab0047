//! How a slot is claimed.

use super::inner::Inner;
use super::release::Last;
use super::slots::{Claimed, State};
use crate::error::{Cause, Error, Result};
use crate::process::Process;
use crate::ring::{Held, Ticket};

impl Inner {
    /// This process's number among those that use the pool.
    pub(super) fn me(&self) -> Result<u32> {
        self.owners.enrol(|| self.slots.next_number(), |number| self.bury(number))
    }

    /// Claims the ring that was given back last, or whichever is free.
    #[inline]
    pub(super) fn claim_any(&self) -> Result<Box<Held>> {
        match self.owners.me().and_then(|me| self.slots.claim_last(me)) {
            Some(held) => Ok(held),
            None => self.search(),
        }
    }

    /// Claims whichever ring is free, after taking back what the dead hold if none is.
    #[cold]
    fn search(&self) -> Result<Box<Held>> {
        let me = self.me()?;
        match self.slots.claim_any(me, || self.recover().map(drop))? {
            Some(claimed) => self.opened(claimed, me),
            None => {
                let slots = self.slots.count();
                Err(Error::new("cannot claim a ring", Cause::NoSlotFree { slots }))
            }
        }
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
                State::Idle | State::Empty => match self.slots.try_claim(slot, seen, me) {
                    Some(claimed) => return self.opened(claimed, me),
                    // Somebody was quicker: look again.
                    None => continue,
                },
            };
            return Err(Error::new(what(), cause));
        }
    }

    /// The ring of a slot that was claimed, made if there is none.
    pub(super) fn opened(&self, claimed: Claimed<Held>, me: u32) -> Result<Box<Held>> {
        let (slot, generation, stale) = match claimed {
            Claimed::Open(held) => return Ok(held),
            Claimed::Empty { slot, generation, stale } => (slot, generation, stale),
        };
        if let Some(stale) = stale {
            self.counters.closed(&stale.ring);
        }
        match self.make(slot) {
            Ok(mut ring) => {
                self.counters.opened(&ring);
                let registered = self.arena.as_ref().and_then(|arena| arena.register(&mut ring));
                let ticket = Ticket {
                    slot: slot as u32,
                    generation,
                    maker: Some(Process::current()),
                    maker_number: me,
                };
                let mut held = Box::new(Held::new(ring, &self.config, ticket));
                held.registered = registered;
                Ok(held)
            }
            Err(error) => {
                self.free(slot, generation, Last::NoRing);
                Err(error)
            }
        }
    }
}
