//! The programs that are measured: each the same loop by several contenders.

mod claim;
pub(crate) mod file;
mod fork;
mod make;
mod nop;
mod random;
mod read;
mod write;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::{Result, allocations};

/// SQEs of every program's ring, but those of `make` and `fork`.
const ENTRIES: u32 = 256;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The program in C, on liburing's inline functions.
    C,
    /// The io-uring crate.
    IoUring,
    /// uring-pool's safe API.
    Safe,
    /// uring-pool's raw door, with liburing's functions as they are bound.
    Raw,
    /// uring-pool's batches of ready SQEs, which are unsafe.
    PushRaw,
    /// uring-pool's raw queues, which are unsafe
    RawQueues,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    /// Requests that do nothing
    Nop {
        #[arg(long)]
        by: By,
        #[arg(long)]
        batch: u32,
    },
    /// Writes to /dev/null: requests that do next to nothing, with a buffer
    Write {
        #[arg(long)]
        by: By,
        #[arg(long)]
        batch: u32,
    },
    /// Reads of 8 KiB anywhere in a file
    Read {
        #[arg(long)]
        by: By,
        #[arg(long)]
        depth: u32,
        /// With O_DIRECT
        #[arg(long)]
        direct: bool,
        #[arg(long)]
        kind: Kind,
        #[arg(long)]
        file: PathBuf,
    },
    /// An idle ring, claimed and returned
    Claim {
        #[arg(long)]
        slots: usize,
        #[arg(long)]
        threads: u64,
        /// How many rings others hold meanwhile
        #[arg(long, default_value_t = 0)]
        held: usize,
    },
    /// As many rings as there are operations, all open at the end
    Make {
        #[arg(long)]
        by: By,
    },
    /// A child that does nothing, forked and waited for
    Fork {
        /// Of the pool that the process has; 0 for none
        #[arg(long)]
        slots: usize,
    },
}

/// How a file is read. The numbers are C's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Plain = 0,
    /// Into two pieces.
    Vectored = 1,
    /// Into buffers that are registered; of the pool's, where there is one.
    Fixed = 2,
}

/// What a program says of itself.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) nanoseconds: u64,
    /// During the work; unknown of programs in C.
    pub(crate) allocations: Option<u64>,
}

/// Runs a program in this process, and prints what it took.
pub(crate) fn run(program: &Program, operations: u64) -> Result<()> {
    let took = match program {
        Program::Nop { by, batch } => nop::run(*by, *batch, operations),
        Program::Write { by, batch } => write::run(*by, *batch, operations),
        Program::Read { by, depth, direct, kind, file } => {
            let how = read::How { depth: *depth, direct: *direct, kind: *kind };
            read::run(*by, how, file, operations)
        }
        Program::Claim { slots, threads, held } => claim::run(*slots, *threads, *held, operations),
        Program::Make { by } => make::run(*by, operations),
        Program::Fork { slots } => fork::run(*slots, operations),
    }?;
    println!("{}", serde_json::to_string(&took)?);
    Ok(())
}

/// How long the work takes, set-up and clearing away not counted.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<Took> {
    let before = allocations::so_far();
    let start = Instant::now();
    work()?;
    let nanoseconds = u64::try_from(start.elapsed().as_nanos())?;
    Ok(Took { nanoseconds, allocations: Some(allocations::so_far() - before) })
}

fn no_such(by: By) -> Result<Took> {
    Err(format!("nothing of that kind by {by:?}").into())
}
