//! A ring in memory of ours. This file is compiled only where liburing has `io_uring_queue_init_mem`.

use std::io;
use std::mem::zeroed;

use liburing_sys as sys;

use crate::check;

/// Enough for eight entries on every kernel, and aligned for every page size.
#[repr(C, align(65536))]
struct Memory([u8; 2 * 65536]);

/// Bytes of our memory that the ring took.
pub(crate) fn with_ring(work: fn(&mut sys::io_uring) -> io::Result<()>) -> io::Result<usize> {
    // Zeroed, since older kernels do not clear it. Never given back: the kernel may write to it until the ring is
    // torn down, which happens some time after its descriptor is closed.
    let memory = Box::leak(Box::new(Memory([0; 2 * 65536])));
    // SAFETY: a struct of integers and pointers, for which zeroes are values.
    let mut ring = unsafe { zeroed() };
    // SAFETY: as before.
    let mut params = unsafe { zeroed() };
    let at = memory.0.as_mut_ptr().cast();
    // SAFETY: page-aligned, zeroed, as large as told, and never freed.
    let answer =
        unsafe { sys::io_uring_queue_init_mem(8, &mut ring, &mut params, at, memory.0.len()) };
    let bytes = check(answer).map_err(explain)?;

    let done = work(&mut ring);
    // liburing 2.5 to 2.7 unmaps our SQEs at exit, as if they were its own; without entries it unmaps nothing.
    ring.sq.ring_entries = 0;
    // SAFETY: set up above, and not used afterwards.
    unsafe { sys::io_uring_queue_exit(&mut ring) };
    done.map(|()| bytes.unsigned_abs() as usize)
}

/// The library can, but the kernel has a say of its own: what was found at build time is not all there is to it.
fn explain(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(22) => {
            io::Error::new(error.kind(), "this kernel takes no memory of ours (Linux 6.5 does)")
        }
        _ => error,
    }
}
