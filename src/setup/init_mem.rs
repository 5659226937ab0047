//! The route `init_mem`: `io_uring_queue_init_mem`, as PostgreSQL does it.
//!
//! This room may hold `unsafe`: it has the library set a ring up in a slot. It guarantees that one
//! which does not lie there is undone before anybody uses it.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint, c_void};

use liburing_sys as sys;

use super::open_ring::close_descriptor;
use super::placement::Reported;
use super::{Failed, OpenRing, Route, SlotMemory, loaded_version, params, result_of};
use crate::config::{RingConfig, SetupFlags};
use crate::error::Cause;
use crate::layout::RingLayout;
use crate::version::Version;

/// Bytes that the library says it needs for a ring of this configuration, where it has
/// `io_uring_memory_size_params` (2.11). A hint for the stride, never less than our own.
pub(super) fn bytes_the_library_wants(config: &RingConfig) -> Option<usize> {
    #[cfg(have_memory_size_params)]
    {
        let mut params = params(config);
        // SAFETY: the parameters are ours; the function only computes from them.
        let size = unsafe { sys::io_uring_memory_size_params(config.entries(), &mut params) };
        usize::try_from(size).ok()
    }
    #[cfg(not(have_memory_size_params))]
    {
        let _ = config;
        None
    }
}

/// Entries, ring, parameters, memory and its bytes; returns the bytes used, or `-errno`.
pub(super) type QueueInitMem = unsafe extern "C" fn(
    c_uint,
    *mut sys::io_uring,
    *mut sys::io_uring_params,
    *mut c_void,
    usize,
) -> c_int;

/// What this route takes of the library: the one at hand, or a test's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Library {
    /// `None` if the library that this was built with does not have it.
    pub(super) queue_init_mem: Option<QueueInitMem>,
    /// The version that is loaded, which may be another than the headers'.
    pub(super) loaded: Option<Version>,
}

impl Library {
    pub(super) fn at_hand() -> Self {
        #[cfg(have_init_mem)]
        let queue_init_mem: Option<QueueInitMem> = Some(sys::io_uring_queue_init_mem);
        #[cfg(not(have_init_mem))]
        let queue_init_mem = None;
        Self { queue_init_mem, loaded: loaded_version() }
    }

    /// Flags to ask with, so that the library writes nowhere but in the slot.
    ///
    /// Since 2.6 it tries `NO_SQARRAY` first, and then, where the kernel does not know that (before
    /// Linux 6.6), without. At this second try 2.7 to 2.14 count the index array to the SQEs, and
    /// put the rings so much later: with 64 entries a page, into the next slot, where the kernel
    /// then writes the rings' header, and the library the array. No check can come before that.
    /// Whoever asks for `NO_SQARRAY` gets the first try alone.
    ///
    /// 2.5 has that one try, without, and must not be asked: it fills the array whatever the flags
    /// say.
    fn flags(self) -> SetupFlags {
        match self.loaded {
            Some(loaded) if loaded >= Version::new(2, 6) => SetupFlags::NO_SQARRAY,
            _ => SetupFlags::empty(),
        }
    }
}

/// # Safety
/// `memory` is zeroed, nobody else uses it, and its region stays mapped while the ring lives.
pub(super) unsafe fn attempt(
    library: Library,
    config: &RingConfig,
    layout: &RingLayout,
    memory: SlotMemory<'_>,
) -> Result<OpenRing, Failed> {
    let queue_init_mem = library.queue_init_mem.ok_or(Cause::LibraryLacksInitMem)?;
    let base = memory.base();
    let mut raw = sys::io_uring::default();
    let mut params = params(config);
    params.flags |= library.flags().bits();
    // SAFETY: `base` begins a slot of zeroed bytes that is ours alone (the caller's promise),
    // page-aligned since slots are whole pages, and as long as is said; no release with these
    // flags reckons to need more, or puts anything outside. The other pointers are to locals.
    let returned = unsafe {
        queue_init_mem(config.entries(), &mut raw, &mut params, base.as_ptr().cast(), memory.len)
    };
    // What it returns, the bytes used, is too small in 2.5 to 2.14 for some sizes; the kernel's
    // own offsets are what counts.
    result_of(returned).map_err(|errno| Failed::from_errno(errno, Route::InitMem, layout))?;
    let at = base.as_ptr().addr();
    let reported = Reported::new(at, raw.sq.sqes.addr(), raw.sq.ring_ptr.addr(), &params);
    match reported.extent(config, layout) {
        // SAFETY: the ring was just opened here, in memory that the caller keeps mapped.
        Ok(extent) => Ok(unsafe { OpenRing::new(raw, Route::InitMem, extent) }),
        Err(cause) => {
            // SAFETY: the ring was just opened here, and is not used any more.
            unsafe { close_descriptor(&mut raw) };
            Err(cause.into())
        }
    }
}
