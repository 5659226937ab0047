//! Sockets that the standard library does not make.

use std::os::fd::OwnedFd;

use nix::libc;

/// A socket that is connected to nothing yet.
pub(crate) fn socket(family: i32) -> OwnedFd {
    #![allow(unsafe_code)]
    use std::os::fd::FromRawFd;
    // SAFETY: it takes numbers only.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: it has just been made, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
