//! What the system must allow before thousands of rings are made, and the limits that a process
//! may raise by itself.

use nix::sys::resource::{Resource, setrlimit};
use uring_pool::{Cause, Limit, Limits};

use crate::failure::Failure;
use crate::output;

/// Descriptors beyond rings and what is open: a pipe's two ends and `/proc/self/maps` while it is
/// counted; the others are left for what the system's libraries open for themselves.
const SPARE_FILES: u64 = 8;

/// Mappings beyond rings and what there is: the pool's own, and what the allocator takes.
const SPARE_MAPS: u64 = 32;

/// Rings that are to be open at a time, in one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rings: u64,
    /// Memory of one, rounded to pages.
    pub(crate) bytes_per_ring: u64,
}

/// What is to be done about a limit.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Enough,
    RaiseTo(u64),
    TooLow,
}

fn judge(limit: Limit, needed: u64) -> Verdict {
    if needed <= limit.soft {
        Verdict::Enough
    } else if needed <= limit.hard {
        Verdict::RaiseTo(needed)
    } else {
        Verdict::TooLow
    }
}

/// Checks the limits one after the other, raises those that may be raised, and says so.
pub(crate) fn prepare(plan: Plan, limits: &Limits) -> Result<(), Failure> {
    switched_on(limits)?;
    open_files(plan, limits)?;
    if let Some(limit) = limits.ring_memory() {
        locked_memory(plan, limit)?;
    }
    maps(plan, limits)
}

fn switched_on(limits: &Limits) -> Result<(), Failure> {
    // 1 leaves it to the privileged and to a group; whether that means us, the kernel knows best.
    match limits.io_uring_disabled {
        Some(value) if value >= 2 => {
            let cause = Cause::SwitchedOff { value };
            let remedy = cause.remedy().unwrap_or("switch it on");
            Err(Failure::Ran(format!("{cause}; {remedy}")))
        }
        _ => Ok(()),
    }
}

fn open_files(plan: Plan, limits: &Limits) -> Result<(), Failure> {
    let (Some(limit), Some(used)) = (limits.open_files, limits.open_files_used) else {
        return Ok(());
    };
    let rings = plan.rings;
    let needed = rings.saturating_add(used + SPARE_FILES);
    match judge(limit, needed) {
        Verdict::Enough => Ok(()),
        Verdict::RaiseTo(to) => {
            raise(Resource::RLIMIT_NOFILE, "open files (RLIMIT_NOFILE)", limit, to)
        }
        Verdict::TooLow => Err(Failure::Ran(format!(
            "{rings} rings need {needed} file descriptors ({rings} for the rings, {used} that are \
             open, {SPARE_FILES} to work with), and this process may have {hard} (RLIMIT_NOFILE); \
             raise the hard limit with `ulimit -Hn {needed}` as root or LimitNOFILE={needed} in a \
             systemd unit, or {fewer}",
            hard = limit.hard,
            fewer = fewer(limit.hard.saturating_sub(used + SPARE_FILES)),
        ))),
    }
}

fn locked_memory(plan: Plan, limit: Limit) -> Result<(), Failure> {
    let Plan { rings, bytes_per_ring } = plan;
    let needed = rings.saturating_mul(bytes_per_ring);
    match judge(limit, needed) {
        Verdict::Enough => Ok(()),
        // All that is allowed: what the user's other processes have locked counts as well, and
        // cannot be asked for.
        Verdict::RaiseTo(_) => {
            let what = "locked memory (RLIMIT_MEMLOCK, in bytes)";
            raise(Resource::RLIMIT_MEMLOCK, what, limit, limit.hard)
        }
        Verdict::TooLow => Err(Failure::Ran(format!(
            "{rings} rings of {bytes_per_ring} bytes need {needed} bytes of locked memory, and \
             this user may lock {hard} in all processes together (RLIMIT_MEMLOCK); raise the hard \
             limit with `ulimit -Hl {kib}` as root or LimitMEMLOCK={needed} in a systemd unit, \
             grant CAP_IPC_LOCK, or {fewer}",
            hard = limit.hard,
            kib = needed.div_ceil(1024),
            fewer = fewer(limit.hard / bytes_per_ring.max(1)),
        ))),
    }
}

