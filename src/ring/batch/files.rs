//! Operations on a file's bytes.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::{Batch, Prepared};
use crate::ring::extra::{Extra, Owner, number};
use crate::ring::flight::Request;
use crate::ring::op::{self, Sqe};
use crate::ring::policy::Transfer;
use crate::ring::{Advice, Buf, BufMut, BufVec, BufVecMut, Fallocate, SpliceFlags, SyncRange};

/// Stands for the file's own position.
const OWN_POSITION: u64 = u64::MAX;

impl<'r, 'fd, B: 'static> Batch<'r, 'fd, B> {
    /// Reads from byte `offset` of a file, or, if that is `u64::MAX`, from the file's own position
    /// (as pipes must be), into `buf`, at most as many bytes as it is long, as
    /// [pread(2)](https://man7.org/linux/man-pages/man2/pread.2.html) does. The completion's
    /// result is the number of bytes read: fewer at the end of the file, and 0 beyond it.
    #[doc(alias = "IORING_OP_READ")]
    #[inline(always)]
    pub fn read_at(&mut self, fd: &'fd impl AsFd, buf: B, offset: u64) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufMut,
    {
        self.borrowing(op::read(number(fd), offset)).with(buf, into).transfers(Transfer::READ)
    }

    /// As [`read_at`](Self::read_at), from the file's own position, which moves on, as
    /// [read(2)](https://man7.org/linux/man-pages/man2/read.2.html) does.
    #[doc(alias = "IORING_OP_READ")]
    #[inline(always)]
    pub fn read(&mut self, fd: &'fd impl AsFd, buf: B) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufMut,
    {
        self.read_at(fd, buf, OWN_POSITION)
    }

    /// Writes `buf` to a file from byte `offset` on, or, if that is `u64::MAX`, from the file's own
    /// position, as
    /// [pwrite(2)](https://man7.org/linux/man-pages/man2/pwrite.2.html) does. The completion's
    /// result is the number of bytes written, which may be fewer.
    #[doc(alias = "IORING_OP_WRITE")]
    #[inline(always)]
    pub fn write_at(&mut self, fd: &'fd impl AsFd, buf: B, offset: u64) -> Prepared<'_, 'r, 'fd, B>
    where
        B: Buf,
    {
        self.borrowing(op::write(number(fd), offset)).with(buf, from).transfers(Transfer::WRITE)
    }

    /// As [`write_at`](Self::write_at), from the file's own position, which moves on, as
    /// [write(2)](https://man7.org/linux/man-pages/man2/write.2.html) does.
    #[doc(alias = "IORING_OP_WRITE")]
    #[inline(always)]
    pub fn write(&mut self, fd: &'fd impl AsFd, buf: B) -> Prepared<'_, 'r, 'fd, B>
    where
        B: Buf,
    {
        self.write_at(fd, buf, OWN_POSITION)
    }

    /// As [`read_at`](Self::read_at), into a buffer of the pool's
    /// ([`RingPool::buffer`](crate::RingPool::buffer)), which is registered with the ring: the
    /// kernel need not pin its pages for this request. With another buffer, or where they could not
    /// be registered ([`Ring::has_registered_buffers`](crate::Ring::has_registered_buffers)), it is
    /// `read_at`.
    #[doc(alias = "IORING_OP_READ_FIXED")]
    #[inline(always)]
    pub fn read_fixed(
        &mut self,
        fd: &'fd impl AsFd,
        buf: B,
        offset: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufMut,
    {
        let Some(index) = self.registered(&buf) else { return self.read_at(fd, buf, offset) };
        let sqe = op::read_fixed(number(fd), offset, index);
        self.borrowing(sqe).with(buf, into).transfers(Transfer::READ)
    }

    /// As [`write_at`](Self::write_at), from a buffer of the pool's, as
    /// [`read_fixed`](Self::read_fixed).
    #[doc(alias = "IORING_OP_WRITE_FIXED")]
    #[inline(always)]
    pub fn write_fixed(
        &mut self,
        fd: &'fd impl AsFd,
        buf: B,
        offset: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: Buf,
    {
        let Some(index) = self.registered(&buf) else { return self.write_at(fd, buf, offset) };
        let sqe = op::write_fixed(number(fd), offset, index);
        self.borrowing(sqe).with(buf, from).transfers(Transfer::WRITE)
    }

    /// The number under which these bytes are registered with the ring.
    #[inline]
    fn registered(&self, buf: &impl Buf) -> Option<u16> {
        let fixed = buf.fixed()?;
        (self.ring.held.registered == Some(fixed.arena)).then_some(fixed.index)
    }

    /// As [`read_at`](Self::read_at), into one piece after another, as
    /// [preadv(2)](https://man7.org/linux/man-pages/man2/preadv.2.html) does. The kernel takes
    /// 1024 pieces at most (`EINVAL`).
    #[doc(alias = "IORING_OP_READV")]
    #[inline(always)]
    pub fn readv_at(&mut self, fd: &'fd impl AsFd, bufs: B, offset: u64) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufVecMut,
    {
        self.borrowing(op::readv(number(fd), offset))
            .with(bufs, |request, sqe| {
                let pieces = request.buf.as_mut().map(BufVecMut::stable_iovecs_mut);
                place_pieces(pieces, sqe);
            })
            .transfers(Transfer::READV)
    }

    /// As [`write_at`](Self::write_at), one piece after another, as
    /// [pwritev(2)](https://man7.org/linux/man-pages/man2/pwritev.2.html) does. The kernel takes
    /// 1024 pieces at most (`EINVAL`).
    #[doc(alias = "IORING_OP_WRITEV")]
    #[inline(always)]
    pub fn writev_at(
        &mut self,
        fd: &'fd impl AsFd,
        bufs: B,
        offset: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufVec,
    {
        self.borrowing(op::writev(number(fd), offset))
            .with(bufs, |request, sqe| {
                let pieces = request.buf.as_mut().map(BufVec::stable_iovecs);
                place_pieces(pieces, sqe);
            })
            .transfers(Transfer::WRITEV)
    }

    /// Flushes a file's data and metadata to its device, as
    /// [fsync(2)](https://man7.org/linux/man-pages/man2/fsync.2.html) does.
    ///
    /// It is not ordered against other requests of the batch: wait for the writes first, or
    /// [link](Prepared::link) them.
    #[doc(alias = "IORING_OP_FSYNC")]
    pub fn fsync<T>(&mut self, file: &Arc<T>) -> Prepared<'_, 'r, 'fd, B>
    where
        T: AsFd + Send + Sync + 'static,
    {
        self.on(file, |fd| op::fsync(fd, false))
    }

    /// As [`fsync`](Self::fsync), but only the metadata that reading the data back needs
    /// (`IORING_FSYNC_DATASYNC`).
    #[doc(alias = "IORING_FSYNC_DATASYNC")]
    pub fn fdatasync<T>(&mut self, file: &Arc<T>) -> Prepared<'_, 'r, 'fd, B>
    where
        T: AsFd + Send + Sync + 'static,
    {
        self.on(file, |fd| op::fsync(fd, true))
    }

    /// Writes dirty pages of `len` bytes from `offset` on, or of all from there if `len` is 0, as
    /// [sync_file_range(2)](https://man7.org/linux/man-pages/man2/sync_file_range.2.html) does. No
    /// metadata: it makes nothing durable.
    #[doc(alias = "IORING_OP_SYNC_FILE_RANGE")]
    pub fn sync_file_range<T>(
        &mut self,
        file: &Arc<T>,
        offset: u64,
        len: u32,
        what: SyncRange,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        T: AsFd + Send + Sync + 'static,
    {
        self.on(file, |fd| op::sync_file_range(fd, offset, len, what.bits()))
    }

    /// Allocates, frees or zeroes `len` bytes from `offset` on, as
    /// [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html) does.
    #[doc(alias = "IORING_OP_FALLOCATE")]
    pub fn fallocate<T>(
        &mut self,
        file: &Arc<T>,
        mode: Fallocate,
        offset: u64,
        len: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        T: AsFd + Send + Sync + 'static,
    {
        self.on(file, |fd| op::fallocate(fd, mode.bits(), offset, len))
    }

    /// Tells how `len` bytes from `offset` on, or all from there if `len` is 0, will be used, as
    /// [posix_fadvise(2)](https://man7.org/linux/man-pages/man2/posix_fadvise.2.html) does.
    #[doc(alias = "IORING_OP_FADVISE")]
    pub fn fadvise<T>(
        &mut self,
        file: &Arc<T>,
        offset: u64,
        len: u32,
        advice: Advice,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        T: AsFd + Send + Sync + 'static,
    {
        self.on(file, |fd| op::fadvise(fd, offset, len, advice.number()))
    }

    /// Moves at most `len` bytes from one descriptor to another, one of them a pipe, as
    /// [splice(2)](https://man7.org/linux/man-pages/man2/splice.2.html) does. Offsets are bytes,
    /// or `None` for the file's own position, as pipes must have. The completion's result is the
    /// number of bytes moved.
    #[doc(alias = "IORING_OP_SPLICE")]
    pub fn splice<T, U>(
        &mut self,
        (from, from_offset): (&Arc<T>, Option<u64>),
        (to, to_offset): (&Arc<U>, Option<u64>),
        len: u32,
        flags: SpliceFlags,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        T: AsFd + Send + Sync + 'static,
        U: AsFd + Send + Sync + 'static,
    {
        let (from, to) = (Owner::of(from), Owner::of(to));
        let end = |owner: &Owner, offset: Option<u64>| (owner.fd(), offset.unwrap_or(u64::MAX));
        // Bits without a name would make the first descriptor a registered one.
        let flags = flags.intersection(SpliceFlags::all()).bits();
        let sqe = op::splice(end(&from, from_offset), end(&to, to_offset), len, flags);
        self.keeping(sqe, Extra::KeepsBoth(from, to))
    }

    /// An operation that the kernel may always start late.
    fn on<T>(&mut self, file: &Arc<T>, sqe: impl FnOnce(i32) -> Sqe) -> Prepared<'_, 'r, 'fd, B>
    where
        T: AsFd + Send + Sync + 'static,
    {
        let owner = Owner::of(file);
        let sqe = sqe(owner.fd());
        self.keeping(sqe, Extra::Keeps(owner))
    }
}

/// The buffer as what is read into.
#[inline(always)]
pub(super) fn into<B: BufMut>(request: &mut Request<B>, sqe: &mut Sqe) {
    if let Some(buf) = &mut request.buf {
        *sqe = sqe.at(buf.stable_mut_ptr().expose_provenance() as u64, length(buf));
    }
}

/// The buffer as what is written from.
#[inline(always)]
pub(super) fn from<B: Buf>(request: &mut Request<B>, sqe: &mut Sqe) {
    if let Some(buf) = &mut request.buf {
        *sqe = sqe.at(buf.stable_ptr().expose_provenance() as u64, length(buf));
    }
}

#[inline]
fn place_pieces(pieces: Option<(*const libc::iovec, u32)>, sqe: &mut Sqe) {
    if let Some((at, count)) = pieces {
        *sqe = sqe.at(at.expose_provenance() as u64, count);
    }
}

/// The kernel takes no more than 2 GiB less a page at a time anyway; longer is a short transfer.
#[inline]
fn length<B: Buf>(buf: &B) -> u32 {
    u32::try_from(buf.len()).unwrap_or(u32::MAX)
}
