//! Running the command, and reading what it says.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_uring-pool");

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn uring_pool<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Run {
    run(Command::new(BINARY).args(args))
}

/// The command under limits that `sh` sets first, like `ulimit -n 100`.
pub(crate) fn limited(limits: &str, args: &[&str]) -> Run {
    run(Command::new("sh")
        .args(["-c", &format!("{limits} && exec \"$0\" \"$@\""), BINARY])
        .args(args))
}

pub(crate) fn run(command: &mut Command) -> Run {
    command.output().expect("it can be started").into()
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Run {
    /// What it printed, after a run that went well and had nothing to remark.
    #[track_caller]
    pub(crate) fn silent_success(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        &self.stdout
    }

    /// The one line on standard error of a run that ended with `code`.
    #[track_caller]
    pub(crate) fn one_line(&self, code: i32, words: &[&str]) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {self:?}"));
        assert!(line.starts_with("uring-pool: ") && !line.contains('\n'), "{self:?}");
        for word in words {
            assert!(line.contains(word), "{word:?} is missing in {line:?}");
        }
        line
    }
}

/// Whether a part of a test is to be left out under a sanitizer, said aloud if so: `./x sanitize`
/// lists what it reads of that.
pub(crate) fn left_out(what: &str) -> bool {
    let sanitizer = std::env::var("URING_POOL_SANITIZER");
    if let Ok(sanitizer) = &sanitizer {
        eprintln!("LEFT OUT under {sanitizer}: {what}: its allocator maps memory of its own");
    }
    sanitizer.is_ok()
}

#[track_caller]
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

/// What `probe` finds here for rings of 64 entries.
pub(crate) fn probed() -> Value {
    json(uring_pool(["probe", "--json"]).silent_success())
}

/// A folder that every user may look into.
pub(crate) fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let anybody = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().permissions(anybody).tempdir().expect("a folder can be made")
}

/// A copy of the command that every user may run: others may not look into the folder that it was
/// built in. Another process writes it: a descriptor open for writing here would be inherited by
/// whatever another test forks at that moment, and until that is gone nobody can run the copy (ETXTBSY).
pub(crate) fn copy_in(folder: &Path) -> PathBuf {
    let copy = folder.join("uring-pool");
    let copied = Command::new("cp").arg(BINARY).arg(&copy).status().expect("there is cp");
    assert!(copied.success(), "the command can be copied");
    copy
}

/// A file of `len` bytes of which no two blocks are alike.
pub(crate) fn file_of(len: usize, folder: &Path) -> PathBuf {
    let mut state = 1u64;
    let bytes: Vec<u8> = (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    let path = folder.join(format!("{len}-bytes"));
    std::fs::write(&path, bytes).expect("a file can be written");
    path
}
