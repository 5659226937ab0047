//! The routes, why one was refused, and what a pool has learned about them.

use std::fmt;

use nix::errno::Errno;
use once_cell::race::OnceBox;

use crate::error::{Cause, write_cause};

/// How a ring came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Route {
    /// `io_uring_queue_init_mem`, in the pool's memory: liburing 2.5 and newer, Linux 6.6 and newer
    /// (with liburing 2.5, Linux 6.5: later releases place rings wrongly there, and are not let).
    InitMem,
    /// `io_uring_setup(2)` with `IORING_SETUP_NO_MMAP`, in the pool's memory: any liburing 2.x,
    /// Linux 6.5 and newer.
    Direct,
    /// `io_uring_queue_init_params`, with two mappings of its own: anywhere.
    Separate,
}

impl Route {
    /// All of them, best first.
    pub const ALL: [Route; 3] = [Route::InitMem, Route::Direct, Route::Separate];

    /// Its name: `init_mem`, `direct` or `separate`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Route::InitMem => "init_mem",
            Route::Direct => "direct",
            Route::Separate => "separate",
        }
    }

    /// Whether the ring lies in memory that it was given, and costs no mapping.
    #[must_use]
    pub const fn is_combined(self) -> bool {
        !matches!(self, Route::Separate)
    }

    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which routes may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteSet([bool; Route::ALL.len()]);

impl RouteSet {
    pub(crate) const ALL: Self = Self([true; Route::ALL.len()]);

    pub(crate) fn only(routes: &[Route]) -> Self {
        Self(Route::ALL.map(|route| routes.contains(&route)))
    }

    pub(crate) fn without(mut self, route: Route) -> Self {
        self.0[route.index()] = false;
        self
    }

    pub(crate) fn contains(self, route: Route) -> bool {
        self.0[route.index()]
    }

    pub(crate) fn best_first(self) -> impl Iterator<Item = Route> {
        Route::ALL.into_iter().filter(move |&route| self.contains(route))
    }

    pub(crate) fn any_combined(self) -> bool {
        self.best_first().any(Route::is_combined)
    }
}

/// A route that was refused, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    route: Route,
    cause: Cause,
    errno: Option<Errno>,
}

impl Refusal {
    pub(crate) fn new(route: Route, cause: Cause, errno: Option<Errno>) -> Self {
        Self { route, cause, errno }
    }

    /// The route that was tried.
    #[must_use]
    pub fn route(&self) -> Route {
        self.route
    }

    /// Why it was refused. [`Cause::is_unsupported`] tells "never here" from "not now".
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The error number, if the kernel or liburing gave one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno.map(|errno| errno as i32)
    }

    pub(crate) fn errno(&self) -> Option<Errno> {
        self.errno
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.route)?;
        write_cause(f, &self.cause, self.errno)
    }
}

/// Written by hand: the cause as a sentence, which is what a program passes on to people.
#[cfg(feature = "serde")]
impl serde::Serialize for Refusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut refusal = serializer.serialize_struct("Refusal", 4)?;
        refusal.serialize_field("route", &self.route)?;
        refusal.serialize_field("reason", &self.cause.to_string())?;
        refusal.serialize_field("errno", &self.errno.map(|errno| format!("{errno:?}")))?;
        refusal.serialize_field("unsupported", &self.cause.is_unsupported())?;
        refusal.end()
    }
}

/// Refusals that hold for every further ring of the same configuration, noted at the first one.
#[derive(Debug, Default)]
pub(crate) struct Learned([OnceBox<Refusal>; Route::ALL.len()]);

impl Learned {
    /// What is known to refuse `route` for good.
    pub(crate) fn refusal(&self, route: Route) -> Option<Refusal> {
        self.0[route.index()].get().copied()
    }

    /// Notes what will be the same next time. A ring whose areas had to be contiguous may have
    /// better luck with other pages, and a limit may be raised. Where a library misplaces one, it
    /// misplaces all, and what is undone is charged to locked memory for a while.
    pub(super) fn note(&self, refusal: Refusal) {
        if matches!(
            refusal.cause,
            Cause::LibraryLacksInitMem | Cause::NoMmapUnsupported | Cause::Misplaced { .. }
        ) {
            self.0[refusal.route.index()].get_or_init(|| Box::new(refusal));
        }
    }
}

/// A ring was made by `route`: if in memory it was given, then an earlier refusal of such a ring
/// was the library's doing, not the kernel's.
pub(super) fn absolve_kernel(route: Route, refusals: &mut [Refusal]) {
    if !route.is_combined() {
        return;
    }
    for refusal in refusals {
        if matches!(refusal.cause, Cause::NoMmapUnsupported | Cause::NotContiguous) {
            refusal.cause = Cause::LibraryRefused;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(route: Route, cause: Cause) -> Refusal {
        Refusal::new(route, cause, Some(Errno::EINVAL))
    }

    #[test]
    fn only_what_no_further_ring_can_change_is_learned() {
        let learned = Learned::default();
        learned.note(refused(Route::InitMem, Cause::NotContiguous));
        let short = Cause::LockedMemory { limit: 1, needed: 2, rings: 1, open: 0 };
        learned.note(refused(Route::Direct, short));
        assert_eq!(Route::ALL.map(|route| learned.refusal(route)), [None; 3]);
        let lasting = refused(Route::Direct, Cause::NoMmapUnsupported);
        learned.note(lasting);
        assert_eq!(learned.refusal(Route::Direct), Some(lasting));
        assert_eq!(learned.refusal(Route::InitMem), None);
    }

    #[test]
    fn the_kernel_is_not_blamed_for_what_it_then_takes() {
        let mut refusals = [refused(Route::InitMem, Cause::NoMmapUnsupported)];
        absolve_kernel(Route::Separate, &mut refusals);
        assert_eq!(refusals[0].cause(), Cause::NoMmapUnsupported);
        absolve_kernel(Route::Direct, &mut refusals);
        assert_eq!(refusals[0].cause(), Cause::LibraryRefused);
    }

    #[test]
    fn a_route_set_keeps_the_order_best_first_whatever_order_it_was_given() {
        let set = RouteSet::only(&[Route::Separate, Route::InitMem]);
        assert!(set.best_first().eq([Route::InitMem, Route::Separate]));
        assert!(!RouteSet::only(&[Route::Separate]).any_combined());
    }
}
