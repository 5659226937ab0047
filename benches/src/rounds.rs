//! Programs let run: once, or in turn, so that whatever else the machine does meets all of them alike.

use std::process::{Command, Stdio};

use crate::Result;
use crate::work::Took;

/// The command line of a measured program, whatever it is run under.
pub(crate) fn program(args: &[String], operations: u64) -> Result<Vec<String>> {
    let this = std::env::current_exe()?;
    let this = this.into_os_string().into_string().map_err(|_| "this program's path is no text")?;
    let mut line = vec![this, "one".to_owned(), format!("--operations={operations}")];
    line.extend_from_slice(args);
    Ok(line)
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn output(line: &[String]) -> Result<String> {
    let ran = Command::new(&line[0]).args(&line[1..]).stdin(Stdio::null()).output()?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("`{}`: {}: {}", line.join(" "), ran.status, said.trim()).into());
    }
    Ok(String::from_utf8(ran.stdout)?)
}

/// Runs a program once.
pub(crate) fn once(args: &[String], operations: u64) -> Result<Took> {
    Ok(serde_json::from_str(&output(&program(args, operations)?)?)?)
}

/// Nanoseconds per operation of each program in each round; in a round every program runs once.
pub(crate) fn clocks(
    programs: &[&[String]],
    operations: u64,
    rounds: u32,
) -> Result<Vec<Vec<f64>>> {
    let mut samples = vec![Vec::new(); programs.len()];
    for round in 0..rounds as usize {
        // Each round begins with another: none is always the one after an idle moment.
        for i in (0..programs.len()).map(|i| (i + round) % programs.len()) {
            let took = once(programs[i], operations)?;
            samples[i].push(took.nanoseconds as f64 / operations as f64);
        }
    }
    Ok(samples)
}

/// The sample below which this part of them lies.
pub(crate) fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_samples() {
        assert_eq!(quantile(&[4.0, 1.0, 3.0], 0.5), 3.0);
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(quantile(&[5.0], 0.25), 5.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.75), 4.0);
    }
}
