//! Requests on their way to the kernel: prepared, submitted, or taken back.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

use super::op::Op;
use super::{Buf, BufMut, Held, Ring, system};
use crate::error::{Cause, Error, Result};

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
#[must_use = "a batch that is not submitted is taken back"]
pub struct Batch<'r, 'fd, B: 'static> {
    ring: &'r mut Ring<B>,
    prepared: u32,
    descriptors: PhantomData<&'fd ()>,
}

impl<'r, 'fd, B: 'static> Batch<'r, 'fd, B> {
    pub(super) fn new(ring: &'r mut Ring<B>) -> Self {
        Self { ring, prepared: 0, descriptors: PhantomData }
    }

    /// A request that does nothing (`IORING_OP_NOP`).
    #[doc(alias = "IORING_OP_NOP")]
    pub fn nop(&mut self) -> Prepared<'_, 'r, 'fd, B> {
        self.begin(Op::Nop, None, |_| (0, 0))
    }

    /// Flushes a file's data and metadata to its device, as
    /// [fsync(2)](https://man7.org/linux/man-pages/man2/fsync.2.html) does.
    ///
    /// It is not ordered against other requests of the batch: wait for the writes first.
    #[doc(alias = "IORING_OP_FSYNC")]
    pub fn fsync(&mut self, fd: &'fd impl AsFd) -> Prepared<'_, 'r, 'fd, B> {
        let fd = fd.as_fd().as_raw_fd();
        self.begin(Op::Fsync { fd, data_only: false }, None, |_| (0, 0))
    }

    /// As [`fsync`](Self::fsync), but only the metadata that reading the data back needs
    /// (`IORING_FSYNC_DATASYNC`).
    #[doc(alias = "IORING_FSYNC_DATASYNC")]
    pub fn fdatasync(&mut self, fd: &'fd impl AsFd) -> Prepared<'_, 'r, 'fd, B> {
        let fd = fd.as_fd().as_raw_fd();
        self.begin(Op::Fsync { fd, data_only: true }, None, |_| (0, 0))
    }

    /// Reads from byte `offset` of a file, or, if that is `u64::MAX`, from the file's own position
    /// (as pipes must be), into `buf`, at most as many bytes as it is long, as
    /// [pread(2)](https://man7.org/linux/man-pages/man2/pread.2.html) does. The completion's
    /// result is the number of bytes read: fewer at the end of the file, and 0 beyond it.
    #[doc(alias = "IORING_OP_READ")]
    pub fn read_at(&mut self, fd: &'fd impl AsFd, buf: B, offset: u64) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufMut,
    {
        let fd = fd.as_fd().as_raw_fd();
        self.begin(Op::Read { fd, offset }, Some(buf), |buf| {
            (buf.stable_mut_ptr().expose_provenance() as u64, length(buf))
        })
    }

    /// Writes `buf` to a file from byte `offset` on, or, if that is `u64::MAX`, from the file's own
    /// position, as
    /// [pwrite(2)](https://man7.org/linux/man-pages/man2/pwrite.2.html) does. The completion's
    /// result is the number of bytes written, which may be fewer.
    #[doc(alias = "IORING_OP_WRITE")]
    pub fn write_at(&mut self, fd: &'fd impl AsFd, buf: B, offset: u64) -> Prepared<'_, 'r, 'fd, B>
    where
        B: Buf,
    {
        let fd = fd.as_fd().as_raw_fd();
        self.begin(Op::Write { fd, offset }, Some(buf), |buf| {
            (buf.stable_ptr().expose_provenance() as u64, length(buf))
        })
    }

    fn begin(
        &mut self,
        op: Op,
        buf: Option<B>,
        address: fn(&mut B) -> (u64, u32),
    ) -> Prepared<'_, 'r, 'fd, B> {
        Prepared { batch: self, op, buf, address, tag: 0 }
    }

    /// Requests pushed so far.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.prepared
    }

    /// Whether none has been pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prepared == 0
    }

    /// Hands the requests to the kernel, and returns how many there were.
    ///
    /// It does not wait for any to complete: [`Ring::wait`] does.
    ///
    /// # Errors
    /// [`SubmitError`] if the kernel did not take all of them; it says how many it took, and gives
    /// the others back.
    pub fn submit(self) -> Result<u32, SubmitError<B>> {
        let prepared = self.prepared;
        if self.ring.is_inherited() {
            let error = Error::new("cannot submit the batch", Cause::Inherited);
            return Err(SubmitError { error, submitted: 0, returned: Vec::new() });
        }
        let mut left = prepared;
        while left > 0 {
            let held: &mut Held = &mut self.ring.held;
            let stopped = match held.submit() {
                Ok(0) => Some(Errno::EAGAIN),
                Ok(_) | Err(Errno::EINTR) => None,
                Err(errno) => Some(errno),
            };
            // The ring's own head says what was consumed: after an error, too.
            left = held.queues.sq_left(held.ring.raw());
            if let (Some(errno), true) = (stopped, left > 0) {
                return Err(SubmitError {
                    error: system("cannot submit the batch", errno),
                    submitted: prepared - left,
                    returned: self.ring.take_back(),
                });
            }
        }
        Ok(prepared)
    }
}

