//! What liburing's headers say of themselves once preprocessed: where they are, their version, their macros.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::version::Version;

pub(crate) struct Header {
    /// liburing.h itself.
    pub(crate) path: PathBuf,
    /// Only headers since 2.4 say it.
    pub(crate) version: Option<Version>,
    /// Macros without arguments, with a value, in order of definition.
    pub(crate) macros: Vec<String>,
    /// liburing.h and all that belongs to it.
    pub(crate) files: BTreeSet<PathBuf>,
}

impl Header {
    /// Reads the output of `cc -E -dD`: code, `#define`s, and markers such as `# 12 "/usr/include/liburing.h" 1`.
    pub(crate) fn read(preprocessed: &str) -> Option<Self> {
        let mut path: Option<PathBuf> = None;
        let mut ours = false;
        let mut files = BTreeSet::new();
        let (mut macros, mut major, mut minor) = (Vec::new(), None, None);
        for line in preprocessed.lines() {
            if let Some(file) = marker(line) {
                if path.is_none() && file.ends_with("liburing.h") {
                    path = Some(file.to_owned());
                }
                ours = path.as_deref().is_some_and(|liburing| belongs(file, liburing));
                if ours {
                    files.insert(file.to_owned());
                }
            } else if let Some(undefined) = line.strip_prefix("#undef ") {
                macros.retain(|name| name != undefined.trim());
            } else if let Some((name, value)) = definition(line).filter(|_| ours) {
                match name {
                    "IO_URING_VERSION_MAJOR" => major = value.parse().ok(),
                    "IO_URING_VERSION_MINOR" => minor = value.parse().ok(),
                    _ => {}
                }
                // Some are defined twice, with the same value.
                if !macros.iter().any(|known| known == name) {
                    macros.push(name.to_owned());
                }
            }
        }
        let version = major.zip(minor).map(|(major, minor)| Version { major, minor });
        Some(Self { path: path?, version, macros, files })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

fn marker(line: &str) -> Option<&Path> {
    let (number, rest) = line.strip_prefix("# ")?.split_once(" \"")?;
    number.parse::<u32>().ok()?;
    Some(Path::new(&rest[..rest.rfind('"')?]))
}

/// Headers of the C library or the kernel come along; their macros are the libc crate's business.
fn belongs(file: &Path, liburing: &Path) -> bool {
    file == liburing || file.starts_with(liburing.with_extension(""))
}

/// An object-like macro with a value of its own. Names with an underscore in front are the compiler's and the kernel's.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
    let value = value.trim();
    let plain = !name.contains('(') && !name.starts_with('_');
    (plain && !value.is_empty() && value != name).then_some((name, value))
}
