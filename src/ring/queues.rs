//! The two queues, over the memory that is shared with the kernel.
//!
//! Heads and tails are counters that wrap; only their differences mean anything. The ordering is
//! liburing's: a CQ tail is loaded with acquire before the entries are read, a CQ head is stored
//! with release after, and the SQ needs no more than that on a ring without a kernel thread that
//! submits (`IORING_SETUP_SQPOLL`, which this crate does not offer).
//!
//! This room may hold `unsafe`: it reads and writes entries that are shared with the kernel. It
//! guarantees that no index leaves them, whatever stands in the shared memory, and that an entry is
//! touched only by the side whose it is.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::op::Sqe;
use crate::config::RingConfig;
use liburing_sys as sys;

/// A completion, as the kernel writes it (`struct io_uring_cqe` without the second half of
/// `CQE32`).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Cqe {
    pub(super) user_data: u64,
    pub(super) res: i32,
    pub(super) flags: u32,
}

/// Both are powers of two.
const _: () = assert!(size_of::<Cqe>() == 16 && size_of::<Sqe>() == 64);
const _: () = assert!(align_of::<Cqe>() <= 8 && align_of::<Sqe>() <= 8);

/// The entries of one queue, a power of two of them.
#[derive(Debug)]
pub(super) struct Entries<T> {
    first: NonNull<T>,
    /// How many there are, less one.
    pub(super) mask: u32,
    /// Bytes of one, as a power of two.
    shift: u32,
}

impl<T> Clone for Entries<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entries<T> {}

impl<T> Entries<T> {
    /// `len` of them, each twice as long as a `T` if `wider` is 1.
    fn new(first: *mut T, len: u32, wider: u32) -> Self {
        let first = NonNull::new(first).expect("an open ring has entries");
        Self { first, mask: len - 1, shift: size_of::<T>().ilog2() + wider }
    }

    /// Whether one is longer than a `T`.
    #[inline]
    pub(super) fn are_wide(&self) -> bool {
        self.shift != const { size_of::<T>().ilog2() }
    }

    /// The entry of this number; numbers wrap, the array maps entries one to one.
    #[inline]
    pub(super) fn at(&self, number: u32) -> NonNull<T> {
        let offset = ((number & self.mask) as usize) << self.shift;
        // SAFETY: there are `mask + 1` entries of so many bytes.
        unsafe { self.first.byte_add(offset) }
    }
}

/// Where the queues are. Lengths, which are powers of two, are kept here, less one, and not read from
/// the shared memory again, so that no index can leave the arrays, whoever writes there.
#[derive(Debug)]
pub(crate) struct Queues {
    sq_head: NonNull<AtomicU32>,
    sq_tail: NonNull<AtomicU32>,
    sq_flags: NonNull<AtomicU32>,
    sqes: Entries<Sqe>,
    cq_head: NonNull<AtomicU32>,
    cq_tail: NonNull<AtomicU32>,
    cqes: Entries<Cqe>,
}

// SAFETY: addresses of shared memory, bound to no thread; the ring they belong to has one user.
unsafe impl Send for Queues {}
// SAFETY: through `&Queues` only atomics are read.
unsafe impl Sync for Queues {}

impl Queues {
    /// The queues of an open ring. They may be used while that ring is open, and not longer: both
    /// lie in one [`Held`].
    pub(super) fn new(raw: &sys::io_uring, config: &RingConfig) -> Self {
        let word = |at: *mut u32| NonNull::new(at).expect("an open ring has queues").cast();
        Self {
            sq_head: word(raw.sq.khead),
            sq_tail: word(raw.sq.ktail),
            sq_flags: word(raw.sq.kflags),
            sqes: Entries::new(raw.sq.sqes.cast(), config.sq_len(), config.sqe_shift()),
            cq_head: word(raw.cq.khead),
            cq_tail: word(raw.cq.ktail),
            cqes: Entries::new(raw.cq.cqes.cast(), config.cq_len(), config.cqe_shift()),
        }
    }

    #[inline]
    pub(super) fn sq_len(&self) -> u32 {
        self.sqes.mask + 1
    }

    /// Whether so many SQEs are all that there are.
    #[inline]
    pub(super) fn is_filled_by(&self, sqes: u32) -> bool {
        sqes > self.sqes.mask
    }

    #[inline]
    pub(super) fn cq_len(&self) -> u32 {
        self.cqes.mask + 1
    }

    #[inline]
    fn atomic(&self, at: NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: the word lies in the rings of an open ring, aligned, and both sides access it
        // atomically.
        unsafe { at.as_ref() }
    }

    /// Starts from what the shared memory says: nothing prepared, no completion waiting. Left-over
    /// entries are a dead user's; the kernel reads the SQ only while somebody submits.
    #[inline]
    pub(super) fn resync(&mut self, raw: &mut sys::io_uring) {
        let head = self.atomic(self.sq_head).load(Acquire);
        self.rewind(raw, head);
        let tail = self.atomic(self.cq_tail).load(Acquire);
        self.atomic(self.cq_head).store(tail, Release);
    }

