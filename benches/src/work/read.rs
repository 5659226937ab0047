//! Random reads: as many under way as the depth says, and one more for each that completes. As c/read.c.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use io_uring::{IoUring, opcode, types};
use uring_pool::{AlignedBuf, Batch, BufMut, Ring, RingConfig, RingPool, Vectored};

use super::random::Random;
use super::{By, ENTRIES, Kind, Took, no_such, timed};
use crate::{Result, in_c};

pub(crate) const BLOCK: u32 = 8192;

/// How they are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) depth: u32,
    /// Around the cache (O_DIRECT).
    pub(super) direct: bool,
    pub(super) kind: Kind,
}

pub(super) fn run(by: By, how: How, path: &Path, operations: u64) -> Result<Took> {
    let How { depth, direct, kind } = how;
    let flags = if direct { libc::O_DIRECT } else { 0 };
    let file = &OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let blocks = file.metadata()?.len() / u64::from(BLOCK);
    match by {
        By::C => in_c::read(file, blocks, BLOCK, kind, depth, operations),
        By::IoUring => on_io_uring(file, blocks, kind, depth, operations),
        By::Safe => {
            let builder = RingPool::builder(RingConfig::new(ENTRIES)?);
            match kind {
                Kind::Plain => {
                    let new = || Ok(aligned(WHOLE));
                    safe(&builder.build()?, blocks, depth, operations, new, |batch, buf, offset| {
                        batch.read_at(file, buf, offset).push()?;
                        Ok(())
                    })
                }
                Kind::Vectored => {
                    let new = || Ok(Vectored::new(vec![aligned(HALF), aligned(HALF)]));
                    safe(
                        &builder.build()?,
                        blocks,
                        depth,
                        operations,
                        new,
                        |batch, bufs, offset| {
                            batch.readv_at(file, bufs, offset).push()?;
                            Ok(())
                        },
                    )
                }
                Kind::Fixed => {
                    let pool = builder.buffers(depth as usize, WHOLE).build()?;
                    let new = || Ok(pool.buffer()?);
                    safe(&pool, blocks, depth, operations, new, |batch, buf, offset| {
                        batch.read_fixed(file, buf, offset).push()?;
                        Ok(())
                    })
                }
            }
        }
        By::Raw | By::PushRaw | By::RawQueues => no_such(by),
    }
}

const WHOLE: usize = BLOCK as usize;
const HALF: usize = WHOLE / 2;

/// A buffer that begins at a page, as O_DIRECT wants it.
fn aligned(len: usize) -> AlignedBuf {
    AlignedBuf::new(len, 4096)
}

fn safe<'f, B: 'static>(
    pool: &RingPool,
    blocks: u64,
    depth: u32,
    operations: u64,
    new: impl Fn() -> Result<B>,
    push: impl Fn(&mut Batch<'_, 'f, B>, B, u64) -> Result<()>,
) -> Result<Took> {
    let mut ring: Ring<B> = pool.claim()?;
    let mut idle = (0..depth).map(|_| new()).collect::<Result<Vec<B>>>()?;
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

fn on_io_uring(file: &File, blocks: u64, kind: Kind, depth: u32, operations: u64) -> Result<Took> {
    let mut ring = IoUring::new(ENTRIES)?;
    let mut bufs: Vec<AlignedBuf> = (0..depth).map(|_| aligned(WHOLE)).collect();
    let pieces: Vec<[libc::iovec; 2]> = bufs
        .iter_mut()
        .map(|buf| {
            let (first, second) = (buf.stable_mut_ptr(), buf.stable_mut_ptr().wrapping_add(HALF));
            [first, second].map(|at| libc::iovec { iov_base: at.cast(), iov_len: HALF })
        })
        .collect();
    if kind == Kind::Fixed {
        let whole: Vec<libc::iovec> = pieces
            .iter()
            .map(|[first, _]| libc::iovec { iov_base: first.iov_base, iov_len: WHOLE })
            .collect();
        // SAFETY: the buffers outlive the ring.
        unsafe { ring.submitter().register_buffers(&whole) }?;
    }
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
                let at = bufs[i].stable_mut_ptr();
                let entry = match kind {
                    Kind::Plain => opcode::Read::new(fd, at, BLOCK).offset(offset).build(),
                    Kind::Vectored => {
                        opcode::Readv::new(fd, pieces[i].as_ptr(), 2).offset(offset).build()
                    }
                    Kind::Fixed => {
                        opcode::ReadFixed::new(fd, at, BLOCK, i as u16).offset(offset).build()
                    }
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
