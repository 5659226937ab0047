//! P3: what the dead held is found, and harms nobody.
#![allow(unsafe_code)]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use common::relatives::{answers, signals, up_front};
use common::{config, in_child, pool_by, routes_here};
use uring_pool::Route;

#[test]
fn a_child_that_is_killed_in_the_middle_leaves_its_siblings_rings_working() {
    for route in routes_here(&config(8)) {
        let pool = up_front(route, 2);
        let (mut here, mut there) = signals();
        let (read, _write) = nix::unistd::pipe().unwrap();
        let child = in_child(|| {
            let mut ring = pool.claim_slot::<Vec<u8>>(0).unwrap();
            let mut batch = ring.batch();
            batch.read_at(&read, vec![0; 64], u64::MAX).push().unwrap();
            batch.submit().unwrap();
            there.write_all(b"!").unwrap();
            loop {
                std::thread::park();
            }
        });
        here.read_exact(&mut [0]).unwrap();
        child.kill();
        answers(&mut pool.claim_slot(1).unwrap(), 1);
        assert_eq!(pool.stats().claimed, 1, "still the dead one's, until somebody asks");
        for round in 0..3 {
            answers(&mut pool.claim_slot(0).unwrap(), round);
        }
        assert_eq!(pool.stats().claimed, 0, "by the route {route}");
    }
}

#[test]
fn a_ring_that_a_child_made_and_returned_is_not_lost_with_the_child() {
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 2);
        for round in 0..4 {
            assert!(in_child(|| drop(pool.claim::<()>().unwrap())).succeeded());
            assert!(in_child(|| drop(pool.claim_slot::<()>(1).unwrap())).succeeded());
            let (a, b) = (pool.claim::<()>().unwrap(), pool.claim::<()>().unwrap());
            assert_ne!(a.slot(), b.slot(), "by the route {route}, round {round}");
            // And so that the next child makes its own again.
            drop((a, b));
            for slot in 0..2 {
                let mut raw = uring_pool::sys::io_uring::default();
                // SAFETY: never used.
                let lease = unsafe { pool.claim_raw(&mut raw) }.unwrap();
                assert_eq!(pool.stats().claimed, 1, "slot {slot}");
                drop(lease);
            }
        }
    }
}

#[test]
fn requests_that_outlive_their_killed_owner_complete_where_nobody_sees_it() {
    for route in routes_here(&config(8)) {
        let pool = up_front(route, 1);
        let (mut here, mut there) = signals();
        let (read, write) = nix::unistd::pipe().unwrap();
        // It has a descriptor of the ring, too, which keeps the ring and its requests alive.
        let bystander = in_child(|| {
            loop {
                std::thread::park();
            }
        });
        let victim = in_child(|| {
            let mut ring = pool.claim_slot::<Vec<u8>>(0).unwrap();
            let mut batch = ring.batch();
            for _ in 0..8 {
                batch.read_at(&read, vec![0; 1], u64::MAX).push().unwrap();
            }
            batch.submit().unwrap();
            there.write_all(b"!").unwrap();
            loop {
                std::thread::park();
            }
        });
        here.read_exact(&mut [0]).unwrap();
        victim.kill();
        let mut ring = pool.claim_slot::<()>(0).unwrap();
        let mut batch = ring.batch();
        batch.nop().tag(5).push().unwrap();
        batch.submit().unwrap();
        std::fs::File::from(write).write_all(b"12345678").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let tags: Vec<_> = ring.peek().map(|done| done.tag).collect();
        assert_eq!(tags, [5], "by the route {route}");
        // SAFETY: nothing is done with it but looking.
        let raw = unsafe { ring.as_raw() };
        // SAFETY: the ring is neither moved nor dropped meanwhile.
        let tail = unsafe { (*raw).cq.ktail };
        // SAFETY: the tail is a word of the open ring.
        assert_eq!(unsafe { tail.read_volatile() }, 1, "by the route {route}");
        bystander.kill();
    }
}

#[test]
fn what_the_dead_held_is_recovered_and_what_the_living_hold_is_not() {
    let pool = up_front(Route::Separate, 4);
    let mine = pool.claim_slot::<()>(0).unwrap();
    let (mut here, mut there) = signals();
    let holder = |slots: std::ops::Range<usize>, there: &mut UnixStream| {
        let rings: Vec<_> = slots.map(|slot| pool.claim_slot::<()>(slot).unwrap()).collect();
        there.write_all(b"!").unwrap();
        there.read_exact(&mut [0]).unwrap();
        drop(rings);
    };
    let living = in_child(|| holder(1..2, &mut there));
    here.read_exact(&mut [0]).unwrap();
    let mut other = there.try_clone().unwrap();
    let dying = in_child(|| holder(2..4, &mut other));
    here.read_exact(&mut [0]).unwrap();
    assert_eq!(pool.recover().unwrap(), 0, "all live");
    dying.kill();
    assert_eq!(pool.recover().unwrap(), 2);
    assert_eq!(pool.recover().unwrap(), 0, "nothing is left to recover");
    assert_eq!(pool.stats().claimed, 2);
    here.write_all(b"!").unwrap();
    assert!(living.succeeded());
    drop(mine);
}
