//! What the kernel and the library can do here, found out by trying.
//!
//! The one `unsafe` call here makes a ring in a region of this function's own; it guarantees that the
//! ring is dropped before the region is.

use std::fmt;

use crate::config::RingConfig;
use crate::error::{Cause, Error, Result};
use crate::layout::RingLayout;
use crate::operations::Features;
use crate::region::{Memory, Region};
use crate::ring::Ring;
use crate::setup::{self, Among, Learned, Refusal, Registrations, Route, RouteSet, SlotMemory};
use crate::version::{Version, kernel_release};

/// What was found out about rings of one configuration: which [`Route`] they take here, and why
/// not a better one.
///
/// It carries the two facts of PostgreSQL's struct of the same name, [`checked`](Self::checked)
/// and [`mem_init_size`](Self::mem_init_size), and the reasons besides.
///
/// ```
/// use uring_pool::{PgAioUringCaps, RingConfig};
///
/// let caps = PgAioUringCaps::check(&RingConfig::new(64)?)?;
/// match caps.mem_init_size() {
///     Some(bytes) => println!("{bytes} bytes of shared memory a ring"),
///     None => println!("two mappings a ring: {}", caps.reason().unwrap()),
/// }
/// # Ok::<(), uring_pool::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PgAioUringCaps {
    checked: bool,
    mem_init_size: Option<usize>,
    route: Route,
    reason: Option<String>,
    refusals: Vec<Refusal>,
    #[cfg_attr(feature = "serde", serde(serialize_with = "feature_names"))]
    features: Features,
    operations: Option<Vec<u8>>,
    registrations: Registrations,
    headers: Version,
    loaded: Option<Version>,
    kernel: String,
}

impl PgAioUringCaps {
    /// Tries the routes, best first, with rings of this configuration in memory of the pool's
    /// kind; has the ring that comes up answer a NOP; and undoes all of it.
    ///
    /// Each call tries anew: keep the value if you need it again. Where locked memory is short, it
    /// waits up to three seconds for what closed rings have not given back yet.
    ///
    /// # Errors
    /// If no ring could be made at all. [`Cause::is_unsupported`] then tells "not supported here"
    /// ([`Cause::NoIoUring`], [`Cause::ConfigRefused`]) from "could not tell" (a limit, a
    /// permission).
    pub fn check(config: &RingConfig) -> Result<Self> {
        Self::check_in(config, Memory::default())
    }

    /// As [`check`](Self::check), with memory of another kind.
    ///
    /// # Errors
    /// As [`check`](Self::check), and if there is no such memory.
    pub fn check_in(config: &RingConfig, memory: Memory) -> Result<Self> {
        let layout = setup::layout_of(config)?;
        let region = Region::map(memory, layout.stride)?;
        let mut refusals = Vec::new();
        let mut routes = RouteSet::ALL;
        loop {
            let memory = SlotMemory { region: &region, offset: 0, len: layout.stride };
            #[allow(unsafe_code)]
            // SAFETY: the region is nobody else's and outlives the ring, which is dropped in
            // `try_out`; a ring from a round before lay in pages since replaced.
            let ring = unsafe {
                let learned = Learned::default();
                setup::open(config, &layout, routes, &learned, Some(memory), Among::ALONE)
            }?;
            let route = ring.route();
            refusals.extend_from_slice(ring.refusals());
            let features = Features::from_bits_retain(ring.features());
            let mut ring = Ring::<()>::alone(ring, config);
            let operations = setup::supported_operations(ring.open_ring());
            let registrations = Registrations::of(ring.open_ring());
            if answers(&mut ring)? {
                return Ok(Self::found(
                    route,
                    refusals,
                    features,
                    operations,
                    registrations,
                    &layout,
                ));
            }
            drop(ring);
            // It may answer yet, and must do so elsewhere.
            memory.renew()?;
            refusals.push(Refusal::new(route, Cause::Silent, None));
            routes = routes.without(route);
            if !routes.contains(Route::Separate) {
                let what = format!("cannot use a ring of {} entries", config.entries());
                return Err(Error::new(what, Cause::Silent));
            }
        }
    }

    fn found(
        route: Route,
        refusals: Vec<Refusal>,
        features: Features,
        operations: Option<Vec<u8>>,
        registrations: Registrations,
        layout: &RingLayout,
    ) -> Self {
        let combined = route.is_combined();
        Self {
            checked: true,
            mem_init_size: combined.then_some(layout.stride),
            route,
            reason: (!combined).then(|| why_separate(&refusals)),
            refusals,
            features,
            operations,
            registrations,
            headers: Version::headers(),
            loaded: setup::loaded_version(),
            kernel: kernel_release(),
        }
    }

