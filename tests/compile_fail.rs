//! What safe code must not do does not compile: tests/compile_fail has a program for each case, and the
//! compiler's answer.

mod common;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::sanitizer::{ADDRESS, VALGRIND, left_out};
use serde_json::Value;

/// Whose words the answers are; other releases say the same otherwise.
const WORDS_OF: &str = "rustc 1.95.";

/// An error's code, and the line it is in.
type Error = (String, u64);

#[test]
fn each_case_has_its_error_in_its_line_whatever_the_compiler() {
    if not_here("each_case_has_its_error_in_its_line_whatever_the_compiler") {
        return;
    }
    let cases = cases();
    assert!(!cases.is_empty());
    let (said, trouble) = compile(&cases);
    let mut faults = Vec::new();
    for case in &cases {
        let name = name(case);
        let errors: Vec<Error> =
            said.iter().filter(|(of, _)| of == name).map(|(_, error)| error.clone()).collect();
        let expected = recorded(case);
        if errors != expected || errors.is_empty() {
            faults.push(format!("{name}: {errors:?} instead of {expected:?}"));
        }
    }
    assert!(faults.is_empty(), "{}\n{trouble}", faults.join("\n"));
}

/// Compared letter by letter with one compiler, and with all that the answers name switched on.
#[test]
fn each_case_is_refused_in_words_that_help() {
    if not_here("each_case_is_refused_in_words_that_help") {
        return;
    }
    let compiler = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .arg("--version")
        .output()
        .unwrap();
    let compiler = String::from_utf8(compiler.stdout).unwrap();
    if !compiler.starts_with(WORDS_OF) || !cfg!(feature = "bytes") {
        let with = if cfg!(feature = "bytes") { "with" } else { "without" };
        eprintln!(
            "Words are not compared: {WORDS_OF}x's with the feature `bytes` are recorded, and this is \
             {} {with} it",
            compiler.trim_end()
        );
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

fn not_here(test: &str) -> bool {
    left_out(&[ADDRESS, VALGRIND], test, "it compiles, and runs nothing of the library's")
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}

fn name(case: &Path) -> &str {
    case.file_stem().unwrap().to_str().unwrap()
}

/// What the recorded answer begins its errors with: `error[CODE]: …`, then `--> FILE:LINE:COLUMN`.
fn recorded(case: &Path) -> Vec<Error> {
    let answer = fs::read_to_string(case.with_extension("stderr")).unwrap();
    let mut lines = answer.lines();
    let mut errors = Vec::new();
    while let Some(line) = lines.next() {
        let Some((code, _)) = line.strip_prefix("error[").and_then(|rest| rest.split_once(']'))
        else {
            continue;
        };
        let place = lines.next().unwrap();
        let line = place.rsplit(':').nth(1).unwrap().parse().unwrap();
        errors.push((code.into(), line));
    }
    errors
}

/// What the compiler says of each case, by name; and what cargo says, should that not be enough.
fn compile(cases: &[PathBuf]) -> (Vec<(String, Error)>, String) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let mut manifest = format!(
        "[package]\nname = \"compile-fail\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\nuring-pool = {{ path = {here:?} }}\n"
    );
    for case in cases {
        write!(manifest, "[[bin]]\nname = {:?}\npath = {case:?}\n", name(case)).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // With it nothing has to be fetched.
    fs::write(folder.join("Cargo.lock"), fs::read(here.join("Cargo.lock")).unwrap()).unwrap();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["check", "--offline", "--quiet", "--keep-going", "--message-format=json"])
        .current_dir(&folder)
        // The tests' own, where the build scripts are built and have run.
        .env("CARGO_TARGET_DIR", folder.ancestors().nth(2).unwrap())
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let messages = String::from_utf8(output.stdout).unwrap();
    let errors = messages.lines().map(|line| serde_json::from_str(line).unwrap()).filter_map(error);
    (errors.collect(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The case and its error, if it is one that has a code.
fn error(message: Value) -> Option<(String, Error)> {
    let (case, message) = (message["target"]["name"].as_str()?, &message["message"]);
    let code = message["code"]["code"].as_str().filter(|_| message["level"] == "error")?;
    let mut spans = message["spans"].as_array()?.iter();
    let place = spans.find(|span| span["is_primary"] == true)?;
    Some((case.into(), (code.into(), place["line_start"].as_u64()?)))
}
