//! Waiting for completions, and looking for them.

use std::time::{Duration, Instant};

use super::enter::Waited;
use super::{Completions, Ring, system};
use crate::error::{Cause, Error, Result};

impl<B: 'static> Ring<B> {
    /// Waits until at least `n` requests have completed, or all that are in flight if those are
    /// fewer, and gives out every completion that is there.
    ///
    /// It never waits for nothing: with no request in flight it returns at once.
    ///
    /// # Errors
    /// If a signal comes before there are as many ([`Error::is_interrupted`]); nothing is lost
    /// then, and [`peek`](Self::peek) has what is there, or
    /// [`wait_through_signals`](Self::wait_through_signals) goes on. [`Cause::NotTheIssuer`] in another thread
    /// than a single-issuer ring's.
    #[inline]
    pub fn wait(&mut self, n: u32) -> Result<Completions<'_, B>> {
        let enough = self.held.queues.cq_ready() >= n.min(self.flight.len());
        if enough && self.prepared == 0 && !self.is_inherited() {
            return Ok(Completions::new(self));
        }
        self.wait_until(n, None)
    }

    /// As [`wait`](Self::wait), but a signal does not end it, once its handler has run. (Nor does the
    /// kernel's own work for this thread, which ends a wait as a signal would on Linux 5.10.)
    ///
    /// # Errors
    /// As [`wait`](Self::wait), but for the signal.
    #[inline]
    pub fn wait_through_signals(&mut self, n: u32) -> Result<Completions<'_, B>> {
        while let Err(error) = self.wait(n).map(drop) {
            if !error.is_interrupted() {
                return Err(error);
            }
        }
        Ok(Completions::new(self))
    }

    /// As [`wait`](Self::wait), but no longer than `time`. What is there then is given out, which
    /// may be nothing; [`Completions::timed_out`] tells.
    ///
    /// Before Linux 5.11 it takes a descriptor while it waits.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, n: u32, time: Duration) -> Result<Completions<'_, B>> {
        // A time that no clock reaches is none.
        self.wait_until(n, Instant::now().checked_add(time))
    }

    fn wait_until(&mut self, n: u32, deadline: Option<Instant>) -> Result<Completions<'_, B>> {
        const WHAT: &str = "cannot wait for completions";
        if self.is_inherited() {
            return Err(Error::new(WHAT, Cause::Inherited));
        }
        self.drop_prepared();
        let n = n.min(self.flight.len());
        let Self { held, flight, .. } = &mut *self;
        let waited = held.wait(n, deadline, |cqe| {
            flight.get(cqe.user_data).is_some_and(|request| request.extra.fired(cqe.res))
        });
        let waited = waited.map_err(|errno| system(WHAT, errno))?;
        Ok(Completions::after_waiting(self, waited == Waited::TimeOver))
    }

    /// The completions that are there, without waiting.
    pub fn peek(&mut self) -> Completions<'_, B> {
        if !self.is_inherited() && self.held.queues.cq_ready() == 0 {
            self.held.let_the_kernel_post();
        }
        Completions::new(self)
    }
}
