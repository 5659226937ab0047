//! The file that is read: written for the purpose, so that it is cached, and removed again.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::Result;

#[derive(Debug)]
pub(crate) struct Made {
    path: PathBuf,
    mib: u64,
}

/// A file of so many MiB; none at all if that is 0.
pub(crate) fn make(folder: &Path, mib: u64) -> Result<Made> {
    let path = folder.join(format!("uring-pool-bench.{}.file", std::process::id()));
    let made = Made { path, mib };
    if mib > 0 {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&made.path)?;
        for number in 0..mib {
            file.write_all(&[number as u8; 1 << 20])?;
        }
        // O_DIRECT finds it on the disk, and nothing is written back while it is measured.
        file.sync_all()?;
    }
    Ok(made)
}

impl Made {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn mib(&self) -> u64 {
        self.mib
    }

    /// Whether the file system has O_DIRECT.
    pub(crate) fn takes_direct_reads(&self) -> bool {
        #[repr(align(4096))]
        struct Page([u8; 4096]);
        let open = || OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&self.path);
        let read = |file: File| file.read_exact_at(&mut Page([0; 4096]).0, 0);
        open().and_then(read).is_ok()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // There may be none.
        let _ = fs::remove_file(&self.path);
    }
}
