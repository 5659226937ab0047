//! The results: as a table, as JSON, and in the page that keeps them.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::plan::{C, Contender, Group, IO_URING, NO_POOL, Target, Unit};
use crate::rounds::quantile;
use crate::{Result, in_c};

/// A group of programs, and each one's samples.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) group: Group,
    pub(crate) samples: Vec<Vec<f64>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    rows: Vec<Row>,
}

/// What the figures hold for.
#[derive(Debug, Serialize)]
struct Machine {
    kernel: String,
    processor: String,
    processors: usize,
    /// Waiting for a processor when it was over: what clocks are worth.
    load: String,
    liburing: String,
    rounds: u32,
    file_mib: u64,
    o_direct: bool,
    /// What making a ring is compared with.
    c_makes_rings_by: &'static str,
}

/// One of our programs, next to the others of its group.
#[derive(Debug, Serialize)]
struct Row {
    work: &'static str,
    what: String,
    unit: &'static str,
    ours: Figure,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    io_uring: Option<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_pool: Option<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Verdict>,
}

#[derive(Debug, Clone, Serialize)]
struct Figure {
    median: f64,
    min: f64,
    samples: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Verdict {
    at_most: f64,
    /// Times what, if not an absolute number.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<&'static str>,
    /// Of the medians; without a reference, of the number and its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    /// Of the shortest times.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_of_min: Option<f64>,
    reached: Reached,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Reached {
    Yes,
    /// Of times: the medians and the shortest do not agree on it, or the former miss it by less than
    /// [`NOISE`].
    WithinNoise,
    Missed,
}

const NOISE: f64 = 0.05;

impl Figure {
    fn of(samples: &[f64]) -> Self {
        let (median, min) = (quantile(samples, 0.5), quantile(samples, 0.0));
        Self { median, min, samples: samples.to_vec() }
    }
}

impl Verdict {
    fn on(target: Target, ours: &Figure, reference: impl Fn(&str) -> Option<Figure>) -> Self {
        let (at_most, times) = match target {
            Target::Limit(limit) => {
                let reached = if ours.median <= limit { Reached::Yes } else { Reached::Missed };
                return Self {
                    at_most: limit,
                    times: None,
                    ratio: None,
                    ratio_of_min: None,
                    reached,
                };
            }
            Target::Times(at_most, name) => (at_most, name),
        };
        let reference = reference(times).expect("a target names a contender of its group");
        let ratio = ours.median / reference.median;
        let timed = ours.samples.len() > 1;
        let ratio_of_min = timed.then(|| ours.min / reference.min);
        // Counts differ by what start-up does not quite cancel: a thousandth.
        let within = |ratio: f64| ratio <= at_most + 0.001;
        let reached = match (within(ratio), ratio_of_min.map_or(within(ratio), within)) {
            (true, true) => Reached::Yes,
            (false, false) if !timed || ratio > at_most + NOISE => Reached::Missed,
            _ => Reached::WithinNoise,
        };
        Self { at_most, times: Some(times), ratio: Some(ratio), ratio_of_min, reached }
    }
}

impl Report {
    pub(crate) fn new(measured: &[Measured], rounds: u32, file_mib: u64, o_direct: bool) -> Self {
        let machine = Machine::this(rounds, file_mib, o_direct);
        Self { machine, rows: measured.iter().flat_map(rows).collect() }
    }

    pub(crate) fn all_reached(&self) -> bool {
        let missed = |verdict: &Verdict| verdict.reached == Reached::Missed;
        !self.rows.iter().any(|row| row.target.as_ref().is_some_and(missed))
    }
}

/// A row for each of our programs and each of its targets.
fn rows(measured: &Measured) -> Vec<Row> {
    let Measured { group, samples } = measured;
    let figures: Vec<Figure> = samples.iter().map(|samples| Figure::of(samples)).collect();
    let named = |name: &str| {
        let place = group.contenders.iter().position(|contender| contender.name == name);
        place.map(|place| figures[place].clone())
    };
    let row = |contender: &Contender, ours: &Figure, target: Option<Target>| Row {
        work: group.work,
        what: format!("{}: {}", group.what, contender.name),
        unit: group.unit.in_words(),
        ours: ours.clone(),
        c: named(C),
        io_uring: named(IO_URING),
        no_pool: named(NO_POOL),
        target: target.map(|target| Verdict::on(target, ours, named)),
    };
    let others = [C, IO_URING, NO_POOL];
    let ours = group.contenders.iter().zip(&figures).filter(|(c, _)| !others.contains(&c.name));
    ours.flat_map(|(contender, figure)| {
        let some = contender.targets.iter().map(|&target| row(contender, figure, Some(target)));
        let none = contender.targets.is_empty().then(|| row(contender, figure, None));
        some.chain(none).collect::<Vec<_>>()
    })
    .collect()
}

impl Unit {
    fn in_words(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Nanoseconds => "ns",
            Self::SystemCalls { besides: None } => "system calls",
            Self::SystemCalls { besides: Some(_) } => "system calls but io_uring_enter",
            Self::Allocations => "allocations",
        }
    }
}

impl Machine {
    fn this(rounds: u32, file_mib: u64, o_direct: bool) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let header = uring_pool::sys::VERSION;
        let loaded = uring_pool::loaded_version();
        Self {
            kernel: uring_pool::kernel_release().split('-').next().unwrap_or_default().to_owned(),
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            liburing: loaded.map_or(header.to_owned(), |loaded| loaded.to_string()),
            rounds,
            file_mib,
            o_direct,
            c_makes_rings_by: in_c::make_route(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, processor, processors, load, liburing, rounds, .. } = self;
        writeln!(
            f,
            "Linux {kernel}, liburing {liburing}, {processors} × {processor}, load {load}."
        )?;
        write!(f, "Times are the median (shortest) of {rounds} rounds. ")?;
        writeln!(f, "C makes rings by {}.", self.c_makes_rings_by)?;
        if self.file_mib > 0 {
            let direct = if self.o_direct { "" } else { ", on a file system without O_DIRECT" };
            writeln!(f, "The file that is read has {} MiB{direct}.", self.file_mib)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        writeln!(
            f,
            "| work | per operation | uring-pool | C | io-uring | no pool | ratio | must reach | |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|---|---|")?;
        for Row { what, unit, ours, c, io_uring, no_pool, target, .. } in &self.rows {
            let other = |figure: &Option<Figure>| figure.as_ref().map_or(String::new(), number);
            write!(f, "| {what} | {unit} | {} | {} |", number(ours), other(c))?;
            write!(f, " {} | {} |", other(io_uring), other(no_pool))?;
            match target {
                Some(verdict) => writeln!(f, " {verdict} |")?,
                None => writeln!(f, " | | |")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ratio) = self.ratio {
            write!(f, "{ratio:.2}")?;
        }
        if let Some(ratio) = self.ratio_of_min {
            write!(f, " ({ratio:.2})")?;
        }
        match self.times {
            Some(name) => write!(f, " | ≤ {:.2} × {name} | ", self.at_most)?,
            None => write!(f, " | ≤ {} | ", self.at_most)?,
        }
        f.write_str(match self.reached {
            Reached::Yes => "reached",
            Reached::WithinNoise => "within noise",
            Reached::Missed => "**missed**",
        })
    }
}

/// A count as it is; of times, the shortest too.
fn number(figure: &Figure) -> String {
    let digits = |n: f64| match n {
        0.0 => "0".to_owned(),
        n if n.abs() < 0.01 => format!("{n:.5}"),
        n if n.abs() < 1000.0 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    };
    match figure.samples.len() {
        1 => digits(figure.median),
        _ => format!("{} ({})", digits(figure.median), digits(figure.min)),
    }
}

const BEGIN: &str = "<!-- written by `./x bench --write`: from here -->\n";
const END: &str = "<!-- to here -->\n";

/// Puts the table between the page's two marks.
pub(crate) fn write_into(page: &Path, report: &Report) -> Result<()> {
    let text = fs::read_to_string(page)?;
    let marks =
        text.split_once(BEGIN).and_then(|(above, rest)| Some((above, rest.split_once(END)?)));
    let (above, (_, below)) = marks.ok_or_else(|| format!("no marks in {}", page.display()))?;
    fs::write(page, format!("{above}{BEGIN}\n{report}\n{END}{below}"))?;
    Ok(())
}
