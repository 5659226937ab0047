//! A ring that is set up: liburing's `struct io_uring`, how it came to be, and how it is taken
//! down.
//!
//! This room may hold `unsafe`: it closes what was opened. It guarantees that this happens once, and
//! that memory which was given is left alone.
#![allow(unsafe_code)]

use std::os::fd::RawFd;
use std::time::Duration;

use liburing_sys as sys;

use super::{Refusal, Route, separate};

/// An open ring. It may be moved: the struct has no pointers into itself.
///
/// Dropped, it is closed: this process's descriptor, and, of a ring with mappings of its own, this
/// process's view of them. A relative that inherited it by fork keeps its own.
pub(crate) struct OpenRing {
    raw: sys::io_uring,
    route: Route,
    /// Bytes from the slot's start to the end of what the kernel uses; 0 if there is no slot.
    extent: usize,
    refusals: Vec<Refusal>,
    waited: Duration,
}

// SAFETY: the pointers in the struct lead to memory shared with the kernel, which is bound to no
// thread; whoever has `&mut OpenRing` has the only user of both queues, as liburing demands.
unsafe impl Send for OpenRing {}
// SAFETY: through `&OpenRing` only plain values are read; the queues are reached through `&mut`.
unsafe impl Sync for OpenRing {}

impl OpenRing {
    /// # Safety
    /// `raw` is an open ring that nobody else will close, by `route`; if that is a combined one,
    /// its memory stays mapped while the ring lives.
    pub(super) unsafe fn new(raw: sys::io_uring, route: Route, extent: usize) -> Self {
        Self { raw, route, extent, refusals: Vec::new(), waited: Duration::ZERO }
    }

    /// Notes what was refused before it was made.
    pub(super) fn comes_after(&mut self, refusals: Vec<Refusal>) {
        self.refusals = refusals;
    }

    /// Notes for how long one had to wait for its locked memory.
    pub(super) fn has_waited(&mut self, waited: Duration) {
        self.waited = waited;
    }

    pub(crate) fn route(&self) -> Route {
        self.route
    }

    pub(crate) fn extent(&self) -> usize {
        self.extent
    }

    pub(crate) fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// How long making it waited for locked memory.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// `IORING_FEAT_*` bits that the kernel reported.
    #[inline]
    pub(crate) fn features(&self) -> u32 {
        self.raw.features
    }

    #[inline]
    pub(crate) fn fd(&self) -> RawFd {
        self.raw.ring_fd
    }

    #[inline]
    pub(crate) fn raw(&self) -> &sys::io_uring {
        &self.raw
    }

    #[inline]
    pub(crate) fn raw_mut(&mut self) -> &mut sys::io_uring {
        &mut self.raw
    }
}

impl Drop for OpenRing {
    fn drop(&mut self) {
        if self.route == Route::Separate {
            // SAFETY: the ring was set up with mappings of its own and is closed once, here.
            unsafe { separate::close(&mut self.raw) }
        } else {
            // SAFETY: the ring was set up in memory it was given and is closed once, here.
            unsafe { close_descriptor(&mut self.raw) }
        }
    }
}

impl std::fmt::Debug for OpenRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenRing")
            .field("fd", &self.fd())
            .field("route", &self.route)
            .field("extent", &self.extent)
            .field("refusals", &self.refusals)
            .finish_non_exhaustive()
    }
}

/// Has every place in the submission queue mean the SQE of its number. (liburing before 2.4 does so
/// only when it submits; 2.5 and newer leave the array out where the kernel lets them, since Linux 6.6.)
///
/// # Safety
/// The ring was set up, is used by nobody yet, and has so many SQEs.
pub(super) unsafe fn map_one_to_one(ring: &sys::io_uring, sq_len: u32) {
    if ring.sq.array.is_null() {
        return;
    }
    for index in 0..sq_len {
        // SAFETY: there is an array, and it has a word for each SQE.
        let word = unsafe { ring.sq.array.add(index as usize) };
        // SAFETY: the word is aligned (the kernel places the array at a cache line), and the kernel
        // reads it only while entries are submitted, which nobody does yet.
        unsafe { word.write(index) };
    }
}

/// Closes a ring's descriptor, and leaves its memory alone: all that there is to do for a ring that
/// lies in memory it was given.
///
/// Not `io_uring_queue_exit`: it does not know the hand-filled rings of the route `direct`, and
/// in liburing 2.5 to 2.7 it unmaps the caller's pages (f4934cc8 mended it in 2.8).
///
/// # Safety
/// `ring` is open, and nobody uses it hereafter.
pub(super) unsafe fn close_descriptor(ring: &mut sys::io_uring) {
    // Had somebody registered it with a thread (through the raw door) and not undone that, it would
    // live on until the thread ends. It is not undone here: in another thread, or process, than that
    // one the number is another ring's.
    // SAFETY: the descriptor is the ring's own, and nobody uses the ring hereafter.
    unsafe { libc::close(ring.ring_fd) };
    ring.ring_fd = -1;
}
