//! The bindings against a C compiler, the library and the kernel, and the build script against machines that lack
//! something.

mod common;
mod constants;
#[allow(unsafe_code, reason = "it asks the dynamic linker")]
mod detection;
mod inventory;
mod layout;
mod links;
#[allow(unsafe_code, reason = "it calls liburing")]
mod nop;
mod refusals;
