//! The route `init_mem`: `io_uring_queue_init_mem`, as PostgreSQL does it.
#![allow(unsafe_code)]

#[cfg(any(have_init_mem, have_memory_size_params))]
use liburing_sys as sys;

#[cfg(any(have_init_mem, have_memory_size_params))]
use super::params;
use super::{Failed, OpenRing, SlotMemory};
use crate::config::RingConfig;
use crate::layout::RingLayout;

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

/// # Safety
/// `memory` is zeroed, nobody else uses it, and its region stays mapped while the ring lives.
#[cfg(have_init_mem)]
pub(super) unsafe fn attempt(
    config: &RingConfig,
    layout: &RingLayout,
    memory: SlotMemory<'_>,
) -> Result<OpenRing, Failed> {
    use super::open_ring::close_descriptor;
    use super::placement::Reported;
    use super::{Route, result_of};

    let base = memory.base();
    let mut raw = sys::io_uring::default();
    let mut params = params(config);
    // SAFETY: `base` begins `memory.len` zeroed bytes that are ours alone (the caller's promise),
    // page-aligned since slots are whole pages; the other pointers are to locals.
    let returned = unsafe {
        sys::io_uring_queue_init_mem(
            config.entries(),
            &mut raw,
            &mut params,
            base.as_ptr().cast(),
            memory.len,
        )
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

/// The library that this was built with does not have the function.
///
/// # Safety
/// None is needed: it touches nothing.
#[cfg(not(have_init_mem))]
pub(super) unsafe fn attempt(
    _: &RingConfig,
    _: &RingLayout,
    _: SlotMemory<'_>,
) -> Result<OpenRing, Failed> {
    Err(crate::error::Cause::LibraryLacksInitMem.into())
}
