//! Waiting for locked memory that closed rings have not given back yet.
//!
//! The kernel takes a closed ring down some time later, and only then is its memory no longer
//! charged to the user. Rings that fit the limit may therefore be refused for a moment after
//! others were closed: by this process, or by one just ended. What can never fit is not waited for.

use std::thread::sleep;
use std::time::Duration;

use crate::error::{Cause, Error, Result};

/// How many rings there are to be, of which this is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Among {
    /// Open at a time, in the end.
    pub(crate) rings: u64,
    /// Open in this process now.
    pub(crate) open: u64,
}

impl Among {
    /// A ring by itself.
    pub(crate) const ALONE: Self = Self { rings: 1, open: 0 };

    /// The error, telling of all the rings, and whether waiting may help.
    fn tell(self, error: Error) -> (Error, bool) {
        let Cause::LockedMemory { limit, needed, .. } = error.cause() else {
            return (error, false);
        };
        let Self { rings, open } = self;
        let fits = rings.checked_mul(needed).is_some_and(|all| all <= limit);
        (error.with_cause(Cause::LockedMemory { limit, needed, rings, open }), fits)
    }
}

/// Tear-down is a matter of milliseconds, on a busy machine of tenths of a second. Three seconds
/// in all: what does not fit then is in use.
fn pauses() -> impl Iterator<Item = Duration> {
    (0..11).map(|i| Duration::from_millis(1 << i)).chain([Duration::from_secs(1)])
}

/// Tries until it works, or fails for another reason than locked memory, or has waited long
/// enough; at once if all the rings can never fit. With what was made comes how long it waited.
pub(super) fn patiently<T>(
    among: Among,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<(T, Duration)> {
    let mut waited = Duration::ZERO;
    let mut pauses = pauses();
    loop {
        let (error, may_fit) = match attempt() {
            Ok(made) => return Ok((made, waited)),
            Err(error) => among.tell(error),
        };
        match pauses.next() {
            Some(pause) if may_fit => {
                sleep(pause);
                waited += pause;
            }
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(limit: u64) -> Error {
        let cause = Cause::LockedMemory { limit, needed: 8192, rings: 1, open: 0 };
        Error::new("cannot make a ring", cause)
    }

    /// What comes of attempts that fail so often, and how many there were.
    fn after(failures: usize, among: Among, error: &Error) -> (Result<Duration>, usize) {
        let mut attempts = 0;
        let result = patiently(among, || {
            attempts += 1;
            if attempts <= failures { Err(error.clone()) } else { Ok(()) }
        });
        (result.map(|((), waited)| waited), attempts)
    }

    #[test]
    fn rings_that_fit_are_tried_again_and_what_it_took_is_told() {
        let among = Among { rings: 10, open: 3 };
        let (result, attempts) = after(3, among, &short(81_920));
        assert_eq!((result, attempts), (Ok(Duration::from_millis(1 + 2 + 4)), 4));
    }

    #[test]
    fn rings_that_can_never_fit_are_not_waited_for_and_the_whole_need_is_told() {
        let among = Among { rings: 10, open: 3 };
        let (result, attempts) = after(1, among, &short(81_919));
        assert_eq!(attempts, 1);
        let text = result.unwrap_err().to_string();
        for part in ["81919", "10 rings", "81920", "24576", "RLIMIT_MEMLOCK", "ulimit -l"] {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
        let (_, attempts) = after(1, Among { rings: u64::MAX, open: 0 }, &short(81_919));
        assert_eq!(attempts, 1, "and nothing overflows");
    }

    #[test]
    fn nothing_else_is_waited_for() {
        let full = Error::new("cannot make a ring", Cause::OutOfMemory);
        let (result, attempts) = after(1, Among::ALONE, &full);
        assert_eq!((result, attempts), (Err(full), 1));
    }

    #[test]
    fn the_waiting_has_an_end_after_about_three_seconds() {
        let all: Duration = pauses().sum();
        assert!((2..=4).contains(&all.as_secs()), "{all:?}");
    }
}
