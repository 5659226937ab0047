//! Rings registered with a thread, by every route that there is, and what this kernel lets one register.

mod common;

use std::fs::File;

use common::registered::{only_by_registration, refused, unsupported};
use common::rings::{number, one, rings};
use common::{config, in_child, kernel, pool_by, routes_here};
use nix::libc;
use uring_pool::{Cause, PgAioUringCaps, Ring, RingConfig, RingPool};

#[test]
fn a_ring_registered_with_a_thread_is_not_looked_up_by_its_descriptor() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        match ring.register_descriptor() {
            Ok(()) => assert!(kernel() >= (5, 18)),
            Err(error) => {
                unsupported(error);
                continue;
            }
        }
        only_by_registration(&mut ring);
        ring.register_descriptor().unwrap();
        only_by_registration(&mut ring);
        // Elsewhere it is, as ever; and with that thread it can be registered, too.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(number(&one!(ring, |batch| batch.nop())), 0);
                ring.register_descriptor().unwrap();
                only_by_registration(&mut ring);
            });
        });
        assert_eq!(number(&one!(ring, |batch| batch.nop())), 0);
    }
}

/// However often it goes to and fro, it takes one place.
#[test]
fn a_ring_that_several_threads_register_has_one_place_with_each() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        for _ in 0..20 {
            if let Err(error) = ring.register_descriptor() {
                return unsupported(error);
            }
            std::thread::scope(|scope| {
                scope.spawn(|| ring.register_descriptor().unwrap()).join().unwrap();
            });
        }
        only_by_registration(&mut ring);
        let mut others: Vec<_> =
            (0..15).map(|_| Ring::<Vec<u8>>::open(&config(8)).unwrap()).collect();
        for other in &mut others {
            other.register_descriptor().unwrap();
        }
    }
}

/// A thread has 16 places. A ring that is dropped gives its own back, if it is dropped there.
#[test]
fn a_thread_has_sixteen_places_for_rings_and_gets_them_back() {
    let pool = pool_by(routes_here(&config(8))[0], config(8), 17);
    let claim = || pool.claim::<Vec<u8>>().unwrap();
    for _ in 0..3 {
        let mut rings: Vec<_> = (0..17).map(|_| claim()).collect();
        let mut last = rings.pop().unwrap();
        for ring in &mut rings {
            if let Err(error) = ring.register_descriptor() {
                return unsupported(error);
            }
        }
        let error = last.register_descriptor().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY), "{error}");
        rings.iter_mut().for_each(only_by_registration);
        assert_eq!(number(&one!(last, |batch| batch.nop())), 0);
    }
    // Returned in another thread, a ring is its next user's without a trace, in both.
    let mut ring = claim();
    ring.register_descriptor().unwrap();
    std::thread::spawn(move || drop(ring)).join().unwrap();
    for _ in 0..17 {
        let mut ring = claim();
        ring.register_descriptor().unwrap();
        only_by_registration(&mut ring);
    }
}

#[test]
fn a_child_registers_nothing_with_its_copy_and_leaves_its_parents_files_alone() {
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 1);
        let mut ring = pool.claim::<Vec<u8>>().unwrap();
        ring.reserve_files(2).unwrap();
        let zero = File::open("/dev/zero").unwrap();
        let file = ring.register_file(&zero).unwrap();
        ring.register_descriptor().map_or_else(unsupported, |()| assert!(kernel() >= (5, 18)));
        let child = in_child(|| {
            assert_eq!(refused(ring.register_file(&zero)), Cause::Inherited);
            assert_eq!(refused(ring.unregister_file(file)), Cause::Inherited);
            assert_eq!(refused(ring.reserve_files(1)), Cause::Inherited);
            assert_eq!(refused(ring.register_descriptor()), Cause::Inherited);
            // One of its own has the first place with its thread, as the parent's has with its.
            let mut own = Ring::<Vec<u8>>::open(&config(8)).unwrap();
            let registered = own.register_descriptor().is_ok();
            drop(std::mem::replace(&mut ring, Ring::open(&config(8)).unwrap()));
            if registered {
                only_by_registration(&mut own);
            }
        });
        assert!(child.succeeded(), "by the route {route}");
        assert_eq!(number(&one!(ring, |batch| batch.read_at(&file, vec![1; 2], 0))), 2);
    }
}

#[test]
fn what_can_be_registered_is_what_can_be_registered() {
    let config = RingConfig::new(8).unwrap();
    let can = PgAioUringCaps::check(&config).unwrap().registrations();
    let mut ring = Ring::<Vec<u8>>::open(&config).unwrap();
    assert_eq!(can.files, Some(ring.reserve_files(1).is_ok()));
    assert_eq!(can.descriptor, Some(ring.register_descriptor().is_ok()));
    let pool = RingPool::builder(config).rings(2).buffers(2, 4096).build().unwrap();
    let ring = pool.claim::<Vec<u8>>().unwrap();
    if let Some(buffers) = can.buffers {
        assert_eq!(ring.has_registered_buffers(), buffers);
    }
    assert_eq!(can.descriptor, Some(kernel() >= (5, 18)));
    assert_eq!(can.shared_buffers, Some(kernel() >= (6, 12)));
}
