//! Making rings while those of before are still being taken down.
//!
//! The kernel gives a closed ring's locked memory back some time later, so rings that fit the
//! limit may be refused for a moment after others were closed: those of the mode before, or of a
//! run just ended.

use std::thread::sleep;
use std::time::Duration;

use uring_pool::{Cause, RingConfig};

use super::rings::{Cost, Mode, Rings, Trouble};
use crate::failure::Failure;

/// Pauses between attempts. What does not fit after them all will not fit.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];

/// Makes the rings, again if locked memory was short. A pool whose rings took a worse route for
/// that reason counts as refused, except after the last attempt.
pub(crate) fn make(
    mode: Mode,
    config: &RingConfig,
    count: usize,
) -> Result<(Rings, Cost), Failure> {
    for pause in PAUSES {
        match Rings::make(mode, config, count) {
            Ok((rings, cost)) if !was_short(&rings) => return Ok((rings, cost)),
            Ok(_) => {}
            Err(Trouble::Rings(error, _)) if is_short(error.cause()) => {}
            Err(trouble) => return Err(trouble.during(mode)),
        }
        sleep(pause);
    }
    Rings::make(mode, config, count).map_err(|trouble| trouble.during(mode))
}

fn is_short(cause: Cause) -> bool {
    matches!(cause, Cause::LockedMemory { .. })
}

fn was_short(rings: &Rings) -> bool {
    let stats = rings.stats();
    let fallbacks = stats.iter().flat_map(|stats| &stats.fallbacks);
    fallbacks.into_iter().any(|fallback| is_short(fallback.first.cause()))
}
