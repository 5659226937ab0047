//! The raw doors: liburing's own functions on a pool's rings.
#![allow(unsafe_code)]

mod common;

use common::{config, in_child, pool_by, routes_here};
use uring_pool::{Make, RingPool, sys};

/// One NOP through liburing alone.
fn nop(ring: &mut sys::io_uring, user_data: u64) {
    // SAFETY: an open ring of the caller's; the SQE is filled before it is submitted.
    let sqe = unsafe { sys::io_uring_get_sqe(ring) };
    assert!(!sqe.is_null());
    // SAFETY: as above.
    unsafe { sys::io_uring_prep_nop(sqe) };
    // SAFETY: as above. (Not `io_uring_sqe_set_data64`, which came with 2.2.)
    unsafe { (*sqe).user_data = user_data };
    // SAFETY: as above.
    assert_eq!(unsafe { sys::io_uring_submit(ring) }, 1);
    let mut cqe = std::ptr::null_mut();
    // SAFETY: as above.
    assert_eq!(unsafe { sys::io_uring_wait_cqe(ring, &mut cqe) }, 0);
    // SAFETY: the wait set it to a completion that is not yet marked as seen.
    assert_eq!(unsafe { (*cqe).user_data }, user_data);
    // SAFETY: as above.
    unsafe { sys::io_uring_cqe_seen(ring, cqe) };
}

#[test]
fn all_of_liburing_works_on_a_struct_of_the_callers_in_a_pools_slot() {
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 2);
        let mut ring = sys::io_uring::default();
        // SAFETY: used only while the lease lives, never exited.
        let lease = unsafe { pool.claim_raw(&mut ring) }.unwrap();
        assert_eq!(lease.route(), route);
        // Moved: it has no pointers into itself.
        let mut moved = Box::new(ring);
        for i in 0..100 {
            nop(&mut moved, i);
        }
        drop(lease);
        let stats = pool.stats();
        assert_eq!((stats.claimed, stats.idle, stats.open), (0, 0, 0), "closed, not kept");
    }
}

#[test]
fn a_ring_that_a_child_has_used_starts_where_the_child_left_it() {
    for route in routes_here(&config(8)) {
        let builder = RingPool::builder(config(8)).routes(&[route]).make(Make::UpFront);
        let pool = builder.build().unwrap();
        let child = in_child(|| {
            let mut ring = pool.claim::<()>().unwrap();
            let mut batch = ring.batch();
            for _ in 0..5 {
                batch.nop().push().unwrap();
            }
            batch.submit().unwrap();
            assert_eq!(ring.wait_through_signals(5).unwrap().count(), 5);
        });
        assert!(child.succeeded());
        let mut ring = sys::io_uring::default();
        // SAFETY: used only while the lease lives, never exited.
        let lease = unsafe { pool.claim_raw(&mut ring) }.unwrap();
        assert_eq!(lease.route(), route);
        for i in 0..20 {
            nop(&mut ring, i);
        }
    }
}
