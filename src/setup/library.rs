//! What the liburing that is loaded says of itself.
//!
//! This room may hold `unsafe`: it calls, and looks up, two functions without arguments. It guarantees
//! that they have the type that they are called by.
#![allow(unsafe_code)]

use once_cell::race::OnceBox;

use crate::version::Version;

/// The version of the liburing that is loaded: `None` before 2.4, which does not tell.
///
/// A program built on one release may run on another: the soname is the same. Built with 2.4 or
/// newer the functions are called; built with an older one they are looked up.
#[must_use]
pub fn loaded_version() -> Option<Version> {
    // A library does not change while it is loaded, and each ring that is made asks.
    static LOADED: OnceBox<Option<Version>> = OnceBox::new();
    *LOADED.get_or_init(|| Box::new(ask()))
}

fn ask() -> Option<Version> {
    let major = tell(
        #[cfg(have_version)]
        liburing_sys::io_uring_major_version,
        c"io_uring_major_version",
    )?;
    let minor = tell(
        #[cfg(have_version)]
        liburing_sys::io_uring_minor_version,
        c"io_uring_minor_version",
    )?;
    Some(Version::new(u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
}

#[cfg(have_version)]
fn tell(function: unsafe extern "C" fn() -> i32, _name: &std::ffi::CStr) -> Option<i32> {
    // SAFETY: both functions take nothing, return a constant and touch nothing.
    Some(unsafe { function() })
}

#[cfg(not(have_version))]
fn tell(name: &std::ffi::CStr) -> Option<i32> {
    // SAFETY: the name is a C string; looking a symbol up has no effect.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    // SAFETY: a symbol of this name is liburing's function, `int f(void)` since it exists (2.4).
    let function = unsafe {
        std::mem::transmute::<*mut std::ffi::c_void, unsafe extern "C" fn() -> i32>(symbol)
    };
    // SAFETY: it takes nothing, returns a constant and touches nothing.
    Some(unsafe { function() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It may be older than the headers, too: what was linked from it has to be there, no more.
    #[test]
    #[cfg_attr(miri, ignore = "calls liburing")]
    fn a_library_tells_its_version_unless_it_is_older_than_2_4() {
        match loaded_version() {
            Some(loaded) => assert!(loaded >= Version::new(2, 4), "{loaded}"),
            None => assert!(Version::headers() < Version::new(2, 4)),
        }
    }
}
