//! Before thousands of rings are made: the limits that a process may raise by itself are raised,
//! and what stands in the way beyond that is told.

use nix::sys::resource::{Resource as Rlimit, setrlimit};
use uring_pool::{Cause, Limit, Need, Plan, Resource, Verdict};

use crate::failure::Failure;
use crate::output;

/// Goes through what the rings need, raises the limits that may be raised, and says so.
pub(crate) fn prepare(plan: &Plan) -> Result<(), Failure> {
    switched_on(plan)?;
    plan.needs.iter().try_for_each(|need| match need.verdict {
        Verdict::RaiseSoft => raise(need),
        Verdict::TooLow => Err(too_low(need)),
        _ => Ok(()),
    })
}

/// Why a plan cannot be carried out, if it cannot: the first reason, in a line.
pub(crate) fn refuse(plan: &Plan) -> Result<(), Failure> {
    switched_on(plan)?;
    match plan.needs.iter().find(|need| need.verdict == Verdict::TooLow) {
        Some(need) => Err(too_low(need)),
        None => Ok(()),
    }
}

fn switched_on(plan: &Plan) -> Result<(), Failure> {
    let Some(value) = plan.switched_off else { return Ok(()) };
    let cause = Cause::SwitchedOff { value };
    let remedy = cause.remedy().unwrap_or("switch it on");
    Err(Failure::Ran(format!("{cause}; {remedy}")))
}

fn too_low(need: &Need) -> Failure {
    let remedy = need.remedy.as_deref().unwrap_or("make fewer rings");
    let option = match need.most_rings {
        None | Some(0) => String::new(),
        Some(most) => format!(" (--rings {most})"),
    };
    Failure::Ran(format!("{}; {remedy}{option}", need.reason))
}

fn raise(need: &Need) -> Result<(), Failure> {
    let Some(limit) = need.limit else { return Ok(()) };
    let (resource, what, to) = match need.resource {
        Resource::OpenFiles => (Rlimit::RLIMIT_NOFILE, "open files (RLIMIT_NOFILE)", need.needed),
        // All that is allowed: what the user's other processes have locked counts as well, and
        // cannot be asked for.
        Resource::LockedMemory => {
            (Rlimit::RLIMIT_MEMLOCK, "locked memory (RLIMIT_MEMLOCK, in bytes)", limit.hard)
        }
        // All that is allowed: the program itself grows, too.
        Resource::AddressSpace => {
            (Rlimit::RLIMIT_AS, "address space (RLIMIT_AS, in bytes)", limit.hard)
        }
        // The others have no soft limit.
        _ => return Ok(()),
    };
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
    use uring_pool::{Limits, RingConfig, RingPool, Route};

    /// What a thousand rings come to under this system's limits, changed.
    fn outcome(change: impl FnOnce(&mut Limits)) -> Result<(), Failure> {
        let mut limits = Limits::read();
        roomy(&mut limits);
        change(&mut limits);
        let builder = RingPool::builder(RingConfig::new(64).unwrap()).rings(1000);
        prepare(&builder.routes(&[Route::Separate]).plan_within(&limits).unwrap())
    }

    fn refusal(change: impl FnOnce(&mut Limits)) -> String {
        outcome(change).unwrap_err().to_string()
    }

    fn both(limit: &mut Option<Limit>, value: u64) {
        let limit = limit.as_mut().unwrap();
        (limit.soft, limit.hard) = (value, value);
    }

    /// Enough of everything.
    fn roomy(limits: &mut Limits) {
        both(&mut limits.open_files, 1 << 20);
        both(&mut limits.locked_memory, Limit::UNLIMITED);
        both(&mut limits.address_space, Limit::UNLIMITED);
        limits.ipc_lock = Some(false);
        limits.rings_charged = true;
        limits.max_map_count = Some(1 << 20);
        limits.memory_available = Some(1 << 40);
        limits.io_uring_disabled = Some(0);
    }

    #[test]
    fn a_system_with_room_for_everything_is_let_through() {
        outcome(|_| {}).unwrap();
    }

    #[test]
    fn too_few_mappings_are_told_with_the_sysctl_and_what_would_do() {
        let text = refusal(|l| (l.max_map_count, l.maps_used) = (Some(1500), Some(100)));
        for part in ["vm.max_map_count=2132", "1500", "--rings 684"] {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
    }

    #[test]
    fn locked_memory_counts_where_the_kernel_charges_rings_and_no_capability_frees_from_it() {
        let tight = |l: &mut Limits| both(&mut l.locked_memory, 65_536);
        let text = refusal(tight);
        for part in ["RLIMIT_MEMLOCK", "65536", "8192000", "ulimit -Hl 8000", "--rings 8)"] {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
        outcome(|l| {
            tight(l);
            l.rings_charged = false;
        })
        .unwrap();
        outcome(|l| {
            tight(l);
            l.ipc_lock = Some(true);
        })
        .unwrap();
    }

    #[test]
    fn a_system_that_has_io_uring_switched_off_is_told_first() {
        let text = refusal(|l| {
            both(&mut l.open_files, 1);
            l.io_uring_disabled = Some(2);
        });
        assert!(text.contains("kernel.io_uring_disabled"), "{text}");
    }
}
