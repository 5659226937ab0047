//! What the tests share: the C compiler, and the folder they write to.

use std::env;
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

/// The folders with the headers that were bound.
pub(crate) fn include_dirs() -> Vec<PathBuf> {
    folders(env!("URING_POOL_SYS_INCLUDES"))
}

/// The folders with the library that was linked; none if the linker finds it by itself.
pub(crate) fn lib_dirs() -> Vec<PathBuf> {
    folders(env!("URING_POOL_SYS_LIBS"))
}

fn folders(list: &str) -> Vec<PathBuf> {
    env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect()
}

pub(crate) fn wrapper() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wrapper.h")
}

/// An empty folder of this name.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // A compiler that an earlier run left behind may still be writing there.
    for attempt in 0.. {
        match fs::remove_dir_all(&path) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => assert!(attempt < 100, "{}: {error}", path.display()),
        }
        sleep(Duration::from_millis(20));
    }
    fs::create_dir_all(&path).unwrap();
    path
}

/// The C compiler, with the headers that were bound. A machine that built this crate has one.
pub(crate) fn cc() -> Command {
    let tool = cc::Build::new()
        .cargo_metadata(false)
        .target(env!("URING_POOL_SYS_TARGET"))
        .host(env!("URING_POOL_SYS_HOST"))
        .opt_level(0)
        .warnings(false)
        .includes(include_dirs())
        .get_compiler();
    let mut command = tool.to_command();
    command.arg("-w").env("LC_ALL", "C");
    command
}

/// Compiles declarations that follow liburing.h.
pub(crate) fn compile(folder: &Path, declarations: impl Display) -> Output {
    let source = folder.join("source.c");
    fs::write(&source, format!("#include \"{}\"\n{declarations}", wrapper().display())).unwrap();
    cc().arg("-fsyntax-only").arg(source).output().unwrap()
}

/// Compiles, and fails the test with what the compiler said.
pub(crate) fn must_compile(folder: &Path, declarations: impl Display) {
    let output = compile(folder, declarations);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
