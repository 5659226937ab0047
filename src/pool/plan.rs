//! What a pool will need, held against what this process may have, before anything is made.

use std::fmt;

use super::need::{Demand, Need, Resource, Verdict};
use super::planned::{Locked, Rings};
use super::{PoolBuilder, RingPool};
use crate::config::RingConfig;
use crate::error::{Cause, Result};
use crate::layout::PoolLayout;
use crate::limits::Limits;
use crate::region::Memory;

/// What the rings of a pool need, all open at a time in this process, and whether they may have
/// it; from [`RingPool::plan`] or [`PoolBuilder::plan`].
///
/// A plain value, of one moment. It does not foresee what other processes take, nor whether this
/// kernel puts rings into one mapping, which only trying tells
/// ([`PgAioUringCaps`](crate::PgAioUringCaps)): for rings that cannot, leave the combined routes
/// out of the builder and plan that. Buffers ([`PoolBuilder::buffers`]) are planned to be registered:
/// where their memory may not be locked, the pool can be made all the same, with ordinary ones.
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
            of.locked_memory(Locked::of(&layout, combined), limits),
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
