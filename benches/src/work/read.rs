//! Random reads: as many under way as the depth says, and one more for each that completes. As c/read.c.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;

use io_uring::{IoUring, opcode, types};
use uring_pool::{Batch, Buf, BufMut, Ring, RingConfig, RingPool, Vectored};

use super::random::Random;
use super::{By, ENTRIES, Took, no_such, timed};
use crate::{Result, in_c};

pub(crate) const BLOCK: u32 = 8192;

/// How they are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) depth: u32,
    /// Around the cache (O_DIRECT).
    pub(super) direct: bool,
    /// Into two pieces.
    pub(super) vectored: bool,
}

pub(super) fn run(by: By, how: How, path: &Path, operations: u64) -> Result<Took> {
    let How { depth, direct, vectored } = how;
    let flags = if direct { libc::O_DIRECT } else { 0 };
    let file = &OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let blocks = file.metadata()?.len() / u64::from(BLOCK);
    match by {
        By::C => in_c::read(file, blocks, BLOCK, vectored, depth, operations),
        By::IoUring => on_io_uring(file, blocks, vectored, depth, operations),
        By::Safe if vectored => {
            let new = || Vectored::new(vec![Block::<HALF>::new(), Block::new()]);
            safe(blocks, depth, operations, new, |batch, bufs, offset| {
                batch.readv_at(file, bufs, offset).push()?;
                Ok(())
            })
        }
        By::Safe => safe(blocks, depth, operations, Block::<WHOLE>::new, |batch, buf, offset| {
            batch.read_at(file, buf, offset).push()?;
            Ok(())
        }),
        By::Raw | By::PushRaw | By::RawQueues => no_such(by),
    }
}

const WHOLE: usize = BLOCK as usize;
const HALF: usize = WHOLE / 2;

/// A block that begins at a page, as O_DIRECT wants it.
#[derive(Debug)]
struct Block<const LEN: usize>(NonNull<u8>);

impl<const LEN: usize> Block<LEN> {
    const LAYOUT: Layout = match Layout::from_size_align(LEN, 4096) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    fn new() -> Self {
        // SAFETY: the layout is not empty.
        let at = unsafe { alloc_zeroed(Self::LAYOUT) };
        Self(NonNull::new(at).unwrap_or_else(|| handle_alloc_error(Self::LAYOUT)))
    }
}

impl<const LEN: usize> Drop for Block<LEN> {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.0.as_ptr(), Self::LAYOUT) }
    }
}

// SAFETY: the bytes are on the heap, initialised, and this value's alone; they stay when it is moved.
unsafe impl<const LEN: usize> Buf for Block<LEN> {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn len(&self) -> usize {
        LEN
    }
}

// SAFETY: as above; it is the same address.
unsafe impl<const LEN: usize> BufMut for Block<LEN> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_ptr()
    }
}

fn safe<'f, B: 'static>(
    blocks: u64,
    depth: u32,
    operations: u64,
    new: impl Fn() -> B,
    push: impl Fn(&mut Batch<'_, 'f, B>, B, u64) -> Result<()>,
) -> Result<Took> {
    let pool = RingPool::builder(RingConfig::new(ENTRIES)?).build()?;
    let mut ring: Ring<B> = pool.claim()?;
    let mut idle: Vec<B> = (0..depth).map(|_| new()).collect();
    let mut random = Random::new();
    timed(|| {
        let (mut submitted, mut completed) = (0, 0);
        while completed < operations {
            let mut batch = ring.batch();
            while submitted < operations {
                let Some(buf) = idle.pop() else { break };
                push(&mut batch, buf, random.next() % blocks * u64::from(BLOCK))?;
                submitted += 1;
            }
            batch.submit()?;
            for done in ring.wait(1)? {
                if done.result? != BLOCK {
                    return Err("a short read".into());
                }
                idle.push(done.buf.ok_or("a read has a buffer")?);
                completed += 1;
            }
        }
        Ok(())
    })
}

fn on_io_uring(
    file: &File,
    blocks: u64,
    vectored: bool,
    depth: u32,
    operations: u64,
) -> Result<Took> {
    let mut ring = IoUring::new(ENTRIES)?;
    let mut bufs: Vec<Block<WHOLE>> = (0..depth).map(|_| Block::new()).collect();
    let pieces: Vec<[libc::iovec; 2]> = bufs
        .iter_mut()
        .map(|buf| {
            let (first, second) = (buf.stable_mut_ptr(), buf.stable_mut_ptr().wrapping_add(HALF));
            [first, second].map(|at| libc::iovec { iov_base: at.cast(), iov_len: HALF })
        })
        .collect();
    let mut idle: Vec<usize> = (0..bufs.len()).collect();
    let fd = types::Fd(file.as_raw_fd());
    let mut random = Random::new();
    timed(|| {
        let (mut submitted, mut completed) = (0, 0);
        while completed < operations {
            let mut queue = ring.submission();
            while submitted < operations {
                let Some(i) = idle.pop() else { break };
                let offset = random.next() % blocks * u64::from(BLOCK);
                let entry = if vectored {
                    opcode::Readv::new(fd, pieces[i].as_ptr(), 2).offset(offset).build()
                } else {
                    let at = bufs[i].stable_mut_ptr();
                    opcode::Read::new(fd, at, BLOCK).offset(offset).build()
                };
                // SAFETY: the buffers outlive the ring's use of them, and none is used twice at a time.
                unsafe { queue.push(&entry.user_data(i as u64)) }?;
                submitted += 1;
            }
            drop(queue);
            ring.submit_and_wait(1)?;
            for done in ring.completion() {
                if done.result() < 0 {
                    return Err(io::Error::from_raw_os_error(-done.result()).into());
                }
                if done.result() as u32 != BLOCK {
                    return Err("a short read".into());
                }
                idle.push(done.user_data() as usize);
                completed += 1;
            }
        }
        Ok(())
    })
}
