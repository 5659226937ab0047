//! SQEs as this crate fills them: the kernel's layout, whatever headers it was built with.

use std::os::fd::RawFd;

use crate::operations::Operation;

/// `struct io_uring_sqe`. liburing's headers spell its unions differently from release to release;
/// the bytes are the kernel's ABI and do not change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Sqe {
    pub(super) opcode: u8,
    pub(super) flags: u8,
    pub(super) ioprio: u16,
    pub(super) fd: i32,
    pub(super) off: u64,
    pub(super) addr: u64,
    pub(super) len: u32,
    pub(super) op_flags: u32,
    pub(super) user_data: u64,
    pub(super) buf_index: u16,
    pub(super) personality: u16,
    pub(super) splice_fd_in: i32,
    pub(super) addr3: u64,
    pub(super) pad: u64,
}

const _: () = assert!(size_of::<Sqe>() == size_of::<liburing_sys::io_uring_sqe>());

/// `IORING_FSYNC_DATASYNC`.
const FSYNC_DATASYNC: u32 = 1;

/// Its own descriptor, or none.
const NO_FD: RawFd = -1;

impl Sqe {
    #[inline]
    const fn new(op: Operation, fd: RawFd) -> Self {
        Self {
            opcode: op as u8,
            flags: 0,
            ioprio: 0,
            fd,
            off: 0,
            addr: 0,
            len: 0,
            op_flags: 0,
            user_data: 0,
            buf_index: 0,
            personality: 0,
            splice_fd_in: 0,
            addr3: 0,
            pad: 0,
        }
    }

    /// The same with its buffer: an address and bytes, or a number of pieces.
    #[inline]
    pub(super) fn at(self, addr: u64, len: u32) -> Self {
        Self { addr, len, ..self }
    }
}

#[inline]
pub(super) fn nop() -> Sqe {
    Sqe::new(Operation::Nop, NO_FD)
}

#[inline]
pub(super) fn read(fd: RawFd, off: u64) -> Sqe {
    Sqe { off, ..Sqe::new(Operation::Read, fd) }
}

#[inline]
pub(super) fn write(fd: RawFd, off: u64) -> Sqe {
    Sqe { off, ..Sqe::new(Operation::Write, fd) }
}

/// Of a registered buffer, which the bytes lie in.
#[inline]
pub(super) fn read_fixed(fd: RawFd, off: u64, buf_index: u16) -> Sqe {
    Sqe { off, buf_index, ..Sqe::new(Operation::ReadFixed, fd) }
}

#[inline]
pub(super) fn write_fixed(fd: RawFd, off: u64, buf_index: u16) -> Sqe {
    Sqe { off, buf_index, ..Sqe::new(Operation::WriteFixed, fd) }
}

#[inline]
pub(super) fn readv(fd: RawFd, off: u64) -> Sqe {
    Sqe { off, ..Sqe::new(Operation::Readv, fd) }
}

#[inline]
pub(super) fn writev(fd: RawFd, off: u64) -> Sqe {
    Sqe { off, ..Sqe::new(Operation::Writev, fd) }
}

#[inline]
pub(super) fn fsync(fd: RawFd, data_only: bool) -> Sqe {
    let op_flags = if data_only { FSYNC_DATASYNC } else { 0 };
    Sqe { op_flags, ..Sqe::new(Operation::Fsync, fd) }
}

#[inline]
pub(super) fn sync_file_range(fd: RawFd, off: u64, len: u32, op_flags: u32) -> Sqe {
    Sqe { off, len, op_flags, ..Sqe::new(Operation::SyncFileRange, fd) }
}

/// The length goes where addresses go, the mode where lengths do.
#[inline]
pub(super) fn fallocate(fd: RawFd, mode: u32, off: u64, len: u64) -> Sqe {
    Sqe { off, ..Sqe::new(Operation::Fallocate, fd) }.at(len, mode)
}

#[inline]
pub(super) fn fadvise(fd: RawFd, off: u64, len: u32, op_flags: u32) -> Sqe {
    Sqe { off, len, op_flags, ..Sqe::new(Operation::Fadvise, fd) }
}

#[inline]
pub(super) fn openat(dir: RawFd, path: u64, op_flags: u32, mode: u32) -> Sqe {
    Sqe { op_flags, ..Sqe::new(Operation::Openat, dir) }.at(path, mode)
}

#[inline]
pub(super) fn close(fd: RawFd) -> Sqe {
    Sqe::new(Operation::Close, fd)
}

/// The addresses of the path and of what is to be filled come later.
#[inline]
pub(super) fn statx(dir: RawFd, op_flags: u32, mask: u32) -> Sqe {
    Sqe { op_flags, len: mask, ..Sqe::new(Operation::Statx, dir) }
}

#[inline]
pub(super) fn poll(fd: RawFd, events: u32) -> Sqe {
    // The kernel wants the 16 bits of old in front.
    let op_flags = if cfg!(target_endian = "big") { events.rotate_left(16) } else { events };
    Sqe { op_flags, ..Sqe::new(Operation::PollAdd, fd) }
}

#[inline]
pub(super) fn accept(fd: RawFd, op_flags: u32) -> Sqe {
    Sqe { op_flags, ..Sqe::new(Operation::Accept, fd) }
}

#[inline]
pub(super) fn connect(fd: RawFd, addr: u64, len: u32) -> Sqe {
    Sqe { addr, off: len.into(), ..Sqe::new(Operation::Connect, fd) }
}

#[inline]
pub(super) fn send(fd: RawFd, op_flags: u32) -> Sqe {
    Sqe { op_flags, ..Sqe::new(Operation::Send, fd) }
}

#[inline]
pub(super) fn recv(fd: RawFd, op_flags: u32) -> Sqe {
    Sqe { op_flags, ..Sqe::new(Operation::Recv, fd) }
}

/// One end of a splice: a descriptor, and where in it; `u64::MAX` for its own position.
pub(super) type End = (RawFd, u64);

/// Where it comes from goes where addresses go.
#[inline]
pub(super) fn splice(from: End, to: End, len: u32, op_flags: u32) -> Sqe {
    let splice_fd_in = from.0;
    Sqe { off: to.1, op_flags, splice_fd_in, ..Sqe::new(Operation::Splice, to.0) }.at(from.1, len)
}

/// Ends after so many completions, or when the time is over, whose address comes later.
#[inline]
pub(super) fn timeout(completions: u32) -> Sqe {
    Sqe { off: completions.into(), len: 1, ..Sqe::new(Operation::Timeout, NO_FD) }
}

#[inline]
pub(super) fn link_timeout() -> Sqe {
    Sqe { len: 1, ..Sqe::new(Operation::LinkTimeout, NO_FD) }
}

/// Cancels the request that has `target` as its `user_data`.
#[inline]
pub(super) fn cancel(target: u64) -> Sqe {
    Sqe { addr: target, ..Sqe::new(Operation::AsyncCancel, NO_FD) }
}

/// Cancels all that is under way on the ring (`IORING_ASYNC_CANCEL_ALL | _ANY`, Linux 5.19).
#[inline]
pub(super) fn cancel_any() -> Sqe {
    const ALL: u32 = 1 << 0;
    const ANY: u32 = 1 << 2;
    Sqe { op_flags: ALL | ANY, ..cancel(0) }
}

#[cfg(test)]
pub(super) mod tests;
