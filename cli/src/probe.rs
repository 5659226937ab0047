//! `uring-pool probe`: what there is to work with.

use std::fmt::Write;

use indicatif::BinaryBytes;
use serde::Serialize;
use uring_pool::{
    Error, HAVE_INIT_MEM, Limit, Limits, PgAioUringCaps, Plan, Refusal, Registrations, RingConfig,
    RingPool, Route, Version, kernel_release, loaded_version, operation_name,
};

use crate::args::ProbeArgs;
use crate::failure::Failure;
use crate::output;
use crate::preflight;

/// The answer, as programs read it.
#[derive(Debug, Serialize)]
struct Answer {
    liburing: Liburing,
    kernel: String,
    entries: u32,
    caps: Caps,
    features: Vec<String>,
    operations: Vec<String>,
    limits: Limits,
    /// For as many rings as were asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
}

#[derive(Debug, Serialize)]
struct Liburing {
    headers: Version,
    loaded: Option<Version>,
    have_init_mem: bool,
}

#[derive(Debug, Serialize)]
struct Caps {
    checked: bool,
    mem_init_size: Option<usize>,
    route: Option<Route>,
    reason: Option<String>,
    /// Why better routes than the one taken were refused.
    refusals: Vec<Refusal>,
    /// What can be registered with a ring.
    registrations: Option<Registrations>,
}

/// Finds out, prints, and fails if rings cannot be made here at all.
pub(crate) fn run(args: &ProbeArgs) -> Result<(), Failure> {
    let config = RingConfig::new(args.entries)?;
    // Before the check, which opens files and makes mappings of its own.
    let limits = Limits::read();
    let found = PgAioUringCaps::check(&config);
    let plan = args.rings.map(|rings| planned(config, rings, &found, &limits)).transpose()?;
    let answer = Answer::new(&found, args.entries, limits, plan);
    if args.json {
        output::print_json(&answer)?;
    } else {
        output::print(&answer.text())?;
    }
    found?;
    answer.plan.as_ref().map_or(Ok(()), preflight::refuse)
}

/// What `rings` rings need by the route that one was found to take here.
fn planned(
    config: RingConfig,
    rings: usize,
    found: &Result<PgAioUringCaps, Error>,
    limits: &Limits,
) -> Result<Plan, Failure> {
    let builder = RingPool::builder(config).rings(rings);
    let builder = match found {
        Ok(caps) if !caps.route().is_combined() => builder.routes(&[Route::Separate]),
        _ => builder,
    };
    Ok(builder.plan_within(limits)?)
}

impl Answer {
    fn new(
        found: &Result<PgAioUringCaps, Error>,
        entries: u32,
        limits: Limits,
        plan: Option<Plan>,
    ) -> Self {
        let caps = found.as_ref().ok();
        let operations = caps.and_then(PgAioUringCaps::operations).unwrap_or_default();
        Self {
            liburing: Liburing {
                headers: Version::headers(),
                loaded: loaded_version(),
                have_init_mem: HAVE_INIT_MEM,
            },
            kernel: kernel_release(),
            entries,
            caps: Caps::of(found),
            features: caps.map(|caps| caps.features().names()).unwrap_or_default(),
            operations: operations.iter().copied().map(operation_name).collect(),
            limits,
            plan,
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let liburing = &self.liburing;
        let loaded = match liburing.loaded {
            Some(loaded) => format!("{loaded} loaded"),
            None => "the loaded one does not tell its version".to_owned(),
        };
        line(&mut text, "liburing", &format!("{} when built, {loaded}", liburing.headers));
        let init_mem = if liburing.have_init_mem { "yes" } else { "no (2.5 and newer have it)" };
        line(&mut text, "  queue_init_mem", init_mem);
        line(&mut text, "kernel", &self.kernel);
        self.caps.text(&mut text, self.entries);
        list(&mut text, "features", &self.features);
        list(&mut text, "operations", &self.operations);
        tell_limits(&mut text, &self.limits);
        if let Some(plan) = &self.plan {
            tell_plan(&mut text, plan);
        }
        text
    }
}

impl Caps {
    fn of(found: &Result<PgAioUringCaps, Error>) -> Self {
        match found {
            Ok(caps) => Self {
                checked: caps.checked(),
                mem_init_size: caps.mem_init_size(),
                route: Some(caps.route()),
                reason: caps.reason().map(str::to_owned),
                refusals: caps.refusals().to_vec(),
                registrations: Some(caps.registrations()),
            },
            Err(error) => Self {
                checked: false,
                mem_init_size: None,
                route: None,
                reason: Some(error.to_string()),
                refusals: Vec::new(),
                registrations: None,
            },
        }
    }

