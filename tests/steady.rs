//! Nothing on the hot path that C would not do: once warm, no allocation, and no system call that the
//! work does not need.
#![allow(unsafe_code)]

mod common;

use std::fs::File;

use common::live::Live;
use common::sanitizer::{ADDRESS, left_out};
use common::seccomp::allow_only;
use common::{config, in_child, pool_by, routes_here};
use nix::libc;
use uring_pool::Ring;

#[global_allocator]
static ALLOCATOR: Live = Live;

const BATCH: u32 = 32;

/// Requests with a buffer each, which go in and come back.
fn read_zeroes(ring: &mut Ring<Vec<u8>>, zeroes: &File, idle: &mut Vec<Vec<u8>>) {
    let count = u32::try_from(idle.len()).unwrap();
    let mut batch = ring.batch();
    while let Some(buf) = idle.pop() {
        batch.read_at(zeroes, buf, 0).push().unwrap();
    }
    assert_eq!(batch.submit().unwrap(), count);
    for done in ring.wait_through_signals(count).unwrap() {
        let buf = done.buf.unwrap();
        assert_eq!(done.result.unwrap() as usize, buf.len());
        idle.push(buf);
    }
    assert_eq!(idle.len(), count as usize);
}

/// Under a sanitizer.
const WHY: &str = "its run-time makes system calls of its own";

fn nops<B>(ring: &mut Ring<B>) {
    let mut batch = ring.batch();
    for tag in 0..BATCH {
        batch.nop().tag(tag.into()).push().unwrap();
    }
    assert_eq!(batch.submit().unwrap(), BATCH);
    assert_eq!(
        ring.wait_through_signals(BATCH).unwrap().map(|done| done.tag).sum::<u64>(),
        u64::from(BATCH * (BATCH - 1) / 2)
    );
}

#[test]
fn requests_on_a_claimed_ring_allocate_nothing() {
    let zeroes = File::open("/dev/zero").unwrap();
    for route in routes_here(&config(64)) {
        let pool = pool_by(route, config(64), 4);
        let mut ring = pool.claim::<Vec<u8>>().unwrap();
        let mut idle: Vec<Vec<u8>> = (0..BATCH).map(|_| vec![1; 64]).collect();
        let mut round = || {
            read_zeroes(&mut ring, &zeroes, &mut idle);
            nops(&mut ring);
        };
        round();
        let before = Live::made();
        (0..100).for_each(|_| round());
        assert_eq!(Live::made(), before, "allocations by the route {route}");
    }
}

#[test]
fn claiming_an_idle_ring_and_returning_it_allocates_nothing() {
    let pool = pool_by(routes_here(&config(8))[0], config(8), 1000);
    drop(pool.claim::<Vec<u8>>().unwrap());
    let before = Live::made();
    (0..1000).for_each(|_| drop(pool.claim::<Vec<u8>>().unwrap()));
    assert_eq!(Live::made(), before);
}

#[test]
fn claiming_an_idle_ring_and_returning_it_makes_no_system_call() {
    if left_out(&[ADDRESS], "claiming_an_idle_ring_and_returning_it_makes_no_system_call", WHY) {
        return;
    }
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 1000);
        let child = in_child(|| {
            // This process takes its number, and makes the ring.
            drop(pool.claim::<Vec<u8>>().unwrap());
            allow_only(&[libc::SYS_exit_group]);
            (0..1000).for_each(|_| drop(pool.claim::<Vec<u8>>().unwrap()));
        });
        assert!(child.succeeded(), "by the route {route}: killed for another system call");
    }
}

#[test]
fn requests_on_a_claimed_ring_make_no_system_call_but_enter() {
    if left_out(&[ADDRESS], "requests_on_a_claimed_ring_make_no_system_call_but_enter", WHY) {
        return;
    }
    for route in routes_here(&config(64)) {
        let pool = pool_by(route, config(64), 4);
        let child = in_child(|| {
            let mut ring = pool.claim::<()>().unwrap();
            nops(&mut ring);
            allow_only(&[libc::SYS_io_uring_enter, libc::SYS_exit_group]);
            (0..100).for_each(|_| nops(&mut ring));
            // Returned with nothing in flight.
            drop(ring);
        });
        assert!(child.succeeded(), "by the route {route}: killed for another system call");
    }
}

#[test]
fn another_system_call_would_have_been_seen() {
    let child = in_child(|| {
        allow_only(&[libc::SYS_exit_group]);
        nix::unistd::getppid();
    });
    assert!(!child.succeeded());
}
