//! All that is bound, with the numbers that rustc sees.

use std::mem::{align_of, offset_of, size_of};

use liburing_sys as sys;

type Lists = (
    &'static [(&'static str, *const ())],
    &'static [(&'static str, i128)],
    &'static [(&'static str, usize, usize)],
    &'static [(&'static str, &'static str, usize)],
);

/// The build script lists them; casts that change nothing on one target do on another.
#[allow(clippy::all, trivial_numeric_casts)]
fn lists() -> Lists {
    include!(concat!(env!("OUT_DIR"), "/inventory.rs"))
}

/// Name and address. Taking the address is what makes the linker look for the function.
pub(crate) fn functions() -> &'static [(&'static str, *const ())] {
    lists().0
}

/// Name and value.
pub(crate) fn constants() -> &'static [(&'static str, i128)] {
    lists().1
}

/// C's name, size and alignment of each struct.
pub(crate) fn types() -> &'static [(&'static str, usize, usize)] {
    lists().2
}

/// C's name of the struct, C's path to the field, and its offset.
pub(crate) fn fields() -> &'static [(&'static str, &'static str, usize)] {
    lists().3
}
