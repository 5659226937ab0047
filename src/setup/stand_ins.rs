//! Functions that stand in for `io_uring_queue_init_mem` of releases that return or do what they
//! should not: what comes of it with each, on any library and every kernel.
#![allow(unsafe_code)]

mod library;

use std::ffi::c_int;
use std::ptr::NonNull;

use liburing_sys as sys;
use nix::errno::Errno;

use library::{CALLS, GIVEN, as_2_9_before_linux_6_6, at_pages, scribbles};

use super::init_mem::{Library, QueueInitMem};
use super::separate::KNOWS_WIDE_ENTRIES;
use super::{Learned, OpenRing, Route, RouteSet, SlotMemory, open_now};
use crate::config::{RingConfig, SetupFlags};
use crate::error::{Cause, Result};
use crate::layout::RingLayout;
use crate::region::{Region, page_size};
use crate::version::{Version, kernel_release};

const LARGE: c_int = c_int::MAX;
const EINVAL: c_int = -(Errno::EINVAL as c_int);

/// A ring whose SQEs fill a page, and whose rings take another.
fn config() -> RingConfig {
    RingConfig::new((page_size() / 64) as u32).unwrap()
}

/// Three slots, of which the one in the middle is tried.
struct Ground {
    region: Region,
    config: RingConfig,
    layout: RingLayout,
    learned: Learned,
}

impl Ground {
    /// `None`, and that is made sure of, if this kernel takes no such ring at all.
    fn new(config: RingConfig) -> Option<Self> {
        let layout = RingLayout::new(&config, page_size()).unwrap();
        let region = Region::anonymous(3 * layout.stride).unwrap();
        let ground = Self { region, config, layout, learned: Learned::default() };
        let direct = ground.open(at_pages::<0, 1, 0>, RouteSet::only(&[Route::Direct]), 0);
        match direct.map_err(|error| error.cause()) {
            Ok(_) => {}
            Err(Cause::NoMmapUnsupported) => return None,
            Err(cause) => panic!("{cause}"),
        }
        // A thread's own table of descriptors: other tests' do not come and go in it.
        // SAFETY: only this test's thread is concerned, and it goes on with copies of them all.
        Errno::result(unsafe { libc::unshare(libc::CLONE_FILES) }).unwrap();
        // What that ring leaves behind is not there for the others.
        ground.slot(0).renew().unwrap();
        ground.mark(0);
        ground.mark(2);
        Some(ground)
    }

