//! The queues without the table, by every route that there is.
#![allow(unsafe_code)]

mod common;

use common::rings::rings;
use common::{config, wide_entries};
use uring_pool::{Cause, RawQueues, Ring, RingConfig, sys};

fn nop(user_data: u64) -> sys::io_uring_sqe {
    let mut sqe = sys::io_uring_sqe::default();
    // SAFETY: it only fills the SQE.
    unsafe { sys::io_uring_prep_nop(&mut sqe) };
    sqe.user_data = user_data;
    sqe
}

fn push(queues: &mut RawQueues<'_>, user_data: u64) -> Result<(), Cause> {
    // SAFETY: a NOP points to nothing.
    unsafe { queues.push(&nop(user_data)) }
}

fn raw(ring: &mut Ring<()>) -> RawQueues<'_> {
    // SAFETY: whatever is submitted is reaped before it is dropped.
    unsafe { ring.raw_queues() }
}

/// Fills both queues and empties them, over and over, from here on.
fn drive(ring: &mut Ring<()>, rounds: u64) {
    let (sq, cq) = (ring.sq_len(), ring.cq_len());
    let mut queues = raw(ring);
    for round in 0..rounds {
        for i in 0..sq {
            assert_eq!(queues.room(), sq - i);
            push(&mut queues, round << 32 | u64::from(i)).unwrap();
        }
        assert_eq!(push(&mut queues, 0), Err(Cause::SubmissionFull { entries: sq }));
        assert_eq!(queues.submit_and_wait(sq).unwrap(), sq);
        assert_eq!(queues.room(), sq);
        // Some stay until the next time.
        let some: Vec<u64> =
            queues.reap().take(sq as usize / 2).map(|done| done.user_data).collect();
        let rest = queues.reap().map(|done| {
            assert_eq!((done.result, done.flags), (0, 0));
            done.user_data
        });
        assert!(some.into_iter().chain(rest).eq((0..u64::from(sq)).map(|i| round << 32 | i)));
        assert_eq!(queues.reap().count(), 0);
    }
    assert!(cq >= sq);
}

fn of(config: RingConfig) {
    for mut ring in rings::<()>(config) {
        drive(&mut ring, 50);
        // What is pushed and not submitted is never seen, and the safe door goes on.
        let mut queues = raw(&mut ring);
        push(&mut queues, 1).unwrap();
        drop(queues);
        let mut batch = ring.batch();
        batch.nop().tag(7).push().unwrap();
        assert_eq!(batch.submit().unwrap(), 1);
        assert!(ring.wait(1).unwrap().map(|done| done.tag).eq([7]));
        // So with what is forgotten, before and here.
        let mut batch = ring.batch();
        batch.nop().tag(8).push().unwrap();
        std::mem::forget(batch);
        let mut queues = raw(&mut ring);
        push(&mut queues, 2).unwrap();
        std::mem::forget(queues);
        assert_eq!(ring.in_flight(), 0);
        drive(&mut ring, 1);
    }
}

#[test]
fn both_queues_go_round_and_hold_what_was_pushed_in_order() {
    of(config(1));
    of(config(8));
}

#[test]
fn wide_entries_go_round_too() {
    if wide_entries() {
        of(config(8).sqe128().cqe32());
        of(config(8).sqe128());
        of(config(8).cqe32());
    }
}

#[test]
fn an_errors_number_is_told() {
    for mut ring in rings::<()>(config(2)) {
        let mut queues = raw(&mut ring);
        let mut sqe = nop(3);
        sqe.opcode = 255;
        // SAFETY: no kernel knows the operation.
        unsafe { queues.push(&sqe) }.unwrap();
        queues.submit_and_wait(1).unwrap();
        let done: Vec<_> = queues.reap().map(|done| (done.user_data, done.result)).collect();
        assert_eq!(done, [(3, -nix::libc::EINVAL)]);
    }
}