    fn text(&self, text: &mut String, entries: u32) {
        let combined = match (self.mem_init_size, &self.reason) {
            (Some(bytes), _) => format!("yes, {bytes} bytes for a ring of {entries} entries"),
            (None, Some(reason)) if self.checked => format!("no: {reason}"),
            (None, _) => "could not be found out".to_owned(),
        };
        line(text, "one mapping", &combined);
        line(text, "  route", self.route.map_or("none", Route::name));
        for refusal in &self.refusals {
            line(text, "  not", &refusal.to_string());
        }
        if let Some(registrations) = self.registrations {
            line(text, "registers", &registered(registrations));
        }
    }
}

fn registered(what: Registrations) -> String {
    let Registrations { files, buffers, shared_buffers, descriptor, .. } = what;
    let named = [
        ("files", files),
        ("buffers", buffers),
        ("shared buffers", shared_buffers),
        ("descriptor", descriptor),
    ];
    let told = named.map(|(name, works)| match works {
        Some(true) => format!("{name} yes"),
        Some(false) => format!("{name} no"),
        None => format!("{name} could not be found out"),
    });
    told.join(", ")
}

fn tell_limits(text: &mut String, limits: &Limits) {
    let number = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
    let files = limits.open_files.map_or("?".to_owned(), |limit| bounds(limit, |n| n.to_string()));
    let used = number(limits.open_files_used);
    line(text, "open files", &format!("{files}, {used} used; a ring takes 1"));
    let size = |n| BinaryBytes(n).to_string();
    let locked = limits.locked_memory.map_or("?".to_owned(), |limit| bounds(limit, size));
    let freed = match limits.ipc_lock {
        _ if !limits.rings_charged => "rings are not charged to it on this kernel",
        Some(true) => "does not bind this process (CAP_IPC_LOCK)",
        Some(false) => "binds all of this user's processes together",
        None => "whether it binds this process is not known",
    };
    line(text, "locked memory", &format!("{locked}; {freed}"));
    let (most, used) = (number(limits.max_map_count), number(limits.maps_used));
    line(text, "mappings", &format!("{most}, {used} used; a separate ring takes 2"));
    let sysctl = match (limits.io_uring_disabled, limits.io_uring_group) {
        (None | Some(0), _) => "on for everybody".to_owned(),
        (Some(1), Some(group)) if group >= 0 => {
            format!("on for the privileged and group {group} (kernel.io_uring_disabled = 1)")
        }
        (Some(1), _) => "on for the privileged (kernel.io_uring_disabled = 1)".to_owned(),
        (Some(value), _) => format!("off (kernel.io_uring_disabled = {value})"),
    };
    line(text, "io_uring", &sysctl);
}

fn tell_plan(text: &mut String, plan: &Plan) {
    let place = if plan.combined { "in one mapping" } else { "each in mappings of its own" };
    let sum = match (plan.fits(), plan.can_fit()) {
        (true, _) => "fit",
        (false, true) => "fit once soft limits are raised",
        (false, false) => "do not fit",
    };
    line(text, "plan", &format!("{} rings, {place}: they {sum}", plan.rings));
    for need in &plan.needs {
        line(text, &format!("  {}", need.resource), &format!("{}: {}", need.verdict, need.reason));
        if let Some(remedy) = &need.remedy {
            line(text, "", remedy);
        }
    }
}

fn bounds(limit: Limit, show: impl Fn(u64) -> String) -> String {
    let show = |n| if n == Limit::UNLIMITED { "no limit".to_owned() } else { show(n) };
    if limit.soft == limit.hard {
        show(limit.soft)
    } else {
        format!("{}, can be raised to {}", show(limit.soft), show(limit.hard))
    }
}

const NAMES: usize = 18;
const WIDTH: usize = 96;

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{name:<NAMES$}{value}");
}

fn list(text: &mut String, name: &str, items: &[String]) {
    if items.is_empty() {
        return line(text, name, "none known");
    }
    let mut name = name;
    let mut row = String::new();
    for item in items {
        if !row.is_empty() && NAMES + row.len() + 1 + item.len() > WIDTH {
            line(text, name, &row);
            name = "";
            row.clear();
        }
        if !row.is_empty() {
            row.push(' ');
        }
        row += item;
    }
    line(text, name, &row);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_null_and_not_a_number() {
        let mut limits = Limits::read();
        let memory = limits.locked_memory.as_mut().unwrap();
        (memory.soft, memory.hard) = (4096, Limit::UNLIMITED);
        let json = serde_json::to_value(limits).unwrap();
        assert_eq!(json["locked_memory"], serde_json::json!({"soft": 4096, "hard": null}));
    }

    #[test]
    fn a_long_list_is_broken_between_its_items_and_loses_none() {
        let items: Vec<String> = (0..100).map(|i| format!("item{i}")).collect();
        let mut text = String::new();
        list(&mut text, "items", &items);
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[0], "items");
        assert_eq!(words[1..], items);
    }
}