    fn slot(&self, i: usize) -> SlotMemory<'_> {
        let len = self.layout.stride;
        SlotMemory { region: &self.region, offset: i * len, len }
    }

    fn bytes(&self, i: usize) -> &[std::sync::atomic::AtomicU8] {
        let base = self.slot(i).base().cast();
        // SAFETY: mapped while `self` lives, and only ever looked at as atomics here.
        unsafe { NonNull::slice_from_raw_parts(base, self.layout.stride).as_ref() }
    }

    fn mark(&self, slot: usize) {
        use std::sync::atomic::Ordering::Relaxed;
        self.bytes(slot).iter().for_each(|byte| byte.store(0xa5, Relaxed));
    }

    fn is_marked(&self, slot: usize) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        self.bytes(slot).iter().all(|byte| byte.load(Relaxed) == 0xa5)
    }

    fn open(
        &self,
        queue_init_mem: QueueInitMem,
        routes: RouteSet,
        slot: usize,
    ) -> Result<OpenRing> {
        self.open_with(queue_init_mem, Version::new(2, 9), routes, slot)
    }

    fn open_with(
        &self,
        queue_init_mem: QueueInitMem,
        loaded: Version,
        routes: RouteSet,
        slot: usize,
    ) -> Result<OpenRing> {
        let library = Library { queue_init_mem: Some(queue_init_mem), loaded: Some(loaded) };
        let Self { config, layout, learned, .. } = self;
        // SAFETY: the slot is the test's, zeroed, and mapped while `self` lives; no ring is kept
        // longer.
        unsafe { open_now(library, config, layout, routes, learned, Some(self.slot(slot))) }
    }

    /// Makes a ring in the middle, all routes allowed, and looks at what came of it.
    fn try_all(&self, queue_init_mem: QueueInitMem) -> OpenRing {
        let before = descriptors();
        let mut ring = self.open(queue_init_mem, RouteSet::ALL, 1).unwrap();
        assert_eq!(descriptors(), before + 1, "what was undone is closed");
        // A ring has its SQEs at the start, and its rings at the page after them.
        let at = |address: usize| address - self.slot(1).base().addr().get();
        assert_eq!(at(ring.raw().sq.sqes.addr()), 0);
        assert_eq!(at(ring.raw().sq.ring_ptr.addr()), self.layout.rings_at);
        // What finds the next SQE in liburing 2.1 and older takes all for small ones.
        if self.config.sqe_shift() == 0 || KNOWS_WIDE_ENTRIES {
            go_round(&mut ring);
        }
        ring
    }

    /// The route that `queue_init_mem` is refused for, with this cause, and not tried again.
    fn refused_for(&self, queue_init_mem: QueueInitMem, is_cause: impl Fn(&Cause) -> bool) {
        for _ in 0..2 {
            let ring = self.try_all(queue_init_mem);
            assert_eq!(ring.route(), Route::Direct);
            let [refusal] = ring.refusals() else { panic!("{ring:?}") };
            assert_eq!(refusal.route(), Route::InitMem);
            assert!(is_cause(&refusal.cause()), "{refusal}");
            drop(ring);
            self.slot(1).renew().unwrap();
        }
        assert_eq!(CALLS.get(), 1, "asked once: the answer is the same for every ring");
    }
}

fn linux_before(major: u32, minor: u32) -> bool {
    let release = kernel_release();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (major, minor)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/thread-self/fd").unwrap().count()
}

/// Fills the SQ twice over with NOPs: every SQE and every index of the array is used.
fn go_round(ring: &mut OpenRing) {
    // SAFETY: the ring is open; the header has its length.
    let len = unsafe { ring.raw().sq.kring_entries.read() };
    let ring: *mut _ = ring.raw_mut();
    for i in 0..2 * u64::from(len) {
        // SAFETY: an open ring, used by nobody else; as in all of the following.
        let sqe = unsafe { sys::io_uring_get_sqe(ring) };
        // SAFETY: the SQ is empty, so there was one.
        unsafe { sys::io_uring_prep_nop(sqe) };
        // SAFETY: as above. (Not `io_uring_sqe_set_data64`, which came with 2.2.)
        unsafe { (*sqe).user_data = i };
        // SAFETY: as above.
        assert_eq!(unsafe { sys::io_uring_submit(ring) }, 1);
        let mut cqe = std::ptr::null_mut();
        // SAFETY: as above.
        assert_eq!(unsafe { sys::io_uring_wait_cqe(ring, &mut cqe) }, 0);
        // SAFETY: a completion that is not marked as seen yet.
        let done = unsafe { cqe.read() };
        assert_eq!((done.user_data, done.res), (i, 0));
        // SAFETY: as above.
        unsafe { sys::io_uring_cqe_seen(ring, cqe) };
    }
}

/// 2.5 to 2.14 return too little for some sizes; more than there is nobody returns.
#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_ring_is_taken_where_it_lies_whatever_size_the_library_returned() {
    let Some(ground) = Ground::new(config()) else { return };
    let stride = ground.layout.stride as c_int;
    assert!(stride > 4096);
    let direct = ground.open(at_pages::<0, 1, 0>, RouteSet::only(&[Route::Direct]), 1).unwrap();
    let extent = direct.extent();
    assert!(extent > ground.layout.rings_at && extent <= ground.layout.stride);
    drop(direct);
    for short in [
        at_pages::<0, 1, 0> as QueueInitMem,
        at_pages::<0, 1, 1>,
        at_pages::<0, 1, 4096>,
        at_pages::<0, 1, LARGE>,
    ] {
        ground.slot(1).renew().unwrap();
        let ring = ground.try_all(short);
        assert_eq!((ring.route(), ring.refusals()), (Route::InitMem, [].as_slice()));
        assert_eq!(ring.extent(), extent, "what the kernel uses");
    }
    assert!(ground.is_marked(0) && ground.is_marked(2));
}

