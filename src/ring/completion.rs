//! Requests come back: result, tag, and the buffer.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use super::Ring;
use super::flight::{Done, Request};
use super::queues::Cqe;

/// A request that is done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completion<B> {
    /// The number that the request was given.
    pub tag: u64,
    /// What the operation returned: bytes for transfers, what else its method says, 0 for most; or
    /// its error.
    pub result: io::Result<u32>,
    /// The request's buffer, if it had one: yours again. Of a read, the first `result` bytes are
    /// the file's; its length is unchanged.
    pub buf: Option<B>,
    /// The descriptor that the request opened; or that it was to close, if it was cancelled before
    /// it began. Closed, if nobody takes it.
    pub fd: Option<OwnedFd>,
}

impl<B> Completion<B> {
    /// Whether it was cancelled before it began (`ECANCELED`): by a request to do so, or because
    /// one that it was [linked](crate::Prepared::link) to failed or transferred less than it was to.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let errno = self.result.as_ref().err().and_then(io::Error::raw_os_error);
        errno == Some(libc::ECANCELED)
    }
}

/// The completions that are there. Each one taken frees its place in the queue; those not taken
/// stay for the next time.
#[must_use = "completions stay in the ring until they are taken"]
pub struct Completions<'r, B: 'static> {
    ring: &'r mut Ring<B>,
    /// CQEs that were there when this was made. Never more than the queue holds, whatever a process
    /// that went astray has written to the counters.
    left: u32,
    timed_out: bool,
}

impl<'r, B: 'static> Completions<'r, B> {
    #[inline]
    pub(super) fn new(ring: &'r mut Ring<B>) -> Self {
        Self { left: ring.held.queues.cq_ready().min(ring.cq_len()), ring, timed_out: false }
    }

    pub(super) fn after_waiting(ring: &'r mut Ring<B>, timed_out: bool) -> Self {
        Self { timed_out, ..Self::new(ring) }
    }

    /// Whether [`Ring::wait_timeout`] gave up before there were as many as it was to wait for.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }

    /// The next one as the kernel wrote it.
    #[inline(always)]
    pub(super) fn reap(&mut self) -> Option<Cqe> {
        // What completes in a forked child's copy is the parent's.
        if self.left == 0 || self.ring.is_inherited() {
            return None;
        }
        self.left -= 1;
        Some(self.ring.held.queues.reap())
    }

    /// The request that this was the end of, as it is in the table. `None` if it goes on, or if it
    /// is not in there: a cancellation or the like by this crate.
    pub(super) fn take_out(&mut self, cqe: Cqe) -> Option<Request<B>> {
        if cqe.flags & CQE_F_MORE != 0 {
            return None;
        }
        self.ring.flight.remove(cqe.user_data)
    }

    /// A completion of a request that stays under way.
    #[cold]
    fn one_of_many(&mut self, cqe: Cqe) -> Option<Done<B>> {
        let tag = self.ring.flight.get(cqe.user_data)?.tag;
        Some(Done { tag, buf: None, fd: None, res: cqe.res })
    }
}

/// `IORING_CQE_F_MORE`: the request goes on and will complete again.
const CQE_F_MORE: u32 = 1 << 1;

impl<B: 'static> Iterator for Completions<'_, B> {
    type Item = Completion<B>;

    #[inline(always)]
    fn next(&mut self) -> Option<Completion<B>> {
        loop {
            let cqe = self.reap()?;
            let done = if cqe.flags & CQE_F_MORE == 0 {
                self.ring.flight.complete(cqe.user_data, cqe.res)
            } else {
                self.one_of_many(cqe)
            };
            // What is not in the table is a cancellation or the like by this crate.
            let Some(Done { tag, buf, fd, res }) = done else { continue };
            let result = match u32::try_from(res) {
                Ok(n) => Ok(n),
                Err(_) => Err(io::Error::from_raw_os_error(-res)),
            };
            return Some(Completion { tag, result, buf, fd });
        }
    }
}

impl<B: 'static> fmt::Debug for Completions<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").field("ring", &self.ring).finish()
    }
}
