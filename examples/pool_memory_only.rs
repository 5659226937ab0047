//! A program in C's style, on liburing alone, whose ring lies in a pool.
//!
//! It counts the lines of a file. Only two lines of it are not as they were: where
//! `io_uring_queue_init` was there is `claim_raw` now, and instead of `io_uring_queue_exit` the
//! lease is dropped. All between them is liburing's, and none of it newer than 2.0.
//!
//! ```console
//! $ cargo run --release --example pool_memory_only -- FILE
//! ```
// liburing's functions are C's: they take pointers, and believe what they are told.
#![allow(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::ExitCode;

use uring_pool::{RingConfig, RingPool, sys};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Reads at a time.
const DEPTH: u32 = 8;

const BLOCK: usize = 64 * 1024;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [path] = &args[..] else {
        eprintln!("usage: pool_memory_only FILE");
        return ExitCode::from(2);
    };
    let path = Path::new(path);
    let lines = File::open(path).map_err(Into::into).and_then(|file| run(&file));
    match lines {
        Ok(lines) => {
            println!("{lines} {}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("pool_memory_only: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn run(file: &File) -> Result<u64> {
    // A server makes it once, for all of its rings.
    let pool = RingPool::builder(RingConfig::new(DEPTH)?).rings(1).build()?;

    let mut ring = sys::io_uring::default();
    // Was: io_uring_queue_init(DEPTH, &ring, 0)
    // SAFETY: the ring is a local that is used before the lease is dropped, in this process; its
    // descriptor is neither closed nor registered. `count` leaves nothing in flight, or its buffers.
    let lease = unsafe { pool.claim_raw(&mut ring) }?;
    // SAFETY: the ring is open, and nobody else uses it.
    let lines = unsafe { count(&mut ring, file) };
    // Was: io_uring_queue_exit(&ring)
    drop(lease);
    Ok(lines?)
}

/// A buffer, and how much of the file is to come into it.
struct Slot {
    buf: Vec<u8>,
    offset: u64,
    len: usize,
}

/// Counts the lines of a file.
///
/// # Safety
/// The ring is open, has `DEPTH` entries at least, nothing is in flight on it, and nobody else uses
/// it meanwhile.
unsafe fn count(ring: *mut sys::io_uring, file: &File) -> io::Result<u64> {
    let slot = |_| Slot { buf: vec![0; BLOCK], offset: 0, len: 0 };
    let mut slots: Vec<Slot> = (0..DEPTH).map(slot).collect();
    let mut idle: Vec<usize> = (0..slots.len()).collect();
    let size = file.metadata()?.len();
    let (mut next, mut lines, mut in_flight) = (0, 0, 0);
    let mut failed = None;
    loop {
        // After an error nothing new is begun: what is in flight still uses the buffers.
        while failed.is_none() && next < size {
            let Some(number) = idle.pop() else { break };
            let slot = &mut slots[number];
            slot.offset = next;
            slot.len = (size - next).min(BLOCK as u64) as usize;
            next += slot.len as u64;
            // SAFETY: as the caller promises. The buffer stays until the read is complete.
            match unsafe { submit(ring, file, slot, number as u64) } {
                Ok(()) => in_flight += 1,
                Err(error) => failed = Some(error),
            }
        }
        if in_flight == 0 {
            return failed.map_or(Ok(lines), Err);
        }
        // SAFETY: as the caller promises.
        let (number, result) = match unsafe { reap(ring) } {
            Ok(reaped) => reaped,
            Err(error) => {
                // The kernel may write to them as long as it likes.
                std::mem::forget(slots);
                return Err(error);
            }
        };
        in_flight -= 1;
        let number = number as usize;
        let slot = &mut slots[number];
        match usize::try_from(result) {
            Ok(0) => failed = Some(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                lines += slot.buf[..n].iter().filter(|&&byte| byte == b'\n').count() as u64;
                slot.offset += n as u64;
                slot.len -= n;
            }
            Err(_) if result == -libc::EINTR => {}
            Err(_) => failed = Some(io::Error::from_raw_os_error(-result)),
        }
        if slot.len == 0 || failed.is_some() {
            idle.push(number);
            continue;
        }
        // The rest of a short read.
        // SAFETY: as above.
        match unsafe { submit(ring, file, slot, number as u64) } {
            Ok(()) => in_flight += 1,
            Err(error) => failed = Some(error),
        }
    }
}

/// Submits the read of what is to come into a slot.
///
/// # Safety
/// As for [`count`], but for what is in flight; and the buffer stays where it is, and is not
/// touched, until the read is complete.
unsafe fn submit(
    ring: *mut sys::io_uring,
    file: &File,
    slot: &mut Slot,
    number: u64,
) -> io::Result<()> {
    // SAFETY: an open ring, of this thread's alone.
    let sqe = unsafe { sys::io_uring_get_sqe(ring) };
    if sqe.is_null() {
        return Err(io::Error::other("the submission queue is full"));
    }
    let (fd, at) = (file.as_raw_fd(), slot.buf.as_mut_ptr().cast());
    // The integers' types are not the same in all versions.
    // SAFETY: an SQE of the ring's own, and as many bytes as the buffer has, or fewer.
    unsafe { sys::io_uring_prep_read(sqe, fd, at, slot.len as _, slot.offset as _) };
    // By hand: io_uring_sqe_set_data64 came with liburing 2.2.
    // SAFETY: as above.
    unsafe { (*sqe).user_data = number };
    loop {
        // SAFETY: as above; the SQE is filled.
        match unsafe { sys::io_uring_submit(ring) } {
            1.. => return Ok(()),
            0 => return Err(io::Error::other("the kernel did not take the request")),
            error if error == -libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(-error)),
        }
    }
}

/// Waits for a completion: its slot's number, and what the kernel returned.
///
/// # Safety
/// As for [`count`], but for what is in flight.
unsafe fn reap(ring: *mut sys::io_uring) -> io::Result<(u64, i32)> {
    let mut cqe = std::ptr::null_mut();
    loop {
        // SAFETY: an open ring, of this thread's alone.
        match unsafe { sys::io_uring_wait_cqe(ring, &mut cqe) } {
            0 => break,
            error if error == -libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(-error)),
        }
    }
    // SAFETY: the wait set it to a completion, which is the program's until it is marked as seen.
    let number = unsafe { (*cqe).user_data };
    // SAFETY: as above.
    let result = unsafe { (*cqe).res };
    // SAFETY: as above; it is not used after that.
    unsafe { sys::io_uring_cqe_seen(ring, cqe) };
    Ok((number, result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines_of(content: &[u8]) -> u64 {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        run(&file).unwrap()
    }

    #[test]
    fn lines_are_counted_whatever_the_size() {
        assert_eq!(lines_of(b""), 0);
        assert_eq!(lines_of(b"one\ntwo\nand no end"), 2);
        for bytes in [BLOCK - 1, BLOCK, BLOCK + 1, 3 * DEPTH as usize * BLOCK + 17] {
            let content: Vec<u8> = (0..bytes).map(|i| b"abc\nd\n\n"[i % 7]).collect();
            let lines = content.iter().filter(|&&byte| byte == b'\n').count() as u64;
            assert_eq!(lines_of(&content), lines, "{bytes} bytes");
        }
    }

    #[test]
    fn an_error_comes_after_all_that_was_in_flight() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        file.set_len(20 * BLOCK as u64).unwrap();
        let error = run(&file).unwrap_err();
        let number = error.downcast_ref::<io::Error>().unwrap().raw_os_error();
        assert_eq!(number, Some(libc::EBADF), "the file is open for writing only");
    }
}
