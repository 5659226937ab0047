//! P1: a combined pool adds one line to `/proc/self/maps`, however many rings; and a dropped one
//! leaves nothing behind.
//!
//! One test a file: other threads' mappings would be counted too.

mod common;

use common::{config, descriptors, maps, pool_by, routes_here};
use uring_pool::{Make, RingPool, Route};

#[test]
fn a_combined_pool_adds_one_mapping_however_many_rings_and_leaves_nothing_behind() {
    const RINGS: usize = 200;
    let config = config(64);
    let routes = routes_here(&config);
    if !routes[0].is_combined() {
        common::cannot("one mapping", "needs Linux 6.5");
    }
    let open = descriptors();
    let mut rings = Vec::with_capacity(RINGS);
    for &route in routes.iter().filter(|route| route.is_combined()) {
        // Once unmeasured: the allocator maps its own.
        for measured in [false, true] {
            let before = maps();
            let pool = pool_by(route, config, RINGS);
            for _ in 0..RINGS {
                rings.push(pool.claim::<()>().unwrap());
            }
            let during = maps();
            assert_eq!(descriptors(), open + RINGS + 1, "one for each ring, one for the pool");
            assert_eq!(pool.stats().by_route(route), RINGS);
            rings.clear();
            drop(pool);
            if measured {
                assert_eq!(during - before, 1, "by the route {route}");
                assert_eq!(maps(), before, "by the route {route}");
                assert_eq!(descriptors(), open, "by the route {route}");
            }
        }
    }

    // With buffers of its own, too, and with the ring that the others have their registration from.
    for &route in routes.iter().filter(|route| route.is_combined()) {
        for measured in [false, true] {
            let before = maps();
            let builder = RingPool::builder(config).rings(4).routes(&[route]);
            let pool = builder.buffers(16, 8192).make(Make::UpFront).build().unwrap();
            let buf = pool.buffer().unwrap();
            let during = maps();
            drop(pool);
            assert_eq!(buf.len(), 8192, "a buffer keeps the mapping");
            drop(buf);
            if measured {
                assert_eq!(during - before, 1, "by the route {route}");
                assert_eq!((maps(), descriptors()), (before, open), "by the route {route}");
            }
        }
    }

    // The same figure must tell rings with mappings of their own apart.
    let before = maps();
    let pool = RingPool::builder(config)
        .rings(RINGS)
        .routes(&[Route::Separate])
        .make(Make::UpFront)
        .build()
        .unwrap();
    assert!(maps() - before > RINGS);
    drop(pool);
    assert_eq!((maps(), descriptors()), (before, open));

    // Wide SQEs, which some releases of liburing leave half of mapped.
    let before = maps();
    for _ in 0..20 {
        match uring_pool::Ring::<()>::open(&config.sqe128()) {
            Ok(ring) => drop(ring),
            Err(error) => assert!(error.cause().is_unsupported(), "{error}"),
        }
    }
    assert_eq!(maps(), before);
}
