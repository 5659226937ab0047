//! Both queues of a ring for requests that the program itself answers for: what C has, in Rust.
//!
//! Nothing is kept of a request, and nothing is looked up: the SQE goes into its place, and the
//! completion comes out as the kernel wrote it. Counters and addresses are copied, so that they stay
//! in registers: what is shared is written when a batch is submitted, and when one is reaped.
//!
//! This room may hold `unsafe`: it writes SQEs of its caller's. It guarantees what `queues` does, and
//! that what was not submitted the kernel never sees.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use liburing_sys as sys;

use super::queues::{Cqe, Entries};
use super::{Held, Ring, op::Sqe, system};
use crate::error::{Cause, Result};

/// The queues of a ring, from [`Ring::raw_queues`]. What is pushed and not submitted when this is
/// dropped, the kernel never sees.
#[derive(Debug)]
pub struct RawQueues<'r> {
    held: &'r mut Held,
    sqes: Entries<Sqe>,
    /// The number of the next SQE, and how many can be pushed before a submission.
    tail: u32,
    room: u32,
}

/// A completion as the kernel wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawCompletion {
    /// The request's `user_data`.
    pub user_data: u64,
    /// What its operation returned, or the negative number of its error.
    pub result: i32,
    /// `IORING_CQE_F_*`.
    pub flags: u32,
}

impl<B: 'static> Ring<B> {
    /// Both queues, for requests that this crate keeps nothing of: as cheap as liburing's inline
    /// functions from C, whatever the release.
    ///
    /// # Safety
    /// As for [`as_raw`](Self::as_raw): completions of requests made through
    /// [`Batch`](crate::Batch) are not reaped here, and none of one's own is left behind; nor is an SQE
    /// that a submission left over, by forgetting the queues.
    #[inline]
    pub unsafe fn raw_queues(&mut self) -> RawQueues<'_> {
        self.drop_prepared();
        let held = &mut **self.held;
        let sqes = held.queues.sqes();
        let tail = held.ring.raw().sq.sqe_tail;
        RawQueues { sqes, tail, room: sqes.mask + 1, held }
    }
}

impl RawQueues<'_> {
    /// Puts an SQE behind the others. With [`sqe128`](crate::RingConfig::sqe128), its second half
    /// is zeroes.
    ///
    /// # Safety
    /// What the SQE points to stays valid for as long as the kernel uses it, and its descriptor open
    /// until the kernel has looked it up.
    ///
    /// # Errors
    /// [`Cause::SubmissionFull`]: submit what is there.
    #[inline(always)]
    pub unsafe fn push(&mut self, sqe: &sys::io_uring_sqe) -> Result<(), Cause> {
        if self.room == 0 {
            return Err(Cause::SubmissionFull { entries: self.sqes.mask + 1 });
        }
        let at: NonNull<Sqe> = self.sqes.at(self.tail);
        // SAFETY: the kernel's struct, whatever its headers call the fields, is 64 bytes of integers
        // in this layout.
        let sqe = unsafe { std::ptr::from_ref(sqe).cast::<Sqe>().read() };
        // SAFETY: a slot inside the SQEs, which the kernel does not read before the tail is moved.
        unsafe { at.write(sqe) };
        if self.sqes.are_wide() {
            // SAFETY: with SQE128 a slot is two SQEs long.
            let second = unsafe { at.add(1) };
            // SAFETY: as above, its second half.
            unsafe { second.write(Sqe::default()) };
        }
        self.tail = self.tail.wrapping_add(1);
        self.room -= 1;
        Ok(())
    }

    /// SQEs that can be pushed before the next submission.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.room
    }

    /// Submits what is pushed, and waits until `n` completions are there, as
    /// [io_uring_submit_and_wait(3)](https://man7.org/linux/man-pages/man3/io_uring_submit_and_wait.3.html)
    /// does. Returns how many SQEs the kernel consumed; the others stay.
    ///
    /// # Errors
    /// As [`Ring::wait`]. A signal may end it before anything is submitted, or before there are as
    /// many completions: then it is to be called again.
    #[inline]
    pub fn submit_and_wait(&mut self, n: u32) -> Result<u32> {
        self.held.ring.raw_mut().sq.sqe_tail = self.tail;
        let submitted = self.held.submit_and_wait(n);
        let left = self.held.queues.sq_left(self.held.ring.raw());
        self.room = (self.sqes.mask + 1).saturating_sub(left);
        submitted.map_err(|errno| system("cannot submit requests", errno))
    }

    /// The completions that are there, without asking the kernel: where it waits for that (deferred
    /// task work, a queue that overflew), [`submit_and_wait`](Self::submit_and_wait) has it post them.
    /// Each one taken frees its place in the queue, at the latest
    /// when this is dropped; those not taken stay.
    #[inline]
    pub fn reap(&mut self) -> RawCompletions<'_> {
        let cqes = self.held.queues.cqes();
        let (head, ready) = self.held.queues.cq_waiting();
        let left = ready.min(cqes.mask + 1);
        RawCompletions { held: self.held, cqes, head, end: head.wrapping_add(left) }
    }
}

impl Drop for RawQueues<'_> {
    #[inline]
    fn drop(&mut self) {
        // What is behind the kernel's head was not submitted.
        self.held.ring.raw_mut().sq.sqe_tail = self.tail;
        if self.held.queues.sq_left(self.held.ring.raw()) != 0 {
            let Held { ring, queues, .. } = &mut *self.held;
            queues.take_back(ring.raw_mut(), |_| {});
        }
    }
}

/// Completions that are there, from [`RawQueues::reap`].
#[derive(Debug)]
#[must_use = "completions stay in the ring until they are taken"]
pub struct RawCompletions<'q> {
    held: &'q mut Held,
    cqes: Entries<Cqe>,
    head: u32,
    end: u32,
}

impl Iterator for RawCompletions<'_> {
    type Item = RawCompletion;

    #[inline(always)]
    fn next(&mut self) -> Option<RawCompletion> {
        if self.head == self.end {
            return None;
        }
        // SAFETY: the kernel wrote this entry before it moved the tail, which was loaded with
        // acquire, and does not write it again before the head is moved past it.
        let Cqe { user_data, res, flags } = unsafe { self.cqes.at(self.head).read() };
        self.head = self.head.wrapping_add(1);
        Some(RawCompletion { user_data, result: res, flags })
    }
}

impl Drop for RawCompletions<'_> {
    #[inline]
    fn drop(&mut self) {
        self.held.queues.reaped_up_to(self.head);
    }
}