fn maps(plan: Plan, limits: &Limits) -> Result<(), Failure> {
    let (Some(limit), Some(used)) = (limits.max_map_count, limits.maps_used) else {
        return Ok(());
    };
    let rings = plan.rings;
    let needed = rings.saturating_mul(2).saturating_add(used + SPARE_MAPS);
    if needed <= limit {
        return Ok(());
    }
    Err(Failure::Ran(format!(
        "{rings} separate rings, which are one half of the comparison, need {needed} memory \
         mappings (2 for a ring, {used} that there are, {SPARE_MAPS} to work with), and this \
         process may have {limit} (vm.max_map_count); raise it with `sysctl \
         vm.max_map_count={needed}` as root, or {fewer}",
        fewer = fewer(limit.saturating_sub(used + SPARE_MAPS) / 2),
    )))
}

fn fewer(most: u64) -> String {
    match most {
        0 => "run it where more is allowed".to_owned(),
        most => format!("make at most {most} rings (--rings {most})"),
    }
}

fn raise(resource: Resource, what: &str, limit: Limit, to: u64) -> Result<(), Failure> {
    setrlimit(resource, to, limit.hard).map_err(|errno| {
        Failure::Ran(format!(
            "cannot raise the limit of {what} from {} to {to}: {}",
            limit.soft,
            errno.desc()
        ))
    })?;
    let to = if to == Limit::UNLIMITED { "unlimited".to_owned() } else { to.to_string() };
    let soft = limit.soft;
    output::complain(&format!("raised the limit of {what} from {soft} to {to}, for this run only"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { rings: 1000, bytes_per_ring: 8192 };

    fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
        let mut limits = Limits::read();
        change(&mut limits);
        limits
    }

    fn refusal(limits: &Limits) -> String {
        prepare(PLAN, limits).unwrap_err().to_string()
    }

    fn both(limit: &mut Option<Limit>, value: u64) {
        let limit = limit.as_mut().unwrap();
        (limit.soft, limit.hard) = (value, value);
    }

    /// Enough of everything.
    fn roomy(limits: &mut Limits) {
        both(&mut limits.open_files, 1 << 20);
        both(&mut limits.locked_memory, Limit::UNLIMITED);
        limits.ipc_lock = Some(false);
        limits.rings_charged = true;
        limits.max_map_count = Some(1 << 20);
        limits.io_uring_disabled = Some(0);
    }

    #[test]
    fn a_limit_is_raised_only_as_far_as_the_hard_one_allows() {
        let limit = limits(|l| {
            let limit = l.open_files.as_mut().unwrap();
            (limit.soft, limit.hard) = (10, 20);
        });
        let limit = limit.open_files.unwrap();
        assert_eq!(judge(limit, 10), Verdict::Enough);
        assert_eq!(judge(limit, 11), Verdict::RaiseTo(11));
        assert_eq!(judge(limit, 20), Verdict::RaiseTo(20));
        assert_eq!(judge(limit, 21), Verdict::TooLow);
    }

    #[test]
    fn a_system_with_room_for_everything_is_let_through() {
        prepare(PLAN, &limits(roomy)).unwrap();
    }

    #[test]
    fn too_few_mappings_are_told_with_the_sysctl_and_what_would_do() {
        let text = refusal(&limits(|l| {
            roomy(l);
            (l.max_map_count, l.maps_used) = (Some(1500), Some(100));
        }));
        for part in ["vm.max_map_count=2132", "1500", "--rings 684"] {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
    }

    #[test]
    fn locked_memory_counts_where_the_kernel_charges_rings_and_no_capability_frees_from_it() {
        let tight = |l: &mut Limits| {
            roomy(l);
            both(&mut l.locked_memory, 65_536);
        };
        let text = refusal(&limits(tight));
        for part in ["RLIMIT_MEMLOCK", "65536", "8192000", "ulimit -Hl 8000", "--rings 8)"] {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
        let free = limits(|l| {
            tight(l);
            l.rings_charged = false;
        });
        prepare(PLAN, &free).unwrap();
        let privileged = limits(|l| {
            tight(l);
            l.ipc_lock = Some(true);
        });
        prepare(PLAN, &privileged).unwrap();
    }

    #[test]
    fn a_system_that_has_io_uring_switched_off_is_told_first() {
        let text = refusal(&limits(|l| {
            roomy(l);
            both(&mut l.open_files, 1);
            l.io_uring_disabled = Some(2);
        }));
        assert!(text.contains("kernel.io_uring_disabled"), "{text}");
    }
}
