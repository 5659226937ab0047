//! Buffers registered with a ring: their pages are pinned once, not for each request.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use liburing_sys as sys;
use nix::errno::Errno;

use super::{OpenRing, result_of};

/// `struct io_uring_clone_buffers`.
#[repr(C)]
struct CloneBuffers {
    src_fd: u32,
    flags: u32,
    src_off: u32,
    dst_off: u32,
    nr: u32,
    pad: [u32; 3],
}

impl OpenRing {
    /// Registers these pieces of memory, numbered in this order (`IORING_REGISTER_BUFFERS`).
    ///
    /// # Safety
    /// Whoever makes requests of registered buffers answers for what the kernel does to them: to
    /// the pages that these addresses have now, whatever is mapped there later.
    pub(crate) unsafe fn register_buffers(&mut self, pieces: &[libc::iovec]) -> Result<(), Errno> {
        let count = u32::try_from(pieces.len()).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the ring is open, and the array is read during the call.
        let returned = unsafe {
            sys::io_uring_register_buffers(self.raw_mut(), pieces.as_ptr().cast(), count)
        };
        result_of(returned).map(drop)
    }

    /// Takes over what another ring of this process has registered: pinned and charged only once
    /// (`IORING_REGISTER_CLONE_BUFFERS`, Linux 6.12).
    ///
    /// By hand, since `io_uring_clone_buffers` came with liburing 2.8 only.
    ///
    /// # Safety
    /// As for [`register_buffers`](Self::register_buffers).
    pub(crate) unsafe fn clone_buffers(&mut self, from: BorrowedFd<'_>) -> Result<(), Errno> {
        self.clone_from(from.as_raw_fd())
    }

    /// Whether this kernel knows how to. Asked on a ring without buffers, for those of no ring.
    pub(crate) fn may_clone_buffers(&mut self) -> bool {
        self.clone_from(-1) == Err(Errno::EBADF)
    }

    fn clone_from(&mut self, from: RawFd) -> Result<(), Errno> {
        const CLONE_BUFFERS: u32 = 30;
        // A negative number is no ring's.
        let src_fd = from as u32;
        let arg = CloneBuffers { src_fd, flags: 0, src_off: 0, dst_off: 0, nr: 0, pad: [0; 3] };
        let fd = self.fd();
        // SAFETY: the ring is open; the argument is a local, read during the call.
        let returned = unsafe {
            libc::syscall(libc::SYS_io_uring_register, fd, CLONE_BUFFERS, &raw const arg, 1u32)
        };
        Errno::result(returned).map(drop)
    }
}
