//! Waiting with a time on kernels whose `io_uring_enter` takes none (before Linux 5.11).
//!
//! liburing submits a timeout request there, which stays behind if the wait ends earlier, and takes
//! places in both queues. An epoll that tells every change of the ring's descriptor does without.
//!
//! This room may hold `unsafe`: it makes system calls. It guarantees that the kernel is given
//! descriptors that are open, and locals that outlive the call.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;

/// Waits until `enough`, which is asked after each completion, or for so long: `ETIME`. `EINTR` if
/// a signal was handled.
pub(super) fn wait(
    ring: RawFd,
    time: Duration,
    mut enough: impl FnMut() -> bool,
) -> Result<(), Errno> {
    // One that cannot be reached is none.
    let deadline = Instant::now().checked_add(time);
    let changes = changes_of(ring)?;
    while !enough() {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(Errno::ETIME);
        }
        // Not `epoll_wait`, which the kernel's own work for this task would interrupt, too.
        until_readable(&changes, left)?;
        take_change(&changes)?;
    }
    Ok(())
}

/// An epoll that is readable when a completion has come since it was last asked.
fn changes_of(ring: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: it takes a flag only.
    let epoll = Errno::result(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: it has just been made, and nobody else has it.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    let events = (libc::EPOLLIN | libc::EPOLLET) as u32;
    let mut event = libc::epoll_event { events, u64: 0 };
    let (add, number) = (libc::EPOLL_CTL_ADD, epoll.as_raw_fd());
    // SAFETY: both descriptors are open, and the event is a local that is read.
    Errno::result(unsafe { libc::epoll_ctl(number, add, ring, &raw mut event) })?;
    Ok(epoll)
}

fn until_readable(epoll: &OwnedFd, left: Option<Duration>) -> Result<(), Errno> {
    let mut poll = libc::pollfd { fd: epoll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let time = left.map(|left| libc::timespec {
        tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: left.subsec_nanos() as libc::c_long,
    });
    let at = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one `pollfd`, a local, and a time or none; no signal mask.
    Errno::result(unsafe { libc::ppoll(&raw mut poll, 1, at, std::ptr::null()) }).map(drop)
}

fn take_change(epoll: &OwnedFd) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    let fd = epoll.as_raw_fd();
    // SAFETY: room for one event is given, a local.
    match Errno::result(unsafe { libc::epoll_wait(fd, &raw mut event, 1, 0) }) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ring, RingConfig};
    use std::os::fd::AsFd;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_wait_by_poll_ends_with_the_last_of_several_completions_or_with_its_time() {
        let mut ring = Ring::<()>::open(&RingConfig::new(8).unwrap()).unwrap();
        let mut batch = ring.batch();
        for i in 1..=3 {
            batch.timeout(i * SHORT).push().unwrap();
        }
        batch.submit().unwrap();
        let fd = ring.as_fd().as_raw_fd();
        let mut asked = 0;
        wait(fd, LONG, || {
            asked += 1;
            ring.held.queues.cq_ready() >= 3
        })
        .unwrap();
        assert!(asked <= 10, "it does not spin: {asked}");
        let start = Instant::now();
        assert_eq!(wait(fd, SHORT, || false), Err(Errno::ETIME));
        assert!(start.elapsed() >= SHORT);
        assert_eq!(wait(fd, Duration::ZERO, || false), Err(Errno::ETIME));
        assert_eq!(wait(fd, Duration::MAX, || true), Ok(()));
    }
}
