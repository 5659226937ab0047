//! What one ring is to be: entries and set-up flags.

use crate::error::{Cause, Error, Result};

/// Most SQEs that a ring may have (`IORING_MAX_ENTRIES` in the kernel).
pub const MAX_ENTRIES: u32 = 32_768;

/// Most CQEs that a ring may have (`IORING_MAX_CQ_ENTRIES` in the kernel).
pub const MAX_CQ_ENTRIES: u32 = 2 * MAX_ENTRIES;

bitflags::bitflags! {
    /// `IORING_SETUP_*`, as the kernel defines them. Said here because the oldest headers that we
    /// build with (liburing 2.0) know only the first few; a kernel that does not know a flag
    /// answers `EINVAL`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct SetupFlags: u32 {
        const CQSIZE = 1 << 3;
        const COOP_TASKRUN = 1 << 8;
        const TASKRUN_FLAG = 1 << 9;
        const SQE128 = 1 << 10;
        const CQE32 = 1 << 11;
        const SINGLE_ISSUER = 1 << 12;
        const DEFER_TASKRUN = 1 << 13;
        const NO_MMAP = 1 << 14;
        const NO_SQARRAY = 1 << 16;
    }
}

/// The configuration of a ring, the same for every ring of a pool.
///
/// The kernel rounds entries up to a power of two; the accessors say what was asked for,
/// [`sq_len`](Self::sq_len) and [`cq_len`](Self::cq_len) what the ring will have.
///
/// ```
/// let config = uring_pool::RingConfig::new(48)?.cq_entries(200)?.coop_taskrun();
/// assert_eq!((config.sq_len(), config.cq_len()), (64, 256));
/// # Ok::<(), uring_pool::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingConfig {
    entries: u32,
    cq_entries: Option<u32>,
    flags: SetupFlags,
}

impl RingConfig {
    /// A ring of `entries` SQEs and twice as many CQEs.
    ///
    /// # Errors
    /// [`Cause::Invalid`] unless `entries` is in `1..=32768`.
    pub fn new(entries: u32) -> Result<Self> {
        if !(1..=MAX_ENTRIES).contains(&entries) {
            return Err(Error::new(
                format!("cannot make a ring of {entries} entries"),
                Cause::Invalid("entries must be in 1..=32768"),
            ));
        }
        Ok(Self { entries, cq_entries: None, flags: SetupFlags::empty() })
    }

    /// A completion queue of `n` entries instead of twice the submission queue's
    /// (`IORING_SETUP_CQSIZE`). It bounds how many requests may be in flight at a time.
    ///
    /// # Errors
    /// [`Cause::Invalid`] if `n` is over 65536, or rounded up it is less than the submission
    /// queue's length.
    pub fn cq_entries(mut self, n: u32) -> Result<Self> {
        let what = || format!("cannot give a ring of {} entries {n} CQ entries", self.entries);
        if !(1..=MAX_CQ_ENTRIES).contains(&n) {
            return Err(Error::new(what(), Cause::Invalid("CQ entries must be in 1..=65536")));
        }
        if n.next_power_of_two() < self.sq_len() {
            let cause = Cause::Invalid("the CQ must not be smaller than the SQ");
            return Err(Error::new(what(), cause));
        }
        self.cq_entries = Some(n);
        self.flags |= SetupFlags::CQSIZE;
        Ok(self)
    }

    /// Only one task will ever submit (`IORING_SETUP_SINGLE_ISSUER`, Linux 6.0).
    ///
    /// Such a ring belongs to the thread that made it for good: a pool closes it when it is
    /// returned instead of handing it to another thread, and cannot make it up front.
    #[must_use]
    pub fn single_issuer(mut self) -> Self {
        self.flags |= SetupFlags::SINGLE_ISSUER;
        self
    }

    /// No interrupt for completions while the program runs
    /// (`IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG`, Linux 5.19).
    #[must_use]
    pub fn coop_taskrun(mut self) -> Self {
        self.flags |= SetupFlags::COOP_TASKRUN | SetupFlags::TASKRUN_FLAG;
        self
    }

    /// Completions are worked off only when the program waits for them
    /// (`IORING_SETUP_DEFER_TASKRUN`, Linux 6.1). Implies [`single_issuer`](Self::single_issuer),
    /// without which the kernel refuses it.
    #[must_use]
    pub fn defer_taskrun(mut self) -> Self {
        self.flags |= SetupFlags::DEFER_TASKRUN | SetupFlags::TASKRUN_FLAG;
        self.single_issuer()
    }

    /// SQEs of 128 bytes (`IORING_SETUP_SQE128`, Linux 5.19), for `URING_CMD`.
    #[must_use]
    pub fn sqe128(mut self) -> Self {
        self.flags |= SetupFlags::SQE128;
        self
    }

    /// CQEs of 32 bytes (`IORING_SETUP_CQE32`, Linux 5.19).
    #[must_use]
    pub fn cqe32(mut self) -> Self {
        self.flags |= SetupFlags::CQE32;
        self
    }

    /// SQEs, as asked for.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// SQEs that the ring will have: `entries` rounded up to a power of two.
    #[must_use]
    pub fn sq_len(&self) -> u32 {
        self.entries.next_power_of_two()
    }

    /// CQEs that the ring will have: a power of two, and the most requests that may be in flight.
    #[must_use]
    pub fn cq_len(&self) -> u32 {
        self.cq_entries.map_or(2 * self.sq_len(), u32::next_power_of_two)
    }

    /// Whether a ring belongs to the thread that made it.
    #[must_use]
    pub fn is_single_issuer(&self) -> bool {
        self.flags.contains(SetupFlags::SINGLE_ISSUER)
    }

    pub(crate) fn flags(&self) -> SetupFlags {
        self.flags
    }

    /// What goes into `io_uring_params.cq_entries`: 0 unless `CQSIZE` is set.
    pub(crate) fn params_cq_entries(&self) -> u32 {
        self.cq_entries.unwrap_or(0)
    }

    /// log2 of an SQE's size in units of 64 bytes.
    pub(crate) fn sqe_shift(&self) -> u32 {
        u32::from(self.flags.contains(SetupFlags::SQE128))
    }

    /// log2 of a CQE's size in units of 16 bytes.
    pub(crate) fn cqe_shift(&self) -> u32 {
        u32::from(self.flags.contains(SetupFlags::CQE32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_outside_the_kernels_range_are_refused_before_any_system_call() {
        for bad in [0, 32_769, u32::MAX] {
            let error = RingConfig::new(bad).unwrap_err();
            assert!(matches!(error.cause(), Cause::Invalid(_)), "{error}");
            assert!(error.to_string().contains(&bad.to_string()), "{error}");
        }
        assert_eq!(RingConfig::new(1).unwrap().sq_len(), 1);
        assert_eq!(RingConfig::new(32_768).unwrap().cq_len(), 65_536);
    }

    #[test]
    fn a_cq_smaller_than_its_sq_or_too_large_is_refused() {
        let config = RingConfig::new(64).unwrap();
        assert!(config.cq_entries(32).is_err());
        assert!(config.cq_entries(0).is_err());
        assert!(config.cq_entries(65_537).is_err());
        // 33 rounds up to 64, which the kernel takes.
        assert_eq!(config.cq_entries(33).unwrap().cq_len(), 64);
    }

    #[test]
    fn defer_taskrun_brings_the_flags_without_which_it_is_refused_or_never_noticed() {
        let flags = RingConfig::new(8).unwrap().defer_taskrun().flags();
        assert!(flags.contains(SetupFlags::SINGLE_ISSUER | SetupFlags::TASKRUN_FLAG));
    }
}
