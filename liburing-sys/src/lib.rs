//! Raw bindings to the liburing 2.x that the system has: every function, struct and constant of its headers, the
//! functions that C inlines included. Nothing here is safe; [`uring-pool`](https://crates.io/crates/uring-pool) is.
//!
//! What the functions do is told by [liburing's man pages](https://man7.org/linux/man-pages/man7/io_uring.7.html).
//!
//! # Which liburing
//!
//! 2.0 or newer, as found by pkg-config. Where it is in a place of its own:
//!
//! | variable | |
//! |---|---|
//! | `LIBURING_INCLUDE_DIR` | The folder of `liburing.h`. More folders may follow after a `:`, such as those of the kernel headers that a newer liburing needs. |
//! | `LIBURING_LIB_DIR` | The folder of `liburing.so` or `liburing.a`. |
//! | `LIBURING_STATIC` | Anything but empty or `0`: `liburing.a` becomes part of the program. |
//!
//! As soon as one of the two folders is set, pkg-config is not asked, and a folder that is not set is left to the
//! compiler's search path. Reading the headers takes libclang (bindgen documents `LIBCLANG_PATH` and
//! `BINDGEN_EXTRA_CLANG_ARGS`), and a C compiler (the cc crate documents `CC` and `CFLAGS`).
//!
//! Cross compiling needs nothing more than a C compiler for the target and either of the above for the target's
//! liburing: `PKG_CONFIG_SYSROOT_DIR` and its kin, or the two folders. Nothing that is built is run.
//!
//! # What it can do
//!
//! Releases of liburing differ. [`APIS`] and the constants next to it tell what was found, by compiling and linking a
//! call rather than by comparing versions. A *declaration* that is missing cannot be asked for with `if`, so the
//! same is told to build scripts of crates that depend on this one *directly*:
//!
//! ```no_run
//! // build.rs
//! println!("cargo::rustc-check-cfg=cfg(have_init_mem)");
//! if std::env::var("DEP_URING_HAVE_INIT_MEM").as_deref() == Ok("1") {
//!     println!("cargo::rustc-cfg=have_init_mem");
//! }
//! ```
//!
//! There is a `DEP_URING_HAVE_…` of `1` or `0` for every constant `HAVE_…`, and besides `DEP_URING_VERSION` (`2.9`),
//! `DEP_URING_INCLUDE` (folders, separated by `:`), `DEP_URING_STATIC` (`1` or `0`) and
//! `DEP_URING_DOCS_WITHOUT_LIBURING` (`1` or `0`).
//!
//! Functions that the headers declare and the library does not export are left out: `io_uring_enable_rings` of a
//! shared liburing before 2.4.
//!
//! # Names and types
//!
//! All names are C's. A macro has the width that it has in C, and is unsigned unless its value is negative, with
//! every liburing: `IOSQE_ASYNC` is a `u32`, although it goes into the `u8` of `io_uring_sqe::flags`. Macros with
//! arguments have no counterpart. `io_uring_for_each_cqe` is a loop; write one.
//!
//! Unnamed unions are called `__bindgen_anon_1` and so on, and which is which differs between releases. Code for all
//! of them had better use the `io_uring_prep_…` functions, or the offsets in `struct io_uring_sqe`, which never change.
//!
//! Types of the C library are those of the [`libc`] crate.
//!
//! # Documentation without liburing
//!
//! docs.rs has no liburing. With `DOCS_RS` set and none found, the types are empty and nothing else is declared.
//! `cargo doc` on a machine with liburing shows it all.

#![no_std]

#[cfg(not(docs_without_liburing))]
mod bindings;
#[cfg(docs_without_liburing)]
mod stand_in;

#[cfg(not(docs_without_liburing))]
pub use bindings::*;
#[cfg(docs_without_liburing)]
pub use stand_in::*;

include!(concat!(env!("OUT_DIR"), "/detected.rs"));
