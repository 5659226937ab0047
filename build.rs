//! Passes on what uring-pool-sys found out about liburing, as cfgs. Probes nothing itself, and
//! has no list of its own: whatever APIs the sys crate looks for (`DEP_URING_HAVE_*`), it takes.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (key, value) in std::env::vars() {
        let Some(api) = key.strip_prefix("DEP_URING_HAVE_") else { continue };
        let cfg = format!("have_{}", api.to_lowercase());
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        if value == "1" {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
