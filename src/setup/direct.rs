//! The route `direct`: `io_uring_setup(2)` with `IORING_SETUP_NO_MMAP`, and liburing's
//! `struct io_uring` filled by hand, so that liburing 2.0 to 2.4 work on it too.
//!
//! This room may hold `unsafe`: it has the kernel write into memory, and fills a C struct with
//! addresses. It guarantees that all of them lie where the kernel said, inside the slot.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use liburing_sys as sys;
use nix::errno::Errno;

use super::open_ring::{close_descriptor, map_one_to_one};
use super::placement::Reported;
use super::{Failed, OpenRing, Route, SlotMemory, params};
use crate::config::{RingConfig, SetupFlags};
use crate::layout::RingLayout;

/// # Safety
/// `memory` is zeroed, nobody else uses it, and its region stays mapped while the ring lives.
pub(super) unsafe fn attempt(
    config: &RingConfig,
    layout: &RingLayout,
    memory: SlotMemory<'_>,
) -> Result<OpenRing, Failed> {
    let sqes = memory.base();
    let rings = memory.region.at(memory.offset + layout.rings_at, layout.rings);
    let mut params = params(config);
    // Never NO_SQARRAY: liburing 2.2 and older write to the array whatever the flags say.
    params.flags |= SetupFlags::NO_MMAP.bits();
    place(&mut params, sqes, rings);
    // SAFETY: the parameters are ours, and the areas they name lie in the caller's memory with
    // room for all that the kernel will put there (`layout`).
    let fd = unsafe { io_uring_setup(config.entries(), &mut params) }
        .map_err(|errno| Failed::from_errno(errno, Route::Direct, layout))?;
    let at = sqes.as_ptr().addr();
    let reported = Reported::new(at, at, rings.as_ptr().addr(), &params);
    let extent = match reported.extent(config, layout) {
        Ok(extent) => extent,
        Err(cause) => {
            let mut raw = sys::io_uring { ring_fd: fd, ..Default::default() };
            #[cfg(have_enter_ring_fd)]
            {
                raw.enter_ring_fd = fd;
            }
            // SAFETY: the ring was just opened here, and is not used any more.
            unsafe { close_descriptor(&mut raw) };
            return Err(cause.into());
        }
    };
    // SAFETY: the kernel set the ring up at these addresses with these parameters, and all of it
    // lies in the slot, as was just checked.
    let raw = unsafe { fill(fd, &params, sqes, rings) };
    // SAFETY: the ring was just opened here, in memory that the caller keeps mapped.
    Ok(unsafe { OpenRing::new(raw, Route::Direct, extent) })
}

/// Says where the areas are: in the fields that headers before Linux 6.5 call reserved.
pub(super) fn place(params: &mut sys::io_uring_params, sqes: NonNull<u8>, rings: NonNull<u8>) {
    // The kernel is told the addresses as numbers and writes through them.
    let sqes = sqes.as_ptr().expose_provenance() as u64;
    let rings = rings.as_ptr().expose_provenance() as u64;
    #[cfg(have_user_addr)]
    {
        params.sq_off.user_addr = sqes;
        params.cq_off.user_addr = rings;
    }
    #[cfg(not(have_user_addr))]
    {
        params.sq_off.resv2 = sqes;
        params.cq_off.resv2 = rings;
    }
}

/// `io_uring_setup(2)`; liburing exports it only since 2.3.
///
/// # Safety
/// The areas that `params` names are the caller's to give.
pub(super) unsafe fn io_uring_setup(
    entries: u32,
    params: &mut sys::io_uring_params,
) -> Result<i32, Errno> {
    // SAFETY: the pointer is to a struct of the size that the kernel reads and writes; about the
    // areas in it the caller has promised.
    let fd =
        unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, std::ptr::from_mut(params)) };
    Errno::result(fd).map(|fd| fd as i32)
}