/// 2.5 to 2.8 count SQEs of 64 bytes each, `SQE128` or not.
#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn rings_placed_inside_doubled_sqes_are_undone_and_made_directly() {
    if linux_before(6, 10) {
        // Doubled SQEs are two pages, which must be contiguous there: a matter of luck.
        return eprintln!("NOT TESTED: misplaced rings with SQE128: needs Linux 6.10");
    }
    let Some(ground) = Ground::new(config().sqe128()) else { return };
    assert_eq!(ground.layout.rings_at, 2 * page_size());
    ground.refused_for(at_pages::<0, 1, 0>, |cause| matches!(cause, Cause::Misplaced { .. }));
    assert!(ground.is_marked(0) && ground.is_marked(2));
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn rings_beyond_their_slot_or_in_another_are_undone_and_made_directly() {
    for place in [
        at_pages::<0, 2, 0> as QueueInitMem,
        at_pages::<0, -1, 0>,
        at_pages::<1, 2, 0>,
        at_pages::<2, 3, 0>,
        at_pages::<-2, -1, 0>,
        at_pages::<1, 0, 0>,
    ] {
        let Some(ground) = Ground::new(config()) else { return };
        CALLS.set(0);
        ground.refused_for(place, |cause| matches!(cause, Cause::Misplaced { .. }));
    }
}

/// 2.7 on Linux 6.5 puts the rings where no page begins.
#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_library_that_refuses_what_the_kernel_takes_is_told_from_the_kernel() {
    let Some(ground) = Ground::new(config()) else { return };
    ground.refused_for(scribbles::<EINVAL>, |&cause| cause == Cause::LibraryRefused);
    assert!(ground.is_marked(0) && ground.is_marked(2));
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn what_a_failed_attempt_wrote_is_gone_before_the_next() {
    use std::sync::atomic::Ordering::Relaxed;
    let Some(ground) = Ground::new(config()) else { return };
    let ring = ground.open(scribbles::<EINVAL>, RouteSet::ALL, 1).unwrap();
    assert_eq!((ring.route(), CALLS.get()), (Route::Direct, 1));
    let bytes = ground.bytes(1);
    let beside = bytes[..ground.layout.rings_at].iter().chain(&bytes[ring.extent()..]);
    assert!(beside.into_iter().all(|byte| byte.load(Relaxed) == 0));
}

/// In slots that are packed, that page is the next one's: the kernel writes a header into its SQEs
/// before anybody can look where it went.
#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_library_never_gets_to_the_try_that_lays_rings_into_the_next_slot() {
    let Some(ground) = Ground::new(config()) else { return };
    let refused = |&cause: &Cause| cause == Cause::LibraryRefused;
    ground.refused_for(as_2_9_before_linux_6_6, refused);
    assert!(ground.is_marked(0) && ground.is_marked(2));
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn it_is_told_the_true_room_and_the_flag_that_goes_with_the_release_that_is_loaded() {
    let Some(ground) = Ground::new(config()) else { return };
    let asked = |loaded| {
        ground.slot(1).renew().unwrap();
        let only = RouteSet::only(&[Route::InitMem]);
        let ring = ground.open_with(at_pages::<0, 1, 0>, loaded, only, 1).unwrap();
        assert_eq!(ring.route(), Route::InitMem);
        let (flags, room) = GIVEN.get();
        assert_eq!(room, ground.layout.stride, "a library that keeps to it cannot leave the slot");
        flags & SetupFlags::NO_SQARRAY.bits() != 0
    };
    // 2.5 writes to the array even where there is none, that is, over the rings' header.
    assert!(!asked(Version::new(2, 5)));
    for minor in [6, 7, 8, 9, 14, 15, 16] {
        assert!(asked(Version::new(2, minor)), "2.{minor}");
    }
}
