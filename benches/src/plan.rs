//! What is measured, and what it must reach.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::counts::{Scratch, instructions, system_calls};
use crate::rounds::{clocks, once};
use crate::table::{self, Measured};
use crate::{Result, work};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which works: nop, write, read, claim, make, fork, steady; all if none is named
    #[arg(value_parser = ["nop", "write", "read", "claim", "make", "fork", "steady"])]
    works: Vec<String>,
    /// How often each program is timed; the median counts
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The size of the file that is read, in MiB
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    file_mib: u64,
    /// The folder for that file
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    /// Puts the table into this page as well: the whole of it
    #[arg(long, conflicts_with = "works")]
    write: Option<PathBuf>,
    /// Exits with 3 if a target is missed
    #[arg(long)]
    strict: bool,
    /// Keeps callgrind's profiles in this folder
    #[arg(long)]
    profiles: Option<PathBuf>,
}

/// What of a program is measured, per operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Executed in user space.
    Instructions,
    Nanoseconds,
    /// But for this one, if any.
    SystemCalls {
        besides: Option<&'static str>,
    },
    Allocations,
}

/// What it must reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// At most so many times what the contender of this name takes.
    Times(f64, &'static str),
    /// At most this.
    Limit(f64),
}

/// A program, under its name in the group.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    args: Vec<String>,
    /// None for those that are measured against.
    pub(crate) targets: Vec<Target>,
}

/// Programs that do the same.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) work: &'static str,
    pub(crate) what: String,
    pub(crate) unit: Unit,
    operations: u64,
    pub(crate) contenders: Vec<Contender>,
}

pub(crate) const C: &str = "C";
pub(crate) const IO_URING: &str = "io-uring";
pub(crate) const NO_POOL: &str = "no pool";

impl Group {
    fn new(work: &'static str, what: impl Into<String>, unit: Unit, operations: u64) -> Self {
        Self { work, what: what.into(), unit, operations, contenders: Vec::new() }
    }

    fn with(mut self, name: &'static str, args: &str, targets: &[Target]) -> Self {
        let args = args.split_whitespace().map(str::to_owned).collect();
        self.contenders.push(Contender { name, args, targets: targets.to_vec() });
        self
    }

    /// The file is an argument by itself: its name may have spaces.
    fn on(mut self, file: &Path) -> Self {
        for contender in &mut self.contenders {
            contender.args.push(format!("--file={}", file.display()));
        }
        self
    }
}

use Target::{Limit, Times};
use Unit::{Allocations, Instructions, Nanoseconds, SystemCalls};

fn groups(file: &Path, direct: bool) -> Vec<Group> {
    let mut groups = Vec::new();
    for (batch, operations) in [(32, 64_000), (1, 20_000)] {
        for (unit, operations) in [(Instructions, operations), (Nanoseconds, operations * 20)] {
            // Counts are what is promised; clocks are the kernel's for the most part.
            let promised = |target| if unit == Instructions { vec![target] } else { Vec::new() };
            let nop = |by| format!("nop --by {by} --batch {batch}");
            groups.push(
                Group::new("nop", format!("NOP, batches of {batch}"), unit, operations)
                    .with("raw queues", &nop("raw-queues"), &promised(Times(1.0, IO_URING)))
                    .with("liburing's functions as they are bound", &nop("raw"), &[])
                    .with("push_raw, through the table", &nop("push-raw"), &[])
                    .with("safe", &nop("safe"), &promised(Times(1.0, C)))
                    .with(C, &nop("c"), &[])
                    .with(IO_URING, &nop("io-uring"), &[]),
            );
            let write = |by| format!("write --by {by} --batch {batch}");
            groups.push(
                Group::new(
                    "write",
                    format!("write to /dev/null, batches of {batch}"),
                    unit,
                    operations,
                )
                .with("safe, a buffer moved in and out", &write("safe"), &promised(Times(1.0, C)))
                .with(C, &write("c"), &[])
                .with(IO_URING, &write("io-uring"), &[]),
            );
        }
    }
    groups.extend(reads(file, direct));
    groups.extend(claims());
    groups.extend([
        Group::new("make", "a ring of 64 entries made", Nanoseconds, 500)
            .with("claim of a new ring", "make --by safe", &[Times(1.05, C)])
            .with(C, "make --by c", &[])
            .with(IO_URING, "make --by io-uring", &[]),
        Group::new("make", "a ring of 64 entries made", Instructions, 100)
            .with("claim of a new ring", "make --by safe", &[])
            .with(C, "make --by c", &[])
            .with(IO_URING, "make --by io-uring", &[]),
        Group::new("fork", "fork + exit, rings on claim", Nanoseconds, 200)
            .with("15,000 slots", "fork --slots 15000", &[Times(1.1, NO_POOL)])
            .with(NO_POOL, "fork --slots 0", &[]),
    ]);
    let batches = "--by safe --batch 32";
    for (what, program) in [("NOP, batches of 32", "nop"), ("write, batches of 32", "write")] {
        let program = format!("{program} {batches}");
        let others = SystemCalls { besides: Some("io_uring_enter") };
        groups.extend([
            Group::new("steady", what, Allocations, 32_000).with("safe", &program, &[Limit(0.0)]),
            Group::new("steady", what, others, 32_000).with("safe", &program, &[Limit(0.0)]),
        ]);
    }
    let claim = "claim --slots 64 --threads 1";
    groups.push(Group::new("steady", "claim and return", Allocations, 10_000).with(
        "safe",
        claim,
        &[Limit(0.0)],
    ));
    groups
}

