//! What a pool will need, held against what this process may have, before anything is made.

use std::fmt;

use super::need::{Bound, Demand, Need, Resource, Verdict};
use super::{PoolBuilder, RingPool};
use crate::config::RingConfig;
use crate::error::{Cause, Result};
use crate::layout::PoolLayout;
use crate::limits::{Limit, Limits};
use crate::region::Memory;

/// Descriptors beyond rings and what is open, for the pool's own file of locks, the program, and
/// the libraries it is made of.
const SPARE_FILES: u64 = 8;

/// Mappings beyond rings and what there is, for the allocator.
const SPARE_MAPS: u64 = 32;

/// Bytes of address space beyond rings and what there is, for the allocator.
const SPARE_SPACE: u64 = 1 << 20;

/// What the rings of a pool need, all open at a time in this process, and whether they may have
/// it; from [`RingPool::plan`] or [`PoolBuilder::plan`].
///
/// A plain value, of one moment. It does not foresee what other processes take, nor whether this
/// kernel puts rings into one mapping, which only trying tells
/// ([`PgAioUringCaps`](crate::PgAioUringCaps)): for rings that cannot, leave the combined routes
/// out of the builder and plan that.
///
/// ```
/// use uring_pool::{RingConfig, RingPool};
///
/// let plan = RingPool::plan(&RingConfig::new(64)?, 4000)?;
/// if !plan.fits() {
///     eprintln!("{plan}");
/// }
/// # Ok::<(), uring_pool::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Plan {
    /// How many rings.
    pub rings: usize,
    /// Bytes that each takes, whole pages.
    pub bytes_per_ring: usize,
    /// Bytes of the pool's one mapping.
    pub bytes: usize,
    /// Whether the rings are planned to lie in it, rather than each in mappings of its own.
    pub combined: bool,
    /// `kernel.io_uring_disabled`, where it forbids io_uring to everybody.
    pub switched_off: Option<u32>,
    /// What they need, resource by resource.
    pub needs: Vec<Need>,
    fits: bool,
    can_fit: bool,
}

impl RingPool {
    /// What `rings` rings of this configuration need in descriptors, locked memory, mappings and
    /// bytes, against what this process may have; nothing is made.
    ///
    /// # Errors
    /// [`Cause::Invalid`] for no rings, or more than a pool can have.
    pub fn plan(config: &RingConfig, rings: usize) -> Result<Plan> {
        Self::builder(*config).rings(rings).plan()
    }
}

impl PoolBuilder {
    /// What the pool of these settings would need, against what this process may have; nothing is
    /// made.
    ///
    /// # Errors
    /// [`Cause::Invalid`] for settings that contradict each other.
    pub fn plan(&self) -> Result<Plan> {
        self.plan_within(&Limits::read())
    }

    /// The same against other limits: those of another process, or those that will be set.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_within(&self, limits: &Limits) -> Result<Plan> {
        let (layout, routes) = self.layout()?;
        Ok(Plan::new(layout, routes.any_combined(), self.memory_kind(), limits))
    }
}

impl Plan {
    fn new(layout: PoolLayout, combined: bool, kind: Memory, limits: &Limits) -> Self {
        let of = Rings { number: layout.slots as u64, each: layout.ring.stride as u64, combined };
        // All but the rings.
        let rings = if combined { layout.slots * layout.ring.stride } else { 0 };
        let header = (layout.total - rings) as u64;
        let needs: Vec<_> = [
            of.open_files(limits),
            of.locked_memory(limits),
            of.maps(limits),
            of.address_space(header, limits),
            match kind {
                Memory::HugePages => of.huge_pages(header, limits),
                _ => of.memory(header, limits),
            },
        ]
        .map(Demand::judged)
        .into();
        // 1 leaves it to the privileged and to a group; whether that means us, the kernel knows
        // best.
        let switched_off = limits.io_uring_disabled.filter(|&value| value >= 2);
        let none = |verdicts: &[Verdict]| {
            switched_off.is_none() && needs.iter().all(|need| !verdicts.contains(&need.verdict))
        };
        Self {
            rings: layout.slots,
            bytes_per_ring: layout.ring.stride,
            bytes: layout.total,
            combined,
            switched_off,
            fits: none(&[Verdict::RaiseSoft, Verdict::TooLow]),
            can_fit: none(&[Verdict::TooLow]),
            needs,
        }
    }

    /// Whether nothing that is known of stands in the way.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.fits
    }

    /// Whether nothing stands in the way once the process has raised its soft limits.
    #[must_use]
    pub fn can_fit(&self) -> bool {
        self.can_fit
    }

    /// What is needed of `resource`.
    #[must_use]
    pub fn need(&self, resource: Resource) -> Option<&Need> {
        self.needs.iter().find(|need| need.resource == resource)
    }
}

/// One line, then one for each resource.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rings, bytes_per_ring, bytes, .. } = self;
        if self.combined {
            write!(f, "{rings} rings of {bytes_per_ring} bytes in one mapping of {bytes} bytes")?;
        } else {
            write!(f, "{rings} rings of {bytes_per_ring} bytes, each in mappings of its own")?;
        }
        if let Some(value) = self.switched_off {
            let cause = Cause::SwitchedOff { value };
            write!(f, "\n{cause}; {}", cause.remedy().unwrap_or_default())?;
        }
        self.needs.iter().try_for_each(|need| write!(f, "\n{need}"))
    }
}

