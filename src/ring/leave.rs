//! How a ring is left: what is under way is brought home, or nobody gets it ever again.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::flight::NOBODY;
use super::op;
use super::{Completions, Held, Ring};
use crate::process::Process;

/// How long a drop waits for cancelled requests. Most come back at once; a read from a dead
/// network file system may take for ever.
const PATIENCE: Duration = Duration::from_secs(1);

impl<B: 'static> Ring<B> {
    /// Cancels what is in flight and waits for it, at most for [`PATIENCE`]. Returns whether all
    /// of it came back.
    fn bring_home(&mut self) -> bool {
        drop(self.take_back());
        if self.flight.len() == 0 {
            return true;
        }
        let deadline = Instant::now() + PATIENCE;
        let targets: Vec<u64> = self.flight.keys().collect();
        for some in targets.chunks(self.sq_len() as usize) {
            let Held { ring, queues, .. } = &mut **self.held;
            for &target in some {
                queues.prepare(ring.raw_mut(), op::cancel(target, NOBODY));
            }
            // Should that fail, the requests may still complete by themselves.
            let _ = self.held.submit();
            drop(self.take_back());
            Completions::new(self).for_each(drop);
        }
        while self.flight.len() > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            match self.held.wait_for(left) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(Errno::ETIME) => return false,
                // Another thread than the one that a single-issuer ring obeys, and the like: the
                // kernel will not be moved from here.
                Err(_) => return false,
            }
            Completions::new(self).for_each(drop);
        }
        true
    }
}

impl<B: 'static> Drop for Ring<B> {
    fn drop(&mut self) {
        // In a forked child, requests and slot are the parent's, and the buffers are this child's
        // own copies, which no kernel writes to.
        let inherited = self.owner != Process::current();
        let home = self.home.take().filter(|_| !inherited);
        let quiet = inherited || self.bring_home();
        // SAFETY: taken once: this is the only place, and drop runs once.
        let held = unsafe { ManuallyDrop::take(&mut self.held) };
        // SAFETY: as above.
        let flight = unsafe { ManuallyDrop::take(&mut self.flight) };
        if quiet {
            drop(flight);
        } else {
            // The kernel may still read or write these buffers.
            std::mem::forget(flight);
        }
        match home {
            Some(home) if quiet => home.give_back(held),
            Some(home) => home.retire(held),
            None => drop(held),
        }
    }
}
