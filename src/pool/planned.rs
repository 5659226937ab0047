//! What planned rings need of each resource.

use super::need::{Bound, Demand, Resource};
use crate::layout::PoolLayout;
use crate::limits::{Limit, Limits};

/// Descriptors beyond rings and what is open, for the pool's own file of locks, the program, and
/// the libraries it is made of.
const SPARE_FILES: u64 = 8;

/// Mappings beyond rings and what there is, for the allocator.
const SPARE_MAPS: u64 = 32;

/// Bytes of address space beyond rings and what there is, for the allocator.
const SPARE_SPACE: u64 = 1 << 20;

/// The rings that are planned.
#[derive(Clone, Copy)]
pub(super) struct Rings {
    pub(super) number: u64,
    pub(super) each: u64,
    pub(super) combined: bool,
}

/// What is locked beside the rings.
#[derive(Clone, Copy)]
pub(super) struct Locked {
    /// Bytes of buffers that are registered.
    buffers: u64,
    /// Bytes of the ring that the others have them from.
    source: u64,
}

impl Locked {
    pub(super) fn of(layout: &PoolLayout, combined: bool) -> Self {
        let none = Self { buffers: 0, source: 0 };
        layout.arena.map_or(none, |arena| Self {
            buffers: arena.pieces().map(|(_, bytes)| bytes as u64).sum(),
            source: if combined { (arena.words_at - arena.source_at) as u64 } else { 0 },
        })
    }
}

impl Rings {
    pub(super) fn open_files(self, limits: &Limits) -> Demand {
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

    pub(super) fn locked_memory(self, more: Locked, limits: &Limits) -> Demand {
        let Self { number: rings, each, .. } = self;
        let Locked { buffers, source } = more;
        let (limit, what_is_charged) = match buffers {
            0 => (limits.ring_memory(), limits.rings_charged),
            _ => (limits.registered_memory(), true),
        };
        let bound = match (limit, limits.locked_memory, limits.ipc_lock) {
            (Some(limit), ..) => Bound::At(limit),
            _ if !what_is_charged => Bound::None("this kernel does not charge rings to it"),
            (_, _, Some(true)) => Bound::None("no limit binds this process (CAP_IPC_LOCK)"),
            (_, Some(limit), _) if limit.soft == Limit::UNLIMITED => {
                Bound::None("there is no limit")
            }
            _ => Bound::Unknown,
        };
        let charged = limits.rings_charged || buffers == 0;
        let of_ring = if charged { each } else { 0 };
        let (per_ring, extra) = if limits.buffers_shared {
            (of_ring, buffers + if charged { source } else { 0 })
        } else {
            (of_ring.saturating_add(buffers), 0)
        };
        let needed = rings.saturating_mul(per_ring).saturating_add(extra);
        let what = match (buffers, charged, limits.buffers_shared) {
            (0, ..) => format!("{rings} rings of {each} bytes"),
            (_, true, true) => format!("{rings} rings of {each} bytes and {buffers} of buffers"),
            (_, false, true) => format!("{buffers} bytes of buffers"),
            (_, true, false) => {
                format!("{rings} rings of {each} bytes, and {buffers} of buffers with each")
            }
            (_, false, false) => format!("{buffers} bytes of buffers with each of {rings} rings"),
        };
        Demand {
            resource: Resource::LockedMemory,
            rings,
            per_ring,
            // What the user's processes have locked counts as well, and cannot be asked for.
            used: Some(0),
            extra,
            bound,
            what: format!("{what} need {needed} bytes of locked memory"),
        }
    }

    pub(super) fn maps(self, limits: &Limits) -> Demand {
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

    pub(super) fn address_space(self, header: u64, limits: &Limits) -> Demand {
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

    pub(super) fn memory(self, header: u64, limits: &Limits) -> Demand {
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
    pub(super) fn huge_pages(self, header: u64, limits: &Limits) -> Demand {
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
