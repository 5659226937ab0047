//! The route `separate`: what liburing does by itself, two mappings a ring.
//!
//! This room may hold `unsafe`: it has liburing map a ring, and unmaps it. It guarantees that what is
//! unmapped is what liburing mapped for this ring, all of it.
#![allow(unsafe_code)]

use liburing_sys as sys;

use super::open_ring::{close_descriptor, map_one_to_one};
use super::{Failed, OpenRing, Route, params, result_of};
use crate::config::{RingConfig, SetupFlags};
use crate::error::Cause;
use crate::layout::RingLayout;

/// Whether liburing knows wide SQEs and CQEs: it does since 2.2, as it does registered rings.
pub(super) const KNOWS_WIDE_ENTRIES: bool = cfg!(have_register_ring_fd);

/// Sets a ring up with mappings of its own; `layout` is only for telling what it takes.
pub(super) fn attempt(config: &RingConfig, layout: &RingLayout) -> Result<OpenRing, Failed> {
    if !KNOWS_WIDE_ENTRIES && config.sqe_shift() + config.cqe_shift() > 0 {
        return Err(Cause::LibraryMapsTooLittle.into());
    }
    let mut raw = sys::io_uring::default();
    let mut params = params(config);
    // SAFETY: both pointers are to locals, and the memory is liburing's own.
    let returned =
        unsafe { sys::io_uring_queue_init_params(config.entries(), &mut raw, &mut params) };
    result_of(returned).map_err(|errno| Failed::from_errno(errno, Route::Separate, layout))?;
    // SAFETY: the ring was just opened here, with so many SQEs.
    unsafe { map_one_to_one(&raw, config.sq_len()) };
    // SAFETY: as above.
    Ok(unsafe { OpenRing::new(raw, Route::Separate, 0) })
}

/// Closes such a ring, and unmaps what it has in this process.
///
/// Not `io_uring_queue_exit`, which in liburing 2.5 to 2.8 forgets that SQEs may be wide, and
/// leaves half of them mapped.
///
/// # Safety
/// `ring` was set up here, and nobody uses it hereafter.
pub(super) unsafe fn close(ring: &mut sys::io_uring) {
    let wide = ring.flags & SetupFlags::SQE128.bits() != 0;
    // SAFETY: the ring is open, so the word that its header has for this is mapped.
    let sq_len = unsafe { ring.sq.kring_entries.read() } as usize;
    let sqes = (sq_len * size_of::<sys::io_uring_sqe>()) << u32::from(wide);
    // SAFETY: the SQEs are a mapping of their own, of this length (liburing's io_uring_mmap).
    unsafe { libc::munmap(ring.sq.sqes.cast(), sqes) };
    if ring.cq.ring_ptr != ring.sq.ring_ptr {
        // SAFETY: before Linux 5.4 the CQ is a mapping of its own.
        unsafe { libc::munmap(ring.cq.ring_ptr, ring.cq.ring_sz) };
    }
    // SAFETY: the rings are a mapping of their own, and not looked at any more.
    unsafe { libc::munmap(ring.sq.ring_ptr, ring.sq.ring_sz) };
    // SAFETY: forwarded to the caller.
    unsafe { close_descriptor(ring) };
}
