//! What a fork costs while the rings are there.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::fork::{OneThread, fork};

/// How often it is measured; the median counts.
pub(crate) const SAMPLES: usize = 20;

/// Medians over idle children.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forks {
    /// Until `fork(2)` returned in the parent.
    pub(crate) fork: Duration,
    /// Until the child had exited and was waited for.
    pub(crate) whole: Duration,
    /// The shortest of the latter: on a busy machine the median may be the wait for a processor.
    pub(crate) whole_min: Duration,
}

/// Forks children that exit at once.
pub(crate) fn measure(one_thread: &OneThread) -> Result<Forks, Failure> {
    let failed = |errno: nix::errno::Errno| {
        Failure::Ran(format!("cannot fork an idle child: {}", errno.desc()))
    };
    let mut forks = Vec::with_capacity(SAMPLES);
    let mut wholes = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let child = fork(one_thread, || 0).map_err(failed)?;
        forks.push(start.elapsed());
        child.wait().map_err(failed)?;
        wholes.push(start.elapsed());
    }
    let whole_min = wholes.iter().copied().min().unwrap_or_default();
    Ok(Forks { fork: median(forks), whole: median(wholes), whole_min })
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    let middle = samples.len() / 2;
    if samples.len() % 2 == 0 {
        (samples[middle - 1] + samples[middle]) / 2
    } else {
        samples[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_and_no_outlier_moves_it() {
        let of =
            |micros: &[u64]| median(micros.iter().map(|&n| Duration::from_micros(n)).collect());
        assert_eq!(of(&[900_000, 1, 3]), Duration::from_micros(3));
        assert_eq!(of(&[4, 2, 900_000, 1]), Duration::from_micros(3));
    }
}
