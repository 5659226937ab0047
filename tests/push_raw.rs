//! The unsafe door for ready SQEs, by every route that there is.
#![allow(unsafe_code)]

mod common;

use std::os::fd::AsRawFd;

use common::config;
use common::rings::{all, number, one, rings};
use nix::libc;
use uring_pool::{Cause, sys};

/// An SQE that one of liburing's functions fills.
fn sqe(fill: impl FnOnce(*mut sys::io_uring_sqe)) -> sys::io_uring_sqe {
    let mut sqe = sys::io_uring_sqe { user_data: 12345, ..Default::default() };
    fill(&mut sqe);
    sqe
}

#[test]
fn a_ready_sqe_is_submitted_with_its_tag_and_its_buffer_comes_back() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let file = std::fs::File::open("/dev/zero").unwrap();
        let mut buf = vec![1; 16];
        let at = buf.as_mut_ptr().cast();
        // SAFETY: it only fills the SQE.
        let read = sqe(|sqe| unsafe { sys::io_uring_prep_read(sqe, file.as_raw_fd(), at, 16, 0) });
        let mut batch = ring.batch();
        // SAFETY: the buffer is kept where it is, and the file is open until the end.
        let id = unsafe { batch.push_raw(&read, 7, Some(buf)) }.unwrap();
        batch.submit().unwrap();
        let done = all(&mut ring).remove(0);
        assert_eq!((done.tag, number(&done)), (7, 16));
        assert_eq!(done.buf.as_deref(), Some(&[0; 16][..]));
        let done = one!(ring, |batch| batch.cancel(id));
        assert_eq!(number(&done), -libc::ENOENT, "it was done already");
    }
}

#[test]
fn links_and_drains_of_ready_sqes_count_for_the_requests_after_them() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let file = std::fs::File::open("/dev/zero").unwrap();
        for flag in [sys::IOSQE_IO_LINK, sys::IOSQE_IO_HARDLINK, sys::IOSQE_IO_DRAIN] {
            // SAFETY: it only fills the SQE.
            let mut nop = sqe(|sqe| unsafe { sys::io_uring_prep_nop(sqe) });
            nop.flags = flag as u8;
            let mut batch = ring.batch();
            // SAFETY: it points to nothing.
            unsafe { batch.push_raw(&nop, 0, None) }.unwrap();
            let full = batch.read_at(&file, vec![0; 1], 0).push().unwrap_err();
            assert_eq!(full.cause, Cause::DescriptorNotKept);
        }
    }
}

#[test]
fn a_request_that_completes_several_times_gives_its_buffer_back_with_the_last() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (read, write) = nix::unistd::pipe().unwrap();
        // SAFETY: it only fills the SQE.
        let mut poll = sqe(|sqe| unsafe {
            sys::io_uring_prep_poll_add(sqe, read.as_raw_fd(), libc::POLLIN as u32);
        });
        // IORING_POLL_ADD_MULTI goes where lengths go.
        poll.len = 1;
        let mut batch = ring.batch();
        // SAFETY: it points to nothing, and the pipe is open until the end.
        let id = unsafe { batch.push_raw(&poll, 7, Some(vec![7])) }.unwrap();
        batch.submit().unwrap();
        for _ in 0..3 {
            nix::unistd::write(&write, b"x").unwrap();
            let done = ring.wait_through_signals(1).unwrap().next().unwrap();
            if number(&done) == -libc::EINVAL {
                return common::cannot("multishot poll", "needs Linux 5.13");
            }
            assert_eq!((done.tag, done.buf.is_none(), ring.in_flight()), (7, true, 1));
            nix::unistd::read(&read, &mut [0]).unwrap();
        }
        let mut batch = ring.batch();
        batch.cancel(id).tag(8).push().unwrap();
        batch.submit().unwrap();
        let done = all(&mut ring);
        assert_eq!(done[0].buf.as_deref(), Some(&[7][..]));
    }
}
