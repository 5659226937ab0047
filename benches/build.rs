//! Compiles the programs in C, as `cc -O2` does, with the headers that the bindings were made from; Cargo links
//! them with the same liburing.

use std::env;

const PROGRAMS: &[&str] = &["c/make.c", "c/nop.c", "c/read.c", "c/ring.c", "c/write.c"];

fn main() {
    println!("cargo::rerun-if-changed=c");
    let told = |name: &str| env::var(name).unwrap_or_default();
    // On a machine without liburing only documentation is made.
    if told("DEP_URING_DOCS_WITHOUT_LIBURING") == "1" {
        return;
    }
    let mut build = cc::Build::new();
    build.files(PROGRAMS).opt_level(2).debug(true).std("gnu11").warnings(true).extra_warnings(true);
    build.includes(env::split_paths(&told("DEP_URING_INCLUDE")));
    if told("DEP_URING_HAVE_INIT_MEM") == "1" {
        build.define("HAVE_INIT_MEM", None);
    }
    build.compile("programs");
}
