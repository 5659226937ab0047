//! Turns what uring-pool-sys found into cfgs of this crate.
//!
//! uring-pool-sys has `links = "uring"`, so Cargo hands its findings to the build scripts of its direct dependents as
//! `DEP_URING_*`. They are rebuilt when liburing is, and nothing needs to be declared for that.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");

    // Known to the compiler on or off: a misspelt `#[cfg(have_init_men)]` is then warned of, and does not just stay
    // off for ever.
    println!("cargo::rustc-check-cfg=cfg(have_init_mem)");

    // `1` or `0`. If it is not there at all, Cargo.toml lost the direct dependency. Take that for an error, not for
    // "no": a switch that is never on is not noticed by itself.
    let has_init_mem = told("DEP_URING_HAVE_INIT_MEM") == "1";
    if has_init_mem {
        println!("cargo::rustc-cfg=have_init_mem");
    }

    // For messages. Switch on what was found, not on this: distributions backport.
    println!("cargo::rustc-env=BUILT_WITH_LIBURING={}", told("DEP_URING_VERSION"));
}

fn told(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: is uring-pool-sys a direct dependency?"))
}
