//! Requests on their way to the kernel: prepared, submitted, or taken back.

mod control;
mod failed;
mod files;
mod paths;
mod prepared;
mod raw;
mod sockets;

use std::fmt;
use std::marker::PhantomData;

use nix::errno::Errno;

use super::{Held, Ring, system};
use crate::error::{Cause, Error};

pub use failed::{Full, Returned, SubmitError};
pub use prepared::{Prepared, RequestId};

/// Requests being prepared on a ring.
///
/// It borrows every descriptor used until it is submitted; the kernel then holds the files by
/// itself. Dropped or forgotten, its requests are taken back: the kernel has not seen them.
///
/// A file cannot be closed before its request is submitted:
///
/// ```compile_fail,E0505
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = uring_pool::Ring::<Vec<u8>>::open(&uring_pool::RingConfig::new(8)?)?;
/// let file = std::fs::File::open("/etc/os-release")?;
/// let mut batch = ring.batch();
/// batch.read_at(&file, vec![0; 16], 0).push()?;
/// drop(file);
/// batch.submit()?;
/// # Ok(()) }
/// ```
///
/// # Requests that start late
///
/// Where a request does not start while it is submitted, the kernel looks its descriptor up by
/// number when it does: closed meanwhile, it would be another file by then. So a share of the
/// descriptor's owner, an [`Arc`](std::sync::Arc), is kept until the request completes. Operations
/// that may always start late take one; for the others [`Prepared::keep`] adds it, which is needed
///
/// - by every request of a chain: those with [`link`](Prepared::link) or
///   [`hard_link`](Prepared::hard_link), and the one after;
/// - with [`drain`](Prepared::drain), and from then on by every request of the ring;
/// - with [`force_async`](Prepared::force_async).
///
/// A [`RegisteredFile`](crate::RegisteredFile) needs none of this.
///
/// Without it, [`push`](Prepared::push) refuses the request ([`Cause::DescriptorNotKept`]).
///
/// ```
/// # use std::{fs::File, sync::Arc};
/// # use uring_pool::{Ring, RingConfig};
/// let mut ring = Ring::<Vec<u8>>::open(&RingConfig::new(8)?)?;
/// let file = Arc::new(File::create("/dev/null")?);
/// let mut batch = ring.batch();
/// batch.write_at(&file, b"first".to_vec(), 0).keep(&file).link().push()?;
/// batch.write_at(&file, b"then".to_vec(), 5).keep(&file).push()?;
/// batch.submit()?;
/// assert_eq!(ring.wait(2)?.map(|done| done.result.unwrap()).sum::<u32>(), 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a batch that is not submitted is taken back"]
pub struct Batch<'r, 'fd, B: 'static> {
    ring: &'r mut Ring<B>,
    /// The request pushed last is linked to the next.
    linked: bool,
    descriptors: PhantomData<&'fd ()>,
}

const WHAT: &str = "cannot submit the batch";

impl<'r, B: 'static> Batch<'r, '_, B> {
    /// On a ring that has nothing prepared.
    #[inline]
    pub(super) fn new(ring: &'r mut Ring<B>) -> Self {
        Self { ring, linked: false, descriptors: PhantomData }
    }

    /// Requests pushed so far.
    #[inline]
    #[must_use]
    pub fn len(&self) -> u32 {
        self.ring.prepared
    }

    /// Whether none has been pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands the requests to the kernel, and returns how many there were.
    ///
    /// It does not wait for any to complete: [`Ring::wait`] does.
    ///
    /// # Errors
    /// [`SubmitError`] if the kernel did not take all of them; it says how many it took, and gives
    /// the others back.
    #[inline]
    pub fn submit(mut self) -> Result<u32, SubmitError<B>> {
        let prepared = self.len();
        if prepared == 0 {
            return Ok(0);
        }
        if self.ring.is_inherited() {
            let error = Error::new(WHAT, Cause::Inherited);
            return Err(SubmitError { error, submitted: 0, returned: Vec::new() });
        }
        let held: &mut Held = &mut self.ring.held;
        let result = held.submit();
        // The ring's own head says what was consumed: after an error, too.
        let left = held.queues.sq_left(held.ring.raw());
        if left > 0 {
            self.submit_rest(result, left)?;
        }
        self.ring.prepared = 0;
        Ok(prepared)
    }

    /// Goes on where the kernel stopped, if it was a signal that stopped it.
    #[cold]
    fn submit_rest(
        &mut self,
        mut result: Result<u32, Errno>,
        mut left: u32,
    ) -> Result<(), SubmitError<B>> {
        let prepared = self.len();
        while left > 0 {
            let stopped = match result {
                Ok(0) => Some(Errno::EAGAIN),
                Ok(_) | Err(Errno::EINTR) => None,
                Err(errno) => Some(errno),
            };
            if let Some(errno) = stopped {
                return Err(SubmitError {
                    error: system(WHAT, errno),
                    submitted: prepared - left,
                    returned: self.ring.take_back().into_iter().map(Returned::from).collect(),
                });
            }
            let held: &mut Held = &mut self.ring.held;
            result = held.submit();
            left = held.queues.sq_left(held.ring.raw());
        }
        Ok(())
    }
}

impl<B: 'static> Drop for Batch<'_, '_, B> {
    #[inline]
    fn drop(&mut self) {
        // After `submit` nothing is left to take back.
        if self.ring.prepared > 0 {
            drop(self.ring.take_back());
        }
    }
}

impl<B: 'static> fmt::Debug for Batch<'_, '_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("ring", &self.ring).field("prepared", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests;
