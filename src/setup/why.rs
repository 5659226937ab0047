//! From an error number of set-up to its cause.

use nix::errno::Errno;

use super::Route;
use crate::error::Cause;
use crate::layout::RingLayout;
use crate::limits::Limits;

/// What an `errno` of `io_uring_setup(2)`, or of the mappings after it, means for a ring of this
/// layout by this route.
pub(super) fn cause_of(errno: Errno, route: Route, layout: &RingLayout) -> Cause {
    match errno {
        Errno::ENOSYS => no_such_call(&Limits::read()),
        Errno::EPERM | Errno::EACCES => forbidden(&Limits::read()),
        Errno::EMFILE | Errno::ENFILE => Limits::read().cause_of(errno, 0),
        Errno::ENOMEM => no_memory(&Limits::read(), layout),
        Errno::EINVAL if !route.is_combined() => Cause::ConfigRefused,
        Errno::EINVAL if layout.single_pages() => Cause::NoMmapUnsupported,
        Errno::EINVAL => Cause::NotContiguous,
        Errno::EFAULT if route.is_combined() && !layout.single_pages() => Cause::NotContiguous,
        Errno::EFAULT => Cause::MemoryUnusable,
        other => Cause::System { errno: other as i32 },
    }
}

/// Whether the next route may do where this cause stopped one: not where the system allows no
/// ring at all, by whatever route. Locked memory is charged alike to all: a ring with mappings of
/// its own would only come through by luck, when memory had been given back meanwhile.
pub(super) fn another_route_may_do(cause: &Cause) -> bool {
    let memory =
        matches!(cause, Cause::OutOfMemory | Cause::Maps { .. } | Cause::AddressSpace { .. });
    memory || (cause.is_unsupported() && *cause != Cause::NoIoUring)
}

/// A filter may say `ENOSYS`, too, as Podman's does. A kernel that has the sysctl has io_uring.
fn no_such_call(limits: &Limits) -> Cause {
    if limits.io_uring_disabled.is_some() || limits.seccomp_filter == Some(true) {
        Cause::Forbidden
    } else {
        Cause::NoIoUring
    }
}

fn forbidden(limits: &Limits) -> Cause {
    match limits.io_uring_disabled {
        Some(value) if value != 0 => Cause::SwitchedOff { value },
        _ => Cause::Forbidden,
    }
}

fn no_memory(limits: &Limits, layout: &RingLayout) -> Cause {
    let needed = layout.stride as u64;
    match (limits.cause_of(Errno::ENOMEM, needed), limits.ring_memory()) {
        (Cause::OutOfMemory, Some(limit)) => {
            Cause::LockedMemory { limit: limit.soft, needed, rings: 1, open: 0 }
        }
        (cause, _) => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RingConfig;
    use crate::limits::Limit;

    fn layout(entries: u32) -> RingLayout {
        RingLayout::new(&RingConfig::new(entries).unwrap(), 4096).unwrap()
    }

    #[test]
    fn einval_means_another_thing_by_route_and_size() {
        let of = |route, entries| cause_of(Errno::EINVAL, route, &layout(entries));
        assert_eq!(of(Route::Separate, 64), Cause::ConfigRefused);
        assert_eq!(of(Route::Direct, 64), Cause::NoMmapUnsupported);
        assert_eq!(of(Route::InitMem, 128), Cause::NotContiguous);
        let fault = |route, entries| cause_of(Errno::EFAULT, route, &layout(entries));
        assert_eq!(fault(Route::Direct, 64), Cause::MemoryUnusable);
        assert_eq!(fault(Route::Direct, 128), Cause::NotContiguous);
        assert_eq!(fault(Route::Separate, 128), Cause::MemoryUnusable);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn enomem_names_the_limit_that_is_in_the_way() {
        let mut limits = Limits::read();
        limits.max_map_count = Some(65_530);
        limits.maps_used = Some(65_529);
        let maps = Cause::Maps { limit: 65_530, used: 65_529 };
        assert_eq!(no_memory(&limits, &layout(64)), maps);

        limits.maps_used = Some(20);
        limits.address_space = Some(Limit { soft: 1 << 20, hard: 1 << 20 });
        limits.address_space_used = Some((1 << 20) - 4096);
        let space = Cause::AddressSpace { limit: 1 << 20, used: (1 << 20) - 4096 };
        assert_eq!(no_memory(&limits, &layout(64)), space);

        limits.address_space_used = Some(4096);
        limits.locked_memory = Some(Limit { soft: 1 << 23, hard: 1 << 23 });
        limits.ipc_lock = Some(false);
        limits.rings_charged = true;
        let locked = Cause::LockedMemory { limit: 1 << 23, needed: 8192, rings: 1, open: 0 };
        assert_eq!(no_memory(&limits, &layout(64)), locked);
        // Where nobody is charged, the limit cannot be what was met.
        limits.rings_charged = false;
        assert_eq!(no_memory(&limits, &layout(64)), Cause::OutOfMemory);
        (limits.rings_charged, limits.ipc_lock) = (true, Some(true));
        assert_eq!(no_memory(&limits, &layout(64)), Cause::OutOfMemory);
    }

    /// The sysctl holds for the whole system, so no test sets it here: the kernel's own `EPERM`
    /// for it is provoked in a guest.
    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn eperm_is_put_down_to_the_sysctl_where_it_is_set_and_else_to_a_filter() {
        let of = |value| {
            let mut limits = Limits::read();
            limits.io_uring_disabled = value;
            forbidden(&limits)
        };
        for value in [1, 2] {
            let cause = of(Some(value));
            assert_eq!(cause, Cause::SwitchedOff { value });
            let remedy = cause.remedy().unwrap();
            assert!(remedy.contains("sysctl kernel.io_uring_disabled=0"), "{remedy}");
            // Only 1 leaves it to a group, so only there joining it is a way.
            assert_eq!(remedy.contains("kernel.io_uring_group"), value == 1, "{remedy}");
        }
        // Before Linux 6.6 there is no such sysctl.
        assert_eq!([Some(0), None].map(of), [Cause::Forbidden; 2]);
    }

    /// No kernel at hand is without io_uring.
    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn enosys_is_a_kernel_without_io_uring_unless_something_says_that_it_has_it() {
        let of = |sysctl, filter| {
            let mut limits = Limits::read();
            (limits.io_uring_disabled, limits.seccomp_filter) = (sysctl, filter);
            no_such_call(&limits)
        };
        for filter in [Some(false), None] {
            assert_eq!(of(None, filter), Cause::NoIoUring);
            assert_eq!(of(Some(0), filter), Cause::Forbidden);
        }
        assert_eq!(of(None, Some(true)), Cause::Forbidden);
        assert!(Cause::NoIoUring.is_unsupported() && !Cause::Forbidden.is_unsupported());
    }

    #[test]
    fn what_stops_every_route_is_not_tried_again_by_the_next() {
        let short = Cause::LockedMemory { limit: 1, needed: 2, rings: 1, open: 0 };
        for cause in [Cause::NoIoUring, Cause::OpenFiles { limit: 1 }, Cause::Forbidden, short] {
            assert!(!another_route_may_do(&cause), "{cause}");
        }
        assert!(another_route_may_do(&Cause::NoMmapUnsupported));
        assert!(another_route_may_do(&Cause::OutOfMemory));
    }
}