/// The rings that are planned.
#[derive(Clone, Copy)]
struct Rings {
    number: u64,
    each: u64,
    combined: bool,
}

impl Rings {
    fn open_files(self, limits: &Limits) -> Demand {
        let rings = self.number;
        let used = limits.open_files_used;
        let needed = rings.saturating_add(used.unwrap_or(0) + SPARE_FILES);
        Demand {
            resource: Resource::OpenFiles,
            rings,
            per_ring: 1,
            used,
            extra: SPARE_FILES,
            bound: limits.open_files.map_or(Bound::Unknown, Bound::At),
            what: format!(
                "{rings} rings need {needed} file descriptors ({rings} for the rings, {} that are \
                 open, {SPARE_FILES} to work with)",
                shown(used)
            ),
        }
    }

    fn locked_memory(self, limits: &Limits) -> Demand {
        let Self { number: rings, each, .. } = self;
        let bound = match (limits.ring_memory(), limits.locked_memory, limits.ipc_lock) {
            (Some(limit), ..) => Bound::At(limit),
            _ if !limits.rings_charged => Bound::None("this kernel does not charge rings to it"),
            (_, _, Some(true)) => Bound::None("no limit binds this process (CAP_IPC_LOCK)"),
            (_, Some(limit), _) if limit.soft == Limit::UNLIMITED => {
                Bound::None("there is no limit")
            }
            _ => Bound::Unknown,
        };
        let needed = rings.saturating_mul(each);
        Demand {
            resource: Resource::LockedMemory,
            rings,
            per_ring: each,
            // What the user's processes have locked counts as well, and cannot be asked for.
            used: Some(0),
            extra: 0,
            bound,
            what: format!("{rings} rings of {each} bytes need {needed} bytes of locked memory"),
        }
    }

    fn maps(self, limits: &Limits) -> Demand {
        let rings = self.number;
        let used = limits.maps_used;
        let (per_ring, own) = if self.combined { (0, 1) } else { (2, 0) };
        let fixed = own + SPARE_MAPS + used.unwrap_or(0);
        let needed = rings.saturating_mul(per_ring).saturating_add(fixed);
        let (kind, each) = if self.combined {
            ("rings in one mapping", "1 for all")
        } else {
            ("rings with mappings of their own", "2 for a ring")
        };
        Demand {
            resource: Resource::Maps,
            rings,
            per_ring,
            used,
            extra: own + SPARE_MAPS,
            bound: limits.max_map_count.map_or(Bound::Unknown, Bound::fixed),
            what: format!(
                "{rings} {kind} need {needed} memory mappings ({each}, {} that there are, \
                 {SPARE_MAPS} to work with)",
                shown(used)
            ),
        }
    }

    fn address_space(self, header: u64, limits: &Limits) -> Demand {
        let used = limits.address_space_used;
        let bytes = self.number.saturating_mul(self.each).saturating_add(header);
        let bound = match limits.address_space {
            Some(limit) if limit.soft == Limit::UNLIMITED => Bound::None("there is no limit"),
            Some(limit) => Bound::At(limit),
            None => Bound::Unknown,
        };
        Demand {
            resource: Resource::AddressSpace,
            rings: self.number,
            per_ring: self.each,
            used,
            extra: header + SPARE_SPACE,
            bound,
            what: format!(
                "{} rings need {bytes} bytes of address space beside the {} in use",
                self.number,
                shown(used)
            ),
        }
    }

    fn memory(self, header: u64, limits: &Limits) -> Demand {
        let bytes = self.number.saturating_mul(self.each).saturating_add(header);
        Demand {
            resource: Resource::Memory,
            rings: self.number,
            per_ring: self.each,
            used: Some(0),
            extra: header,
            bound: limits.memory_available.map_or(Bound::Unknown, Bound::fixed),
            what: format!("{} rings need {bytes} bytes of memory that stays pinned", self.number),
        }
    }

    /// Whole pages are taken, of which each ring has its share.
    fn huge_pages(self, header: u64, limits: &Limits) -> Demand {
        let bytes = self.number.saturating_mul(self.each).saturating_add(header);
        let page = limits.huge_page.unwrap_or(1);
        let whole = bytes.checked_next_multiple_of(page).unwrap_or(u64::MAX);
        let bound = match (limits.huge_page, limits.huge_pages_free) {
            (None, _) => Bound::fixed(0),
            (_, Some(free)) => Bound::fixed(free),
            _ => Bound::Unknown,
        };
        Demand {
            resource: Resource::HugePages,
            rings: self.number,
            per_ring: self.each,
            used: Some(0),
            extra: header.saturating_add(whole - bytes),
            bound,
            what: format!(
                "{} rings need {whole} bytes of huge pages ({} of {page})",
                self.number,
                whole / page
            ),
        }
    }
}

fn shown(used: Option<u64>) -> String {
    used.map_or_else(|| "an unknown number".to_owned(), |used| used.to_string())
}
