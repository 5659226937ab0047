//! Rust declarations for everything in liburing's headers, and an archive with the functions that C inlines.

use std::panic;
use std::path::Path;

use bindgen::callbacks::{MacroParsingBehavior, ParseCallbacks};

use crate::compiler::{Compiler, settings};
use crate::find::{Liburing, indented};
use crate::header::Header;
use crate::help::{Failure, Missing};
use crate::inventory::Inventory;
use crate::{macros, sieve};

/// The archive of inline functions: its name, and what it adds to theirs, so that another crate in the same program
/// may do the same.
pub(crate) const INLINES: &str = "uring_pool_inlines";
const SUFFIX: &str = "__uring_pool_sys";

/// Types of the C library and kernel, which the libc crate has: src/bindings.rs imports them.
const LIBC: &[&str] = &[
    "cmsghdr",
    "cpu_set_t",
    "epoll_event",
    "id_t",
    "idtype_t",
    "iovec",
    "loff_t",
    "mode_t",
    "msghdr",
    "off_t",
    "open_how",
    "siginfo_t",
    "sigset_t",
    "sockaddr",
    "socklen_t",
    "statx",
];

/// What those are made of, in glibc's headers.
const LIBC_PARTS: &[&str] = &[
    "__(clock|cpu|id|loff|mode|off|off64|pid|sigset|sigval|socklen|uid|uint32)(_t|_mask)",
    "P_(ALL|PID|PGID|PIDFD)",
    "sa_family_t",
    "siginfo_t__.*",
    "sigval",
    "statx_timestamp",
];

pub(crate) struct Bindings {
    pub(crate) code: String,
    pub(crate) inventory: Inventory,
}

pub(crate) fn generate(
    compiler: &Compiler,
    found: &Liburing,
    header: &Header,
    wrapper: &Path,
    out: &Path,
) -> Result<Bindings, Failure> {
    load_libclang()?;
    let constants = macros::constants(compiler, header, clang(found), wrapper)?;

    let mut code = bind(found, wrapper, out, &[])?;
    let all = inventory(&code)?.functions();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    // Releases before 2.4 declare functions that they do not export. A declaration that cannot be linked is no help.
    let absent = sieve::refused(&names, &|some| compiler.links(some))?;
    if !absent.is_empty() {
        code = bind(found, wrapper, out, &absent)?;
    }
    code += &constants;

    settings(found).file(out.join("inlines.c")).try_compile(INLINES).map_err(|error| {
        Failure::plain(format!("the inline functions of liburing do not compile: {error}"))
    })?;
    let inventory = inventory(&code)?;
    Ok(Bindings { code, inventory })
}

fn inventory(code: &str) -> Result<Inventory, Failure> {
    Inventory::of(code).map_err(Failure::plain)
}

fn bind(found: &Liburing, wrapper: &Path, out: &Path, absent: &[&str]) -> Result<String, Failure> {
    let mut builder = clang(found)
        .header(wrapper.display().to_string())
        .allowlist_file(r"(.*/)?liburing\.h")
        .allowlist_file(r".*/liburing/(io_uring/)?[a-z_]+\.h")
        .wrap_static_fns(true)
        .wrap_static_fns_path(out.join("inlines"))
        .wrap_static_fns_suffix(SUFFIX)
        .prepend_enum_name(false)
        .merge_extern_blocks(true)
        .impl_debug(true)
        .derive_default(true)
        .generate_comments(false)
        .parse_callbacks(Box::new(NoMacros))
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new().rerun_on_header_files(false)));
    for name in LIBC.iter().chain(LIBC_PARTS) {
        builder = builder.blocklist_item(name);
    }
    for name in absent {
        builder = builder.blocklist_function(name);
    }
    let bindings = builder.generate().map_err(|error| explain(&error.to_string()))?;
    Ok(bindings.to_string() + "\n")
}

/// What every run of bindgen has in common.
fn clang(found: &Liburing) -> bindgen::Builder {
    let oldest = bindgen::RustTarget::stable(85, 0).unwrap_or_default();
    bindgen::Builder::default()
        .rust_target(oldest)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .use_core()
        .formatter(bindgen::Formatter::None)
        // Kernel headers of another release than the C library's define some macros twice.
        .clang_arg("-w")
        .clang_args(found.include_dirs.iter().map(|dir| format!("-I{}", dir.display())))
}

/// bindgen panics without libclang, so it is asked once where the panic can be caught and told in plain words.
fn load_libclang() -> Result<(), Failure> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let loaded = panic::catch_unwind(bindgen::clang_version);
    panic::set_hook(hook);
    loaded.map(drop).map_err(|payload| {
        let said = payload.downcast_ref::<String>().map_or("", String::as_str);
        Failure::new(Missing::Libclang, format!("there is no usable libclang.\n{}", indented(said)))
    })
}

fn explain(said: &str) -> Failure {
    // libclang comes without its own stddef.h where only the shared library is installed.
    Failure::new(
        Missing::Libclang,
        format!("libclang cannot read headers that the C compiler can read.\n{}", indented(said)),
    )
}

/// Macros are left to `macros.rs`.
#[derive(Debug)]
struct NoMacros;

impl ParseCallbacks for NoMacros {
    fn will_parse_macro(&self, _name: &str) -> MacroParsingBehavior {
        MacroParsingBehavior::Ignore
    }
}
