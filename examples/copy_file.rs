//! Copies a file by pairs of linked requests, several pairs at a time.
//!
//! The first of a pair splices a piece of the file into a pipe; the second, linked to it, splices
//! it from there into the copy. The kernel starts the second when the first has succeeded, without
//! the program in between, and the bytes never come into the program. Where the first brings less
//! than it was to, the chain is broken and the second cancelled: what is in the pipe is then
//! written by a request of its own.
//!
//! (A read into a buffer cannot be linked to a write out of it: a buffer belongs to one request at
//! a time.)
//!
//! ```console
//! $ cargo run --release --example copy_file -- FROM TO
//! ```

use std::error::Error;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::ProgressBar;
use nix::fcntl::OFlag;
use uring_pool::{Batch, Ring, RingConfig, SpliceFlags};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// What a pipe holds on pages of 4 KiB, and so the most that one splice can move.
const PIECE: u64 = 64 * 1024;

/// Pairs at a time.
const LANES: usize = 8;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [from, to] = &args[..] else {
        eprintln!("usage: copy_file FROM TO");
        return ExitCode::from(2);
    };
    // Drawn where standard error is a terminal.
    match run(from.as_ref(), to.as_ref(), &ProgressBar::new(0)) {
        Ok(bytes) => {
            println!("{bytes} bytes copied");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("copy_file: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Copies the file of one name to another that is not there yet, as long as it is when it is opened,
/// and tells its size.
fn run(from: &Path, to: &Path, bar: &ProgressBar) -> Result<u64> {
    let cannot =
        |what: &str, path: &Path, error| format!("cannot {what} {}: {error}", path.display());
    let source = File::open(from).map_err(|error| cannot("open", from, error))?;
    let metadata = source.metadata()?;
    if !metadata.is_file() {
        return Err(format!("{} is not a regular file", from.display()).into());
    }
    let bytes = metadata.len();
    let mut lanes = (0..LANES).map(|_| Lane::new()).collect::<Result<Vec<_>>>()?;
    // One that is there is left alone: it might be the source under another name.
    let target = File::create_new(to).map_err(|error| cannot("create", to, error))?;
    bar.set_length(bytes);
    let copied = copy(&mut lanes, &Arc::new(source), &Arc::new(target), bytes, |n| bar.inc(n));
    bar.finish_and_clear();
    if copied.is_err() {
        // What is there of it is of no use. The error to tell is the copy's.
        let _ = fs::remove_file(to);
    }
    copied.map(|()| bytes)
}

/// A pipe, and the piece of the file that goes through it.
struct Lane {
    inlet: Arc<OwnedFd>,
    outlet: Arc<OwnedFd>,
    /// Where in the file what is in the pipe begins; all of the piece before it is in the copy.
    written: u64,
    /// Where it ends; what comes after is still to be read.
    read: u64,
    /// Where the piece ends.
    end: u64,
    under_way: u32,
}

/// What the tags' last bit says; the rest is the lane's number.
const READ: u64 = 0;
const WRITE: u64 = 1;

impl Lane {
    fn new() -> Result<Self> {
        let (outlet, inlet) = nix::unistd::pipe2(OFlag::O_CLOEXEC)
            .map_err(|errno| format!("cannot make a pipe: {errno}"))?;
        let (inlet, outlet) = (Arc::new(inlet), Arc::new(outlet));
        Ok(Self { inlet, outlet, written: 0, read: 0, end: 0, under_way: 0 })
    }

    /// Pushes what is to be done next for the piece.
    fn push(
        &mut self,
        batch: &mut Batch<'_, '_, ()>,
        tag: u64,
        from: &Arc<File>,
        to: &Arc<File>,
    ) -> Result<()> {
        let before = batch.len();
        let flags = SpliceFlags::empty();
        let mut len = self.read - self.written;
        // Only into an empty pipe: in a full one it would wait for room that nobody makes.
        if len == 0 {
            len = self.end - self.read;
            batch
                .splice((from, Some(self.read)), (&self.inlet, None), len as u32, flags)
                .tag(tag | READ)
                .link()
                .push()?;
        }
        batch
            .splice((&self.outlet, None), (to, Some(self.written)), len as u32, flags)
            .tag(tag | WRITE)
            .push()?;
        self.under_way = batch.len() - before;
        Ok(())
    }
}

/// Copies the first `bytes` bytes, and tells how many came whenever some did.
///
/// After an error requests may be under way: the ring, dropped, cancels and awaits them.
fn copy(
    lanes: &mut [Lane],
    from: &Arc<File>,
    to: &Arc<File>,
    bytes: u64,
    mut tell: impl FnMut(u64),
) -> Result<()> {
    let mut ring = Ring::open(&RingConfig::new(2 * lanes.len() as u32)?)?;
    // Where the next piece begins.
    let mut next = 0;
    loop {
        let mut batch = ring.batch();
        for (number, lane) in lanes.iter_mut().enumerate() {
            if lane.under_way > 0 {
                continue;
            }
            if lane.written == lane.end {
                (lane.written, lane.read, lane.end) = (next, next, bytes.min(next + PIECE));
                next = lane.end;
            }
            if lane.written < lane.end {
                lane.push(&mut batch, 2 * number as u64, from, to)?;
            }
        }
        batch.submit()?;
        if ring.in_flight() == 0 {
            return Ok(());
        }
        for done in ring.wait_through_signals(1)? {
            let lane = &mut lanes[(done.tag / 2) as usize];
            lane.under_way -= 1;
            let reads = done.tag & 1 == READ;
            let cancelled = done.is_cancelled();
            match done.result {
                Ok(0) if reads => {
                    let at = lane.read;
                    return Err(format!("the file ends at byte {at}, and had {bytes}").into());
                }
                Ok(n) if reads => lane.read += u64::from(n),
                Ok(n) => {
                    lane.written += u64::from(n);
                    tell(n.into());
                }
                // Of a read that brought less, or nothing: it is made anew.
                Err(_) if !reads && cancelled => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let (what, at) =
                        if reads { ("read", lane.read) } else { ("write", lane.written) };
                    return Err(format!("cannot {what} at byte {at}: {error}").into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};

    fn content(bytes: u64) -> Vec<u8> {
        (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
    }

    fn lanes(n: usize) -> Vec<Lane> {
        (0..n).map(|_| Lane::new().unwrap()).collect()
    }

    fn run_quietly(from: &Path, to: &Path) -> Result<u64> {
        run(from, to, &ProgressBar::hidden())
    }

    #[test]
    fn copies_are_equal_whatever_the_size() {
        let dir = tempfile::tempdir().unwrap();
        let all = LANES as u64 * PIECE;
        for bytes in [0, 1, PIECE - 1, PIECE, PIECE + 1, all, 3 * all + 17] {
            let (from, to) = (dir.path().join("from"), dir.path().join(bytes.to_string()));
            fs::write(&from, content(bytes)).unwrap();
            assert_eq!(run_quietly(&from, &to).unwrap(), bytes);
            assert!(fs::read(&to).unwrap() == content(bytes), "{bytes} bytes");
        }
    }

    #[test]
    fn a_chain_that_short_reads_break_is_finished_by_ordinary_requests() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = 5 * PIECE + 1000;
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, content(bytes)).unwrap();
        let mut lanes = lanes(3);
        for lane in &lanes {
            // The least that there is: a page.
            fcntl(&*lane.inlet, FcntlArg::F_SETPIPE_SZ(1)).unwrap();
        }
        let (source, target) = (File::open(&from).unwrap(), File::create(&to).unwrap());
        let (mut told, mut times) = (0, 0);
        copy(&mut lanes, &Arc::new(source), &Arc::new(target), bytes, |n| {
            told += n;
            times += 1;
        })
        .unwrap();
        assert_eq!(told, bytes);
        assert!(times > 6, "the pipes were too small for whole pieces");
        assert!(fs::read(&to).unwrap() == content(bytes));
    }

    #[test]
    fn a_write_that_fails_ends_the_copy_and_says_where() {
        // Full, like a disk: it cannot grow.
        let full = File::from(memfd_create(c"full", MFdFlags::MFD_ALLOW_SEALING).unwrap());
        full.set_len(PIECE).unwrap();
        fcntl(&full, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
        let from = tempfile::tempfile().unwrap();
        from.set_len(2 * PIECE).unwrap();
        let mut told = 0;
        let failed =
            copy(&mut lanes(1), &Arc::new(from), &Arc::new(full), 2 * PIECE, |n| told += n);
        let text = failed.unwrap_err().to_string();
        assert!(text.starts_with(&format!("cannot write at byte {PIECE}: ")), "{text}");
        assert_eq!(told, PIECE);
    }

    #[test]
    fn a_read_that_fails_is_told_and_not_the_write_that_it_cancels() {
        let dir = tempfile::tempdir().unwrap();
        let unreadable = File::create(dir.path().join("from")).unwrap();
        let target = tempfile::tempfile().unwrap();
        let failed = copy(&mut lanes(2), &Arc::new(unreadable), &Arc::new(target), 10, |_| {});
        let text = failed.unwrap_err().to_string();
        assert!(text.starts_with("cannot read at byte 0: "), "{text}");
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error_and_not_an_endless_loop() {
        let from = tempfile::tempfile().unwrap();
        from.set_len(PIECE + 5).unwrap();
        let target = tempfile::tempfile().unwrap();
        let failed = copy(&mut lanes(2), &Arc::new(from), &Arc::new(target), 2 * PIECE, |_| {});
        let text = failed.unwrap_err().to_string();
        assert_eq!(text, format!("the file ends at byte {}, and had {}", PIECE + 5, 2 * PIECE));
    }

    #[test]
    fn what_is_there_already_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(run_quietly(&file, &file).unwrap_err().to_string().starts_with("cannot create "));
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        assert!(run_quietly(dir.path(), &dir.path().join("new")).is_err(), "a directory");
        assert!(!dir.path().join("new").exists());
    }
}
