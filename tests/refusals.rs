//! Every errno of set-up, provoked: its cause, what is said about it, and that nothing is left
//! behind.

mod common;

use common::refused::{leaves_nothing, refused, says};
use common::relatives::answers;
use common::seccomp::{decide_setups, refuse_setups};
use common::{config, in_child, routes_here};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use uring_pool::{Cause, Error, Fallback, Limits, Make, RingPool, Route};

/// That every way to make a ring ends so under a filter.
#[track_caller]
fn under_a_filter(errno: Errno, cause: Cause, unsupported: bool, words: &[&str]) {
    let child = in_child(|| {
        refuse_setups(errno);
        for error in leaves_nothing(refused) {
            says(&error, errno, cause, words);
            assert_eq!(error.cause().is_unsupported(), unsupported, "{error}");
        }
    });
    assert!(child.succeeded(), "{errno}: see above");
}

#[test]
fn eperm_of_a_seccomp_filter_is_a_permission_and_not_unsupported() {
    for errno in [Errno::EPERM, Errno::EACCES] {
        let words = ["seccomp", "allow io_uring_setup"];
        under_a_filter(errno, Cause::Forbidden, false, &words);
    }
}

/// As under Podman's default profile, which must not be taken for the kernel's word.
#[test]
fn enosys_of_a_seccomp_filter_is_a_permission_too() {
    under_a_filter(Errno::ENOSYS, Cause::Forbidden, false, &["seccomp", "allow io_uring_setup"]);
}

#[test]
fn enfile_is_the_whole_systems_limit() {
    under_a_filter(Errno::ENFILE, Cause::SystemOpenFiles, false, &["whole system", "fs.file-max"]);
}

#[test]
fn enomem_that_no_limit_explains_is_the_kernels() {
    if Limits::read().ring_memory().is_some() {
        let why = "locked memory is limited here, and is blamed first (only root is free of it)";
        return common::cannot("enomem_that_no_limit_explains_is_the_kernels", why);
    }
    let words = ["out of memory", "fewer or smaller rings"];
    under_a_filter(Errno::ENOMEM, Cause::OutOfMemory, false, &words);
}

#[test]
fn einval_of_an_ordinary_set_up_is_the_configurations() {
    let words = ["refuses the configuration", "flags newer than the kernel"];
    under_a_filter(Errno::EINVAL, Cause::ConfigRefused, true, &words);
}

#[test]
fn efault_is_the_memorys() {
    let words = ["kind of memory", "anonymous shared memory"];
    under_a_filter(Errno::EFAULT, Cause::MemoryUnusable, true, &words);
}

#[test]
fn an_errno_without_a_meaning_here_is_passed_on_by_name() {
    let child = in_child(|| {
        refuse_setups(Errno::EBUSY);
        for error in leaves_nothing(refused) {
            assert_eq!(error.cause(), Cause::System { errno: Errno::EBUSY as i32 });
            assert!(error.to_string().contains("EBUSY"), "{error}");
            assert!(!error.cause().is_unsupported());
        }
    });
    assert!(child.succeeded());
}

#[test]
fn what_given_memory_is_refused_for_is_told_where_no_ring_may_have_its_own() {
    for (errno, entries, cause, words) in [
        (Errno::EINVAL, 64, Cause::NoMmapUnsupported, ["Linux 6.5", "combined"]),
        (Errno::EFAULT, 64, Cause::MemoryUnusable, ["kind of memory", "memfd"]),
    ] {
        let child = in_child(|| {
            refuse_setups(errno);
            let error = leaves_nothing(|| {
                let builder = RingPool::builder(config(entries)).fallback(Fallback::Deny);
                builder.make(Make::UpFront).build().unwrap_err()
            });
            says(&error, errno, cause, &words);
            assert!(error.cause().is_unsupported(), "{error}");
        });
        assert!(child.succeeded(), "{errno}, {entries} entries: see above");
    }
}

/// The error of a pool that may have no other than combined rings, of 4096 entries each, where the
/// kernel answers those with `errno`; and how often it was asked for one.
fn large_rings_refused(errno: Errno) -> (Error, usize) {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    decide_setups(move |setup| {
        let large = setup.entries == 4096;
        ASKED.fetch_add(usize::from(large), SeqCst);
        large.then_some(errno)
    });
    let error = leaves_nothing(|| {
        let builder = RingPool::builder(config(4096)).fallback(Fallback::Deny);
        builder.make(Make::UpFront).build().unwrap_err()
    });
    (error, ASKED.load(SeqCst))
}

