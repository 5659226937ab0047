//! What the build script tells: cfgs to this crate, metadata to dependents, constants to everybody.

use std::env;
use std::fmt::Write as _;
use std::iter;
use std::path::{Path, PathBuf};

use crate::apis::{APIS, Api};
use crate::bindings::INLINES;
use crate::find::Liburing;
use crate::header::Header;
use crate::version::Version;

/// The cfg, and the metadata, of a build for documentation on a machine without liburing.
pub(crate) const DOCS_ONLY: &str = "docs_without_liburing";

/// Every cfg is known to the compiler's check, whether it is on or not.
pub(crate) fn known_cfgs() {
    for api in APIS {
        println!("cargo::rustc-check-cfg=cfg({})", api.cfg);
    }
    println!("cargo::rustc-check-cfg=cfg({DOCS_ONLY})");
}

/// `rustc-cfg` and `DEP_URING_*`.
pub(crate) fn detected(version: &str, detected: &[(&Api, bool)]) {
    println!("cargo::metadata=version={version}");
    for (api, there) in detected {
        println!("cargo::metadata={}={}", api.cfg, u8::from(*there));
        if *there {
            println!("cargo::rustc-cfg={}", api.cfg);
        }
    }
}

/// The headers, for dependents that compile C of their own. An upgrade of liburing changes them.
pub(crate) fn places(found: &Liburing, header: &Header) {
    for file in &header.files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let more = found.include_dirs.iter().filter(|dir| *dir != header.folder());
    let dirs: Vec<PathBuf> = iter::once(header.folder().to_owned()).chain(more.cloned()).collect();
    println!("cargo::metadata=include={}", joined(&dirs));
    println!("cargo::metadata=static={}", u8::from(found.archive.is_some()));
}

/// The archive of inline functions calls liburing, so it comes first.
pub(crate) fn linking(found: &Liburing, out: &Path) {
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static={INLINES}");
    for dir in &found.lib_dirs {
        println!("cargo::rustc-link-search=native={}", dir.display());
    }
    let kind = if found.archive.is_some() { "static" } else { "dylib" };
    println!("cargo::rustc-link-lib={kind}=uring");
}

/// What the tests need to know of this build.
pub(crate) fn for_tests(found: &Liburing) {
    let tell = |name: &str, value: &str| println!("cargo::rustc-env=URING_POOL_SYS_{name}={value}");
    tell("INCLUDES", &joined(&found.include_dirs));
    tell("STATIC", if found.archive.is_some() { "1" } else { "0" });
    tell("LIBS", &joined(&found.lib_dirs));
    tell("TARGET", &env::var("TARGET").unwrap_or_default());
    tell("HOST", &env::var("HOST").unwrap_or_default());
    if let Ok(program) = env::current_exe() {
        tell("BUILD_SCRIPT", &program.display().to_string());
    }
}

/// As in PATH. Where one folder has a `:` in its name, only the first can be told.
fn joined(dirs: &[PathBuf]) -> String {
    let first = || dirs.first().cloned().unwrap_or_default().into_os_string();
    env::join_paths(dirs).unwrap_or_else(|_| first()).to_string_lossy().into_owned()
}

/// The constants of detected.rs.
pub(crate) fn constants(version: Option<Version>, detected: &[(&Api, bool)]) -> String {
    let text = version.map_or("unknown".to_owned(), |version| version.to_string());
    let (major, minor) = version.map_or((0, 0), |version| (version.major, version.minor));
    let mut code = format!(
        "/// The release of liburing that this was compiled with, such as `2.9`. The library that is loaded may differ.\n\
         pub const VERSION: &str = \"{text}\";\n\
         /// The part of [`VERSION`] before the point.\n\
         pub const VERSION_MAJOR: u32 = {major};\n\
         /// The part of [`VERSION`] after the point.\n\
         pub const VERSION_MINOR: u32 = {minor};\n"
    );
    let mut all = String::new();
    for (api, there) in detected {
        let name = api.constant();
        let _ = writeln!(code, "/// {}\npub const {name}: bool = {there};", api.doc());
        let _ = writeln!(all, "    (\"{}\", {name}),", api.cfg);
    }
    let _ = writeln!(
        code,
        "/// Every cfg of this crate, and whether it is on.\npub const APIS: &[(&str, bool)] = &[\n{all}];"
    );
    code
}