/// What liburing's `io_uring_setup_ring_pointers` and `__io_uring_queue_init_params` do, in all
/// releases.
///
/// # Safety
/// The kernel has set up a ring with these parameters at these addresses.
pub(super) unsafe fn fill(
    fd: i32,
    p: &sys::io_uring_params,
    sqes: NonNull<u8>,
    rings: NonNull<u8>,
) -> sys::io_uring {
    // SAFETY: the kernel's offsets lie inside the rings, whose extent has been checked.
    let at = |offset: u32| unsafe { rings.add(offset as usize) }.as_ptr();
    let mut raw = sys::io_uring::default();

    let sq = &mut raw.sq;
    sq.khead = at(p.sq_off.head).cast();
    sq.ktail = at(p.sq_off.tail).cast();
    sq.kring_mask = at(p.sq_off.ring_mask).cast();
    sq.kring_entries = at(p.sq_off.ring_entries).cast();
    sq.kflags = at(p.sq_off.flags).cast();
    sq.kdropped = at(p.sq_off.dropped).cast();
    sq.array = at(p.sq_off.array).cast();
    sq.sqes = sqes.as_ptr().cast();
    sq.ring_ptr = rings.as_ptr().cast();
    // `ring_sz` stays 0: nothing of it is liburing's to unmap.

    let cq = &mut raw.cq;
    cq.khead = at(p.cq_off.head).cast();
    cq.ktail = at(p.cq_off.tail).cast();
    cq.kring_mask = at(p.cq_off.ring_mask).cast();
    cq.kring_entries = at(p.cq_off.ring_entries).cast();
    cq.koverflow = at(p.cq_off.overflow).cast();
    cq.cqes = at(p.cq_off.cqes).cast();
    if p.cq_off.flags != 0 {
        cq.kflags = at(p.cq_off.flags).cast();
    }
    cq.ring_ptr = rings.as_ptr().cast();

    // Fields that headers before 2.3 (these) and 2.2 (`enter_ring_fd`) have as padding. A newer
    // library may be loaded than the headers are of, and reads them.
    #[cfg(have_ring_mask)]
    {
        raw.sq.ring_mask = p.sq_entries - 1;
        raw.sq.ring_entries = p.sq_entries;
        raw.cq.ring_mask = p.cq_entries - 1;
        raw.cq.ring_entries = p.cq_entries;
    }
    #[cfg(not(have_ring_mask))]
    {
        raw.sq.pad[..2].copy_from_slice(&[p.sq_entries - 1, p.sq_entries]);
        raw.cq.pad[..2].copy_from_slice(&[p.cq_entries - 1, p.cq_entries]);
    }
    raw.flags = p.flags;
    raw.features = p.features;
    raw.ring_fd = fd;
    #[cfg(have_enter_ring_fd)]
    {
        raw.enter_ring_fd = fd;
    }
    #[cfg(not(have_enter_ring_fd))]
    {
        raw.pad[0] = fd as u32;
    }

    // SAFETY: the ring was just set up, with so many SQEs and their array inside the rings.
    unsafe { map_one_to_one(&raw, p.sq_entries) };
    raw
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;

    #[test]
    fn addresses_go_where_the_kernel_looks_for_them() {
        let at = |n: usize| NonNull::new(std::ptr::without_provenance_mut(n)).unwrap();
        let mut params = sys::io_uring_params::default();
        place(&mut params, at(0x1111_0000), at(0x2222_0000));
        let base = std::ptr::from_ref(&params).cast::<u8>();
        let word = |offset: usize| {
            // SAFETY: both offsets lie inside the struct's 120 bytes.
            let field = unsafe { base.add(offset) };
            // SAFETY: eight initialised bytes of a plain C struct.
            unsafe { field.cast::<u64>().read_unaligned() }
        };
        // linux/io_uring.h since 6.5: sq_off.user_addr and cq_off.user_addr.
        assert_eq!((word(72), word(112)), (0x1111_0000, 0x2222_0000));
        assert_eq!(size_of::<sys::io_uring_params>(), 120);
    }

    /// A program built on one release may run on a newer one, whose functions read these.
    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn fields_that_newer_libraries_read_are_filled_whatever_the_headers_call_them() {
        use crate::region::{Region, page_size};
        let config = RingConfig::new(8).unwrap().cq_entries(32).unwrap();
        let layout = RingLayout::new(&config, page_size()).unwrap();
        let region = Region::anonymous(layout.stride).unwrap();
        let memory = SlotMemory { region: &region, offset: 0, len: layout.stride };
        // SAFETY: a fresh region, which outlives the ring.
        let ring = match unsafe { attempt(&config, &layout, memory) } {
            Ok(ring) => ring,
            Err(failed) => return assert_eq!(failed.cause, Cause::NoMmapUnsupported),
        };
        let base = std::ptr::from_ref(ring.raw()).cast::<u8>();
        let word = |offset: usize| {
            assert!(offset + 4 <= size_of::<sys::io_uring>());
            // SAFETY: inside the struct, as was just seen.
            let field = unsafe { base.add(offset) };
            // SAFETY: four initialised bytes of a plain C struct.
            unsafe { field.cast::<u32>().read_unaligned() }
        };
        let pointer = size_of::<usize>();
        let sq = 10 * pointer + 8;
        let cq = sq + 16 + 9 * pointer;
        // liburing.h since 2.3: ring_mask and ring_entries of either; since 2.2: enter_ring_fd.
        assert_eq!([word(sq), word(sq + 4)], [7, 8]);
        assert_eq!([word(cq), word(cq + 4)], [31, 32]);
        assert_eq!(word(cq + 16 + 12), ring.fd() as u32);
    }

    /// Where liburing itself can do it, it must come to the same struct.
    #[cfg(have_init_mem)]
    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn the_hand_filled_struct_is_what_liburing_fills() {
        use crate::region::{Region, page_size};
        use crate::setup::init_mem;
        let config = RingConfig::new(64).unwrap();
        let layout = RingLayout::new(&config, page_size()).unwrap();
        let region = Region::anonymous(2 * layout.stride).unwrap();
        let slot =
            |i| SlotMemory { region: &region, offset: i * layout.stride, len: layout.stride };
        // SAFETY: two slots of a fresh region, which outlives both rings.
        let theirs =
            unsafe { init_mem::attempt(init_mem::Library::at_hand(), &config, &layout, slot(0)) };
        // SAFETY: as above.
        let ours = unsafe { attempt(&config, &layout, slot(1)) };
        let (theirs, ours) = match (theirs, ours) {
            (Ok(theirs), Ok(ours)) => (theirs, ours),
            // A kernel without NO_MMAP refuses both alike.
            (Err(theirs), Err(ours)) => {
                assert_eq!(theirs.cause, ours.cause);
                return;
            }
            (Err(theirs), Ok(_)) => {
                let no_sqarray = SetupFlags::NO_SQARRAY.bits();
                let mut params = sys::io_uring_params { flags: no_sqarray, ..Default::default() };
                // SAFETY: no memory is given.
                let known = unsafe { io_uring_setup(1, &mut params) };
                // Linux 6.5, where newer releases are kept from it.
                assert_eq!((theirs.cause, known), (Cause::NoMmapUnsupported, Err(Errno::EINVAL)));
                return;
            }
            (theirs, ours) => panic!("one works, the other not: {theirs:?}, {ours:?}"),
        };
        let (a, b) = (theirs.raw(), ours.raw());
        let shift = layout.stride;
        let moved = |a: usize, b: usize| a + shift == b;
        for (a, b) in [
            (a.sq.khead.addr(), b.sq.khead.addr()),
            (a.sq.ktail.addr(), b.sq.ktail.addr()),
            (a.sq.kring_mask.addr(), b.sq.kring_mask.addr()),
            (a.sq.kring_entries.addr(), b.sq.kring_entries.addr()),
            (a.sq.kflags.addr(), b.sq.kflags.addr()),
            (a.sq.kdropped.addr(), b.sq.kdropped.addr()),
            (a.sq.sqes.addr(), b.sq.sqes.addr()),
            (a.sq.ring_ptr.addr(), b.sq.ring_ptr.addr()),
            (a.cq.khead.addr(), b.cq.khead.addr()),
            (a.cq.ktail.addr(), b.cq.ktail.addr()),
            (a.cq.kring_mask.addr(), b.cq.kring_mask.addr()),
            (a.cq.kring_entries.addr(), b.cq.kring_entries.addr()),
            (a.cq.kflags.addr(), b.cq.kflags.addr()),
            (a.cq.koverflow.addr(), b.cq.koverflow.addr()),
            (a.cq.cqes.addr(), b.cq.cqes.addr()),
            (a.cq.ring_ptr.addr(), b.cq.ring_ptr.addr()),
        ] {
            assert!(moved(a, b), "{a:#x} in slot 0, {b:#x} in slot 1");
        }
        assert_eq!((a.sq.ring_sz, a.cq.ring_sz), (b.sq.ring_sz, b.cq.ring_sz));
        assert_eq!((a.sq.ring_mask, a.cq.ring_mask), (b.sq.ring_mask, b.cq.ring_mask));
        assert_eq!((a.sq.ring_entries, a.cq.ring_entries), (b.sq.ring_entries, b.cq.ring_entries));
        assert_eq!(a.features, b.features);
        assert_eq!(a.flags & !SetupFlags::NO_SQARRAY.bits(), b.flags);
        assert_eq!((a.enter_ring_fd, b.enter_ring_fd), (a.ring_fd, b.ring_fd));
    }
}
