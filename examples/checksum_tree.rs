//! Checksums of all files below a directory, many files at a time on one ring.
//!
//! Each file goes its way in steps: it is opened, and read block by block. A step that is done is
//! followed by that file's next one, or by another file's first, so that there is always work for
//! the kernel. Symlinks are not followed. Files that cannot be read are told, and the others go
//! on; the exit code is 1 then.
//!
//! ```console
//! $ cargo run --release --example checksum_tree -- DIR
//! ```

use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

use crc32fast::Hasher;
use uring_pool::{Completion, Dir, Ring, RingConfig, RingPool};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Files at a time, each with one request under way.
const FILES: u32 = 64;

const BLOCK: usize = 64 * 1024;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [dir] = &args[..] else {
        eprintln!("usage: checksum_tree DIR");
        return ExitCode::from(2);
    };
    let out = BufWriter::new(io::stdout().lock());
    match run(dir.into(), out, |path, error| eprintln!("checksum_tree: {path}: {error}")) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("checksum_tree: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a line for each file, and tells whether all could be read.
fn run(
    dir: PathBuf,
    mut out: impl Write,
    mut complain: impl FnMut(&str, &io::Error),
) -> Result<bool> {
    let mut all = true;
    let mut trouble = |path: &[u8], error: &io::Error| {
        all = false;
        complain(&String::from_utf8_lossy(path), error);
    };
    let paths = walk(dir, &mut trouble);
    let pool = RingPool::builder(RingConfig::new(FILES)?).build()?;
    let mut sums = Vec::with_capacity(paths.len());
    checksums(&mut pool.claim()?, paths, |path, sum| match sum {
        Ok(sum) => sums.push((path, sum)),
        Err(error) => trouble(path.as_bytes(), &error),
    })?;
    sums.sort_unstable();
    for (path, sum) in sums {
        write!(out, "{sum:08x} ")?;
        // As they are, which need not be UTF-8.
        out.write_all(path.as_bytes())?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(all)
}

/// The regular files below a directory, in no order.
fn walk(dir: PathBuf, mut trouble: impl FnMut(&[u8], &io::Error)) -> Vec<CString> {
    let bytes = |path: PathBuf| path.into_os_string().into_vec();
    let mut files = Vec::new();
    let mut dirs = vec![dir];
    while let Some(dir) = dirs.pop() {
        let found = fs::read_dir(&dir).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    dirs.push(entry.path());
                } else if kind.is_file() {
                    files.push(CString::new(bytes(entry.path()))?);
                }
            }
            Ok(())
        });
        if let Err(error) = found {
            trouble(&bytes(dir), &error);
        }
    }
    files
}

/// A file on its way.
struct Summing {
    path: CString,
    /// None before it is opened.
    file: Option<OwnedFd>,
    offset: u64,
    hasher: Hasher,
}

impl Summing {
    fn new(path: CString) -> Self {
        Self { path, file: None, offset: 0, hasher: Hasher::new() }
    }

    /// Goes on by what a step brought; to the end, if that was the last.
    fn step(&mut self, done: &mut Completion<Vec<u8>>) -> Option<io::Result<u32>> {
        let result = std::mem::replace(&mut done.result, Ok(0));
        match (result, &done.buf) {
            (Err(error), _) if error.kind() == ErrorKind::Interrupted => None,
            (Err(error), _) => Some(Err(error)),
            (Ok(_), None) => {
                self.file = done.fd.take();
                None
            }
            // A short read may be one that something came in between; the end is where nothing is.
            (Ok(0), Some(_)) => Some(Ok(self.hasher.clone().finalize())),
            (Ok(n), Some(buf)) => {
                self.hasher.update(&buf[..n as usize]);
                self.offset += u64::from(n);
                None
            }
        }
    }
}