#[test]
fn a_refusal_of_a_large_ring_is_a_matter_of_its_size_only_where_a_small_one_is_taken() {
    if ((6, 5)..(6, 10)).contains(&common::kernel()) {
        return common::cannot("refusals of large rings", "Linux 6.5 to 6.9 are not asked");
    }
    let (cause, words) = if routes_here(&config(1))[0].is_combined() {
        (Cause::NotContiguous, ["contiguous", "at most 64 entries"])
    } else {
        (Cause::NoMmapUnsupported, ["Linux 6.5", "combined"])
    };
    let child = in_child(|| {
        let (error, asked) = large_rings_refused(Errno::EINVAL);
        says(&error, Errno::EINVAL, cause, &words);
        assert!(asked > 0);
    });
    assert!(child.succeeded());
    let child = in_child(|| {
        let (error, _) = large_rings_refused(Errno::EFAULT);
        says(&error, Errno::EFAULT, Cause::NotContiguous, &["contiguous", "Linux 6.10"]);
    });
    assert!(child.succeeded());
}

#[test]
fn a_kernel_that_takes_harm_from_its_own_refusal_is_not_asked_for_a_large_ring() {
    if !((6, 5)..(6, 10)).contains(&common::kernel()) {
        // What it would be asked is tested above, and which ones are not beside the code.
        return;
    }
    let child = in_child(|| {
        let (error, asked) = large_rings_refused(Errno::EINVAL);
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::NotContiguous, None), "{error}");
        assert_eq!(asked, 0);
    });
    assert!(child.succeeded());
}

/// Whether the next ring's memory is in pieces, as on Linux 6.5 to 6.9 it may come to be.
static IN_PIECES: AtomicBool = AtomicBool::new(false);

#[test]
fn a_ring_whose_memory_is_in_pieces_falls_back_alone_and_says_why_or_is_an_error() {
    let route = routes_here(&config(128))[0];
    if !route.is_combined() {
        // Then all are separate, and nobody falls.
        assert_eq!(routes_here(&config(128)), [Route::Separate]);
        return;
    }
    let child = in_child(|| {
        decide_setups(|setup| {
            let refused = setup.in_given_memory() && setup.entries > 64;
            (refused && IN_PIECES.load(SeqCst)).then_some(Errno::EINVAL)
        });
        let builder = || RingPool::builder(config(128)).rings(9);
        let pool = builder().build().unwrap();
        let mut rings: Vec<_> = (0..9)
            .map(|i| {
                IN_PIECES.store(i % 3 == 2, SeqCst);
                pool.claim::<()>().unwrap()
            })
            .collect();
        for (i, ring) in rings.iter_mut().enumerate() {
            let expected = if i % 3 == 2 { Route::Separate } else { route };
            assert_eq!(ring.route(), expected, "ring {i}");
            answers(ring, i as u64);
            if i % 3 == 2 {
                let last = ring.refusals().last().unwrap();
                assert_eq!(last.cause(), Cause::NotContiguous, "ring {i}: {last}");
            }
        }
        let stats = pool.stats();
        assert_eq!((stats.by_route(route), stats.separate), (6, 3), "{stats:?}");
        let fallback = stats.fallbacks.iter().find(|f| f.first.cause() == Cause::NotContiguous);
        assert_eq!(fallback.map(|f| f.rings), Some(3), "{stats:?}");

        let pool = builder().fallback(Fallback::Deny).build().unwrap();
        IN_PIECES.store(false, SeqCst);
        let mut first = pool.claim::<()>().unwrap();
        IN_PIECES.store(true, SeqCst);
        let error = pool.claim::<()>().unwrap_err();
        assert_eq!(error.cause(), Cause::NotContiguous, "{error}");
        answers(&mut first, 1);
    });
    assert!(child.succeeded());
}

/// The limit under which so many more descriptors can be had: it is on their numbers, among which
/// there may be gaps.
fn limit_that_leaves(more: usize) -> u64 {
    let free = (0u64..).filter(|n| !Path::new(&format!("/proc/self/fd/{n}")).is_symlink());
    free.take(more).last().unwrap() + 1
}

