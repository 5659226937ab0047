//! Puts a NOP through a ring: in memory of its own where liburing can do that, in liburing's otherwise. It tells
//! which of the two was compiled.

#![allow(unsafe_code, reason = "the raw bindings are unsafe; uring-pool is the safe crate")]

use std::io;
#[cfg(not(have_init_mem))]
use std::mem::zeroed;
use std::ptr;

use liburing_sys as sys;

// With the cfg, not with `if sys::HAVE_INIT_MEM`: on liburing before 2.5 there is nothing of that name to call.
#[cfg(have_init_mem)]
mod own_memory;

#[cfg(have_init_mem)]
const BRANCH: &str = "io_uring_queue_init_mem";
#[cfg(not(have_init_mem))]
const BRANCH: &str = "io_uring_queue_init";

fn main() -> io::Result<()> {
    println!("built with liburing {}, compiled branch: {BRANCH}", env!("BUILT_WITH_LIBURING"));

    #[cfg(have_init_mem)]
    let bytes = own_memory::with_ring(nop)?;
    #[cfg(not(have_init_mem))]
    let bytes = with_ring(nop)?;

    println!("a NOP went round; bytes of the ring in our own memory: {bytes}");
    Ok(())
}

/// A ring in memory that liburing maps: none of it is ours.
#[cfg(not(have_init_mem))]
fn with_ring(work: fn(&mut sys::io_uring) -> io::Result<()>) -> io::Result<usize> {
    // SAFETY: a struct of integers and pointers, for which zeroes are values.
    let mut ring = unsafe { zeroed() };
    // SAFETY: liburing fills the struct in.
    check(unsafe { sys::io_uring_queue_init(8, &mut ring, 0) })?;
    let done = work(&mut ring);
    // SAFETY: set up above, and not used afterwards.
    unsafe { sys::io_uring_queue_exit(&mut ring) };
    done.map(|()| 0)
}

/// One request that does nothing, there and back.
fn nop(ring: &mut sys::io_uring) -> io::Result<()> {
    // SAFETY: the ring is set up, and we are its only user.
    let sqe = unsafe { sys::io_uring_get_sqe(ring) };
    assert!(!sqe.is_null(), "a fresh ring has room");
    // SAFETY: the entry is ours until it is submitted.
    unsafe { sys::io_uring_prep_nop(sqe) };
    // SAFETY: the ring is set up, and a NOP refers to no memory.
    check(unsafe { sys::io_uring_submit(ring) })?;

    let mut cqe = ptr::null_mut();
    // SAFETY: one request is under way, so this ends.
    check(unsafe { sys::io_uring_wait_cqe(ring, &mut cqe) })?;
    // SAFETY: waiting succeeded, so this is a completion that has not been marked as seen.
    let result = unsafe { (*cqe).res };
    // SAFETY: it is not looked at any more.
    unsafe { sys::io_uring_cqe_seen(ring, cqe) };
    check(result).map(drop)
}

/// liburing does not set errno, it returns it negated.
fn check(answer: i32) -> io::Result<i32> {
    if answer < 0 { Err(io::Error::from_raw_os_error(-answer)) } else { Ok(answer) }
}
