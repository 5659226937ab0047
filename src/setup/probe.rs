//! Which operations the kernel supports (`IORING_REGISTER_PROBE`, Linux 5.6).
//!
//! This room may hold `unsafe`: it calls liburing. It guarantees that what that allocates is freed
//! once, by it.
#![allow(unsafe_code)]

use liburing_sys as sys;

use super::OpenRing;

/// The numbers of the supported operations, ascending; `None` if the kernel did not say.
pub(crate) fn supported_operations(ring: &mut OpenRing) -> Option<Vec<u8>> {
    // SAFETY: the ring is open; what comes back is allocated by liburing, or null.
    let probe = unsafe { sys::io_uring_get_probe_ring(ring.raw_mut()) };
    if probe.is_null() {
        return None;
    }
    let mut supported = Vec::new();
    for op in 0..=u8::MAX {
        // SAFETY: the probe is not null, and the function checks `op` against what it holds.
        if unsafe { sys::io_uring_opcode_supported(probe, op.into()) } != 0 {
            supported.push(op);
        }
    }
    // SAFETY: the probe came from io_uring_get_probe_ring and is freed once.
    unsafe { sys::io_uring_free_probe(probe) };
    Some(supported)
}
