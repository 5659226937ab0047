//! One pool, many processes.
#![allow(unsafe_code)]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use common::relatives::{answers, signals, up_front};
use common::{config, in_child, pool_by, routes_here};
use uring_pool::{Cause, Ring, Route};

#[test]
fn each_child_uses_the_ring_that_its_parent_made_for_it() {
    for route in routes_here(&config(8)) {
        let pool = up_front(route, 4);
        let children: Vec<_> = (0..4)
            .map(|slot| {
                in_child(|| {
                    let mut ring = pool.claim_slot::<()>(slot).unwrap();
                    assert_eq!(ring.slot(), Some(slot));
                    for tag in 0..100 {
                        answers(&mut ring, tag);
                    }
                })
            })
            .collect();
        assert!(children.into_iter().all(|child| child.succeeded()), "by the route {route}");
        let stats = pool.stats();
        assert_eq!((stats.claimed, stats.idle), (0, 4), "what a child drops is free for all");
    }
}

#[test]
fn a_ring_used_by_one_process_after_another_starts_where_the_last_one_left_it() {
    for route in routes_here(&config(8)) {
        let pool = up_front(route, 1);
        for round in 0..5u64 {
            // An odd number each, so that heads and tails differ from what others remember.
            let child = in_child(|| {
                let mut ring = pool.claim_slot::<()>(0).unwrap();
                (0..7).for_each(|i| answers(&mut ring, 100 * round + i));
            });
            assert!(child.succeeded(), "by the route {route}");
            answers(&mut pool.claim_slot(0).unwrap(), round);
        }
    }
}

#[test]
fn a_slot_claimed_in_one_process_is_taken_in_all_others() {
    let pool = up_front(Route::Separate, 2);
    let (mut here, mut there) = signals();
    let child = in_child(|| {
        let ring = pool.claim_slot::<()>(1).unwrap();
        there.write_all(b"!").unwrap();
        // Holds it until the parent has looked.
        there.read_exact(&mut [0]).unwrap();
        drop(ring);
    });
    here.read_exact(&mut [0]).unwrap();
    let error = pool.claim_slot::<()>(1).unwrap_err();
    assert_eq!(error.cause(), Cause::SlotTaken { holder: child.id() });
    let other = pool.claim::<()>().unwrap();
    assert_eq!(other.slot(), Some(0));
    let error = pool.claim::<()>().unwrap_err();
    assert_eq!(error.cause(), Cause::NoSlotFree { slots: 2 });
    here.write_all(b"!").unwrap();
    assert!(child.succeeded());
    assert_eq!(pool.claim::<()>().unwrap().slot(), Some(1));
}

#[test]
fn a_ring_made_by_a_child_is_not_mistaken_for_ones_own() {
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 2);
        let (mut here, mut there) = signals();
        let child = in_child(|| {
            let pool = pool.clone();
            drop(pool.claim_slot::<()>(0).unwrap());
            there.write_all(b"!").unwrap();
            there.read_exact(&mut [0]).unwrap();
        });
        here.read_exact(&mut [0]).unwrap();
        let error = pool.claim_slot::<()>(0).unwrap_err();
        assert_eq!(error.cause(), Cause::MadeElsewhere, "by the route {route}");
        // Whoever does not insist gets another.
        let mut ring = pool.claim::<()>().unwrap();
        assert_eq!(ring.slot(), Some(1));
        answers(&mut ring, 1);
        here.write_all(b"!").unwrap();
        assert!(child.succeeded());
    }
}

#[test]
fn an_inherited_ring_that_has_since_been_replaced_is_not_used() {
    for route in routes_here(&config(8)) {
        let pool = up_front(route, 1);
        let (mut here, mut there) = signals();
        let child = in_child(|| {
            there.read_exact(&mut [0]).unwrap();
            // This process has a descriptor for the ring before, whose memory is another's now.
            let error = pool.claim_slot::<()>(0).unwrap_err();
            assert_eq!(error.cause(), Cause::MadeElsewhere);
        });
        let mut raw = uring_pool::sys::io_uring::default();
        // SAFETY: never used; the lease ends at once, and the slot is recycled.
        drop(unsafe { pool.claim_raw(&mut raw) }.unwrap());
        answers(&mut pool.claim_slot(0).unwrap(), 1);
        here.write_all(b"!").unwrap();
        assert!(child.succeeded(), "by the route {route}");
        answers(&mut pool.claim_slot(0).unwrap(), 2);
    }
}

#[test]
fn a_childs_copy_of_a_ring_in_use_refuses_to_work_and_disturbs_nobody() {
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 1);
        let file = tempfile::tempfile().unwrap();
        let mut ring = pool.claim::<Vec<u8>>().unwrap();
        // One in flight, one prepared, as the parent may be anywhere.
        let (read, write) = nix::unistd::pipe().unwrap();
        let mut batch = ring.batch();
        batch.read_at(&read, vec![0; 5], u64::MAX).tag(1).push().unwrap();
        batch.submit().unwrap();
        let mut batch = ring.batch();
        batch.write_at(&file, b"parent".to_vec(), 0).tag(2).push().unwrap();
        let mut batch = Some(batch);
        let child = in_child(|| {
            let error = batch.take().unwrap().submit().unwrap_err();
            assert_eq!((error.error.cause(), error.submitted), (Cause::Inherited, 0));
        });
        assert!(child.succeeded(), "by the route {route}");
        assert_eq!(batch.unwrap().submit().unwrap(), 1);
        let mut ring = Some(ring);
        let child = in_child(|| {
            let mut ring = ring.take().unwrap();
            let full = ring.batch().write_at(&file, vec![1], 0).push().unwrap_err();
            assert_eq!((full.cause, full.buf), (Cause::Inherited, Some(vec![1])));
            assert_eq!(ring.wait(1).unwrap_err().cause(), Cause::Inherited);
            assert_eq!(ring.peek().count(), 0);
        });
        assert!(child.succeeded(), "by the route {route}");
        std::fs::File::from(write).write_all(b"there").unwrap();
        let mut done: Vec<_> = ring.as_mut().unwrap().wait_through_signals(2).unwrap().collect();
        done.sort_by_key(|done| done.tag);
        assert_eq!(done[0].buf.as_deref(), Some(&b"there"[..]));
        assert_eq!(*done[1].result.as_ref().unwrap(), 6);
    }
}