    /// Whether it was tried. Always true of a value from [`check`](Self::check); it is here
    /// because programs that read the JSON form expect it.
    #[must_use]
    pub fn checked(&self) -> bool {
        self.checked
    }

    /// Bytes of shared memory that a pool sets aside for each ring, whole pages: never less than
    /// the kernel uses. `None` if rings cannot share a mapping here.
    #[must_use]
    pub fn mem_init_size(&self) -> Option<usize> {
        self.mem_init_size
    }

    /// The best route that works.
    #[must_use]
    pub fn route(&self) -> Route {
        self.route
    }

    /// Why rings cannot share a mapping here, as a sentence; `None` where they can.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Why each route better than [`route`](Self::route) was refused.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// What the kernel said it can do.
    #[must_use]
    pub fn features(&self) -> Features {
        self.features
    }

    /// Numbers of the operations that the kernel supports (`IORING_OP_*`), ascending;
    /// [`operation_name`](crate::operation_name) has their names. `None` if it did not say.
    #[must_use]
    pub fn operations(&self) -> Option<&[u8]> {
        self.operations.as_deref()
    }

    /// Whether the kernel supports operation `op`; `None` if it did not say.
    #[must_use]
    pub fn supports(&self, op: u8) -> Option<bool> {
        self.operations().map(|supported| supported.contains(&op))
    }

    /// What can be registered with a ring here.
    #[must_use]
    pub fn registrations(&self) -> Registrations {
        self.registrations
    }

    /// The liburing whose headers this crate was built with.
    #[must_use]
    pub fn headers(&self) -> Version {
        self.headers
    }

    /// The liburing that is loaded; `None` before 2.4, which does not tell.
    #[must_use]
    pub fn loaded(&self) -> Option<Version> {
        self.loaded
    }

    /// The kernel's release.
    #[must_use]
    pub fn kernel(&self) -> &str {
        &self.kernel
    }
}

impl fmt::Display for PgAioUringCaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mem_init_size, &self.reason) {
            (Some(bytes), _) => {
                write!(f, "combined mapping by the route {}, {bytes} bytes a ring", self.route)?;
            }
            (None, Some(reason)) => write!(f, "no combined mapping: {reason}")?,
            (None, None) => write!(f, "no combined mapping")?,
        }
        write!(f, " (liburing {}", self.headers)?;
        if let Some(loaded) = self.loaded.filter(|loaded| *loaded != self.headers) {
            write!(f, ", {loaded} loaded")?;
        }
        write!(f, "; Linux {})", self.kernel)
    }
}

/// Whether a NOP goes round; an error if that could not be told.
fn answers(ring: &mut Ring<()>) -> Result<bool> {
    const TAG: u64 = 0x5249_4e47;
    let mut batch = ring.batch();
    batch.nop().tag(TAG).push()?;
    batch.submit()?;
    let done = ring.wait_through_signals(1)?.next();
    Ok(done.is_some_and(|d| d.tag == TAG && d.result.is_ok_and(|n| n == 0)))
}

/// The refusal that says most: of the kernel's before the library's.
fn why_separate(refusals: &[Refusal]) -> String {
    let of_library = |refusal: &&Refusal| refusal.cause() == Cause::LibraryLacksInitMem;
    let telling = refusals.iter().rev().find(|refusal| !of_library(refusal)).or(refusals.last());
    match telling {
        Some(refusal) if refusal.cause().is_unsupported() => refusal.cause().to_string(),
        Some(refusal) => format!("could not tell: {}", refusal.cause()),
        None => "no combined route was tried".to_owned(),
    }
}

#[cfg(feature = "serde")]
fn feature_names<S: serde::Serializer>(
    features: &Features,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(features.names())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(route: Route, cause: Cause) -> Refusal {
        Refusal::new(route, cause, None)
    }

    #[test]
    fn the_reason_is_the_kernels_where_the_library_could_be_done_without() {
        let refusals = [
            refused(Route::InitMem, Cause::LibraryLacksInitMem),
            refused(Route::Direct, Cause::NoMmapUnsupported),
        ];
        assert_eq!(why_separate(&refusals), Cause::NoMmapUnsupported.to_string());
    }

    #[test]
    fn not_supported_and_could_not_tell_read_differently() {
        let limit = Cause::LockedMemory { limit: 0, needed: 8192, rings: 1, open: 0 };
        let text = why_separate(&[refused(Route::Direct, limit)]);
        assert!(text.starts_with("could not tell: "), "{text}");
        let text = why_separate(&[refused(Route::Direct, Cause::NoMmapUnsupported)]);
        assert!(!text.contains("could not tell"), "{text}");
    }
}
