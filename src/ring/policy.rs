//! When reads and writes are left to the kernel's threads.

/// When reads and writes get `IOSQE_ASYNC`: [`Ring::set_async_policy`](crate::Ring::set_async_policy).
///
/// The kernel tries a request while it is submitted. If the page cache has the data, it is copied
/// then and there: the least latency for one request, but many are then copied one after another,
/// by one processor. Its threads copy side by side.
///
/// A request that only borrows its descriptor is left alone, since it must not
/// [start late](crate::Batch#requests-that-start-late); so is one that is
/// [direct](crate::Prepared::direct), but for [`Always`](Self::Always).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AsyncPolicy {
    /// Only those that ask for it themselves.
    #[default]
    Never,
    /// All of them.
    Always,
    /// PostgreSQL 18's: buffered ones, if more than 4 requests of the ring are under way.
    Postgres18,
    /// PostgreSQL 19's: buffered reads, if more than 4 requests of the ring are under way, or the
    /// read is 32 KiB (4 blocks of 8 KiB) or more.
    Postgres19,
}

/// What a policy asks of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) reads: bool,
    pub(super) buffered: bool,
    /// Its length counts pieces, not bytes.
    pub(super) pieces: bool,
}

impl Transfer {
    pub(super) const READ: Self = Self { reads: true, buffered: true, pieces: false };
    pub(super) const WRITE: Self = Self { reads: false, ..Self::READ };
    pub(super) const READV: Self = Self { pieces: true, ..Self::READ };
    pub(super) const WRITEV: Self = Self { pieces: true, ..Self::WRITE };
}

const IN_FLIGHT: u32 = 4;
const LARGE: u32 = 4 * 8192;
/// A read in pieces is of one block each, as PostgreSQL's are.
const LARGE_IN_PIECES: u32 = 4;

impl AsyncPolicy {
    /// Whether a request of this length is left to a thread, with so many under way before it.
    #[inline]
    pub(super) fn applies(self, transfer: Transfer, len: u32, in_flight: u32) -> bool {
        let Transfer { reads, buffered, pieces } = transfer;
        let many = in_flight > IN_FLIGHT;
        match self {
            AsyncPolicy::Never => false,
            AsyncPolicy::Always => true,
            AsyncPolicy::Postgres18 => buffered && many,
            AsyncPolicy::Postgres19 => {
                let large = len >= if pieces { LARGE_IN_PIECES } else { LARGE };
                buffered && reads && (many || large)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgres_rules_are_those_of_its_releases() {
        use AsyncPolicy::{Always, Never, Postgres18, Postgres19};
        let direct = Transfer { buffered: false, ..Transfer::READ };
        for (policy, transfer, len, in_flight, expected) in [
            (Postgres18, Transfer::READ, 8192, 4, false),
            (Postgres18, Transfer::READ, 8192, 5, true),
            (Postgres18, Transfer::READ, 1 << 20, 0, false),
            (Postgres18, Transfer::WRITE, 8192, 5, true),
            (Postgres18, direct, 8192, 100, false),
            (Postgres19, Transfer::READ, 8192, 4, false),
            (Postgres19, Transfer::READ, 8192, 5, true),
            (Postgres19, Transfer::READ, 32767, 0, false),
            (Postgres19, Transfer::READ, 32768, 0, true),
            (Postgres19, Transfer::READV, 3, 0, false),
            (Postgres19, Transfer::READV, 4, 0, true),
            (Postgres19, Transfer::WRITE, 1 << 20, 100, false),
            (Postgres19, direct, 1 << 20, 100, false),
            (Never, Transfer::READ, 1 << 20, 100, false),
            (Always, direct, 1, 0, true),
        ] {
            let applies = policy.applies(transfer, len, in_flight);
            assert_eq!(applies, expected, "{policy:?} {transfer:?} {len} {in_flight}");
        }
    }
}
