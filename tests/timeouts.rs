//! Timeout requests, limits on requests, and waiting with a time, by every route that there is.
#![allow(unsafe_code)]

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::rings::{all, number, one, rings};
use common::sanitizer::{VALGRIND, left_out};
use common::{config, in_child};
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use uring_pool::Ring;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(3600);

fn pipe() -> (Arc<OwnedFd>, Arc<OwnedFd>) {
    let (read, write) = nix::unistd::pipe().unwrap();
    (Arc::new(read), Arc::new(write))
}

fn read(ring: &mut Ring<Vec<u8>>, from: &OwnedFd) {
    let mut batch = ring.batch();
    batch.read(from, vec![0; 1]).tag(1).push().unwrap();
    batch.submit().unwrap();
}

#[test]
fn a_timeout_completes_when_its_time_is_over() {
    for mut ring in rings::<()>(config(8)) {
        let start = Instant::now();
        let done = one!(ring, |batch| batch.timeout(SHORT));
        assert_eq!(number(&done), -libc::ETIME);
        assert!(start.elapsed() >= SHORT);
        // More seconds than the kernel can count.
        let mut batch = ring.batch();
        let id = batch.timeout(Duration::MAX).tag(1).push().unwrap();
        batch.submit().unwrap();
        assert_eq!(ring.wait_timeout(1, SHORT).unwrap().count(), 0);
        let mut batch = ring.batch();
        batch.cancel(id).tag(2).push().unwrap();
        batch.submit().unwrap();
        let numbers: Vec<_> = all(&mut ring).iter().map(number).collect();
        assert_eq!(numbers, [-libc::ECANCELED, 0]);
    }
}

#[test]
fn a_timeout_ends_earlier_with_the_completions_it_was_given() {
    for mut ring in rings::<()>(config(8)) {
        let mut batch = ring.batch();
        batch.timeout_or(LONG, 2).tag(1).push().unwrap();
        batch.nop().tag(2).push().unwrap();
        batch.submit().unwrap();
        assert_eq!(ring.wait_timeout(2, SHORT).unwrap().count(), 1);
        let mut batch = ring.batch();
        batch.nop().tag(3).push().unwrap();
        batch.submit().unwrap();
        let numbers: Vec<_> = all(&mut ring).iter().map(number).collect();
        assert_eq!(numbers, [0, 0]);
    }
}

#[test]
fn a_limit_cancels_what_takes_longer_and_goes_with_what_does_not() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (from, to) = pipe();
        let mut batch = ring.batch();
        batch.read(&from, vec![0; 1]).keep(&from).link().tag(1).push().unwrap();
        batch.link_timeout(SHORT).tag(2).push().unwrap();
        batch.submit().unwrap();
        let done = all(&mut ring);
        assert!([-libc::ECANCELED, -libc::EINTR].contains(&number(&done[0])), "{done:?}");
        assert_eq!((number(&done[1]), done[0].buf.is_some()), (-libc::ETIME, true));

        let mut batch = ring.batch();
        batch.read(&from, vec![0; 1]).keep(&from).link().tag(1).push().unwrap();
        batch.link_timeout(LONG).tag(2).push().unwrap();
        batch.submit().unwrap();
        File::from(to.try_clone().unwrap()).write_all(b"x").unwrap();
        let numbers: Vec<_> = all(&mut ring).iter().map(number).collect();
        assert_eq!(numbers, [1, -libc::ECANCELED]);
    }
}

#[test]
fn a_wait_with_a_time_gives_out_what_is_there_when_it_is_over() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (from, to) = pipe();
        let start = Instant::now();
        let none = ring.wait_timeout(1, LONG).unwrap();
        assert!(!none.timed_out(), "nothing is in flight, so nothing is awaited");
        assert_eq!(none.count(), 0);
        for nops in [0, 3] {
            read(&mut ring, &from);
            let mut batch = ring.batch();
            for _ in 0..nops {
                batch.nop().push().unwrap();
            }
            batch.submit().unwrap();
            let start = Instant::now();
            let there = ring.wait_timeout(4, SHORT).unwrap();
            assert!(there.timed_out());
            assert_eq!(there.count(), nops);
            assert!(start.elapsed() >= SHORT);
            assert!(ring.wait_timeout(1, Duration::ZERO).unwrap().timed_out());
        }
        let writer = to.try_clone().unwrap();
        let later = std::thread::spawn(move || {
            std::thread::sleep(SHORT);
            File::from(writer).write_all(b"xy").unwrap();
        });
        let both = ring.wait_timeout(2, LONG).unwrap();
        assert!(!both.timed_out());
        assert_eq!(both.map(|done| number(&done)).collect::<Vec<_>>(), [1, 1]);
        later.join().unwrap();
        assert!(start.elapsed() < LONG);
        read(&mut ring, &from);
        drop(to);
        assert_eq!(ring.wait_timeout(1, Duration::MAX).unwrap().count(), 1);
    }
}

