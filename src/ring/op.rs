//! SQEs as this crate fills them: the kernel's layout, whatever headers it was built with.

use std::os::fd::RawFd;

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

/// `enum io_uring_op`.
const OP_NOP: u8 = 0;
const OP_FSYNC: u8 = 3;
const OP_ASYNC_CANCEL: u8 = 14;
const OP_READ: u8 = 22;
const OP_WRITE: u8 = 23;

/// `IORING_FSYNC_DATASYNC`.
const FSYNC_DATASYNC: u32 = 1;

/// An operation, without its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Nop,
    Fsync { fd: RawFd, data_only: bool },
    Read { fd: RawFd, offset: u64 },
    Write { fd: RawFd, offset: u64 },
}

impl Op {
    /// The SQE, with the buffer's address and length where the operation has one.
    pub(super) fn sqe(self, addr: u64, len: u32, user_data: u64) -> Sqe {
        let none = Sqe { user_data, ..Sqe::default() };
        match self {
            Op::Nop => Sqe { opcode: OP_NOP, fd: -1, ..none },
            Op::Fsync { fd, data_only } => {
                let op_flags = if data_only { FSYNC_DATASYNC } else { 0 };
                Sqe { opcode: OP_FSYNC, fd, op_flags, ..none }
            }
            Op::Read { fd, offset } => Sqe { opcode: OP_READ, fd, off: offset, addr, len, ..none },
            Op::Write { fd, offset } => {
                Sqe { opcode: OP_WRITE, fd, off: offset, addr, len, ..none }
            }
        }
    }
}

/// Cancels the request that has `target` as its `user_data`.
pub(super) fn cancel(target: u64, user_data: u64) -> Sqe {
    Sqe { opcode: OP_ASYNC_CANCEL, fd: -1, addr: target, user_data, ..Sqe::default() }
}

/// Cancels all that is under way on the ring (`IORING_ASYNC_CANCEL_ALL | _ANY`, Linux 5.19).
pub(super) fn cancel_any(user_data: u64) -> Sqe {
    const ALL: u32 = 1 << 0;
    const ANY: u32 = 1 << 2;
    Sqe { op_flags: ALL | ANY, ..cancel(0, user_data) }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;
    use liburing_sys as sys;
    use proptest::prelude::*;

    /// The SQE that one of liburing's `prep` functions fills, from a slot full of old bytes.
    fn theirs(user_data: u64, prep: impl FnOnce(*mut sys::io_uring_sqe)) -> Sqe {
        let mut sqe = Sqe { pad: 0, addr3: 0, ..Sqe::default() };
        let at = std::ptr::from_mut(&mut sqe);
        prep(at.cast());
        // SAFETY: `at` is a local of the same size, layout and lifetime.
        unsafe { (*at).user_data = user_data };
        sqe
    }

    proptest! {
        #[test]
        fn each_sqe_is_byte_for_byte_what_liburing_fills(
            fd in any::<i32>(), offset in any::<u64>(), addr in any::<u64>(), len in any::<u32>(),
            user_data in any::<u64>(),
        ) {
            let buf = std::ptr::without_provenance_mut(addr as usize);
            let nop = theirs(user_data, |s| {
                // SAFETY: it only fills the SQE it is given.
                unsafe { sys::io_uring_prep_nop(s) }
            });
            prop_assert_eq!(Op::Nop.sqe(0, 0, user_data), nop);

            let read = theirs(user_data, |s| {
                // SAFETY: as above; the buffer's address is copied, not followed. (The offset's
                // type is another in liburing 2.0.)
                unsafe { sys::io_uring_prep_read(s, fd, buf, len, offset as _) }
            });
            prop_assert_eq!(Op::Read { fd, offset }.sqe(addr, len, user_data), read);

            let write = theirs(user_data, |s| {
                // SAFETY: as above.
                unsafe { sys::io_uring_prep_write(s, fd, buf, len, offset as _) }
            });
            prop_assert_eq!(Op::Write { fd, offset }.sqe(addr, len, user_data), write);

            for data_only in [false, true] {
                let flags = if data_only { sys::IORING_FSYNC_DATASYNC } else { 0 };
                let fsync = theirs(user_data, |s| {
                    // SAFETY: as above.
                    unsafe { sys::io_uring_prep_fsync(s, fd, flags) }
                });
                prop_assert_eq!(Op::Fsync { fd, data_only }.sqe(addr, len, user_data), fsync);
            }
        }
    }
}
