//! Operations on names of files, and on descriptors as such.
//!
//! This room may hold `unsafe`: it writes a path into a buffer. It guarantees that it stays inside the
//! buffer, which is not the kernel's yet.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use super::{Batch, Prepared};
use crate::error::Cause;
use crate::ring::extra::{Dir, Extra};
use crate::ring::{BufMut, Statx, op};

impl<'r, 'fd, B: 'static> Batch<'r, 'fd, B> {
    /// Opens a file, as [openat(2)](https://man7.org/linux/man-pages/man2/openat.2.html) does,
    /// whose numbers `flags` (`O_*`) and `mode` are. `O_CLOEXEC` is always set.
    ///
    /// The completion's `fd` is the new descriptor, its result 0.
    #[doc(alias = "IORING_OP_OPENAT")]
    pub fn openat(
        &mut self,
        dir: Dir,
        path: &'fd CStr,
        flags: i32,
        mode: u32,
    ) -> Prepared<'_, 'r, 'fd, B> {
        let flags = (flags | libc::O_CLOEXEC) as u32;
        let path = path.as_ptr().expose_provenance() as u64;
        let sqe = op::openat(dir.fd(), path, flags, mode);
        self.keeping(sqe, Extra::Opens(dir.into_owner()))
    }

    /// Closes a descriptor, as [close(2)](https://man7.org/linux/man-pages/man2/close.2.html)
    /// does: it is gone even if that fails.
    ///
    /// A request that is cancelled before it begins has closed nothing, nor has one for a ring's
    /// descriptor (`EBADF`): the completion's `fd` is the descriptor again. What is not pushed or
    /// not submitted comes back with the error, or is closed with the batch.
    #[doc(alias = "IORING_OP_CLOSE")]
    pub fn close(&mut self, fd: OwnedFd) -> Prepared<'_, 'r, 'fd, B> {
        let sqe = op::close(fd.as_raw_fd());
        let prepared = self.keeping(sqe, Extra::WillClose(fd));
        Prepared {
            place: |request, _| {
                if let Extra::WillClose(fd) = std::mem::replace(&mut request.extra, Extra::None) {
                    request.extra = Extra::Closes(fd.into_raw_fd());
                }
            },
            ..prepared
        }
    }

    /// Asks for what is known of a file, as
    /// [statx(2)](https://man7.org/linux/man-pages/man2/statx.2.html) does, whose numbers `flags`
    /// (`AT_*`) and `mask` (`STATX_*`) are. [`Statx::from_bytes`] reads the answer, the first 256
    /// bytes of `buf`.
    ///
    /// `buf` has room for that and, behind it, for the path with its zero, which is put there:
    /// before 5.18 the kernel reads it only when it carries the request out.
    /// [`push`](Prepared::push) refuses one that is shorter.
    #[doc(alias = "IORING_OP_STATX")]
    pub fn statx(
        &mut self,
        dir: Dir,
        path: &CStr,
        flags: i32,
        mask: u32,
        mut buf: B,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufMut,
    {
        let sqe = op::statx(dir.fd(), flags as u32, mask);
        let fits = put_behind(&mut buf, path);
        let extra = dir.into_owner().map_or(Extra::None, Extra::Keeps);
        let mut prepared = self.keeping(sqe, extra).with(buf, |request, sqe| {
            if let Some(buf) = &mut request.buf {
                let at = buf.stable_mut_ptr().expose_provenance() as u64;
                sqe.off = at;
                sqe.addr = at + Statx::SIZE as u64;
            }
        });
        if !fits {
            let why = "the buffer is shorter than 256 bytes and the path with its zero";
            prepared.refused = Some(Cause::Invalid(why));
        }
        prepared
    }
}

/// Puts the path behind the room for the answer, if there is room for it.
fn put_behind<B: BufMut>(buf: &mut B, path: &CStr) -> bool {
    let path = path.to_bytes_with_nul();
    if buf.len() < Statx::SIZE + path.len() {
        return false;
    }
    let start = buf.stable_mut_ptr();
    // SAFETY: the buffer is longer than that.
    let behind = unsafe { start.add(Statx::SIZE) };
    // SAFETY: the path fits behind there, in bytes that the buffer, which is ours, has to itself.
    unsafe { behind.copy_from_nonoverlapping(path.as_ptr(), path.len()) };
    true
}
