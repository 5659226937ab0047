//! The route `separate`: what liburing does by itself, two mappings a ring.
#![allow(unsafe_code)]

use liburing_sys as sys;

use super::{Failed, OpenRing, Route, params, result_of};
use crate::config::RingConfig;
use crate::layout::RingLayout;

/// Sets a ring up with mappings of its own; `layout` is only for telling what it takes.
pub(super) fn attempt(config: &RingConfig, layout: &RingLayout) -> Result<OpenRing, Failed> {
    let mut raw = sys::io_uring::default();
    let mut params = params(config);
    // SAFETY: both pointers are to locals, and the memory is liburing's own.
    let returned =
        unsafe { sys::io_uring_queue_init_params(config.entries(), &mut raw, &mut params) };
    result_of(returned).map_err(|errno| Failed::from_errno(errno, Route::Separate, layout))?;
    // SAFETY: the ring was just opened here.
    Ok(unsafe { OpenRing::new(raw, Route::Separate, 0) })
}
