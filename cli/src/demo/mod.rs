//! `uring-pool demo`: a database server's shape, with and without a pool.

mod checksum;
mod crew;
mod input;
mod maps;
mod report;
mod rings;
mod share;
mod timing;
mod worker;

use uring_pool::{RingConfig, RingPool, Route};

use crate::args::DemoArgs;
use crate::failure::Failure;
use crate::fork::OneThread;
use crate::output;
use crate::preflight;
use crate::progress::Progress;

use checksum::Sum;
use input::Input;
use report::{ModeReport, Report, hex, micros};
use rings::{Mode, Rings};

/// Runs both modes, prints, and fails if what was read is not what the file holds.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let (workers, rings) = (args.workers, args.rings);
    if workers > rings {
        return Err(Failure::WrongUse(format!(
            "{workers} workers need a ring each, and there are {rings}; take more --rings or fewer \
             --workers"
        )));
    }
    let config = RingConfig::new(args.entries)?;
    let input = Input::open(args.file.as_deref())?;
    // The half of the comparison that needs more: two mappings a ring.
    let separate = RingPool::builder(config).rings(rings).routes(&[Route::Separate]);
    preflight::prepare(&separate.plan()?)?;

    // Three times: the plain read, which also brings the file into the cache, and each mode's.
    let mut progress = Progress::new(input.bytes.saturating_mul(3));
    progress.stage("plain read".to_owned());
    let expected = input.sum(|bytes| progress.advance(bytes))?;
    let mut report = Report::new(input.name.clone(), expected, workers, args.entries);
    for mode in Mode::ALL {
        let (part, read) = compare(mode, &config, args, &input, &mut progress)?;
        report.add(part, read, expected);
    }
    drop(progress);

    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(&report.text())?;
    }
    if report.checksum_ok {
        return Ok(());
    }
    Err(Failure::Ran(format!(
        "the workers did not read what a plain read of {} reads (checksums differ); if nothing \
         writes to the file meanwhile, this is a fault",
        input.name
    )))
}

/// What one mode costs, and the sum of what its workers read. Its rings are gone afterwards.
fn compare(
    mode: Mode,
    config: &RingConfig,
    args: &DemoArgs,
    input: &Input,
    progress: &mut Progress,
) -> Result<(ModeReport, Sum), Failure> {
    progress.stage(format!("{mode}: making rings"));
    let (mut rings, cost) =
        Rings::make(mode, config, args.rings).map_err(|trouble| trouble.during(mode))?;
    progress.stage(format!("{mode}: reading"));
    let one_thread = &OneThread::check()
        .map_err(|error| Failure::Ran(format!("cannot fork safely: {error}")))?;
    let reading =
        crew::read(one_thread, &mut rings, input, args.workers, |bytes| progress.advance(bytes))?;
    progress.stage(format!("{mode}: forking"));
    let forks = timing::measure(one_thread)?;

    let by_route = rings.by_route();
    let (route, _) = by_route.into_iter().rev().max_by_key(|&(_, count)| count).expect("three");
    let stats = rings.stats();
    let part = ModeReport {
        mode,
        route,
        rings: args.rings,
        maps_added: cost.maps_added,
        bytes_per_ring: stats.as_ref().map_or(0, |stats| stats.bytes_per_ring),
        create_us_per_ring: micros(cost.time) / args.rings as f64,
        read_us: micros(reading.time),
        fork_us: micros(forks.fork),
        fork_exit_us: micros(forks.whole),
        fork_exit_min_us: micros(forks.whole_min),
        checksum: hex(reading.sum),
        by_route: by_route.map(|(route, count)| (route.name(), count)).into(),
        fallbacks: stats.map(|stats| stats.fallbacks).unwrap_or_default(),
    };
    Ok((part, reading.sum))
}
