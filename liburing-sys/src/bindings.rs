//! What the build script made of liburing's headers.

// Generated: C's names, undocumented here, documented in liburing's man pages.
#![allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_code
)]
// libc's open_how may grow, so it counts as not FFI-safe; it is only ever behind a pointer.
// Not every release needs every one of libc's types.
#![allow(improper_ctypes, unused_imports, unsafe_op_in_unsafe_fn)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]

use libc::{
    cmsghdr, cpu_set_t, epoll_event, id_t, idtype_t, iovec, loff_t, mode_t, msghdr, off_t,
    open_how, siginfo_t, sigset_t, sockaddr, socklen_t, statx,
};

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
