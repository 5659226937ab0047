//! What can be counted: instructions in user space, under callgrind; system calls, under strace.
//!
//! A program is run twice, once for twice as many operations. The difference is the operations' own: starting and
//! ending cancel each other out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::rounds::{output, program};

/// Where the tools write what they find; gone when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("uring-pool-bench.{}", std::process::id()));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    fn file(&self) -> PathBuf {
        self.0.join("found")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that stays is no reason to fail.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Instructions per operation, of all threads. The longer run's profile is kept in `keep`.
pub(crate) fn instructions(
    scratch: &Scratch,
    args: &[String],
    operations: u64,
    keep: Option<&Path>,
) -> Result<f64> {
    let mut totals = [0; 2];
    for (total, times) in totals.iter_mut().zip([1, 2]) {
        let file = scratch.file();
        let mut line = words("valgrind --tool=callgrind --quiet");
        line.push(format!("--callgrind-out-file={}", file.display()));
        line.extend(program(args, operations * times)?);
        output(&line)?;
        let profile = fs::read_to_string(&file)?;
        *total = collected(&profile).ok_or("callgrind did not say how much it collected")?;
        if let Some(keep) = keep {
            fs::write(keep, &profile)?;
        }
    }
    Ok((totals[1] as f64 - totals[0] as f64) / operations as f64)
}

/// The sum in a profile of callgrind's.
fn collected(profile: &str) -> Option<u64> {
    let mut lines = profile.lines().rev();
    let sum = lines.find_map(|line| line.strip_prefix("totals: "))?;
    sum.split_whitespace().next()?.parse().ok()
}

/// System calls per operation, of all threads, by name: those that are made more often in the longer run.
pub(crate) fn system_calls(
    scratch: &Scratch,
    args: &[String],
    operations: u64,
) -> Result<BTreeMap<String, f64>> {
    let mut counts = [BTreeMap::new(), BTreeMap::new()];
    for (count, times) in counts.iter_mut().zip([1, 2]) {
        let file = scratch.file();
        let mut line = words("strace --follow-forks --summary-only --summary-columns=calls,name");
        line.push(format!("--output={}", file.display()));
        line.extend(program(args, operations * times)?);
        output(&line)?;
        *count = calls(&fs::read_to_string(&file)?);
    }
    let [once, twice] = counts;
    Ok(twice
        .into_iter()
        .map(|(name, calls)| (calls - once.get(&name).copied().unwrap_or(0), name))
        .filter(|&(more, _)| more != 0)
        .map(|(more, name)| (name, more as f64 / operations as f64))
        .collect())
}

/// The rows of strace's table: a number, and the name of the call.
fn calls(summary: &str) -> BTreeMap<String, i64> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let calls = words.next()?.parse().ok()?;
        let name = words.next().filter(|&name| name != "total")?;
        Some((name.to_owned(), calls))
    };
    summary.lines().filter_map(row).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_in_a_profile() {
        assert_eq!(collected("events: Ir\nfn=(1) main\n12 34\n\ntotals: 5678\n"), Some(5678));
        assert_eq!(collected("events: Ir\n"), None);
    }

    #[test]
    fn calls_are_read_from_straces_table_without_its_sum() {
        let summary = "    calls syscall\n--------- --------\n       12 read\n        3 io_uring_enter\n\
                       --------- --------\n       15 total\n";
        let expected = [("io_uring_enter".to_owned(), 3), ("read".to_owned(), 12)];
        assert_eq!(calls(summary), BTreeMap::from(expected));
    }
}