    /// Whether an SQE is free.
    #[inline]
    fn sq_has_room(&self, raw: &sys::io_uring) -> bool {
        let head = self.atomic(self.sq_head).load(Acquire);
        raw.sq.sqe_tail.wrapping_sub(head) < self.sq_len()
    }

    /// Puts an SQE behind the others; the kernel sees it when it is submitted. The caller has
    /// made sure of room.
    #[inline(always)]
    pub(super) fn prepare(&mut self, raw: &mut sys::io_uring, sqe: Sqe) {
        debug_assert!(self.sq_has_room(raw));
        let at = self.sqes.at(raw.sq.sqe_tail);
        // SAFETY: the address is that of an SQE slot, aligned and inside the SQEs; the kernel
        // does not read it before the tail is moved past it.
        unsafe { at.write(sqe) };
        if self.sqes.are_wide() {
            // SAFETY: with SQE128 a slot is two SQEs long.
            let second = unsafe { at.add(1) };
            // SAFETY: as above, its second half.
            unsafe { second.write(Sqe::default()) };
        }
        raw.sq.sqe_tail = raw.sq.sqe_tail.wrapping_add(1);
    }

    /// Takes every SQE back that the kernel has not consumed, and tells their `user_data`: those
    /// only prepared, and those that a submission left over.
    pub(super) fn take_back(&mut self, raw: &mut sys::io_uring, mut each: impl FnMut(u64)) {
        let head = self.atomic(self.sq_head).load(Acquire);
        let end = raw.sq.sqe_tail;
        // A relative may have moved the head far past what this copy of the struct knows.
        let count = end.wrapping_sub(head);
        if count <= self.sq_len() {
            for i in 0..count {
                let at = self.sqes.at(head.wrapping_add(i));
                // SAFETY: an SQE slot inside the SQEs; unconsumed, so it is ours to read.
                each(unsafe { at.read() }.user_data);
            }
        }
        self.rewind(raw, head);
    }

    /// Nothing is prepared behind what the kernel has consumed.
    #[inline]
    fn rewind(&self, raw: &mut sys::io_uring, head: u32) {
        raw.sq.sqe_head = head;
        raw.sq.sqe_tail = head;
        if self.atomic(self.sq_tail).load(Relaxed) != head {
            self.atomic(self.sq_tail).store(head, Release);
        }
    }

    /// Shows the kernel all SQEs that are prepared, and returns how many it has not consumed.
    #[inline]
    pub(super) fn publish(&mut self, raw: &mut sys::io_uring) -> u32 {
        // liburing's own mark of what it has shown.
        raw.sq.sqe_head = raw.sq.sqe_tail;
        self.atomic(self.sq_tail).store(raw.sq.sqe_tail, Release);
        self.sq_left(raw)
    }

    /// SQEs that a submission left unconsumed.
    #[inline]
    pub(super) fn sq_left(&self, raw: &sys::io_uring) -> u32 {
        raw.sq.sqe_tail.wrapping_sub(self.atomic(self.sq_head).load(Acquire))
    }

    /// `IORING_SQ_*`, as the kernel last set them.
    #[inline]
    pub(super) fn flags(&self) -> u32 {
        self.atomic(self.sq_flags).load(Relaxed)
    }

    /// Completions that can be reaped.
    #[inline]
    pub(super) fn cq_ready(&self) -> u32 {
        self.cq_waiting().1
    }

    /// The completions that can be reaped, oldest first; they stay.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Cqe> + '_ {
        let (head, ready) = self.cq_waiting();
        (0..ready.min(self.cq_len())).map(move |i| self.cqe(head.wrapping_add(i)))
    }

    /// The completion of this number, which waits: it lies between head and tail.
    #[inline]
    fn cqe(&self, number: u32) -> Cqe {
        // SAFETY: the kernel wrote this entry before it moved the tail, which was loaded with
        // acquire, and does not write it again before the head is moved past it.
        unsafe { self.cqes.at(number).read() }
    }

    /// The number of the oldest completion, and how many can be reaped.
    #[inline]
    pub(super) fn cq_waiting(&self) -> (u32, u32) {
        let head = self.atomic(self.cq_head).load(Relaxed);
        (head, self.atomic(self.cq_tail).load(Acquire).wrapping_sub(head))
    }

    /// Every completion before this number may be overwritten.
    #[inline]
    pub(super) fn reaped_up_to(&mut self, number: u32) {
        self.atomic(self.cq_head).store(number, Release);
    }

    #[inline]
    pub(super) fn sqes(&self) -> Entries<Sqe> {
        self.sqes
    }

    #[inline]
    pub(super) fn cqes(&self) -> Entries<Cqe> {
        self.cqes
    }

    /// Reaps the oldest completion. The caller has seen that there is one: [`cq_ready`](Self::cq_ready).
    #[inline(always)]
    pub(super) fn reap(&mut self) -> Cqe {
        let head = self.atomic(self.cq_head).load(Relaxed);
        let cqe = self.cqe(head);
        self.reaped_up_to(head.wrapping_add(1));
        cqe
    }
}

#[cfg(test)]
mod tests;
