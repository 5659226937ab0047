//! How a ring is left: what is under way is brought home, or its buffers are never freed.
//!
//! This room may hold `unsafe`: it takes fields out of a value that is being dropped. It guarantees
//! that each is taken once, and that what the kernel may still use is never freed.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::enter::Waited;
use super::flight::NOBODY;
use super::op::{self, Sqe};
use super::{Completions, Held, Marks, Ring, TakenBack};

/// How long a drop waits for cancelled requests. Most come back at once; a read from a dead
/// network file system may take for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// Cancellations submitted at a time: each makes the kernel look through all that is under way.
const CANCEL_AT_A_TIME: usize = 64;

impl<B: 'static> Ring<B> {
    /// Cancels what is in flight and waits for it, at most for [`PATIENCE`]. What comes back goes
    /// to `home`, to be dropped when the ring is out of our hands: that is the program's own code,
    /// which may panic. What remains in the table did not come back.
    fn bring_home(&mut self, home: &mut Vec<TakenBack<B>>) {
        home.extend(self.take_back());
        self.reap_into(home);
        if self.flight.len() == 0 {
            // Before the clock is asked, which on some machines is a system call.
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        if !self.cancel_all() {
            let targets: Vec<u64> = self.flight.keys().collect();
            for some in targets.chunks(CANCEL_AT_A_TIME.min(self.sq_len() as usize)) {
                let Held { ring, queues, .. } = &mut **self.held;
                for &target in some {
                    queues.prepare(ring.raw_mut(), nobodys(op::cancel(target)));
                }
                // Should that fail, the requests may still complete by themselves.
                let _ = self.held.submit();
                drop(self.take_back());
                self.reap_into(home);
                if Instant::now() >= deadline {
                    return;
                }
            }
        }
        while self.flight.len() > 0 {
            match self.held.wait(1, Some(deadline), |_| true) {
                Ok(Waited::Enough) | Err(Errno::EINTR) => self.reap_into(home),
                // The time is over; or this is another thread than the one that a single-issuer
                // ring obeys, and the like: the kernel will not be moved from here.
                _ => return,
            }
        }
    }

    /// Cancels everything with one request (Linux 5.19). Whether that was understood: if so, what
    /// does not come back is at work and cannot be cancelled.
    fn cancel_all(&mut self) -> bool {
        let Held { ring, queues, .. } = &mut **self.held;
        queues.prepare(ring.raw_mut(), nobodys(op::cancel_any()));
        let submitted = self.held.submit().is_ok();
        drop(self.take_back());
        // An older kernel answers at once, with EINVAL.
        let refusal = -(Errno::EINVAL as i32);
        let mut waiting = self.held.queues.waiting();
        let refused = waiting.any(|cqe| cqe.user_data == NOBODY && cqe.res == refusal);
        submitted && !refused
    }

    fn reap_into(&mut self, home: &mut Vec<TakenBack<B>>) {
        let mut done = Completions::new(self);
        while let Some(cqe) = done.reap() {
            if let Some(request) = done.take_out(cqe) {
                let (fd, _) = request.extra.descriptor(cqe.res);
                home.push((request, fd));
            }
        }
    }
}

fn nobodys(sqe: Sqe) -> Sqe {
    Sqe { user_data: NOBODY, ..sqe }
}

impl<B: 'static> Drop for Ring<B> {
    #[inline]
    fn drop(&mut self) {
        if self.flight.len() > 0 || !self.marks.is_empty() || self.is_inherited() {
            return self.leave();
        }
        // SAFETY: taken once: drop runs once, and `leave` was not called.
        let mut held = unsafe { ManuallyDrop::take(&mut self.held) };
        // SAFETY: as above.
        unsafe { ManuallyDrop::take(&mut self.flight) }.leave_to(&mut held.spare);
        match self.home.take() {
            Some(home) => home.give_back(held),
            None => drop(held),
        }
    }
}

impl<B: 'static> Ring<B> {
    /// What is left to do where requests are under way, or the next user may not have the ring.
    #[cold]
    fn leave(&mut self) {
        // In a forked child, requests and slot are the parent's.
        let inherited = self.is_inherited();
        let mut home = Vec::new();
        // With nothing in flight nothing is prepared, and the queues may be another's: a child that
        // adopted the ring may go on with it.
        if !inherited && self.flight.len() > 0 {
            self.bring_home(&mut home);
        }
        let drains = self.marks.contains(Marks::DRAINS);
        // SAFETY: taken once: only `drop` calls this, which runs once and then takes nothing.
        let mut held = unsafe { ManuallyDrop::take(&mut self.held) };
        // SAFETY: as above.
        let flight = unsafe { ManuallyDrop::take(&mut self.flight) };
        let quiet = flight.len() == 0;
        let clean = if inherited {
            held.forget_what_is_registered();
            true
        } else {
            held.unregister(quiet)
        };
        let left = if quiet && !inherited {
            flight.leave_to(&mut held.spare);
            None
        } else {
            Some(flight)
        };
        match self.home.take() {
            Some(home) if inherited => home.close_copy(held),
            // After a drained request the kernel has later ones start late, whoever's they are, and
            // when it is past that differs: the next user gets another ring.
            // So does what could not be unregistered.
            Some(home) if quiet && (drains || !clean) => home.close(held),
            Some(home) if quiet => home.give_back(held),
            Some(home) => home.abandon(held),
            None => drop(held),
        }
        let Some(mut flight) = left else { return };
        if inherited {
            // This child's own copies, but not if they were read into past the page cache when it was
            // forked: before Linux 6.5 the page that is written to then may be the child's.
            flight.forget_buffers();
        } else {
            // The kernel may still read or write these buffers.
            std::mem::forget(flight);
        }
    }
}