#[test]
fn a_ring_in_no_pool_is_a_childs_own_once_it_is_adopted() {
    let mut ring = Ring::<()>::open(&config(8)).unwrap();
    answers(&mut ring, 1);
    let child = in_child(|| {
        // SAFETY: the parent leaves it alone until it adopts it, when the child has ended.
        unsafe { ring.adopt() }.unwrap();
        answers(&mut ring, 2);
    });
    assert!(child.succeeded());
    // SAFETY: the child has ended, and had nothing under way.
    unsafe { ring.adopt() }.unwrap();
    answers(&mut ring, 3);
    let pool = pool_by(Route::Separate, config(8), 1);
    let mut claimed = pool.claim::<()>().unwrap();
    // SAFETY: it is refused.
    assert!(matches!(unsafe { claimed.adopt() }.unwrap_err().cause(), Cause::Invalid(_)));
}

/// Whatever it has registered with it, the parent has nothing under way, and leaves the queues alone.
#[test]
fn a_parent_that_drops_its_copy_of_a_ring_leaves_the_child_that_adopted_it_its_completions() {
    let mut ring = Ring::<()>::open(&config(8)).unwrap();
    ring.reserve_files(1).unwrap();
    let (mut here, mut there) = signals();
    let child = in_child(|| {
        // SAFETY: the parent only drops it, with nothing in flight.
        unsafe { ring.adopt() }.unwrap();
        let mut batch = ring.batch();
        batch.nop().tag(7).push().unwrap();
        batch.submit().unwrap();
        there.write_all(b"!").unwrap();
        // Until the parent has dropped its own.
        there.read_exact(&mut [0]).unwrap();
        let time = std::time::Duration::from_secs(10);
        let tags: Vec<_> = ring.wait_timeout(1, time).unwrap().map(|done| done.tag).collect();
        assert_eq!(tags, [7]);
    });
    here.read_exact(&mut [0]).unwrap();
    drop(ring);
    here.write_all(b"!").unwrap();
    assert!(child.succeeded());
}

#[test]
fn a_childs_copy_of_a_raw_lease_does_not_end_its_parents() {
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 1);
        let mut raw = uring_pool::sys::io_uring::default();
        // SAFETY: never used.
        let mut lease = Some(unsafe { pool.claim_raw(&mut raw) }.unwrap());
        let child = in_child(|| drop(lease.take()));
        assert!(child.succeeded());
        assert_eq!(pool.stats().claimed, 1, "by the route {route}");
        drop(lease);
        assert_eq!(pool.stats().claimed, 0);
    }
}

#[test]
fn a_child_that_drops_everything_leaves_its_parents_rings_working() {
    for route in routes_here(&config(8)) {
        let pool = up_front(route, 3);
        let mut mine = pool.claim::<()>().unwrap();
        answers(&mut mine, 1);
        let mut everything = Some((pool, mine));
        let child = in_child(|| {
            // The last owner here: the pool itself is dropped, not a handle.
            drop(everything.take());
        });
        assert!(child.succeeded());
        let (pool, mut mine) = everything.unwrap();
        let stats = pool.stats();
        assert_eq!((stats.claimed, stats.idle, stats.retired), (1, 2, 0), "by the route {route}");
        answers(&mut mine, 2);
        drop(mine);
        for slot in 0..3 {
            answers(&mut pool.claim_slot(slot).unwrap(), 3);
        }
    }
}

#[test]
fn processes_that_claim_at_the_same_time_never_hold_the_same_slot() {
    const SLOTS: usize = 3;
    const CHILDREN: usize = 4;
    for route in routes_here(&config(8)) {
        let pool = up_front(route, SLOTS);
        // A byte for each slot, taken while it is held: two holders would meet.
        let marks: Vec<(UnixStream, UnixStream)> = (0..SLOTS).map(|_| signals()).collect();
        for (put, take) in &marks {
            take.set_nonblocking(true).unwrap();
            (&*put).write_all(b"m").unwrap();
        }
        let children: Vec<_> = (0..CHILDREN as u64)
            .map(|me| {
                in_child(|| {
                    let me = me << 32;
                    let mut held = 0;
                    while held < 300 {
                        let Ok(mut ring) = pool.claim::<()>() else {
                            std::thread::yield_now();
                            continue;
                        };
                        let (put, take) = &marks[ring.slot().unwrap()];
                        (&*take).read_exact(&mut [0]).expect("nobody else holds the slot");
                        answers(&mut ring, me + held);
                        (&*put).write_all(b"m").unwrap();
                        held += 1;
                    }
                })
            })
            .collect();
        assert!(children.into_iter().all(|child| child.succeeded()), "by the route {route}");
        assert_eq!(pool.stats().idle, SLOTS, "no slot is lost");
    }
}
