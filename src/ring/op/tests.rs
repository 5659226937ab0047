//! Each SQE against what liburing's own function for it fills.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_void};

use liburing_sys as sys;
use proptest::prelude::*;

use super::*;

/// The SQE that one of liburing's `prep` functions fills. Where a release leaves bytes alone they
/// are zeroes, as in the SQEs that are written here.
pub(in crate::ring) fn theirs(user_data: u64, prep: impl FnOnce(*mut sys::io_uring_sqe)) -> Sqe {
    let mut sqe = Sqe::default();
    prep(std::ptr::from_mut(&mut sqe).cast());
    Sqe { user_data, ..sqe }
}

fn ours(user_data: u64, sqe: Sqe) -> Sqe {
    Sqe { user_data, ..sqe }
}

fn pointer<T>(addr: u64) -> *mut T {
    std::ptr::without_provenance_mut(addr as usize)
}

/// Compares one of ours with one of theirs. Types of their parameters differ between releases.
macro_rules! same {
    ($id:expr, $ours:expr, $function:ident($($argument:expr),*)) => {
        let theirs = theirs($id, |sqe| {
            // SAFETY: it only fills the SQE it is given; addresses are copied, not followed.
            unsafe { sys::$function(sqe $(, $argument)*) }
        });
        prop_assert_eq!(ours($id, $ours), theirs, "{}", stringify!($function));
    };
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "calls liburing")]
    fn transfers_are_byte_for_byte_what_liburing_fills(
        id in any::<u64>(), fd in any::<i32>(), off in any::<u64>(), addr in any::<u64>(),
        len in any::<u32>(), index in any::<u16>(),
    ) {
        let buf = pointer::<c_void>(addr);
        let pieces = pointer::<libc::iovec>(addr);
        same!(id, nop(), io_uring_prep_nop());
        same!(id, read(fd, off).at(addr, len), io_uring_prep_read(fd, buf, len, off as _));
        same!(id, write(fd, off).at(addr, len), io_uring_prep_write(fd, buf, len, off as _));
        same!(id, read_fixed(fd, off, index).at(addr, len),
            io_uring_prep_read_fixed(fd, buf, len, off as _, index.into()));
        same!(id, write_fixed(fd, off, index).at(addr, len),
            io_uring_prep_write_fixed(fd, buf, len, off as _, index.into()));
        same!(id, readv(fd, off).at(addr, len), io_uring_prep_readv(fd, pieces, len, off as _));
        same!(id, writev(fd, off).at(addr, len), io_uring_prep_writev(fd, pieces, len, off as _));
    }

    #[test]
    #[cfg_attr(miri, ignore = "calls liburing")]
    fn operations_on_files_are_byte_for_byte_what_liburing_fills(
        id in any::<u64>(), fd in any::<i32>(), off in any::<u64>(), len in any::<u32>(),
        long in any::<u64>(), flags in any::<u32>(),
    ) {
        let number = flags as i32;
        same!(id, fsync(fd, false), io_uring_prep_fsync(fd, 0));
        same!(id, fsync(fd, true), io_uring_prep_fsync(fd, sys::IORING_FSYNC_DATASYNC));
        same!(id, sync_file_range(fd, off, len, flags),
            io_uring_prep_sync_file_range(fd, len, off as _, number));
        same!(id, fallocate(fd, flags, off, long),
            io_uring_prep_fallocate(fd, number, off as _, long as _));
        same!(id, fadvise(fd, off, len, flags),
            io_uring_prep_fadvise(fd, off as _, len as _, number));
    }

    #[test]
    #[cfg_attr(miri, ignore = "calls liburing")]
    fn operations_on_names_are_byte_for_byte_what_liburing_fills(
        id in any::<u64>(), dir in any::<i32>(), path in any::<u64>(), flags in any::<u32>(),
        mode in any::<u32>(), answer in any::<u64>(),
    ) {
        let (name, number) = (pointer::<c_char>(path), flags as i32);
        same!(id, openat(dir, path, flags, mode),
            io_uring_prep_openat(dir, name, number, mode));
        same!(id, close(dir), io_uring_prep_close(dir));
        let filled = Sqe { addr: path, off: answer, ..statx(dir, flags, mode) };
        same!(id, filled, io_uring_prep_statx(dir, name, number, mode, pointer(answer)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "calls liburing")]
    fn operations_on_sockets_are_byte_for_byte_what_liburing_fills(
        id in any::<u64>(), fd in any::<i32>(), addr in any::<u64>(), len in any::<u32>(),
        flags in any::<u32>(), from in any::<(i32, u64)>(), to in any::<(i32, u64)>(),
    ) {
        let (buf, number, null) = (pointer::<c_void>(addr), flags as i32, std::ptr::null_mut());
        same!(id, accept(fd, flags), io_uring_prep_accept(fd, null, pointer(0), number));
        same!(id, connect(fd, addr, len), io_uring_prep_connect(fd, pointer(addr), len));
        same!(id, send(fd, flags).at(addr, len), io_uring_prep_send(fd, buf, len as _, number));
        same!(id, recv(fd, flags).at(addr, len), io_uring_prep_recv(fd, buf, len as _, number));
        same!(id, poll(fd, flags), io_uring_prep_poll_add(fd, flags));
        same!(id, splice(from, to, len, flags),
            io_uring_prep_splice(from.0, from.1 as i64, to.0, to.1 as i64, len, flags));
    }

    #[test]
    #[cfg_attr(miri, ignore = "calls liburing")]
    fn operations_on_the_ring_are_byte_for_byte_what_liburing_fills(
        id in any::<u64>(), time in any::<u64>(), count in any::<u32>(), target in any::<u64>(),
    ) {
        let at = pointer::<sys::__kernel_timespec>(time);
        let timed = Sqe { addr: time, ..timeout(count) };
        same!(id, timed, io_uring_prep_timeout(at, count, 0));
        let limit = Sqe { addr: time, ..link_timeout() };
        same!(id, limit, io_uring_prep_link_timeout(at, 0));
        same!(id, cancel(target), io_uring_prep_cancel(pointer(target), 0));
        // All, of any: by their numbers, which the headers before 2.2 do not know.
        same!(id, cancel_any(), io_uring_prep_cancel(pointer(0), 1 | 4));
    }
}
