//! What can be registered with a ring, so that it is looked up once and not for each request: buffers,
//! files, and the ring's own descriptor with a thread.
//!
//! This room may hold `unsafe`: it makes system calls. It guarantees that their arguments are what the
//! operation reads and writes, and outlive the call; for buffers' memory, the callers answer.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use liburing_sys as sys;
use nix::errno::Errno;

use super::patience::patiently;
use super::{Among, OpenRing, result_of};
use crate::error::{Cause, Error};
use crate::limits::Limits;

/// `IORING_(UN)REGISTER_*`.
const UNREGISTER_BUFFERS: u32 = 1;
const REGISTER_FILES: u32 = 2;
const UNREGISTER_FILES: u32 = 3;
const REGISTER_FILES_UPDATE: u32 = 6;
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;
const CLONE_BUFFERS: u32 = 30;

/// `struct io_uring_rsrc_update`.
#[repr(C)]
struct RsrcUpdate {
    offset: u32,
    resv: u32,
    data: u64,
}

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
    /// Registers these pieces of memory, numbered in this order (`IORING_REGISTER_BUFFERS`). Where
    /// locked memory is short, though the pieces fit the limit, the `patient` wait for what closed
    /// rings have not given back yet.
    ///
    /// # Safety
    /// Whoever makes requests of registered buffers answers for what the kernel does to them: to
    /// the pages that these addresses have now, whatever is mapped there later.
    pub(crate) unsafe fn register_buffers(
        &mut self,
        pieces: &[libc::iovec],
        patient: bool,
    ) -> Result<(), Error> {
        let bytes = pieces.iter().map(|piece| piece.iov_len as u64).sum();
        // Far fewer than 2^32: the kernel takes 2^14.
        let count = pieces.len() as u32;
        let mut attempt = || {
            // SAFETY: the ring is open, and the array is read during the call.
            let returned = unsafe {
                sys::io_uring_register_buffers(self.raw_mut(), pieces.as_ptr().cast(), count)
            };
            result_of(returned).map_err(|errno| {
                let cause = why_not_buffers(errno, bytes);
                Error::new("cannot register buffers", cause).with_errno(Some(errno))
            })
        };
        if !patient {
            return attempt().map(drop);
        }
        patiently(Among::ALONE, attempt).map(drop)
    }

    pub(crate) fn unregister_buffers(&mut self) -> Result<(), Errno> {
        // SAFETY: it has no argument.
        unsafe { self.register(UNREGISTER_BUFFERS, std::ptr::null(), 0) }.map(drop)
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
        // A negative number is no ring's.
        let src_fd = from as u32;
        let arg = CloneBuffers { src_fd, flags: 0, src_off: 0, dst_off: 0, nr: 0, pad: [0; 3] };
        // SAFETY: the argument is a local, read during the call.
        unsafe { self.register(CLONE_BUFFERS, (&raw const arg).cast(), 1) }.map(drop)
    }

    /// Gives the ring a table of so many files, none of which are there yet.
    ///
    /// By hand: `io_uring_register_files` raises the process's limit of descriptors if the table is
    /// longer, which is not a library's affair.
    pub(crate) fn register_files(&mut self, count: u32) -> Result<(), Errno> {
        let none: Vec<RawFd> = vec![-1; count as usize];
        // SAFETY: so many numbers, read during the call.
        unsafe { self.register(REGISTER_FILES, none.as_ptr().cast(), count) }.map(drop)
    }

    pub(crate) fn unregister_files(&mut self) -> Result<(), Errno> {
        // SAFETY: it has no argument.
        unsafe { self.register(UNREGISTER_FILES, std::ptr::null(), 0) }.map(drop)
    }

    /// Puts a file into the table, or takes the one out that is there.
    pub(crate) fn put_file(&mut self, index: u32, fd: Option<RawFd>) -> Result<(), Errno> {
        let fd = fd.unwrap_or(-1);
        let data = (&raw const fd).expose_provenance() as u64;
        let arg = RsrcUpdate { offset: index, resv: 0, data };
        // SAFETY: the argument, and the one number that it points to, are locals, read during the
        // call.
        match unsafe { self.register(REGISTER_FILES_UPDATE, (&raw const arg).cast(), 1) } {
            Ok(1) => Ok(()),
            // Nothing was updated, and no error given: there is none such.
            Ok(_) => Err(Errno::EINVAL),
            Err(errno) => Err(errno),
        }
    }

    /// Registers the ring's descriptor with the calling thread, and returns the number that it has
    /// there (`IORING_REGISTER_RING_FDS`, Linux 5.18; liburing knows it since 2.2).
    pub(crate) fn register_descriptor(&mut self) -> Result<u32, Errno> {
        // A number that is free.
        const ANY: u32 = u32::MAX;
        let mut arg = RsrcUpdate { offset: ANY, resv: 0, data: self.fd() as u64 };
        // SAFETY: the argument is a local, read and written during the call.
        unsafe { self.register(REGISTER_RING_FDS, (&raw mut arg).cast_const().cast(), 1) }?;
        Ok(arg.offset)
    }

    /// Undoes that, in the same thread.
    pub(crate) fn unregister_descriptor(&mut self, index: u32) -> Result<(), Errno> {
        let arg = RsrcUpdate { offset: index, resv: 0, data: 0 };
        // SAFETY: the argument is a local, read during the call.
        unsafe { self.register(UNREGISTER_RING_FDS, (&raw const arg).cast(), 1) }.map(drop)
    }

    /// `io_uring_register(2)`.
    ///
    /// # Safety
    /// `arg` is what the operation reads and writes, `count` of them.
    unsafe fn register(
        &mut self,
        operation: u32,
        arg: *const c_void,
        count: u32,
    ) -> Result<u32, Errno> {
        let (number, fd) = (libc::SYS_io_uring_register, self.fd());
        // SAFETY: the ring is open; for the rest forwarded to the caller.
        let returned = unsafe { libc::syscall(number, fd, operation, arg, count) };
        Errno::result(returned).map(|n| n as u32)
    }
}

/// Which limit was in the way of buffers of so many bytes.
fn why_not_buffers(errno: Errno, bytes: u64) -> Cause {
    let limits = Limits::read();
    match (errno, limits.registered_memory()) {
        (Errno::ENOMEM, Some(limit)) => {
            Cause::LockedMemory { limit: limit.soft, needed: bytes, rings: 1, open: 0 }
        }
        _ => limits.cause_of(errno, bytes),
    }
}