fn reads(file: &Path, direct: bool) -> Vec<Group> {
    let read = |what: String, unit, operations, options: &str, targets: &[Target]| {
        let by = |by| format!("read --by {by} --depth 32 {options}");
        Group::new("read", what, unit, operations)
            .with("safe", &by("safe"), targets)
            .with(C, &by("c"), &[])
            .with(IO_URING, &by("io-uring"), &[])
            .on(file)
    };
    let mut reads = Vec::new();
    for (kind, option) in [
        ("", "--kind plain"),
        (", vectored", "--kind vectored"),
        (", fixed buffers", "--kind fixed"),
    ] {
        let what = format!("random 8 KiB reads, cached, depth 32{kind}");
        reads.push(read(what.clone(), Nanoseconds, 100_000, option, &[Times(1.0, C)]));
        reads.push(read(what, Instructions, 20_000, option, &[]));
        if direct {
            let what = format!("random 8 KiB reads, O_DIRECT, depth 32{kind}");
            let options = format!("--direct {option}");
            reads.push(read(what, Nanoseconds, 10_000, &options, &[Times(1.0, C)]));
        }
    }
    reads
}

fn claims() -> Vec<Group> {
    let one = "1 slot";
    let flat = [Limit(100.0), Times(1.0, one)];
    vec![
        Group::new("claim", "claim and return, 1 thread", Instructions, 20_000)
            .with(one, "claim --slots 1 --threads 1", &[Limit(100.0)])
            .with("15,000 slots", "claim --slots 15000 --threads 1", &flat)
            .with("15,000 slots, 500 held", "claim --slots 15000 --threads 1 --held 500", &flat),
        Group::new("claim", "claim and return, 8 threads", Instructions, 40_000)
            .with("8 slots", "claim --slots 8 --threads 8", &[Limit(100.0)])
            .with("15,000 slots", "claim --slots 15000 --threads 8", &[Limit(100.0)]),
        Group::new("claim", "claim and return, 8 threads", Nanoseconds, 400_000)
            .with("8 slots", "claim --slots 8 --threads 8", &[])
            .with("15,000 slots", "claim --slots 15000 --threads 8", &[]),
        Group::new("claim", "claim and return", SystemCalls { besides: None }, 10_000)
            .with("1 slot, 1 thread", "claim --slots 1 --threads 1", &[Limit(0.0)])
            .with("15,000 slots, 1 thread", "claim --slots 15000 --threads 1", &[Limit(0.0)]),
    ]
}

/// Measures; whether all that was asked for was reached.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let wanted = |work: &str| options.works.is_empty() || options.works.iter().any(|w| w == work);
    let folder = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    let file = work::file::make(&folder, if wanted("read") { options.file_mib } else { 0 })?;
    let direct = wanted("read") && file.takes_direct_reads();
    if let Some(folder) = &options.profiles {
        fs::create_dir_all(folder)?;
    }
    let scratch = Scratch::new()?;
    let groups: Vec<Group> =
        groups(file.path(), direct).into_iter().filter(|group| wanted(group.work)).collect();
    let mut measured = Vec::new();
    for (number, group) in groups.into_iter().enumerate() {
        eprintln!("measuring {}: {} ({:?})", group.work, group.what, group.unit);
        let samples = measure(&scratch, &group, number, options)?;
        measured.push(Measured { group, samples });
    }
    let report = table::Report::new(&measured, options.rounds, file.mib(), direct);
    if let Some(page) = &options.write {
        table::write_into(page, &report)?;
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(!options.strict || report.all_reached())
}

/// For each of the group's programs, per operation: one sample where it is counted, several where it is timed.
fn measure(
    scratch: &Scratch,
    group: &Group,
    number: usize,
    options: &Options,
) -> Result<Vec<Vec<f64>>> {
    let Group { operations, unit, contenders, .. } = group;
    if *unit == Nanoseconds {
        let programs: Vec<_> = contenders.iter().map(|c| c.args.as_slice()).collect();
        return clocks(&programs, *operations, options.rounds);
    }
    let one = |(place, contender): (usize, &Contender)| {
        let args = &contender.args;
        let count = match *unit {
            Instructions => {
                let name = format!("{number}.{place}.{}.callgrind", group.work);
                let keep = options.profiles.as_ref().map(|folder| folder.join(name));
                instructions(scratch, args, *operations, keep.as_deref())?
            }
            SystemCalls { besides } => {
                let calls = system_calls(scratch, args, *operations)?;
                let others = calls.iter().filter(|(name, _)| Some(name.as_str()) != besides);
                // From 0, since an empty sum is -0.
                others.fold(0.0, |sum, (_, calls)| sum + calls)
            }
            Allocations => {
                let took = once(args, *operations)?;
                let count = took.allocations.ok_or("allocations are not counted in C")?;
                count as f64 / *operations as f64
            }
            Nanoseconds => unreachable!("timed above"),
        };
        Ok(vec![count])
    };
    contenders.iter().enumerate().map(one).collect()
}
