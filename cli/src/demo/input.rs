//! The file to read: opened only if it is one that can be read to its end.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::checksum::{self, Sum};
use crate::failure::Failure;

/// A regular file, open for reading.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) file: File,
    /// What it is called, for people.
    pub(crate) name: String,
    /// Bytes that it had when it was opened.
    pub(crate) bytes: u64,
}

/// This program's binary, even after it was replaced on disk.
const OWN_BINARY: &str = "/proc/self/exe";

impl Input {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let (path, shown) = match path {
            Some(path) => (path.to_owned(), path.to_owned()),
            None => {
                let own = PathBuf::from(OWN_BINARY);
                let shown = fs::read_link(&own).unwrap_or_else(|_| own.clone());
                (own, shown)
            }
        };
        let name = shown.to_string_lossy().into_owned();
        // Asked before it is opened: opening a pipe would wait for a writer, a device may do more.
        let kind = fs::metadata(&path).map_err(|error| cannot_read(&name, &error))?.file_type();
        if !kind.is_file() {
            let what = describe(kind);
            return Err(Failure::WrongUse(format!(
                "cannot read {name}: it is {what}; name a regular file"
            )));
        }
        let file = File::open(&path).map_err(|error| cannot_read(&name, &error))?;
        let bytes = file.metadata().map_err(|error| cannot_read(&name, &error))?.len();
        Ok(Self { file, name, bytes })
    }

    /// What its checksum is by a plain read, which tells whenever it has read some bytes.
    pub(crate) fn sum(&self, read: impl FnMut(u64)) -> Result<Sum, Failure> {
        checksum::plain(&self.file, self.bytes, read).map_err(|error| {
            let name = &self.name;
            Failure::Ran(match error.kind() {
                ErrorKind::UnexpectedEof => {
                    format!("{name} became shorter while it was read; nothing may write to it")
                }
                _ => format!("cannot read {name}: {error}"),
            })
        })
    }
}

fn cannot_read(name: &str, error: &std::io::Error) -> Failure {
    Failure::WrongUse(match error.kind() {
        ErrorKind::NotFound => format!("cannot read {name}: there is no such file; check the path"),
        ErrorKind::PermissionDenied => {
            format!("cannot read {name}: permission denied; run as a user who may read it")
        }
        _ => format!("cannot read {name}: {error}; name a regular file"),
    })
}

fn describe(kind: fs::FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        "no regular file"
    }
}