impl<B: 'static> Drop for Batch<'_, '_, B> {
    fn drop(&mut self) {
        // After `submit` nothing is left to take back.
        drop(self.ring.take_back());
    }
}

impl<B: 'static> fmt::Debug for Batch<'_, '_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("ring", &self.ring).field("prepared", &self.prepared).finish()
    }
}

/// The kernel takes no more than 2 GiB less a page at a time anyway; longer is a short transfer.
fn length<B: Buf>(buf: &B) -> u32 {
    u32::try_from(buf.len()).unwrap_or(u32::MAX)
}

/// A request that is complete but for its tag; [`push`](Self::push) puts it into the batch.
#[must_use = "a request that is not pushed is dropped"]
pub struct Prepared<'b, 'r, 'fd, B: 'static> {
    batch: &'b mut Batch<'r, 'fd, B>,
    op: Op,
    buf: Option<B>,
    address: fn(&mut B) -> (u64, u32),
    tag: u64,
}

impl<B: 'static> Prepared<'_, '_, '_, B> {
    /// A number of the program's own, which comes back with the completion. 0 if none is given.
    pub fn tag(mut self, tag: u64) -> Self {
        self.tag = tag;
        self
    }

    /// Puts the request into the batch.
    ///
    /// # Errors
    /// [`Full`], with the buffer, if the submission queue is full (submit the batch), or as many
    /// requests are under way as the completion queue can hold (reap some).
    pub fn push(self) -> Result<(), Full<B>> {
        let Self { batch, op, buf, address, tag } = self;
        let inherited = batch.ring.is_inherited();
        let Ring { held, flight, .. } = &mut *batch.ring;
        let Held { ring, queues, .. } = &mut ***held;
        let full = if inherited {
            Some(Cause::Inherited)
        } else if flight.is_full() {
            Some(Cause::TooManyInFlight { limit: flight.limit() })
        } else if !queues.sq_has_room(ring.raw()) {
            Some(Cause::SubmissionFull { entries: queues.sq_len() })
        } else {
            None
        };
        if let Some(cause) = full {
            return Err(Full { cause, buf });
        }
        // The address is taken where the buffer stays. That may panic, being the buffer's code.
        let mut entry = flight.insert(tag, buf);
        let (addr, len) = entry.buf().as_mut().map_or((0, 0), address);
        let key = entry.keep();
        queues.prepare(ring.raw_mut(), op.sqe(addr, len, key));
        batch.prepared += 1;
        Ok(())
    }
}

impl<B: 'static> fmt::Debug for Prepared<'_, '_, '_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("op", &self.op).field("tag", &self.tag).finish()
    }
}

/// There was no room for a request; its buffer comes back.
#[non_exhaustive]
pub struct Full<B> {
    /// [`Cause::SubmissionFull`], [`Cause::TooManyInFlight`], or in a forked child
    /// [`Cause::Inherited`].
    pub cause: Cause,
    /// The request's buffer, if it had one.
    pub buf: Option<B>,
}

impl<B> fmt::Debug for Full<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").field("cause", &self.cause).finish_non_exhaustive()
    }
}

impl<B> fmt::Display for Full<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::new("cannot push the request", self.cause).fmt(f)
    }
}

impl<B> std::error::Error for Full<B> {}

impl<B> From<Full<B>> for Error {
    fn from(full: Full<B>) -> Self {
        Error::new("cannot push the request", full.cause)
    }
}

/// A request that the kernel did not take, or never saw.
#[derive(Debug)]
#[non_exhaustive]
pub struct Returned<B> {
    /// Its tag.
    pub tag: u64,
    /// Its buffer, if it had one.
    pub buf: Option<B>,
}

/// The kernel did not take the whole batch.
#[non_exhaustive]
pub struct SubmitError<B> {
    /// Why it stopped.
    pub error: Error,
    /// Requests that it took before; their completions will come.
    pub submitted: u32,
    /// The others, in order, with their buffers. (None in a forked child: they are the parent's.)
    pub returned: Vec<Returned<B>>,
}

impl<B> fmt::Debug for SubmitError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitError")
            .field("error", &self.error)
            .field("submitted", &self.submitted)
            .field("returned", &self.returned.len())
            .finish()
    }
}

impl<B> fmt::Display for SubmitError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, all) = (self.submitted, self.submitted as usize + self.returned.len());
        write!(f, "{} (the kernel took {taken} of {all} requests)", self.error)
    }
}

impl<B> std::error::Error for SubmitError<B> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<SubmitError<B>> for Error {
    fn from(error: SubmitError<B>) -> Self {
        error.error
    }
}
