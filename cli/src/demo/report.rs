//! What the demo found, for programs and for people.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use indicatif::BinaryBytes;
use serde::Serialize;
use uring_pool::{FallbackStats, Route};

use super::checksum::Sum;
use super::rings::Mode;
use crate::table::Table;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    /// Of a plain read, in hexadecimal digits.
    pub(crate) checksum: String,
    pub(crate) checksum_ok: bool,
    pub(crate) block_size: u64,
    pub(crate) workers: usize,
    pub(crate) entries: u32,
    pub(crate) modes: Vec<ModeReport>,
}

/// One mode's part of it. Times are in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct ModeReport {
    pub(crate) mode: Mode,
    /// By which most rings came.
    pub(crate) route: Route,
    pub(crate) rings: usize,
    pub(crate) maps_added: u64,
    pub(crate) bytes_per_ring: usize,
    pub(crate) create_us_per_ring: f64,
    pub(crate) read_us: f64,
    pub(crate) fork_us: f64,
    pub(crate) fork_exit_us: f64,
    pub(crate) fork_exit_min_us: f64,
    pub(crate) checksum: String,
    pub(crate) by_route: BTreeMap<&'static str, usize>,
    /// Routes that were refused in the pool, and why.
    pub(crate) fallbacks: Vec<FallbackStats>,
}

pub(crate) fn hex(sum: Sum) -> String {
    format!("{:08x}", sum.crc)
}

/// Microseconds, to the nanosecond.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

impl Report {
    pub(crate) fn new(name: String, expected: Sum, workers: usize, entries: u32) -> Self {
        Self {
            file: name,
            bytes: expected.bytes,
            checksum: hex(expected),
            checksum_ok: true,
            block_size: super::share::BLOCK,
            workers,
            entries,
            modes: Vec::new(),
        }
    }

    /// Adds a mode, whose workers read what has the sum `read`.
    pub(crate) fn add(&mut self, mode: ModeReport, read: Sum, expected: Sum) {
        self.checksum_ok &= read == expected;
        self.modes.push(mode);
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{}: {} in blocks of {} bytes; {} rings of {} entries, {} workers\n\n",
            self.file,
            BinaryBytes(self.bytes),
            self.block_size,
            self.modes.first().map_or(0, |mode| mode.rings),
            self.entries,
            self.workers,
        );
        let head = [
            "mode",
            "route",
            "maps added",
            "bytes/ring",
            "create µs/ring",
            "read ms",
            "fork µs",
            "fork+exit µs",
        ];
        let mut table = Table::new(head, 2);
        for mode in &self.modes {
            table.row(mode.cells());
        }
        if let [separate, pooled] = &self.modes[..] {
            table.row(ratios(separate, pooled));
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{table}");
        for mode in &self.modes {
            mode.remarks(&mut text);
        }
        if self.checksum_ok {
            let _ = writeln!(
                text,
                "All workers read what a plain read reads (CRC-32 {}).",
                self.checksum
            );
        }
        if let [separate, pooled] = &self.modes[..] {
            text += &meaning(separate, pooled);
        }
        text
    }
}

impl ModeReport {
    fn cells(&self) -> [String; 8] {
        [
            self.mode.to_string(),
            self.route.to_string(),
            self.maps_added.to_string(),
            self.bytes_per_ring.to_string(),
            format!("{:.1}", self.create_us_per_ring),
            format!("{:.1}", self.read_us / 1000.0),
            format!("{:.0}", self.fork_us),
            format!("{:.0}", self.fork_exit_us),
        ]
    }

    fn remarks(&self, text: &mut String) {
        for fallback in &self.fallbacks {
            let FallbackStats { rings, first, .. } = fallback;
            let (mode, all) = (self.mode, self.rings);
            let _ =
                writeln!(text, "{mode}: {rings} of {all} rings could not take the route {first}.");
        }
    }

    fn combined(&self) -> bool {
        self.route.is_combined()
    }
}

/// How many times as much the separate rings take.
fn ratios(separate: &ModeReport, pooled: &ModeReport) -> [String; 8] {
    let ratio = |a: f64, b: f64| if b > 0.0 { format!("{:.1}x", a / b) } else { "-".to_owned() };
    [
        "ratio".to_owned(),
        String::new(),
        ratio(separate.maps_added as f64, pooled.maps_added as f64),
        String::new(),
        ratio(separate.create_us_per_ring, pooled.create_us_per_ring),
        ratio(separate.read_us, pooled.read_us),
        ratio(separate.fork_us, pooled.fork_us),
        ratio(separate.fork_exit_us, pooled.fork_exit_us),
    ]
}

fn meaning(separate: &ModeReport, pooled: &ModeReport) -> String {
    if !pooled.combined() {
        return "The pool's rings have mappings of their own here, so pooling gains nothing; \
                `uring-pool probe` tells why.\n"
            .to_owned();
    }
    format!(
        "{} instead of {}: starting and ending a process that inherits these \
         rings takes {:.0} µs instead of {:.0}.\n",
        mappings(pooled.maps_added),
        separate.maps_added,
        pooled.fork_exit_us,
        separate.fork_exit_us,
    )
}

fn mappings(count: u64) -> String {
    if count == 1 { "One memory mapping".to_owned() } else { format!("{count} memory mappings") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(mode: Mode, route: Route) -> ModeReport {
        ModeReport {
            mode,
            route,
            rings: 10,
            maps_added: if route.is_combined() { 1 } else { 20 },
            bytes_per_ring: 0,
            create_us_per_ring: 1.0,
            read_us: 1.0,
            fork_us: 1.0,
            fork_exit_us: if route.is_combined() { 2.0 } else { 30.0 },
            fork_exit_min_us: 1.0,
            checksum: String::new(),
            by_route: BTreeMap::new(),
            fallbacks: Vec::new(),
        }
    }

    #[test]
    fn one_mode_that_read_something_else_spoils_the_whole() {
        let expected = Sum { crc: 1, bytes: 2 };
        for wrong in [Sum { crc: 2, bytes: 2 }, Sum { crc: 1, bytes: 1 }] {
            let mut report = Report::new("file".to_owned(), expected, 1, 1);
            report.add(mode(Mode::Separate, Route::Separate), wrong, expected);
            assert!(!report.checksum_ok);
            report.add(mode(Mode::Pooled, Route::Direct), expected, expected);
            assert!(!report.checksum_ok, "a good mode does not make up for a bad one");
            assert!(!report.text().contains("All workers read"));
        }
    }

    #[test]
    fn the_last_row_tells_how_many_times_as_much_separate_rings_take() {
        let sum = Sum::default();
        let mut report = Report::new("file".to_owned(), sum, 1, 1);
        report.add(mode(Mode::Separate, Route::Separate), sum, sum);
        report.add(mode(Mode::Pooled, Route::Direct), sum, sum);
        let text = report.text();
        let ratio = text.lines().find(|line| line.starts_with("ratio")).unwrap();
        assert!(ratio.contains("20.0x") && ratio.ends_with("15.0x"), "{ratio}");
    }

    #[test]
    fn a_pool_without_a_common_mapping_does_not_claim_a_gain() {
        let sum = Sum::default();
        let mut report = Report::new("file".to_owned(), sum, 1, 1);
        report.add(mode(Mode::Separate, Route::Separate), sum, sum);
        report.add(mode(Mode::Pooled, Route::Separate), sum, sum);
        assert!(report.text().contains("gains nothing"));
    }
}