/// Reads all of these files, and gives each one's sum, or its trouble, as they come.
fn checksums(
    ring: &mut Ring<Vec<u8>>,
    paths: Vec<CString>,
    mut give: impl FnMut(CString, io::Result<u32>),
) -> Result<()> {
    let mut paths = paths.into_iter();
    let mut places: Vec<Option<Summing>> = (0..FILES).map(|_| None).collect();
    // Those without a request under way.
    let mut ready: Vec<usize> = (0..places.len()).collect();
    let mut bufs: Vec<Vec<u8>> = Vec::new();
    loop {
        for &place in &ready {
            let taken = &mut places[place];
            if taken.is_none() {
                *taken = paths.next().map(Summing::new);
            }
        }
        let mut batch = ring.batch();
        for place in ready.drain(..) {
            // Without a file there is none left, and the place is not needed any more.
            let Some(Summing { path, file, offset, .. }) = &places[place] else { continue };
            let request = match file {
                // Whoever puts a symlink in the file's place meanwhile finds it not followed, too.
                None => batch.openat(Dir::current(), path, libc::O_RDONLY | libc::O_NOFOLLOW, 0),
                Some(file) => {
                    let buf = bufs.pop().unwrap_or_else(|| vec![0; BLOCK]);
                    batch.read_at(file, buf, *offset)
                }
            };
            request.tag(place as u64).push()?;
        }
        batch.submit()?;
        if ring.in_flight() == 0 {
            return Ok(());
        }
        for mut done in ring.wait_through_signals(1)? {
            let place = done.tag as usize;
            ready.push(place);
            let taken = &mut places[place];
            let end = taken.as_mut().and_then(|summing| summing.step(&mut done));
            bufs.extend(done.buf);
            if let Some(sum) = end {
                // Which closes the file.
                if let Some(summing) = taken.take() {
                    give(summing.path, sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn content(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
    }

    fn name(path: &Path) -> CString {
        CString::new(path.to_str().unwrap()).unwrap()
    }

    fn run_quietly(dir: &Path) -> (bool, String) {
        let mut out = Vec::new();
        let all = run(dir.into(), &mut out, |_, _| {}).unwrap();
        (all, String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_regular_file_is_summed_and_sorted_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let sizes = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 17];
        let mut expected = Vec::new();
        // Some more than there are places.
        for i in 0..2 * FILES as usize {
            let folder = dir.path().join(format!("{}/{}", i % 3, i % 5));
            fs::create_dir_all(&folder).unwrap();
            let path = folder.join(format!("file {i}"));
            let content = content(sizes[i % sizes.len()]);
            fs::write(&path, &content).unwrap();
            let sum = crc32fast::hash(&content);
            expected.push((path.to_str().unwrap().to_owned(), sum));
        }
        symlink(dir.path(), dir.path().join("0/around")).unwrap();
        symlink(&expected[0].0, dir.path().join("0/again")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("0/fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        expected.sort();
        let lines: String =
            expected.iter().map(|(path, sum)| format!("{sum:08x} {path}\n")).collect();
        assert_eq!(run_quietly(dir.path()), (true, lines));
    }

    #[test]
    fn an_empty_tree_has_no_lines_and_none_at_all_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(run_quietly(dir.path()), (true, String::new()));
        let mut told = Vec::new();
        let all = run(dir.path().join("none"), io::sink(), |path, error| {
            told.push((path.to_owned(), error.kind()));
        });
        assert!(!all.unwrap());
        let none = dir.path().join("none").to_str().unwrap().to_owned();
        assert_eq!(told, [(none, ErrorKind::NotFound)]);
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_keep_the_others_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::write(at("good"), content(3 * BLOCK)).unwrap();
        symlink(at("good"), at("link")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        let paths = ["gone", "link", "dir", "good"].map(|path| name(&at(path)));
        let mut ring = Ring::open(&RingConfig::new(FILES).unwrap()).unwrap();
        let mut came = Vec::new();
        let number = |error: io::Error| error.raw_os_error().unwrap();
        checksums(&mut ring, paths.to_vec(), |path, sum| came.push((path, sum.map_err(number))))
            .unwrap();
        came.sort();
        let sum = crc32fast::hash(&content(3 * BLOCK));
        let expected = [Err(libc::EISDIR), Err(libc::ENOENT), Ok(sum), Err(libc::ELOOP)];
        let sums: Vec<_> = came.into_iter().map(|(_, sum)| sum).collect();
        assert_eq!(sums, expected);
    }
}
