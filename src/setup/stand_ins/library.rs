//! The functions: each takes its ring from the kernel itself, and says or does the rest as the release
//! that it stands for does.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::NonNull;

use liburing_sys as sys;
use nix::errno::Errno;

use crate::config::SetupFlags;
use crate::region::page_size;
use crate::setup::direct;

thread_local! {
    /// How often a stand-in was called by this test.
    pub(super) static CALLS: Cell<usize> = const { Cell::new(0) };
    /// The flags and the room that it was given last.
    pub(super) static GIVEN: Cell<(u32, usize)> = const { Cell::new((0, 0)) };
}

/// # Safety
/// `params` is valid.
unsafe fn note_call(params: *mut sys::io_uring_params, room: usize) {
    CALLS.set(CALLS.get() + 1);
    // SAFETY: the caller's promise.
    let flags = unsafe { (*params).flags };
    GIVEN.set((flags, room));
}

/// Puts the SQEs and the rings at these pages of the memory, and returns this.
///
/// # Safety
/// As `io_uring_queue_init_mem`, and those pages are the test's.
pub(super) unsafe extern "C" fn at_pages<
    const SQES: isize,
    const RINGS: isize,
    const RETURNS: c_int,
>(
    entries: c_uint,
    ring: *mut sys::io_uring,
    params: *mut sys::io_uring_params,
    buf: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: forwarded to the caller.
    unsafe { note_call(params, size) };
    let page = |n: isize| {
        let at = buf.cast::<u8>().wrapping_offset(n * page_size() as isize);
        NonNull::new(at).expect("not at null")
    };
    // SAFETY: the caller's promise; nobody else has them.
    let params = unsafe { &mut *params };
    // The index array is there on every kernel, and the hand-filled struct has it.
    params.flags &= !SetupFlags::NO_SQARRAY.bits();
    params.flags |= SetupFlags::NO_MMAP.bits();
    let (sqes, rings) = (page(SQES), page(RINGS));
    direct::place(params, sqes, rings);
    // SAFETY: the pages are the test's.
    let fd = match unsafe { direct::io_uring_setup(entries, params) } {
        Ok(fd) => fd,
        Err(errno) => return -(errno as c_int),
    };
    // SAFETY: the kernel has just set the ring up there.
    let filled = unsafe { direct::fill(fd, params, sqes, rings) };
    // SAFETY: the caller's promise.
    unsafe { ring.write(filled) };
    RETURNS
}

/// Writes all over two pages of the memory, and returns this.
///
/// # Safety
/// As `io_uring_queue_init_mem`, and there are two pages.
pub(super) unsafe extern "C" fn scribbles<const RETURNS: c_int>(
    _: c_uint,
    _: *mut sys::io_uring,
    params: *mut sys::io_uring_params,
    buf: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: forwarded to the caller.
    unsafe { note_call(params, size) };
    // SAFETY: so much memory was given.
    unsafe { buf.write_bytes(0xff, 2 * page_size()) };
    RETURNS
}

/// As 2.8 to 2.14 on Linux 6.5, with SQEs of one page: asked for `NO_SQARRAY`, it passes on that
/// the kernel does not know it; else it tries the array, which it counts to the SQEs.
///
/// # Safety
/// As `io_uring_queue_init_mem`, and the page behind the memory is the test's.
pub(super) unsafe extern "C" fn as_2_9_before_linux_6_6(
    entries: c_uint,
    ring: *mut sys::io_uring,
    params: *mut sys::io_uring_params,
    buf: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    if unsafe { (*params).flags } & SetupFlags::NO_SQARRAY.bits() != 0 {
        // SAFETY: forwarded to the caller.
        unsafe { note_call(params, size) };
        return -(Errno::EINVAL as c_int);
    }
    if size < 3 * page_size() {
        return -(Errno::ENOMEM as c_int);
    }
    // SAFETY: forwarded to the caller.
    unsafe { at_pages::<0, 2, 0>(entries, ring, params, buf, size) }
}
