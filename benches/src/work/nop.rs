//! NOPs, in batches: prepare, submit and wait, reap. As c/nop.c.
#![allow(unsafe_code)]

use std::io;

use io_uring::{IoUring, opcode};
use uring_pool::{Batch, RawQueues, Ring, RingConfig, RingPool, sys};

use super::{By, ENTRIES, Took, timed};
use crate::{Result, in_c};

pub(super) fn run(by: By, batch: u32, operations: u64) -> Result<Took> {
    match by {
        By::C => in_c::nop(batch, operations),
        By::IoUring => on_io_uring(batch, operations),
        By::Safe => on_uring_pool(batch, operations, |requests, tag| {
            requests.nop().tag(tag).push()?;
            Ok(())
        }),
        By::PushRaw => {
            let mut nop = sys::io_uring_sqe::default();
            // SAFETY: it only fills the SQE that it is given.
            unsafe { sys::io_uring_prep_nop(&mut nop) };
            on_uring_pool(batch, operations, |requests, tag| {
                // SAFETY: a NOP points to nothing.
                unsafe { requests.push_raw(&nop, tag, None) }?;
                Ok(())
            })
        }
        By::Raw => {
            let pool = RingPool::builder(RingConfig::new(ENTRIES)?).build()?;
            let mut ring = pool.claim::<()>()?;
            // SAFETY: the ring is used through this alone, and everything is reaped at the end.
            let raw = unsafe { ring.as_raw() };
            // SAFETY: it points into the claimed ring, which stays where it is meanwhile.
            bound(unsafe { &mut *raw }, batch, operations)
        }
        By::RawQueues => {
            let pool = RingPool::builder(RingConfig::new(ENTRIES)?).build()?;
            let mut ring = pool.claim::<()>()?;
            // SAFETY: the ring is used through this alone, and everything is reaped at the end.
            on_raw_queues(unsafe { ring.raw_queues() }, batch, operations)
        }
    }
}

/// That every completion came, each once.
fn check(sum: u64, batch: u32, operations: u64) -> Result<()> {
    let batch = u64::from(batch);
    let expected = operations / batch * (batch * (batch - 1) / 2);
    if sum == expected { Ok(()) } else { Err(format!("{sum} came, not {expected}").into()) }
}

fn on_uring_pool(
    batch: u32,
    operations: u64,
    push: impl Fn(&mut Batch<'_, '_, ()>, u64) -> Result<()>,
) -> Result<Took> {
    let pool = RingPool::builder(RingConfig::new(ENTRIES)?).build()?;
    let mut ring: Ring<()> = pool.claim()?;
    let mut run = |operations| {
        let (mut done, mut sum) = (0, 0);
        while done < operations {
            let mut requests = ring.batch();
            for i in 0..batch {
                push(&mut requests, i.into())?;
            }
            requests.submit()?;
            for completion in ring.wait(batch)? {
                completion.result?;
                sum += completion.tag;
            }
            done += u64::from(batch);
        }
        check(sum, batch, operations)
    };
    run(batch.into())?;
    timed(|| run(operations))
}

fn on_io_uring(batch: u32, operations: u64) -> Result<Took> {
    let mut ring = IoUring::new(ENTRIES)?;
    timed(|| {
        let (mut done, mut sum) = (0, 0);
        while done < operations {
            let mut queue = ring.submission();
            for i in 0..batch {
                let entry = opcode::Nop::new().build().user_data(i.into());
                // SAFETY: a NOP has no buffer that would have to stay.
                unsafe { queue.push(&entry) }?;
            }
            drop(queue);
            ring.submit_and_wait(batch as usize)?;
            for completion in ring.completion() {
                if completion.result() < 0 {
                    return Err(io::Error::from_raw_os_error(-completion.result()).into());
                }
                sum += completion.user_data();
            }
            done += u64::from(batch);
        }
        check(sum, batch, operations)
    })
}

fn bound(ring: &mut sys::io_uring, batch: u32, operations: u64) -> Result<Took> {
    let mut cqe = std::ptr::null_mut();
    timed(|| {
        let (mut done, mut sum) = (0, 0);
        while done < operations {
            for i in 0..batch {
                // SAFETY: an open ring, used by nobody else.
                let sqe = unsafe { sys::io_uring_get_sqe(ring) };
                if sqe.is_null() {
                    return Err("no SQE is free".into());
                }
                // SAFETY: an SQE that is ours until it is submitted.
                unsafe { sys::io_uring_prep_nop(sqe) };
                // SAFETY: as above.
                unsafe { (*sqe).user_data = i.into() };
            }
            // SAFETY: as above; a NOP has no buffer that would have to stay.
            let submitted = unsafe { sys::io_uring_submit_and_wait(ring, batch) };
            if submitted < 0 {
                return Err(io::Error::from_raw_os_error(-submitted).into());
            }
            // What io_uring_for_each_cqe is for: it is a macro, which cannot be bound.
            // SAFETY: as above.
            while unsafe { sys::io_uring_peek_cqe(ring, &mut cqe) } == 0 {
                // SAFETY: a completion that is not marked as seen yet.
                let completion = unsafe { &*cqe };
                if completion.res < 0 {
                    return Err(io::Error::from_raw_os_error(-completion.res).into());
                }
                sum += completion.user_data;
                // SAFETY: as above.
                unsafe { sys::io_uring_cqe_seen(ring, cqe) };
            }
            done += u64::from(batch);
        }
        check(sum, batch, operations)
    })
}

fn on_raw_queues(mut queues: RawQueues<'_>, batch: u32, operations: u64) -> Result<Took> {
    let mut nop = sys::io_uring_sqe::default();
    // SAFETY: it only fills the SQE that it is given.
    unsafe { sys::io_uring_prep_nop(&mut nop) };
    timed(|| {
        let (mut done, mut sum) = (0, 0);
        while done < operations {
            for i in 0..batch {
                nop.user_data = i.into();
                // SAFETY: a NOP points to nothing.
                unsafe { queues.push(&nop) }?;
            }
            queues.submit_and_wait(batch)?;
            for completion in queues.reap() {
                if completion.result < 0 {
                    return Err(io::Error::from_raw_os_error(-completion.result).into());
                }
                sum += completion.user_data;
            }
            done += u64::from(batch);
        }
        check(sum, batch, operations)
    })
}
