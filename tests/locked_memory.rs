//! At the limit of locked memory, which the kernel gives back late.
//!
//! As users of their own, in children, since limits and users are a process's. On kernels that do
//! not charge rings to locked memory the same limits must bother nobody.

mod common;

use std::io::{Read, Write};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::relatives::signals;
use common::seccomp::decide_setups;
use common::somebody::Somebody;
use common::{Child, config, in_child, routes_here};
use nix::errno::Errno;
use uring_pool::{Cause, Error, Limits, Make, PgAioUringCaps, Result, Ring, RingPool, Verdict};

/// Rings that just fit.
const RINGS: usize = 16;

fn build(rings: usize) -> Result<RingPool> {
    RingPool::builder(config(64)).rings(rings).make(Make::UpFront).build()
}

fn bytes_per_ring() -> u64 {
    RingPool::builder(config(64)).bytes_per_ring().unwrap() as u64
}

fn limit() -> u64 {
    RINGS as u64 * bytes_per_ring()
}

/// A child that is `uid` and may lock memory for as many rings as just fit.
fn at_the_limit(uid: u32, body: impl FnOnce()) -> Child {
    in_child(|| {
        Somebody(uid).with_locked_memory(limit());
        body();
    })
}

/// Whether this process's rings are bound by the limit. Where they are not, more of them than
/// would fit are made, to prove it.
fn bound() -> bool {
    let bound = Limits::read().ring_memory().is_some();
    if !bound {
        drop(build(2 * RINGS).expect("this kernel does not charge rings"));
    }
    bound
}

#[track_caller]
fn names_limit_need_use_and_remedy(error: &Error, rings: usize, open: usize) {
    let expected = Cause::LockedMemory {
        limit: limit(),
        needed: bytes_per_ring(),
        rings: rings as u64,
        open: open as u64,
    };
    assert_eq!(error.cause(), expected, "{error}");
    assert!(!error.cause().is_unsupported());
    let all = (rings as u64 * bytes_per_ring()).to_string();
    let (limit, open) = (limit().to_string(), format!("{open} are open here"));
    for word in [&*limit, &*all, &*open, "RLIMIT_MEMLOCK", "ulimit -l", "CAP_IPC_LOCK", "ENOMEM"] {
        assert!(error.to_string().contains(word), "{word:?} is missing in {error}");
    }
}

#[test]
fn a_pool_that_just_fits_can_be_made_again_and_again() {
    if !Somebody::possible("a_pool_that_just_fits_can_be_made_again_and_again") {
        return;
    }
    let child = at_the_limit(61_901, || {
        if !bound() {
            return;
        }
        let plan = RingPool::plan(&config(64), RINGS).unwrap();
        let need = plan.need(uring_pool::Resource::LockedMemory).unwrap();
        assert_eq!((need.verdict, need.needed), (Verdict::Enough, limit()), "{plan}");
        let route = routes_here(&config(64))[0];
        for round in 0..200 {
            let pool = build(RINGS).unwrap_or_else(|error| panic!("round {round}: {error}"));
            // Nor did any ring take a worse route because memory was short.
            assert_eq!(pool.stats().by_route(route), RINGS, "round {round}: {:?}", pool.stats());
        }
    });
    assert!(child.succeeded());
}

#[test]
fn a_check_right_after_a_pool_that_just_fitted_finds_the_same_as_ever() {
    if !Somebody::possible("a_check_right_after_a_pool_that_just_fitted") {
        return;
    }
    let child = at_the_limit(61_902, || {
        if !bound() {
            return;
        }
        let caps = PgAioUringCaps::check(&config(64)).unwrap();
        for round in 0..20 {
            drop(build(RINGS).unwrap());
            let again = PgAioUringCaps::check(&config(64));
            assert_eq!(again.as_ref(), Ok(&caps), "round {round}");
            drop(build(RINGS).unwrap());
            drop(Ring::<()>::open(&config(64)).unwrap());
        }
    });
    assert!(child.succeeded());
}

#[test]
fn a_pool_that_can_never_fit_fails_at_once_and_names_limit_need_and_remedy() {
    if !Somebody::possible("a_pool_that_can_never_fit_fails_at_once") {
        return;
    }
    let child = at_the_limit(61_903, || {
        if !bound() {
            return;
        }
        let calls = decide_setups(|_| None);
        let plan = RingPool::plan(&config(64), RINGS + 1).unwrap();
        assert!(!plan.can_fit(), "{plan}");
        let error = build(RINGS + 1).unwrap_err();
        names_limit_need_use_and_remedy(&error, RINGS + 1, RINGS);
        // At once: no more was tried than each route once, for the first ring, and the last
        // ring's best route once.
        let tried = calls.load(SeqCst);
        assert!(tried <= RINGS + 4, "{tried} calls for {} rings", RINGS + 1);
    });
    assert!(child.succeeded());
}