#[test]
fn emfile_names_the_limit_in_force_and_leaves_room_for_a_pool_that_fits() {
    for left in 0..4 {
        let child = in_child(|| {
            // The pool's own file, and `left` rings.
            let limit = limit_that_leaves(1 + left);
            let build =
                |rings| RingPool::builder(config(64)).rings(rings).make(Make::UpFront).build();
            let error = leaves_nothing(|| {
                let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).unwrap();
                setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
                let error = build(left + 1).unwrap_err();
                if left > 0 {
                    drop(build(left).expect("it has given all of them back"));
                }
                setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
                error
            });
            let cause = Cause::OpenFiles { limit };
            says(&error, Errno::EMFILE, cause, &["RLIMIT_NOFILE", "ulimit -n"]);
            assert!(!error.cause().is_unsupported());
        });
        assert!(child.succeeded(), "{left} left: see above");
    }
    let child = in_child(|| {
        // Not even the pool's own file can be had.
        setrlimit(Resource::RLIMIT_NOFILE, 0, 0).unwrap();
        let error = RingPool::builder(config(64)).build().unwrap_err();
        says(&error, Errno::EMFILE, Cause::OpenFiles { limit: 0 }, &["RLIMIT_NOFILE"]);
    });
    assert!(child.succeeded());
}

#[test]
fn a_mapping_beyond_the_address_space_names_the_limit() {
    let child = in_child(|| {
        let limit = Limits::read().address_space_used.unwrap() + (64 << 20);
        setrlimit(Resource::RLIMIT_AS, limit, limit).unwrap();
        let error =
            leaves_nothing(|| RingPool::builder(config(4096)).rings(1000).build().unwrap_err());
        assert!(
            matches!(error.cause(), Cause::AddressSpace { limit: l, .. } if l == limit),
            "{error}"
        );
        assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
    });
    assert!(child.succeeded());
}

/// The calls from this one on are refused with that errno.
static FROM: AtomicUsize = AtomicUsize::new(usize::MAX);
static ERRNO: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_pool_whose_nth_ring_is_refused_leaves_nothing_behind() {
    const RINGS: usize = 6;
    let child = in_child(|| {
        let calls = decide_setups(|setup| {
            let errno = Errno::from_raw(ERRNO.load(SeqCst) as i32);
            (setup.number >= FROM.load(SeqCst)).then_some(errno)
        });
        let build = || RingPool::builder(config(64)).rings(RINGS).make(Make::UpFront).build();
        drop(build().expect("nothing is refused yet"));
        let whole = calls.load(SeqCst);
        for errno in [Errno::EPERM, Errno::EMFILE, Errno::ENFILE, Errno::ENOSYS, Errno::EINVAL] {
            ERRNO.store(errno as usize, SeqCst);
            for nth in 1..=whole {
                let error = leaves_nothing(|| {
                    FROM.store(calls.load(SeqCst) + nth, SeqCst);
                    let error = build().unwrap_err();
                    FROM.store(usize::MAX, SeqCst);
                    error
                });
                assert_eq!(error.raw_os_error(), Some(errno as i32), "{error}");
                assert!(error.what().contains(&format!("of {RINGS}: ")), "{error}");
            }
        }
        drop(build().expect("nothing is refused any more"));
    });
    assert!(child.succeeded());
}

#[test]
fn a_ring_whose_best_route_is_refused_once_takes_the_next_and_says_why() {
    if Limits::read().ring_memory().is_some() {
        let why = "locked memory is limited here, which is waited for instead";
        return common::cannot("a_ring_whose_best_route_is_refused_once", why);
    }
    let [best, next, ..] = routes_here(&config(64))[..] else {
        // Then there is nothing to fall back from.
        assert_eq!(routes_here(&config(64)), [Route::Separate]);
        return;
    };
    let child = in_child(|| {
        let pool = RingPool::builder(config(64)).rings(2).build().unwrap();
        let calls =
            decide_setups(|setup| (setup.number == FROM.load(SeqCst)).then_some(Errno::ENOMEM));
        let first = pool.claim::<()>().unwrap();
        FROM.store(calls.load(SeqCst) + 1, SeqCst);
        let second = pool.claim::<()>().unwrap();
        assert_eq!((first.route(), second.route()), (best, next));
        let refusal = second.refusals().last().unwrap();
        assert_eq!((refusal.route(), refusal.cause()), (best, Cause::OutOfMemory));
        let stats = pool.stats();
        assert!(stats.fallbacks.iter().any(|f| f.first.cause() == Cause::OutOfMemory));
    });
    assert!(child.succeeded());
}
