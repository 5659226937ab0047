//! How one ring comes to be: the routes, tried in order, and what is undone when one fails.
//!
//! The rooms of this floor may hold `unsafe`: they hand memory to the kernel and call liburing.
//! They guarantee that an [`OpenRing`] is set up, lies inside the memory it was given and nowhere
//! else, and is taken down by the route it came by; a ring that does not is undone, never given
//! out.

mod direct;
mod init_mem;
mod library;
mod no_mmap;
mod open_ring;
mod patience;
mod placement;
mod probe;
mod registered;
mod registrations;
mod route;
mod separate;
#[cfg(test)]
mod stand_ins;
mod why;

use nix::errno::Errno;

use crate::config::RingConfig;
use crate::error::{Cause, Error, Result};
use crate::layout::RingLayout;
use crate::region::{Region, page_size};

use init_mem::Library;
pub use library::loaded_version;
pub(crate) use open_ring::OpenRing;
pub(crate) use patience::Among;
pub(crate) use probe::supported_operations;
pub use registrations::Registrations;
pub(crate) use route::{Learned, RouteSet};
pub use route::{Refusal, Route};

/// The layout of a ring of this configuration here: with what the library asks for, where it says.
pub(crate) fn layout_of(config: &RingConfig) -> Result<RingLayout> {
    let layout = RingLayout::new(config, page_size())?;
    let wanted = init_mem::bytes_the_library_wants(config).unwrap_or(0);
    Ok(layout.with_room_for(wanted).unwrap_or(layout))
}

/// A slot's memory: a range of the pool's region that the caller has to itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotMemory<'a> {
    pub(crate) region: &'a Region,
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

impl SlotMemory<'_> {
    fn base(&self) -> std::ptr::NonNull<u8> {
        self.region.at(self.offset, self.len)
    }

    /// New, zeroed pages: for a ring after another one that may not be done with the old.
    pub(crate) fn renew(&self) -> Result<()> {
        self.region.replace_pages(self.offset, self.len)
    }

    /// Zeroes after a ring, or an attempt at one, that is known to be done: in new pages where
    /// those can be had.
    pub(crate) fn clear(&self) {
        if self.renew().is_err() {
            self.region.zero(self.offset, self.len);
        }
    }
}

/// What an attempt by one route ended with, if not with a ring.
#[derive(Debug, Clone, Copy)]
struct Failed {
    cause: Cause,
    errno: Option<Errno>,
}

impl Failed {
    fn from_errno(errno: Errno, route: Route, layout: &RingLayout) -> Self {
        Self { cause: why::cause_of(errno, route, layout), errno: Some(errno) }
    }
}

impl From<Cause> for Failed {
    fn from(cause: Cause) -> Self {
        Self { cause, errno: None }
    }
}

/// Makes a ring by the first of `routes` that works: in `memory`, zeroed, or with mappings of its
/// own. What refused is kept in the ring, and what this kernel or library can never do in
/// `learned`, so that the next ring does not ask again.
///
/// Where locked memory is short, though `among` says that all rings fit the limit, it waits for
/// memory that closed rings have not given back yet.
///
/// After an error, and after a ring with mappings of its own, the memory is no longer zeroed.
///
/// # Safety
/// Nobody else uses `memory`, and its region stays mapped until the ring is dropped.
#[allow(unsafe_code)]
pub(crate) unsafe fn open(
    config: &RingConfig,
    layout: &RingLayout,
    routes: RouteSet,
    learned: &Learned,
    memory: Option<SlotMemory<'_>>,
    among: Among,
) -> Result<OpenRing> {
    let mut again = false;
    let (mut ring, waited) = patience::patiently(among, || {
        // What failed may have written to the pages.
        if let (true, Some(memory)) = (again, memory) {
            memory.clear();
        }
        again = true;
        // SAFETY: forwarded to the caller; the memory is zeroed, at first by it, then by `clear`.
        unsafe { open_now(Library::at_hand(), config, layout, routes, learned, memory) }
    })?;
    ring.has_waited(waited);
    Ok(ring)
}

/// # Safety
/// As [`open`]; nobody waits here.
#[allow(unsafe_code)]
unsafe fn open_now(
    library: Library,
    config: &RingConfig,
    layout: &RingLayout,
    routes: RouteSet,
    learned: &Learned,
    memory: Option<SlotMemory<'_>>,
) -> Result<OpenRing> {
    let mut refusals: Vec<Refusal> = Vec::new();
    let mut touched = false;
    for route in routes.best_first() {
        if let Some(known) = learned.refusal(route) {
            // Mostly the only one, and as many rings keep it as there are.
            refusals.reserve_exact(1);
            refusals.push(known);
            continue;
        }
        let attempt = if route == Route::Separate {
            separate::attempt(config, layout)
        } else {
            let Some(memory) = memory else { continue };
            if !no_mmap::may_be_asked(layout, memory) {
                refusals.push(Refusal::new(route, Cause::NotContiguous, None));
                continue;
            }
            // A kernel that failed half-way may have written to the pages.
            if touched {
                memory.clear();
            }
            // SAFETY: the caller gives us the memory alone and for as long as the ring lives; it
            // is zeroed, first by the caller and after a failed attempt by `clear`.
            unsafe { attempt_in(route, library, config, layout, memory) }
        };
        match attempt {
            Ok(mut ring) => {
                route::absolve_kernel(route, &mut refusals);
                ring.comes_after(refusals);
                return Ok(ring);
            }
            Err(Failed { cause, errno }) => {
                touched |= cause != Cause::LibraryLacksInitMem;
                let cause = match (cause, errno) {
                    (Cause::NotContiguous, Some(Errno::EINVAL)) => no_mmap::why_not_contiguous(),
                    (cause, _) => cause,
                };
                let refusal = Refusal::new(route, cause, errno);
                refusals.push(refusal);
                if !why::another_route_may_do(&cause) {
                    break;
                }
                learned.note(refusal);
            }
        }
    }
    Err(all_refused(config, &refusals))
}

#[allow(unsafe_code)]
unsafe fn attempt_in(
    route: Route,
    library: Library,
    config: &RingConfig,
    layout: &RingLayout,
    memory: SlotMemory<'_>,
) -> Result<OpenRing, Failed> {
    match route {
        // SAFETY: forwarded to the caller.
        Route::InitMem => unsafe { init_mem::attempt(library, config, layout, memory) },
        // SAFETY: forwarded to the caller.
        Route::Direct => unsafe { direct::attempt(config, layout, memory) },
        Route::Separate => unreachable!("needs no memory of ours"),
    }
}

/// The error of the last route tried: the ones before it were refused for reasons that are no
/// fault by themselves.
fn all_refused(config: &RingConfig, refusals: &[Refusal]) -> Error {
    let entries = config.entries();
    match refusals.last() {
        Some(last) => Error::new(
            format!("cannot make a ring of {entries} entries by the route {}", last.route()),
            last.cause(),
        )
        .with_errno(last.errno()),
        None => Error::new(
            format!("cannot make a ring of {entries} entries"),
            Cause::Invalid("no route is allowed"),
        ),
    }
}

/// Fresh parameters for one ring; liburing and the kernel write into them.
fn params(config: &RingConfig) -> liburing_sys::io_uring_params {
    liburing_sys::io_uring_params {
        flags: config.flags().bits(),
        cq_entries: config.params_cq_entries(),
        ..Default::default()
    }
}

/// liburing returns `-errno`; this is the one place that turns it round.
#[inline]
pub(crate) fn result_of(returned: i32) -> Result<u32, Errno> {
    u32::try_from(returned).map_err(|_| Errno::from_raw(-returned))
}
