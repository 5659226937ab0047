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
use uring_pool::{Buf, BufMut, Ring, RingConfig, RingPool};

use super::random::Random;
use super::{By, ENTRIES, Took, no_such, timed};
use crate::{Result, in_c};

pub(crate) const BLOCK: u32 = 8192;

pub(super) fn run(by: By, depth: u32, direct: bool, path: &Path, operations: u64) -> Result<Took> {
    let flags = if direct { libc::O_DIRECT } else { 0 };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let blocks = file.metadata()?.len() / u64::from(BLOCK);
    match by {
        By::C => in_c::read(&file, blocks, BLOCK, depth, operations),
        By::IoUring => on_io_uring(&file, blocks, depth, operations),
        By::Safe => safe(&file, blocks, depth, operations),
        By::Raw | By::Inlined => no_such(by),
    }
}

/// A block that begins at a page, as O_DIRECT wants it.
#[derive(Debug)]
struct Block(NonNull<u8>);

const LAYOUT: Layout = match Layout::from_size_align(BLOCK as usize, 4096) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

impl Block {
    fn new() -> Self {
        // SAFETY: the layout is not empty.
        let at = unsafe { alloc_zeroed(LAYOUT) };
        Self(NonNull::new(at).unwrap_or_else(|| handle_alloc_error(LAYOUT)))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.0.as_ptr(), LAYOUT) }
    }
}

// SAFETY: the bytes are on the heap, initialised, and this value's alone; they stay when it is moved.
unsafe impl Buf for Block {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn len(&self) -> usize {
        BLOCK as usize
    }
}

// SAFETY: as above; it is the same address.
unsafe impl BufMut for Block {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_ptr()
    }
}

fn safe(file: &File, blocks: u64, depth: u32, operations: u64) -> Result<Took> {
    let pool = RingPool::builder(RingConfig::new(ENTRIES)?).build()?;
    let mut ring: Ring<Block> = pool.claim()?;
    let mut idle: Vec<Block> = (0..depth).map(|_| Block::new()).collect();
    let mut random = Random::new();
    timed(|| {
        let (mut submitted, mut completed) = (0, 0);
        while completed < operations {
            let mut batch = ring.batch();
            while submitted < operations {
                let Some(buf) = idle.pop() else { break };
                let offset = random.next() % blocks * u64::from(BLOCK);
                batch.read_at(file, buf, offset).push()?;
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

fn on_io_uring(file: &File, blocks: u64, depth: u32, operations: u64) -> Result<Took> {
    let mut ring = IoUring::new(ENTRIES)?;
    let mut bufs: Vec<Block> = (0..depth).map(|_| Block::new()).collect();
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
                let entry = opcode::Read::new(fd, bufs[i].stable_mut_ptr(), BLOCK).offset(offset);
                // SAFETY: the buffers outlive the ring's use of them, and none is used twice at a time.
                unsafe { queue.push(&entry.build().user_data(i as u64)) }?;
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
