//! Rings by each route, and one request at a time on them.

use uring_pool::{Cause, Completion, Ring, RingConfig};

use super::{pool_by, routes_here};

/// A ring by each route.
pub(crate) fn rings<B: 'static>(config: RingConfig) -> Vec<Ring<B>> {
    let claim = |route| match pool_by(route, config, 2).claim::<B>() {
        // Of `separate` alone, whose memory is the library's.
        Err(error) if error.cause() == Cause::LibraryMapsTooLittle => None,
        ring => Some(ring.unwrap()),
    };
    routes_here(&config).into_iter().filter_map(claim).collect()
}

/// Submits one request and waits for it. (A macro, since Rust 1.85 takes what a closure's request
/// borrows to be borrowed for ever.)
#[allow(unused_macros)]
macro_rules! one {
    ($ring:expr, |$batch:ident| $request:expr) => {{
        let mut $batch = $ring.batch();
        $request.push().unwrap();
        assert_eq!($batch.submit().unwrap(), 1);
        $ring.wait_through_signals(1).unwrap().next().unwrap()
    }};
}
#[allow(unused_imports)]
pub(crate) use one;

/// All that is in flight, sorted by tag.
pub(crate) fn all<B: 'static>(ring: &mut Ring<B>) -> Vec<Completion<B>> {
    let mut done = Vec::new();
    while ring.in_flight() > 0 {
        done.extend(ring.wait_through_signals(1).unwrap());
    }
    done.sort_by_key(|done| done.tag);
    done
}

/// A result as the kernel's number.
pub(crate) fn number<B>(done: &Completion<B>) -> i32 {
    match &done.result {
        Ok(n) => *n as i32,
        Err(error) => -error.raw_os_error().unwrap(),
    }
}
