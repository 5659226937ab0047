//! What C inlines of liburing, written in Rust over the struct that the raw door gives: what is left of the
//! bound functions' cost when nothing is called.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use uring_pool::sys;

/// `struct io_uring_sqe`: the kernel's ABI.
#[derive(Debug, Clone, Copy, Default)]
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
    pub(super) rest: [u64; 3],
}

const _: () = assert!(size_of::<Sqe>() == size_of::<sys::io_uring_sqe>());

/// `struct io_uring_cqe`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Cqe {
    pub(super) user_data: u64,
    pub(super) res: i32,
    pub(super) flags: u32,
}

/// `io_uring_get_sqe`, and filling it; false if there is none.
///
/// # Safety
/// The ring is open, of plain SQEs, and used by nobody else meanwhile. What the request needs stays until it
/// completes.
#[inline]
pub(super) unsafe fn push(ring: &mut sys::io_uring, entry: Sqe) -> bool {
    let sq = &mut ring.sq;
    // SAFETY: the kernel's counter, in the memory of an open ring.
    let head = unsafe { AtomicU32::from_ptr(sq.khead) }.load(Acquire);
    if sq.sqe_tail.wrapping_sub(head) >= super::ENTRIES {
        return false;
    }
    let index = sq.sqe_tail & (super::ENTRIES - 1);
    // SAFETY: the index is below the number of SQEs.
    let at = unsafe { sq.sqes.add(index as usize) };
    // SAFETY: an SQE that is free, of the same size.
    unsafe { at.cast::<Sqe>().write(entry) };
    sq.sqe_tail = sq.sqe_tail.wrapping_add(1);
    true
}

/// `io_uring_for_each_cqe` and `io_uring_cq_advance`. The first negative number that `each` returns, if any.
///
/// # Safety
/// As [`push`].
#[inline]
pub(super) unsafe fn reap(ring: &mut sys::io_uring, mut each: impl FnMut(Cqe) -> i32) -> i32 {
    let cq = &mut ring.cq;
    // SAFETY: counters in the memory of an open ring.
    let (head_at, tail_at) = (unsafe { AtomicU32::from_ptr(cq.khead) }, cq.ktail);
    // SAFETY: as above.
    let tail = unsafe { AtomicU32::from_ptr(tail_at) }.load(Acquire);
    // SAFETY: as above; it does not change.
    let mask = unsafe { *cq.kring_mask };
    let mut head = head_at.load(Relaxed);
    let mut failed = 0;
    while head != tail {
        // SAFETY: the index is below the number of CQEs.
        let at = unsafe { cq.cqes.add((head & mask) as usize) };
        // SAFETY: the kernel wrote it before it moved the tail.
        let result = each(unsafe { at.cast::<Cqe>().read() });
        failed = if failed < 0 { failed } else { result.min(0) };
        head = head.wrapping_add(1);
    }
    head_at.store(head, Release);
    failed
}
