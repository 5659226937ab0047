//! A request goes round, so struct layouts, inline functions and library agree at run time.

use std::mem::zeroed;
use std::ptr;

use liburing_sys as sys;

/// Puts a NOP through a ring that is set up, and takes the ring down.
fn nop_goes_round(ring: &mut sys::io_uring) {
    const TAG: u64 = 0x1234_5678_9abc_def0;
    // SAFETY: the ring is set up, and this is its only user.
    let sqe = unsafe { sys::io_uring_get_sqe(ring) };
    assert!(!sqe.is_null());
    // SAFETY: liburing gave this entry out, and nobody else has it.
    unsafe { sys::io_uring_prep_nop(sqe) };
    // SAFETY: as before.
    unsafe { (*sqe).user_data = TAG };
    // SAFETY: the ring is set up, and a NOP refers to no memory.
    assert_eq!(unsafe { sys::io_uring_submit(ring) }, 1);

    let mut cqe = ptr::null_mut();
    // SAFETY: the ring is set up, and one request is under way.
    assert_eq!(unsafe { sys::io_uring_wait_cqe(ring, &mut cqe) }, 0);
    // SAFETY: waiting succeeded, so this points to a completion that has not been marked as seen.
    let done = unsafe { &*cqe };
    assert_eq!((done.user_data, done.res), (TAG, 0));
    // SAFETY: the completion is not looked at any more.
    unsafe { sys::io_uring_cqe_seen(ring, cqe) };
    // SAFETY: set up, nothing under way, not used afterwards.
    unsafe { sys::io_uring_queue_exit(ring) };
}

#[test]
fn a_nop_goes_round() {
    // SAFETY: integers and pointers, for which zeroes are values.
    let mut ring: sys::io_uring = unsafe { zeroed() };
    // SAFETY: liburing fills the struct in.
    let answer = unsafe { sys::io_uring_queue_init(4, &mut ring, 0) };
    assert_eq!(answer, 0, "io_uring_queue_init: errno {}", -answer);
    nop_goes_round(&mut ring);
}

/// This is compiled exactly where the build script found the function, so it fails to link where it erred.
#[cfg(have_init_mem)]
#[test]
fn a_nop_goes_round_in_memory_of_the_callers() {
    #[repr(C, align(65536))]
    struct Memory([u8; 65536]);

    // Pages of this process; other requirements have no part in this test.
    // Never given back to the allocator: what is left of a closed ring is taken down later, and
    // writes to the pages that it has pinned.
    let memory = Box::leak(Box::new(Memory([0; 65536])));
    // SAFETY: integers and pointers, for which zeroes are values.
    let (mut ring, mut params): (sys::io_uring, sys::io_uring_params) = unsafe { zeroed() };
    let at = memory.0.as_mut_ptr().cast();
    // SAFETY: the memory is zeroed, aligned, as large as told, and outlives the ring.
    let answer = unsafe { sys::io_uring_queue_init_mem(4, &mut ring, &mut params, at, 65536) };
    if answer == -libc::EINVAL {
        // Linux before 6.5: it was called and it answered, which is all that the bindings can promise there.
        eprintln!("this kernel takes no memory of the caller's; only the call was tested");
        return;
    }
    assert!(answer > 0, "io_uring_queue_init_mem: errno {}", -answer);
    // liburing 2.5 to 2.7 unmaps the caller's SQEs at exit, and nothing else would tell it not to (2.8: f4934cc8).
    if (sys::VERSION_MAJOR, sys::VERSION_MINOR) < (2, 8) {
        return;
    }
    nop_goes_round(&mut ring);
}