#[test]
fn a_claim_beyond_the_limit_fails_at_once_and_works_when_a_ring_is_closed() {
    if !Somebody::possible("a_claim_beyond_the_limit_fails_at_once") {
        return;
    }
    let child = at_the_limit(61_904, || {
        if !bound() {
            return;
        }
        let pool = RingPool::builder(config(64)).rings(2 * RINGS).build().unwrap();
        let mut rings: Vec<_> = (0..RINGS).map(|_| pool.claim::<()>().unwrap()).collect();
        let calls = decide_setups(|_| None);
        let error = pool.claim::<()>().unwrap_err();
        names_limit_need_use_and_remedy(&error, RINGS + 1, RINGS);
        assert_eq!(calls.load(SeqCst), 1, "it is not tried again, nor by another route");
        // What is given back can be claimed, and what is closed makes room.
        rings.pop();
        rings.push(pool.claim::<()>().unwrap());
        drop((rings, pool));
        drop(build(RINGS).unwrap());
    });
    assert!(child.succeeded());
}

/// The call that is refused, in the child that says so.
static NTH: AtomicUsize = AtomicUsize::new(0);

#[test]
fn locked_memory_that_is_short_for_a_moment_does_not_turn_a_ring_into_a_separate_one() {
    if !Somebody::possible("locked_memory_that_is_short_for_a_moment") {
        return;
    }
    let child = at_the_limit(61_905, || {
        if !bound() {
            return;
        }
        let route = routes_here(&config(64))[0];
        let calls =
            decide_setups(|setup| (setup.number == NTH.load(SeqCst)).then_some(Errno::ENOMEM));
        let pool = RingPool::builder(config(64)).rings(4).build().unwrap();
        let first = pool.claim::<()>().unwrap();
        NTH.store(calls.load(SeqCst) + 1, SeqCst);
        let second = pool.claim::<()>().unwrap();
        assert_eq!((first.route(), second.route()), (route, route));
        assert!(second.waited() > Duration::ZERO, "it says what it took");
        assert_eq!(pool.stats().waited, first.waited() + second.waited());
        assert_eq!(first.refusals(), second.refusals(), "nothing was refused for good");
    });
    assert!(child.succeeded());
}

#[test]
fn memory_that_others_keep_is_waited_for_only_so_long_and_then_told() {
    if !Somebody::possible("memory_that_others_keep_is_waited_for_only_so_long") {
        return;
    }
    let (mut here, mut there) = signals();
    let other = at_the_limit(61_906, || {
        let pool = bound().then(|| build(RINGS).unwrap());
        there.write_all(b"!").unwrap();
        there.read_exact(&mut [0]).unwrap();
        drop(pool);
    });
    here.read_exact(&mut [0]).unwrap();
    let child = at_the_limit(61_906, || {
        if !bound() {
            return;
        }
        let calls = decide_setups(|_| None);
        let error = build(RINGS).unwrap_err();
        names_limit_need_use_and_remedy(&error, RINGS, 0);
        assert!(error.to_string().contains("other processes, have the rest"), "{error}");
        let tried = calls.load(SeqCst);
        assert!((5..20).contains(&tried), "it was tried {tried} times");
    });
    assert!(child.succeeded());
    here.write_all(b"!").unwrap();
    assert!(other.succeeded());
    let child = at_the_limit(61_906, || drop(build(RINGS).unwrap()));
    assert!(child.succeeded(), "and when they let go there is room");
}

#[test]
fn a_pool_that_fails_half_way_gives_its_locked_memory_back() {
    if !Somebody::possible("a_pool_that_fails_half_way_gives_its_locked_memory_back") {
        return;
    }
    let child = at_the_limit(61_907, || {
        if !bound() {
            return;
        }
        let calls =
            decide_setups(|setup| (setup.number == NTH.load(SeqCst)).then_some(Errno::ENFILE));
        drop(build(RINGS).unwrap());
        let whole = calls.load(SeqCst);
        for _ in 0..5 {
            NTH.store(usize::MAX, SeqCst);
            drop(build(RINGS).unwrap());
            // Waiting makes calls as well; then another ring than the last one is refused.
            NTH.store(calls.load(SeqCst) + whole, SeqCst);
            let error = build(RINGS).unwrap_err();
            assert_eq!(error.cause(), Cause::SystemOpenFiles, "{error}");
        }
        NTH.store(usize::MAX, SeqCst);
        drop(build(RINGS).unwrap());
    });
    assert!(child.succeeded());
}
