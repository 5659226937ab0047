//! Finds the system's liburing, asks it what it can do, binds it. What is done in which order is here, how is not.

use std::path::{Path, PathBuf};
use std::{env, fs};

use help::Failure;

mod apis;
mod bindings;
mod compiler;
mod find;
mod header;
mod help;
mod inventory;
mod macros;
mod probe;
mod report;
mod sieve;
mod version;

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=wrapper.h");
    println!("cargo::rerun-if-env-changed=DOCS_RS");
    report::known_cfgs();
    let out = folder("OUT_DIR");

    let done = match run(&out) {
        Err(failure) if env::var_os("DOCS_RS").is_some() => stand_in(&failure, &out),
        done => done,
    };
    if let Err(failure) = done {
        // Neither a panic nor an exit status: Cargo would show all that was printed, and tell how to get a backtrace.
        for line in failure.to_string().lines().filter(|line| !line.is_empty()) {
            println!("cargo::error={line}");
        }
    }
}

fn run(out: &Path) -> Result<(), Failure> {
    linux()?;
    let wrapper = folder("CARGO_MANIFEST_DIR").join("wrapper.h");

    let found = find::find()?;
    let compiler = compiler::Compiler::new(&found, &wrapper, out)?;
    let header = probe::header(&compiler, &found)?;
    probe::usable(&compiler, &found, &header)?;
    let detected = probe::detect(&compiler)?;
    let version = probe::version(&found, &header, &detected);

    let bindings = bindings::generate(&compiler, &found, &header, &wrapper, out)?;
    compiler.tidy()?;
    write(out, "bindings.rs", &bindings.code)?;
    write(out, "inventory.rs", &bindings.inventory.write())?;
    write(out, "detected.rs", &report::constants(Some(version), &detected))?;

    report::detected(&version.to_string(), &detected);
    report::places(&found, &header);
    report::linking(&found, out);
    report::for_tests(&found);
    println!("cargo::metadata={}=0", report::DOCS_ONLY);
    Ok(())
}

/// docs.rs has no liburing and cannot install one: the documentation is made without the bindings.
fn stand_in(failure: &Failure, out: &Path) -> Result<(), Failure> {
    println!("cargo::warning=documentation without bindings: {}", failure.headline());
    let nothing: Vec<_> = apis::APIS.iter().map(|api| (api, false)).collect();
    write(out, "detected.rs", &report::constants(None, &nothing))?;
    report::detected("unknown", &nothing);
    println!("cargo::rustc-cfg={}", report::DOCS_ONLY);
    println!("cargo::metadata={}=1", report::DOCS_ONLY);
    Ok(())
}

fn linux() -> Result<(), Failure> {
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "android") => Ok(()),
        other => {
            let target = other.unwrap_or("an unknown system");
            Err(Failure::plain(format!("io_uring is a part of Linux; the target is {target}.")))
        }
    }
}

/// Cargo always sets the two variables that are asked for.
fn folder(variable: &str) -> PathBuf {
    PathBuf::from(
        env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: not run by Cargo")),
    )
}

fn write(out: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = out.join(name);
    fs::write(&path, text)
        .map_err(|error| Failure::plain(format!("could not write {}: {error}", path.display())))
}
