//! Requests come back: result, tag, and the buffer.

use std::fmt;
use std::io;

use super::Ring;

/// A request that is done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completion<B> {
    /// The number that the request was given.
    pub tag: u64,
    /// What the operation returned: bytes for reads and writes, 0 for others, or its error.
    pub result: io::Result<u32>,
    /// The request's buffer, if it had one: yours again. Of a read, the first `result` bytes are
    /// the file's; its length is unchanged.
    pub buf: Option<B>,
}

/// The completions that are there. Each one taken frees its place in the queue; those not taken
/// stay for the next time.
#[must_use = "completions stay in the ring until they are taken"]
pub struct Completions<'r, B: 'static> {
    ring: &'r mut Ring<B>,
    /// CQEs that were there when this was made. Never more than the queue holds, whatever a process
    /// that went astray has written to the counters.
    left: u32,
}

impl<'r, B: 'static> Completions<'r, B> {
    pub(super) fn new(ring: &'r mut Ring<B>) -> Self {
        Self { left: ring.held.queues.cq_ready().min(ring.cq_len()), ring }
    }
}

/// `IORING_CQE_F_MORE`: the request goes on and will complete again.
const CQE_F_MORE: u32 = 1 << 1;

impl<B: 'static> Iterator for Completions<'_, B> {
    type Item = Completion<B>;

    fn next(&mut self) -> Option<Completion<B>> {
        // What completes in a forked child's copy is the parent's.
        while self.left > 0 && !self.ring.is_inherited() {
            self.left -= 1;
            let cqe = self.ring.held.queues.reap()?;
            let flight = &mut *self.ring.flight;
            let found = if cqe.flags & CQE_F_MORE != 0 {
                flight.tag(cqe.user_data).map(|tag| (tag, None))
            } else {
                flight.remove(cqe.user_data)
            };
            // What is not in the table is a time-out of liburing's own, or a cancellation.
            if let Some((tag, buf)) = found {
                let result = match u32::try_from(cqe.res) {
                    Ok(n) => Ok(n),
                    Err(_) => Err(io::Error::from_raw_os_error(-cqe.res)),
                };
                return Some(Completion { tag, result, buf });
            }
        }
        None
    }
}

impl<B: 'static> fmt::Debug for Completions<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").field("ring", &self.ring).finish()
    }
}