#[test]
fn waits_with_a_time_leave_nothing_behind_in_a_ring_that_is_full() {
    for mut ring in rings::<Vec<u8>>(config(4)) {
        let (from, to) = pipe();
        for _ in 0..8 {
            read(&mut ring, &from);
        }
        for _ in 0..20 {
            assert_eq!(ring.wait_timeout(8, Duration::from_millis(2)).unwrap().count(), 0);
        }
        assert_eq!(ring.in_flight(), 8);
        File::from(to.try_clone().unwrap()).write_all(&[1; 8]).unwrap();
        let tags: Vec<_> = all(&mut ring).iter().map(|done| done.tag).collect();
        assert_eq!(tags, [1; 8]);
    }
}

#[test]
fn a_timeout_that_fires_during_a_wait_is_no_signal() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        for time in [None, Some(LONG)] {
            let (from, to) = pipe();
            read(&mut ring, &from);
            let mut batch = ring.batch();
            batch.timeout(SHORT).tag(2).push().unwrap();
            batch.submit().unwrap();
            let later = std::thread::spawn(move || {
                std::thread::sleep(4 * SHORT);
                File::from(Arc::into_inner(to).unwrap()).write_all(b"x").unwrap();
            });
            let both = match time {
                None => ring.wait(2),
                Some(time) => ring.wait_timeout(2, time),
            };
            let tags: Vec<_> = both.unwrap().map(|done| done.tag).collect();
            assert_eq!(tags, [2, 1]);
            later.join().unwrap();
        }
    }
}

#[test]
fn a_signal_ends_a_wait_with_a_time_and_loses_nothing() {
    let test = "a_signal_ends_a_wait_with_a_time_and_loses_nothing";
    let why = "it lets no signal through while a thread waits in io_uring_enter";
    if left_out(&[VALGRIND], test, why) {
        return;
    }
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    // In a process of its own, for the timer.
    let child = in_child(|| {
        for mut ring in rings::<Vec<u8>>(config(8)) {
            on_alarm_nothing();
            for already_there in [0, 1] {
                read(&mut ring, &silent);
                let mut batch = ring.batch();
                (0..already_there).for_each(|_| {
                    batch.nop().push().unwrap();
                });
                batch.submit().unwrap();
                alarm();
                let all = ring.in_flight();
                let error = ring.wait_timeout(all, LONG).unwrap_err();
                assert!(error.is_interrupted(), "{error}");
                assert_eq!(ring.peek().count(), already_there);
                // Not one that is to go on.
                let mut batch = ring.batch();
                batch.timeout(Duration::from_millis(100)).tag(9).push().unwrap();
                batch.submit().unwrap();
                alarm();
                let tags: Vec<_> =
                    ring.wait_through_signals(1).unwrap().map(|done| done.tag).collect();
                assert_eq!(tags, [9]);
            }
        }
    });
    assert!(child.succeeded());
}

#[test]
fn a_signal_ends_a_wait_though_requests_with_a_limit_have_completed_during_it() {
    let test = "a_signal_ends_a_wait_though_requests_with_a_limit_have_completed_during_it";
    let why = "it lets no signal through while a thread waits in io_uring_enter";
    if left_out(&[VALGRIND], test, why) {
        return;
    }
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    let child = in_child(|| {
        for mut ring in rings::<Vec<u8>>(config(8)) {
            on_alarm_nothing();
            let (from, to) = pipe();
            let mut batch = ring.batch();
            batch.read(&from, vec![0; 1]).keep(&from).link().push().unwrap();
            batch.link_timeout(LONG).push().unwrap();
            batch.submit().unwrap();
            read(&mut ring, &silent);
            let later = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                File::from(Arc::into_inner(to).unwrap()).write_all(b"x").unwrap();
            });
            alarm();
            let error = ring.wait_timeout(3, Duration::from_secs(5)).unwrap_err();
            assert!(error.is_interrupted(), "{error}");
            assert_eq!(ring.peek().count(), 2);
            later.join().unwrap();
        }
    });
    assert!(child.succeeded());
}

fn on_alarm_nothing() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = SigHandler::Handler(nothing);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGALRM, &action) }.unwrap();
}

/// Sends this process a signal in a while.
fn alarm() {
    let at = |ms: libc::suseconds_t| libc::timeval { tv_sec: 0, tv_usec: 1000 * ms };
    let time = libc::itimerval { it_interval: at(0), it_value: at(50) };
    // SAFETY: the time is a local, and the old one is not asked for.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &time, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}
