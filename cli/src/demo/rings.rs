//! The rings of each mode, made up front by the parent as a database server does.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;
use uring_pool::{Error, Make, Ring, RingConfig, RingPool, Route, Stats};

use super::maps;
use crate::failure::Failure;
use crate::fork;

/// The two sides of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Rings one by one, in no pool: two mappings each.
    Separate,
    /// A pool: one mapping for all.
    Pooled,
}

impl Mode {
    pub(crate) const ALL: [Mode; 2] = [Mode::Separate, Mode::Pooled];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Separate => "separate",
            Mode::Pooled => "pooled",
        })
    }
}

/// All rings of one mode.
pub(crate) enum Rings {
    Separate(Vec<Ring<Vec<u8>>>),
    Pooled(RingPool),
}

/// What making them took.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) maps_added: u64,
    pub(crate) time: Duration,
}

impl Rings {
    /// Makes `count` rings; of all else that takes memory, nothing while it is measured.
    pub(crate) fn make(
        mode: Mode,
        config: &RingConfig,
        count: usize,
    ) -> Result<(Self, Cost), Trouble> {
        let mut separate = Vec::with_capacity(if mode == Mode::Separate { count } else { 0 });
        let before = maps::count().map_err(Trouble::Maps)?;
        let start = Instant::now();
        let rings = match mode {
            Mode::Separate => {
                for number in 1..=count {
                    let ring = Ring::open(config).map_err(|error| {
                        Trouble::Rings(error, format!("ring {number} of {count}: "))
                    })?;
                    separate.push(ring);
                }
                Rings::Separate(separate)
            }
            Mode::Pooled => {
                let builder = RingPool::builder(*config).rings(count).make(Make::UpFront);
                Rings::Pooled(
                    builder.build().map_err(|error| Trouble::Rings(error, String::new()))?,
                )
            }
        };
        // What rings closed before had not given back yet says nothing about making these.
        let time = start.elapsed().saturating_sub(rings.waited());
        let after = maps::count().map_err(Trouble::Maps)?;
        Ok((rings, Cost { maps_added: after.saturating_sub(before), time }))
    }

    /// Lets a worker use the ring of its number. For separate rings that is the copy which the
    /// child inherited: the parent, and all other children, leave it alone meanwhile.
    pub(crate) fn lend<T>(
        &mut self,
        number: usize,
        work: impl FnOnce(&mut Ring<Vec<u8>>) -> T,
    ) -> Result<T, Error> {
        match self {
            Rings::Separate(rings) => {
                let ring = &mut rings[number];
                fork::adopt(ring)?;
                Ok(work(ring))
            }
            Rings::Pooled(pool) => Ok(work(&mut pool.claim_slot(number)?)),
        }
    }

    /// The pool's counters, if it is one.
    pub(crate) fn stats(&self) -> Option<Stats> {
        match self {
            Rings::Separate(_) => None,
            Rings::Pooled(pool) => Some(pool.stats()),
        }
    }

    /// How long making them waited for locked memory.
    fn waited(&self) -> Duration {
        match self {
            Rings::Separate(rings) => rings.iter().map(Ring::waited).sum(),
            Rings::Pooled(pool) => pool.stats().waited,
        }
    }

    /// How many rings came by each route.
    pub(crate) fn by_route(&self) -> [(Route, usize); Route::ALL.len()] {
        Route::ALL.map(|route| {
            let count = match self {
                Rings::Separate(rings) => rings.iter().filter(|r| r.route() == route).count(),
                Rings::Pooled(pool) => pool.stats().by_route(route),
            };
            (route, count)
        })
    }
}

/// Why rings could not be made.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The error, and which ring it was about if the error does not tell.
    Rings(Error, String),
    Maps(std::io::Error),
}

impl Trouble {
    pub(crate) fn during(self, mode: Mode) -> Failure {
        Failure::Ran(match self {
            Trouble::Rings(error, which) => format!("mode {mode}: {which}{error}"),
            Trouble::Maps(error) => format!("cannot read {}: {error}", maps::PATH),
        })
    }
}
