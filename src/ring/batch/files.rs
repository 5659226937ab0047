//! Operations on a file's bytes.

use super::{Batch, Prepared};
use crate::ring::flight::Request;
use crate::ring::op::{self, Sqe};
use crate::ring::policy::Transfer;
use crate::ring::{
    Advice, Buf, BufMut, BufVec, BufVecMut, Fallocate, Shared, SpliceFlags, SyncRange, Target,
};

/// Stands for the file's own position.
const OWN_POSITION: u64 = u64::MAX;

impl<'r, 'fd, B: 'static> Batch<'r, 'fd, B> {
    /// Reads from byte `offset` of a file, or, if that is `u64::MAX`, from the file's own position
    /// (as pipes must be), into `buf`, at most as many bytes as it is long, as
    /// [pread(2)](https://man7.org/linux/man-pages/man2/pread.2.html) does. The completion's
    /// result is the number of bytes read: fewer at the end of the file, and 0 beyond it.
    #[doc(alias = "IORING_OP_READ")]
    #[inline(always)]
    pub fn read_at(&mut self, fd: &'fd impl Target, buf: B, offset: u64) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufMut,
    {
        self.on(fd, |fd| op::read(fd, offset)).with(buf, into).transfers(Transfer::READ)
    }

    /// As [`read_at`](Self::read_at), from the file's own position, which moves on, as
    /// [read(2)](https://man7.org/linux/man-pages/man2/read.2.html) does.
    #[doc(alias = "IORING_OP_READ")]
    #[inline(always)]
    pub fn read(&mut self, fd: &'fd impl Target, buf: B) -> Prepared<'_, 'r, 'fd, B>
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
    pub fn write_at(
        &mut self,
        fd: &'fd impl Target,
        buf: B,
        offset: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: Buf,
    {
        self.on(fd, |fd| op::write(fd, offset)).with(buf, from).transfers(Transfer::WRITE)
    }

    /// As [`write_at`](Self::write_at), from the file's own position, which moves on, as
    /// [write(2)](https://man7.org/linux/man-pages/man2/write.2.html) does.
    #[doc(alias = "IORING_OP_WRITE")]
    #[inline(always)]
    pub fn write(&mut self, fd: &'fd impl Target, buf: B) -> Prepared<'_, 'r, 'fd, B>
    where
        B: Buf,
    {
        self.write_at(fd, buf, OWN_POSITION)
    }

    /// As [`read_at`](Self::read_at), into a buffer of the pool's
    /// ([`RingPool::buffer`](crate::RingPool::buffer)), which is registered with the ring: the
    /// kernel need not pin its pages for this request. With another buffer, or where they could not
    /// be registered ([`Ring::has_registered_buffers`](crate::Ring::has_registered_buffers)), it is
    /// `read_at`. See
    /// [io_uring_prep_read_fixed(3)](https://man7.org/linux/man-pages/man3/io_uring_prep_read_fixed.3.html).
    #[doc(alias = "IORING_OP_READ_FIXED")]
    #[inline(always)]
    pub fn read_fixed(
        &mut self,
        fd: &'fd impl Target,
        buf: B,
        offset: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufMut,
    {
        let Some(index) = self.registered(&buf) else { return self.read_at(fd, buf, offset) };
        self.on(fd, |fd| op::read_fixed(fd, offset, index))
            .with(buf, into)
            .transfers(Transfer::READ)
    }

    /// As [`write_at`](Self::write_at), from a buffer of the pool's, as
    /// [`read_fixed`](Self::read_fixed). See
    /// [io_uring_prep_write_fixed(3)](https://man7.org/linux/man-pages/man3/io_uring_prep_write_fixed.3.html).
    #[doc(alias = "IORING_OP_WRITE_FIXED")]
    #[inline(always)]
    pub fn write_fixed(
        &mut self,
        fd: &'fd impl Target,
        buf: B,
        offset: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: Buf,
    {
        let Some(index) = self.registered(&buf) else { return self.write_at(fd, buf, offset) };
        self.on(fd, |fd| op::write_fixed(fd, offset, index))
            .with(buf, from)
            .transfers(Transfer::WRITE)
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
    pub fn readv_at(
        &mut self,
        fd: &'fd impl Target,
        bufs: B,
        offset: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufVecMut,
    {
        self.on(fd, |fd| op::readv(fd, offset))
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
        fd: &'fd impl Target,
        bufs: B,
        offset: u64,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufVec,
    {
        self.on(fd, |fd| op::writev(fd, offset))
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
    pub fn fsync(&mut self, file: &impl Shared) -> Prepared<'_, 'r, 'fd, B> {
        self.on_shared(file, |fd| op::fsync(fd, false))
    }

    /// As [`fsync`](Self::fsync), but only the metadata that reading the data back needs, as
    /// [fdatasync(2)](https://man7.org/linux/man-pages/man2/fdatasync.2.html) does
    /// (`IORING_FSYNC_DATASYNC`).
    #[doc(alias = "IORING_FSYNC_DATASYNC")]
    pub fn fdatasync(&mut self, file: &impl Shared) -> Prepared<'_, 'r, 'fd, B> {
        self.on_shared(file, |fd| op::fsync(fd, true))
    }

    /// Writes dirty pages of `len` bytes from `offset` on, or of all from there if `len` is 0, as
    /// [sync_file_range(2)](https://man7.org/linux/man-pages/man2/sync_file_range.2.html) does. No
    /// metadata: it makes nothing durable.
    #[doc(alias = "IORING_OP_SYNC_FILE_RANGE")]
    pub fn sync_file_range(
        &mut self,
        file: &impl Shared,
        offset: u64,
        len: u32,
        what: SyncRange,
    ) -> Prepared<'_, 'r, 'fd, B> {
        self.on_shared(file, |fd| op::sync_file_range(fd, offset, len, what.bits()))
    }

    /// Allocates, frees or zeroes `len` bytes from `offset` on, as
    /// [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html) does.
    #[doc(alias = "IORING_OP_FALLOCATE")]
    pub fn fallocate(
        &mut self,
        file: &impl Shared,
        mode: Fallocate,
        offset: u64,
        len: u64,
    ) -> Prepared<'_, 'r, 'fd, B> {
        self.on_shared(file, |fd| op::fallocate(fd, mode.bits(), offset, len))
    }

    /// Tells how `len` bytes from `offset` on, or all from there if `len` is 0, will be used, as
    /// [posix_fadvise(2)](https://man7.org/linux/man-pages/man2/posix_fadvise.2.html) does.
    #[doc(alias = "IORING_OP_FADVISE")]
    pub fn fadvise(
        &mut self,
        file: &impl Shared,
        offset: u64,
        len: u32,
        advice: Advice,
    ) -> Prepared<'_, 'r, 'fd, B> {
        self.on_shared(file, |fd| op::fadvise(fd, offset, len, advice.number()))
    }

    /// Moves at most `len` bytes from one descriptor to another, one of them a pipe, as
    /// [splice(2)](https://man7.org/linux/man-pages/man2/splice.2.html) does. Offsets are bytes,
    /// or `None` for the file's own position, as pipes must have. The completion's result is the
    /// number of bytes moved.
    #[doc(alias = "IORING_OP_SPLICE")]
    pub fn splice(
        &mut self,
        (from, from_offset): (&impl Shared, Option<u64>),
        (to, to_offset): (&impl Shared, Option<u64>),
        len: u32,
        flags: SpliceFlags,
    ) -> Prepared<'_, 'r, 'fd, B> {
        // That the first end is a registered file is said among these.
        const FROM_REGISTERED: u32 = 1 << 31;
        let mut bits = flags.intersection(SpliceFlags::all()).bits();
        if from.registered().is_some() {
            bits |= FROM_REGISTERED;
        }
        let refused = self.missing(from);
        let source = from.owner();
        let end = |number, offset: Option<u64>| (number, offset.unwrap_or(u64::MAX));
        let from = end(source.number(), from_offset);
        let mut prepared = self.on_shared(to, |to| op::splice(from, end(to, to_offset), len, bits));
        prepared.request.extra = prepared.request.extra.keeping(source);
        prepared.refused = prepared.refused.or(refused);
        prepared
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
