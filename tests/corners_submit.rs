//! Submission that stops half-way, by every route that there is.
#![allow(unsafe_code)]

mod common;

use common::rings::{all, number, rings};
use common::sanitizer::{VALGRIND, left_out};
use common::{config, in_child, seccomp};
use nix::errno::Errno;
use uring_pool::{Ring, sys};

/// No operation of the kernel's, at which it stops taking SQEs.
fn no_operation() -> sys::io_uring_sqe {
    sys::io_uring_sqe { opcode: 255, ..Default::default() }
}

#[test]
fn a_request_that_the_kernel_does_not_know_stops_none_of_the_others() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let mut batch = ring.batch();
        batch.nop().tag(1).push().unwrap();
        // SAFETY: it points to nothing.
        unsafe { batch.push_raw(&no_operation(), 2, Some(vec![2])) }.unwrap();
        batch.nop().tag(3).push().unwrap();
        assert_eq!(batch.submit().unwrap(), 3);
        let done = all(&mut ring);
        let tags_and_numbers: Vec<_> = done.iter().map(|done| (done.tag, number(done))).collect();
        assert_eq!(tags_and_numbers, [(1, 0), (2, -(Errno::EINVAL as i32)), (3, 0)]);
        assert_eq!(done[1].buf.as_deref(), Some(&[2][..]));
    }
}

/// Three requests, of which the kernel takes none: they come back as they were given, after so many
/// that it took.
fn come_back(ring: &mut Ring<Vec<u8>>, taken: u32) {
    let zero = std::fs::File::open("/dev/zero").unwrap();
    let mut batch = ring.batch();
    if taken > 0 {
        batch.nop().tag(1).push().unwrap();
        // SAFETY: it points to nothing.
        unsafe { batch.push_raw(&no_operation(), 2, Some(vec![2])) }.unwrap();
    }
    for i in 3..6 {
        batch.read_at(&zero, vec![i; 8], 0).tag(i.into()).push().unwrap();
    }
    let error = batch.submit().unwrap_err();
    assert_eq!(error.error.raw_os_error(), Some(Errno::EAGAIN as i32), "{error}");
    assert_eq!((error.submitted, ring.in_flight()), (taken, taken), "{error}");
    let returned = error.returned.into_iter().map(|returned| (returned.tag, returned.buf.unwrap()));
    let expected = (3..6).map(|i| (i.into(), vec![i; 8]));
    assert_eq!(returned.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let tags: Vec<_> = all(ring).iter().map(|done| done.tag).collect();
    assert_eq!(tags, (1..=taken.into()).collect::<Vec<_>>());
}

#[test]
fn what_the_kernel_would_not_take_comes_back_in_order_and_what_it_took_completes() {
    if left_out(&[VALGRIND], "submission that is refused", "it does not know seccomp(2)") {
        return;
    }
    let child = in_child(|| {
        seccomp::refuse_submissions_of(3, Errno::EAGAIN);
        for mut ring in rings::<Vec<u8>>(config(8)) {
            come_back(&mut ring, 0);
            come_back(&mut ring, 2);
            let mut batch = ring.batch();
            batch.nop().tag(7).push().unwrap();
            assert_eq!(batch.submit().unwrap(), 1);
            let done = all(&mut ring);
            assert_eq!((done.len(), done[0].tag, number(&done[0])), (1, 7, 0));
        }
    });
    assert!(child.succeeded());
}
