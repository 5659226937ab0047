//! One resource: what rings need of it, held against what this process may have.

use std::fmt;

use crate::limits::Limit;

/// What rings use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Resource {
    /// File descriptors of this process (`RLIMIT_NOFILE`).
    OpenFiles,
    /// Bytes that the user may lock, over all processes (`RLIMIT_MEMLOCK`).
    LockedMemory,
    /// Mappings of this process (`vm.max_map_count`).
    Maps,
    /// Bytes of this process's address space (`RLIMIT_AS`).
    AddressSpace,
    /// Bytes of the machine's memory: what is available, and swap space for what others would have
    /// to give up.
    Memory,
    /// Bytes of huge pages that are set aside and free, for a pool in
    /// [`Memory::HugePages`](crate::Memory::HugePages).
    HugePages,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Resource::OpenFiles => "open files",
            Resource::LockedMemory => "locked memory",
            Resource::Maps => "mappings",
            Resource::AddressSpace => "address space",
            Resource::Memory => "memory",
            Resource::HugePages => "huge pages",
        })
    }
}

/// What became of holding a need against its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Verdict {
    /// It fits.
    Enough,
    /// It would fit under the hard limit: the process may raise its soft one by itself.
    RaiseSoft,
    /// It does not fit, whatever the process does.
    TooLow,
    /// No limit binds this process.
    NotLimited,
    /// The limit, or what is used of it, could not be read.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Enough => "enough",
            Verdict::RaiseSoft => "raise the soft limit",
            Verdict::TooLow => "too low",
            Verdict::NotLimited => "not limited",
            Verdict::Unknown => "could not tell",
        })
    }
}

/// What a [`Plan`](crate::Plan) needs of one resource.
///
/// Its `Display` is one line: the resource, the verdict, why, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Need {
    /// Of what.
    pub resource: Resource,
    /// What the limit must be at least: the rings' share, what counts against it already, and a
    /// little to work with.
    pub needed: u64,
    /// What counts against it already. Always `None` for locked memory, of which the kernel tells
    /// nobody, and for [`Resource::Memory`] and [`Resource::HugePages`], whose limit is what is left.
    pub used: Option<u64>,
    /// The limit that binds this process; `None` if none does, or it is not known.
    pub limit: Option<Limit>,
    /// Whether it fits.
    pub verdict: Verdict,
    /// How many rings would fit under the hard limit; `None` where their number does not matter.
    pub most_rings: Option<u64>,
    /// What is needed and what there is, as a sentence without a full stop.
    pub reason: String,
    /// What would help where it does not fit as things are.
    pub remedy: Option<String>,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.resource, self.verdict, self.reason)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// What is known of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// It could not be read.
    Unknown,
    /// There is none, and why not.
    None(&'static str),
    At(Limit),
}

impl Bound {
    /// One that no process raises by itself.
    pub(super) fn fixed(value: u64) -> Self {
        Bound::At(Limit { soft: value, hard: value })
    }
}

/// A need before it is judged.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    pub(super) resource: Resource,
    pub(super) rings: u64,
    pub(super) per_ring: u64,
    /// What counts already; `Some(0)` where that is not asked.
    pub(super) used: Option<u64>,
    /// Beyond what the rings take by their number.
    pub(super) extra: u64,
    pub(super) bound: Bound,
    /// What is needed, in words.
    pub(super) what: String,
}

impl Demand {
    pub(super) fn judged(self) -> Need {
        let fixed = self.used.unwrap_or(0).saturating_add(self.extra);
        let needed = self.rings.saturating_mul(self.per_ring).saturating_add(fixed);
        let limit = match (self.bound, self.used) {
            (Bound::At(limit), Some(_)) => Ok(limit),
            (Bound::None(why), _) => Err((Verdict::NotLimited, why)),
            _ => Err((Verdict::Unknown, "how much there is could not be read")),
        };
        let (verdict, may) = match limit {
            Ok(limit) => {
                let verdict = judge(limit, needed);
                let bound = if verdict == Verdict::TooLow { limit.hard } else { limit.soft };
                (verdict, self.resource.may_have(bound))
            }
            Err((verdict, why)) => (verdict, why.to_owned()),
        };
        let most_rings = limit.ok().filter(|limit| limit.hard != Limit::UNLIMITED).and_then(|l| {
            // None where a ring takes nothing of it.
            l.hard.saturating_sub(fixed).checked_div(self.per_ring)
        });
        Need {
            resource: self.resource,
            needed,
            used: self.used.filter(|_| self.resource.tells_use()),
            limit: limit.ok(),
            verdict,
            most_rings,
            reason: format!("{}, and {may}", self.what),
            remedy: self.resource.remedy(verdict, needed, most_rings),
        }
    }
}

fn judge(limit: Limit, needed: u64) -> Verdict {
    // No limit is the greatest number.
    if needed <= limit.soft {
        Verdict::Enough
    } else if needed <= limit.hard {
        Verdict::RaiseSoft
    } else {
        Verdict::TooLow
    }
}

