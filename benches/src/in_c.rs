//! The programs in C (c/), called.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::Result;
use crate::work::{Kind, Took};

unsafe extern "C" {
    safe fn c_nop(batch: u32, operations: u64, nanoseconds: &mut u64) -> c_int;
    safe fn c_write(fd: c_int, len: u32, batch: u32, operations: u64, ns: &mut u64) -> c_int;
    safe fn c_read(
        fd: c_int,
        blocks: u64,
        len: u32,
        kind: c_int,
        depth: u32,
        operations: u64,
        nanoseconds: &mut u64,
    ) -> c_int;
    safe fn c_make(rings: u64, nanoseconds: &mut u64) -> c_int;
    static c_make_route: *const c_char;
}

pub(crate) fn nop(batch: u32, operations: u64) -> Result<Took> {
    took(|ns| c_nop(batch, operations, ns))
}

pub(crate) fn write(fd: impl AsFd, len: u32, batch: u32, operations: u64) -> Result<Took> {
    took(|ns| c_write(fd.as_fd().as_raw_fd(), len, batch, operations, ns))
}

pub(crate) fn read(
    fd: impl AsFd,
    blocks: u64,
    len: u32,
    kind: Kind,
    depth: u32,
    operations: u64,
) -> Result<Took> {
    let fd = fd.as_fd().as_raw_fd();
    took(|ns| c_read(fd, blocks, len, kind as c_int, depth, operations, ns))
}

pub(crate) fn make(rings: u64) -> Result<Took> {
    took(|ns| c_make(rings, ns))
}

/// How [`make`] makes them, in words.
pub(crate) fn make_route() -> &'static str {
    // SAFETY: a constant of c/make.c.
    let route = unsafe { c_make_route };
    // SAFETY: a string literal there.
    unsafe { CStr::from_ptr(route) }.to_str().unwrap_or("?")
}

fn took(program: impl FnOnce(&mut u64) -> c_int) -> Result<Took> {
    let mut nanoseconds = 0;
    match program(&mut nanoseconds) {
        0 => Ok(Took { nanoseconds, allocations: None }),
        error => Err(format!("in C: {}", io::Error::from_raw_os_error(-error)).into()),
    }
}
