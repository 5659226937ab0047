//! As nop.rs, with a buffer to each request. As c/write.c: a table says whose buffer is whose.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, types};
use uring_pool::{Ring, RingConfig, RingPool};

use super::{By, ENTRIES, Took, no_such, timed};
use crate::{Result, in_c};

const LEN: u32 = 64;

pub(super) fn run(by: By, batch: u32, operations: u64) -> Result<Took> {
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    match by {
        By::C => in_c::write(&null, LEN, batch, operations),
        By::IoUring => on_io_uring(&null, batch, operations),
        By::Safe => safe(&null, batch, operations),
        By::Raw | By::PushRaw | By::RawQueues => no_such(by),
    }
}

fn check(sum: u64, operations: u64) -> Result<()> {
    let expected = operations * u64::from(LEN);
    if sum == expected { Ok(()) } else { Err(format!("{sum} bytes went, not {expected}").into()) }
}

fn safe(null: &File, batch: u32, operations: u64) -> Result<Took> {
    let pool = RingPool::builder(RingConfig::new(ENTRIES)?).build()?;
    let mut ring: Ring<Vec<u8>> = pool.claim()?;
    let mut idle: Vec<_> = (0..batch).map(|_| vec![0; LEN as usize]).collect();
    safe_batches(&mut ring, null, &mut idle, u64::from(batch))?;
    timed(|| safe_batches(&mut ring, null, &mut idle, operations))
}

fn safe_batches(
    ring: &mut Ring<Vec<u8>>,
    null: &File,
    idle: &mut Vec<Vec<u8>>,
    operations: u64,
) -> Result<()> {
    let batch = u32::try_from(idle.len())?;
    let (mut done, mut sum) = (0, 0);
    while done < operations {
        let mut requests = ring.batch();
        while let Some(buf) = idle.pop() {
            requests.write_at(null, buf, 0).push()?;
        }
        requests.submit()?;
        for completion in ring.wait(batch)? {
            completion.result?;
            let buf = completion.buf.ok_or("a write has a buffer")?;
            sum += buf.len() as u64;
            idle.push(buf);
        }
        done += u64::from(batch);
    }
    check(sum, operations)
}

fn on_io_uring(null: &File, batch: u32, operations: u64) -> Result<Took> {
    let mut ring = IoUring::new(ENTRIES)?;
    let bufs: Vec<_> = (0..batch).map(|_| vec![0; LEN as usize]).collect();
    let fd = types::Fd(null.as_raw_fd());
    timed(|| {
        let (mut done, mut sum) = (0, 0);
        while done < operations {
            let mut queue = ring.submission();
            for (i, buf) in bufs.iter().enumerate() {
                let entry = opcode::Write::new(fd, buf.as_ptr(), buf.len() as u32).offset(0);
                // SAFETY: the buffers outlive the ring's use of them: each is waited for below.
                unsafe { queue.push(&entry.build().user_data(i as u64)) }?;
            }
            drop(queue);
            ring.submit_and_wait(batch as usize)?;
            for completion in ring.completion() {
                if completion.result() < 0 {
                    return Err(io::Error::from_raw_os_error(-completion.result()).into());
                }
                sum += bufs[completion.user_data() as usize].len() as u64;
            }
            done += u64::from(batch);
        }
        check(sum, operations)
    })
}