impl Resource {
    fn tells_use(self) -> bool {
        !matches!(self, Resource::LockedMemory | Resource::Memory | Resource::HugePages)
    }

    fn may_have(self, bound: u64) -> String {
        if bound == Limit::UNLIMITED {
            return "there is no limit".to_owned();
        }
        match self {
            Resource::OpenFiles => format!("this process may have {bound} (RLIMIT_NOFILE)"),
            Resource::LockedMemory => {
                format!("this user may lock {bound} in all processes together (RLIMIT_MEMLOCK)")
            }
            Resource::Maps => format!("this process may have {bound} (vm.max_map_count)"),
            Resource::AddressSpace => format!("this process may have {bound} (RLIMIT_AS)"),
            Resource::Memory => format!("{bound} are available (with free swap space)"),
            Resource::HugePages => format!("{bound} are free"),
        }
    }

    fn remedy(self, verdict: Verdict, needed: u64, most_rings: Option<u64>) -> Option<String> {
        let kib = needed.div_ceil(1024);
        let raise = match (verdict, self) {
            (Verdict::RaiseSoft, Resource::OpenFiles) => {
                return Some(format!("raise the soft limit with `ulimit -Sn {needed}`"));
            }
            (Verdict::RaiseSoft, Resource::LockedMemory) => {
                return Some(format!("raise the soft limit with `ulimit -Sl {kib}` or higher"));
            }
            (Verdict::RaiseSoft, _) => {
                return Some(format!("raise the soft limit with `ulimit -Sv {kib}`"));
            }
            (Verdict::TooLow, Resource::OpenFiles) => format!(
                "raise the hard limit with `ulimit -Hn {needed}` as root or LimitNOFILE={needed} \
                 in a systemd unit"
            ),
            (Verdict::TooLow, Resource::LockedMemory) => format!(
                "raise the hard limit with `ulimit -Hl {kib}` as root or LimitMEMLOCK={needed} in \
                 a systemd unit, grant CAP_IPC_LOCK"
            ),
            (Verdict::TooLow, Resource::Maps) => {
                format!("raise it with `sysctl vm.max_map_count={needed}` as root")
            }
            (Verdict::TooLow, Resource::AddressSpace) => format!(
                "raise the hard limit with `ulimit -Hv {kib}` as root or LimitAS={needed} in a \
                 systemd unit"
            ),
            (Verdict::TooLow, Resource::Memory) => "free memory".to_owned(),
            (Verdict::TooLow, Resource::HugePages) => {
                "set more aside with `sysctl vm.nr_hugepages=N` as root, take another memory"
                    .to_owned()
            }
            _ => return None,
        };
        Some(match most_rings {
            None | Some(0) => format!("{raise}, or run it where more is allowed"),
            Some(most) => format!("{raise}, or make at most {most} rings"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(bound: Bound, per_ring: u64) -> Demand {
        let what = "10 rings need files".to_owned();
        let (resource, rings, used, extra) = (Resource::OpenFiles, 10, Some(3), 2);
        Demand { resource, rings, per_ring, used, extra, bound, what }
    }

    #[test]
    fn a_limit_can_be_raised_only_as_far_as_the_hard_one_allows() {
        let limit = Limit { soft: 10, hard: 20 };
        let verdicts = [10, 11, 20, 21].map(|needed| judge(limit, needed));
        let expected = [Verdict::Enough, Verdict::RaiseSoft, Verdict::RaiseSoft, Verdict::TooLow];
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn what_is_used_already_counts_and_what_would_fit_is_told() {
        let need = demand(Bound::fixed(14), 1).judged();
        assert_eq!((need.needed, need.verdict, need.most_rings), (15, Verdict::TooLow, Some(9)));
        let text = need.to_string();
        assert!(text.contains("ulimit -Hn 15") && text.contains("at most 9 rings"), "{text}");
        let fits = demand(Bound::fixed(15), 1).judged();
        assert_eq!((fits.verdict, fits.remedy), (Verdict::Enough, None));
    }

    #[test]
    fn what_could_not_be_read_is_neither_enough_nor_too_low() {
        assert_eq!(demand(Bound::Unknown, 1).judged().verdict, Verdict::Unknown);
        let blind = Demand { used: None, ..demand(Bound::fixed(1), 1) };
        assert_eq!(blind.judged().verdict, Verdict::Unknown);
    }

    #[test]
    fn no_number_of_rings_overflows() {
        let need = Demand { rings: u64::MAX, ..demand(Bound::fixed(100), u64::MAX) }.judged();
        assert_eq!((need.needed, need.verdict), (u64::MAX, Verdict::TooLow));
    }

    #[test]
    fn where_rings_take_nothing_no_number_of_them_is_advised() {
        let need = demand(Bound::fixed(1), 0).judged();
        assert_eq!((need.verdict, need.most_rings), (Verdict::TooLow, None));
        assert!(!need.remedy.unwrap().contains("at most"));
    }
}
