//! What is found out, and how it is told.

mod common;

use common::config;
use uring_pool::{Cause, Fallback, PgAioUringCaps, RingPool, Route, Version};

#[test]
fn the_route_that_was_found_is_the_one_that_a_pools_rings_take() {
    let mut configs = vec![config(1), config(64)];
    if common::wide_entries() {
        configs.extend([config(256).cqe32(), config(1024).sqe128()]);
    }
    for config in configs {
        let caps = PgAioUringCaps::check(&config).unwrap();
        let pool = RingPool::builder(config).rings(2).build().unwrap();
        let ring = pool.claim::<()>().unwrap();
        assert_eq!((caps.route(), caps.checked()), (ring.route(), true));
        assert_eq!(caps.refusals(), ring.refusals());
        assert_eq!(caps.mem_init_size().is_some(), caps.route().is_combined());
        assert_eq!(caps.mem_init_size().is_none(), caps.reason().is_some());
        if let Some(size) = caps.mem_init_size() {
            assert_eq!(pool.stats().bytes_per_ring, size);
            assert!(ring.extent() <= size);
        }
    }
}

#[test]
fn init_mem_is_taken_exactly_where_the_library_has_it_and_the_kernel_takes_such_memory() {
    let caps = PgAioUringCaps::check(&config(64)).unwrap();
    let refused = |cause: Cause| {
        caps.refusals().iter().any(|r| r.route() == Route::InitMem && r.cause() == cause)
    };
    assert_eq!(refused(Cause::LibraryLacksInitMem), !uring_pool::HAVE_INIT_MEM);
    let headers = Version::headers();
    assert_eq!(uring_pool::HAVE_INIT_MEM, (headers.major, headers.minor) >= (2, 5));
    if caps.route().is_combined() {
        // There, 2.6 and newer would place rings wrongly, and are kept from it.
        let kept_off = refused(Cause::LibraryRefused);
        assert!(!kept_off || caps.kernel().starts_with("6.5"), "{caps}: {:?}", caps.refusals());
        assert_eq!(caps.route() == Route::InitMem, uring_pool::HAVE_INIT_MEM && !kept_off);
    }
}

#[test]
fn checking_leaves_nothing_behind() {
    let before = common::descriptors();
    for _ in 0..100 {
        PgAioUringCaps::check(&config(64)).unwrap();
    }
    // Other tests open descriptors meanwhile, but far fewer.
    assert!(common::descriptors() < before + 50);
}

#[test]
fn what_every_kernel_with_io_uring_can_do_is_reported() {
    let caps = PgAioUringCaps::check(&config(8)).unwrap();
    let names: Vec<_> =
        caps.operations().unwrap().iter().map(|&op| uring_pool::operation_name(op)).collect();
    for name in ["nop", "read", "write", "fsync", "async_cancel"] {
        assert!(names.iter().any(|n| n == name), "{name} is missing in {names:?}");
    }
    assert_eq!((caps.supports(0), caps.supports(254)), (Some(true), Some(false)));
    assert!(caps.features().names().contains(&"nodrop".to_owned()));
}

#[cfg(feature = "serde")]
#[test]
fn programs_read_the_same_as_people() {
    let caps = PgAioUringCaps::check(&config(64)).unwrap();
    let json = serde_json::to_value(&caps).unwrap();
    assert_eq!(json["checked"], true);
    assert_eq!(json["route"], caps.route().name());
    assert_eq!(json["mem_init_size"], serde_json::json!(caps.mem_init_size()));
    assert_eq!(json["reason"], serde_json::json!(caps.reason()));
    assert_eq!(json["headers"], Version::headers().to_string());
    let text = caps.to_string();
    assert!(text.contains(caps.kernel()), "{text}");
    match caps.mem_init_size() {
        Some(bytes) => assert!(text.contains(&bytes.to_string()), "{text}"),
        None => assert!(text.contains(caps.reason().unwrap()), "{text}"),
    }
}

#[test]
fn whoever_denies_fallback_gets_a_combined_ring_or_an_error() {
    let pool = RingPool::builder(config(64)).fallback(Fallback::Deny).build().unwrap();
    match pool.claim::<()>() {
        Ok(ring) => assert!(ring.route().is_combined()),
        Err(error) => assert!(error.cause().is_unsupported(), "{error}"),
    }
    let error = RingPool::builder(config(64))
        .routes(&[Route::Separate])
        .fallback(Fallback::Deny)
        .build()
        .unwrap_err();
    assert!(matches!(error.cause(), Cause::Invalid(_)), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused_with_the_reason() {
    let none = RingPool::builder(config(64)).rings(0).build().unwrap_err();
    assert!(none.to_string().contains("at least one ring"), "{none}");
    let up_front = RingPool::builder(config(64).single_issuer())
        .make(uring_pool::Make::UpFront)
        .build()
        .unwrap_err();
    assert!(up_front.to_string().contains("up front"), "{up_front}");
    let huge = RingPool::builder(config(32_768)).rings(u32::MAX as usize).build().unwrap_err();
    assert_eq!(huge.to_string().lines().count(), 1, "{huge}");
}
