//! Types for documentation that is made where there is no liburing: their names, and nothing of what is in them.
//!
//! rustdoc looks at signatures and fields, not into function bodies, so this is enough for the documentation of
//! crates that mention liburing's types. It is never part of a program: a build without liburing is an error.

#![allow(non_camel_case_types)]

macro_rules! opaque {
    ($($name:ident)*) => {$(
        #[doc = concat!("`struct ", stringify!($name), "`. This documentation was made without liburing.")]
        #[derive(Clone, Copy, Debug, Default)]
        #[repr(C)]
        pub struct $name {
            _without_liburing: [u8; 0],
        }
    )*};
}

opaque! {
    __kernel_timespec
    io_cqring_offsets
    io_sqring_offsets
    io_uring
    io_uring_buf
    io_uring_buf_reg
    io_uring_buf_ring
    io_uring_cq
    io_uring_cqe
    io_uring_getevents_arg
    io_uring_params
    io_uring_probe
    io_uring_probe_op
    io_uring_sq
    io_uring_sqe
}
