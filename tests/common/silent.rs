//! Reads that nothing ever answers, made through liburing alone.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::AtomicU8;

use uring_pool::sys;

/// `user_data` of these reads.
pub(crate) const SILENT: u64 = 0xdead;

/// Where they would write, were they answered. Closing a ring does not wait for them, so this is
/// memory that is never freed; and no leak checker takes it for lost.
static NOWHERE: [AtomicU8; 64] = [const { AtomicU8::new(0) }; 64];

/// Submits `n` reads of a pipe that nobody writes to.
///
/// # Safety
/// The ring is open, nobody else uses it, and it has room for `n` SQEs.
pub(crate) unsafe fn submit_reads(ring: &mut sys::io_uring, silent: &OwnedFd, n: u32) {
    for _ in 0..n {
        // SAFETY: forwarded to the caller; the SQE is filled before it is submitted.
        let sqe = unsafe { sys::io_uring_get_sqe(ring) };
        let (fd, at) = (silent.as_raw_fd(), NOWHERE.as_ptr().cast_mut().cast());
        // SAFETY: the ring had room for it; the buffer is never freed, and only written atomically
        // by anybody else. (The offset's type is another in 2.0.)
        unsafe { sys::io_uring_prep_read(sqe, fd, at, NOWHERE.len() as u32, u64::MAX as _) };
        // SAFETY: as above.
        unsafe { (*sqe).user_data = SILENT };
    }
    // SAFETY: forwarded to the caller.
    assert_eq!(unsafe { sys::io_uring_submit(ring) }, n as i32);
}
