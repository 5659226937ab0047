//! Direct I/O: past the page cache.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// A file with this content, opened for direct I/O; said aloud where no file here takes that.
pub(crate) fn direct_file(content: &[u8]) -> Option<File> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file.as_file().sync_all().unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(nix::libc::O_DIRECT);
    let file = options.open(file.path());
    file.map_err(|error| {
        super::cannot("direct I/O", &format!("no file here takes it: {error}"));
    })
    .ok()
}
