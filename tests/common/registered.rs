//! What is registered with a ring, and a ring that is registered with a thread.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use uring_pool::{Cause, Completion, Ring};

use super::rings::number;

pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, uring_pool::Error>) -> Cause {
    result.unwrap_err().cause()
}

pub(crate) fn unsupported(error: uring_pool::Error) {
    assert!(error.cause().is_unsupported(), "{error}");
    assert!(error.to_string().contains("5.18"), "{error}");
}

/// A NOP goes round although the descriptor's number is another file's meanwhile.
pub(crate) fn only_by_registration(ring: &mut Ring<Vec<u8>>) {
    assert_eq!(number(&without_its_number(ring)), 0);
}

fn without_its_number(ring: &mut Ring<Vec<u8>>) -> Completion<Vec<u8>> {
    #![allow(unsafe_code)]
    let number = ring.as_fd().as_raw_fd();
    let aside = ring.as_fd().try_clone_to_owned().unwrap();
    let null = File::open("/dev/null").unwrap();
    // SAFETY: the number is the ring's, and given back to it below.
    assert_eq!(unsafe { libc::dup2(null.as_raw_fd(), number) }, number);
    let mut batch = ring.batch();
    batch.nop().push().unwrap();
    batch.submit().unwrap();
    let done = ring.wait_through_signals(1).unwrap().next().unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::dup2(aside.as_raw_fd(), number) }, number);
    done
}
