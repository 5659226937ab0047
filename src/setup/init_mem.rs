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

/// The size that the library is told the memory has. It only holds its own reckoning against it,
/// which in 2.9 asks for more than a ring takes on kernels before 6.6, and then answers ENOMEM for
/// a kernel that it did not ask. SQEs it puts at the start and the rings at the page after them,
/// where ours are at the latest, so it cannot leave the slot; and where the ring lies is checked.
#[cfg(have_init_mem)]
const ALL_THE_ROOM: usize = isize::MAX as usize;

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
    // SAFETY: `base` begins a slot of zeroed bytes that is ours alone (the caller's promise),
    // page-aligned since slots are whole pages, and long enough for what the kernel puts there
    // (`RingLayout`), whatever the library is told; the other pointers are to locals.
    let returned = unsafe {
        sys::io_uring_queue_init_mem(
            config.entries(),
            &mut raw,
            &mut params,
            base.as_ptr().cast(),
            ALL_THE_ROOM,
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
