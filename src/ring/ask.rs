//! What a ring tells of itself.
//!
//! This room may hold `unsafe`: it lends the ring's descriptor. It guarantees that it is open for as
//! long as it is lent.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::Ring;
use crate::setup::{Refusal, Route};

impl<B: 'static> Ring<B> {
    /// Requests submitted and not reaped, plus those of a forgotten batch.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.flight.len()
    }

    /// SQEs of the ring: the most requests in one batch.
    #[must_use]
    pub fn sq_len(&self) -> u32 {
        self.held.queues.sq_len()
    }

    /// CQEs of the ring: the most requests in flight.
    #[must_use]
    pub fn cq_len(&self) -> u32 {
        self.held.queues.cq_len()
    }

    /// The slot it has in its pool; `None` for a ring of its own.
    #[must_use]
    pub fn slot(&self) -> Option<usize> {
        self.home.is_some().then(|| self.held.ticket.slot())
    }

    /// How it came to be.
    #[must_use]
    pub fn route(&self) -> Route {
        self.held.ring.route()
    }

    /// Why it did not come to be by a better route: a refusal for each one that was tried.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        self.held.ring.refusals()
    }

    /// How long making it waited for locked memory that closed rings had not given back yet; up to
    /// three seconds.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.held.ring.waited()
    }

    /// Bytes from its slot's start to the end of what the kernel uses, as the kernel reported it;
    /// 0 if it has mappings of its own.
    #[must_use]
    pub fn extent(&self) -> usize {
        self.held.ring.extent()
    }

    /// Whether the pool's buffers ([`PoolBuilder::buffers`](crate::PoolBuilder::buffers)) are
    /// registered with it: [`Stats::buffers`](crate::Stats::buffers) tells why not.
    #[must_use]
    pub fn has_registered_buffers(&self) -> bool {
        self.held.registered.is_some()
    }
}

/// For `poll`, `epoll`, or a runtime that waits by them: the descriptor is readable while there are
/// completions. One that tells of changes only must take all of them, with [`Ring::peek`], before it
/// waits again.
///
/// A duplicate of the descriptor keeps the kernel's ring, and what is under way on it, alive when
/// this one is closed.
impl<B: 'static> AsFd for Ring<B> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the descriptor is open for as long as the ring lives, which `self` borrows.
        unsafe {
            BorrowedFd::borrow_raw(self.held.ring.fd())
        }
    }
}

impl<B: 'static> std::fmt::Debug for Ring<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("slot", &self.slot())
            .field("route", &self.route())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
