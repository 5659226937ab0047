#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod caps;
mod cause;
mod config;
mod error;
mod layout;
mod limits;
mod operations;
mod pool;
mod process;
mod region;
mod remedy;
mod ring;
mod setup;
mod sync;
mod thread;
mod version;

pub use caps::PgAioUringCaps;
pub use config::{MAX_CQ_ENTRIES, MAX_ENTRIES, RingConfig};
pub use error::{Cause, Error, Result};
pub use limits::{Limit, Limits};
pub use operations::{Features, Operation, operation_name};
pub use pool::{
    BufferStats, Fallback, FallbackStats, Make, Need, Plan, PoolBuf, PoolBuilder, RawRing,
    Resource, RingPool, Stats, Verdict,
};
pub use region::Memory;
pub use ring::{
    Advice, AlignedBuf, AsyncPolicy, Batch, Buf, BufMut, BufVec, BufVecMut, Completion,
    Completions, Dir, Fallocate, FixedBuffer, Full, PollEvents, Prepared, RawCompletion,
    RawCompletions, RawQueues, RecvFlags, RegisteredFile, RequestId, Returned, Ring, SendFlags,
    Shared, SocketAddress, SpliceFlags, Statx, SubmitError, SyncRange, Target, Vectored,
};
pub use setup::{Refusal, Registrations, Route, loaded_version};
pub use version::{Version, kernel_release};

/// The bindings that this crate is built on, for the raw doors ([`Ring::as_raw`],
/// [`RingPool::claim_raw`]).
pub use liburing_sys as sys;

/// Whether this was built with a liburing that has `io_uring_queue_init_mem` (2.5 and newer).
pub const HAVE_INIT_MEM: bool = liburing_sys::HAVE_INIT_MEM;
