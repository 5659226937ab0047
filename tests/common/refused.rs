//! Set-up that fails: what it says, and that it leaves nothing behind.

use nix::errno::Errno;
use uring_pool::{Cause, Error, Make, PgAioUringCaps, Result, Ring, RingPool};

use super::config;

/// What a failure must not change.
fn state() -> (usize, usize) {
    (super::descriptors(), super::maps())
}

/// All ways to make rings, none of which may succeed: their errors.
pub(crate) fn refused() -> Vec<Error> {
    fn error<T>(result: Result<T>) -> Error {
        result.err().expect("no ring can be made")
    }
    let pool = RingPool::builder(config(64)).rings(3).build().unwrap();
    vec![
        error(RingPool::builder(config(64)).rings(3).make(Make::UpFront).build()),
        error(pool.claim::<()>()),
        error(pool.claim_slot::<()>(2)),
        error(PgAioUringCaps::check(&config(64))),
        error(Ring::<()>::open(&config(64))),
    ]
}

/// Runs `body` until a run leaves nothing behind: what is made once for all, by the allocator say,
/// which may do so in a later run only, is no leak. What leaks leaves something behind each time.
pub(crate) fn leaves_nothing<T>(body: impl Fn() -> T) -> T {
    drop(body());
    let mut seen = vec![state()];
    loop {
        let result = body();
        let after = state();
        if seen.last() == Some(&after) {
            return result;
        }
        seen.push(after);
        assert!(seen.len() < 10, "each run leaves descriptors or mappings behind: {seen:?}");
    }
}

/// That an error has this cause, and one line that tells errno, these words and the remedy.
#[track_caller]
pub(crate) fn says(error: &Error, errno: Errno, cause: Cause, words: &[&str]) {
    assert_eq!(error.cause(), cause, "{error}");
    assert_eq!(error.raw_os_error(), Some(errno as i32), "{error}");
    let remedy = cause.remedy().unwrap_or_else(|| panic!("no remedy: {error}"));
    let text = error.to_string();
    for word in words.iter().copied().chain([remedy, format!("{errno:?}").as_str()]) {
        assert!(text.contains(word), "{word:?} is missing in {text:?}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
}
