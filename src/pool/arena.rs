//! A pool's buffers: who has which, and their registration with the rings.
//!
//! This room may hold `unsafe`: it hands the kernel their addresses. It guarantees that of all who
//! want a buffer, in all processes, one gets it, and that none is handed on while a kernel may
//! still write to it: a buffer comes back only from the process that had it, which drops it when no
//! request has it any more. What a dead process had is retired.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use once_cell::race::OnceBox;

use super::slots::{State, Word, Words};
use super::stats::BufferStats;
use crate::config::RingConfig;
use crate::error::{Cause, Result};
use crate::layout::ArenaLayout;
use crate::process::Process;
use crate::region::Region;
use crate::ring::ArenaId;
use crate::setup::{self, Among, Learned, OpenRing, Route, RouteSet, SlotMemory};

/// Buffers in the pool's mapping, registered once and shared by the rings.
#[derive(Debug)]
pub(super) struct Arena {
    layout: ArenaLayout,
    /// Where the mapping begins.
    base: NonNull<u8>,
    words: Words,
    /// Where the search for a free buffer begins: at the one that came back last.
    next: AtomicUsize,
    /// The ring that this process's others have their registration from, where the kernel knows
    /// how to.
    source: Option<Source>,
    shared: AtomicUsize,
    registered: AtomicUsize,
    refused: (AtomicUsize, OnceBox<Cause>),
    /// They could not be registered once.
    in_vain: AtomicBool,
}

#[derive(Debug)]
struct Source {
    ring: OpenRing,
    /// The kernel lets no other take over what was charged to this one.
    owner: Process,
}

// SAFETY: an address and a table of atomics; the memory behind it is given out piece by piece, each
// to one owner.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

/// The smallest ring: the source has no requests.
fn source_config() -> RingConfig {
    RingConfig::new(1).expect("one entry is a number of entries")
}

/// Bytes that the source takes in the mapping.
pub(super) fn source_len() -> Result<usize> {
    setup::layout_of(&source_config()).map(|layout| layout.stride)
}

impl Arena {
    /// The arena of a new pool, before anybody else has it. Without a source where rings do not lie
    /// in the mapping: it would have two of its own, and such kernels do not know how to share.
    ///
    /// # Safety
    /// The region outlives this, and what the layout names is used for nothing else.
    pub(super) unsafe fn new(region: &Region, layout: ArenaLayout, routes: RouteSet) -> Self {
        // SAFETY: forwarded to the caller.
        let words = unsafe { Words::new(region, layout.words_at, layout.buffers) };
        let mut arena = Self {
            layout,
            base: region.base(),
            words,
            next: AtomicUsize::new(0),
            source: None,
            shared: AtomicUsize::new(0),
            registered: AtomicUsize::new(0),
            refused: (AtomicUsize::new(0), OnceBox::new()),
            in_vain: AtomicBool::new(false),
        };
        // SAFETY: forwarded to the caller.
        arena.source = unsafe { arena.make_source(region, routes) };
        arena
    }

    /// `None` where that does not work: then every ring registers the buffers itself, and tells.
    ///
    /// # Safety
    /// As [`new`](Self::new).
    unsafe fn make_source(&self, region: &Region, routes: RouteSet) -> Option<Source> {
        let routes = routes.without(Route::Separate);
        routes.best_first().next()?;
        let config = source_config();
        let layout = setup::layout_of(&config).ok()?;
        let memory = SlotMemory { region, offset: self.layout.source_at, len: layout.stride };
        let learned = Learned::default();
        // SAFETY: nobody else uses this piece of the region, which outlives the arena.
        let ring =
            unsafe { setup::open(&config, &layout, routes, &learned, Some(memory), Among::ALONE) };
        let mut ring = ring.ok()?;
        (ring.may_clone_buffers() && self.register_with(&mut ring).is_ok())
            .then(|| Source { ring, owner: Process::current() })
    }

    #[inline]
    pub(super) fn id(&self) -> ArenaId {
        ArenaId(self.base.addr().get())
    }

    /// Registers the buffers with a new ring; whether that worked is counted.
    pub(super) fn register(&self, ring: &mut OpenRing) -> Option<ArenaId> {
        if self.share_with(ring) {
            self.shared.fetch_add(1, Relaxed);
            return Some(self.id());
        }
        match self.register_with(ring) {
            Ok(()) => {
                self.registered.fetch_add(1, Relaxed);
                Some(self.id())
            }
            Err(error) => {
                let (count, first) = &self.refused;
                count.fetch_add(1, Relaxed);
                first.get_or_init(|| Box::new(error.cause()));
                None
            }
        }
    }

    fn share_with(&self, ring: &mut OpenRing) -> bool {
        let source = self.source.as_ref().filter(|source| !source.owner.is_ancestor());
        source.is_some_and(|source| {
            // SAFETY: the source's descriptor is open while this lives.
            let source = unsafe { BorrowedFd::borrow_raw(source.ring.fd()) };
            // SAFETY: requests of these buffers are made only for who owns one, or by the raw doors,
            // whose callers answer for what they do.
            unsafe { ring.clone_buffers(source) }.is_ok()
        })
    }

    /// Waits once, should memory be short: rings do without if it is not to be had, and each of them
    /// would wait.
    fn register_with(&self, ring: &mut OpenRing) -> Result<()> {
        let pieces: Vec<libc::iovec> = self
            .layout
            .pieces()
            .map(|(offset, iov_len)| libc::iovec { iov_base: self.at(offset).cast(), iov_len })
            .collect();
        // SAFETY: as in `share_with`.
        unsafe { ring.register_buffers(&pieces, !self.in_vain.load(Relaxed)) }
            .inspect_err(|_| self.in_vain.store(true, Relaxed))
    }

    fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: the layout's offsets lie in the region, which outlives the arena.
        unsafe { self.base.add(offset) }.as_ptr()
    }

    /// Claims a buffer for the process of this number; what `lives` says is dead has its buffers
    /// retired if there is no other.
    pub(super) fn claim(&self, me: u32, lives: impl Fn(u32) -> bool) -> Result<u32, Cause> {
        self.search(me).ok_or_else(|| {
            self.retire(|word| word.holder != me && !lives(word.holder));
            let retired = self.count(State::Retired);
            Cause::NoBufferFree { buffers: self.layout.buffers, retired }
        })
    }

    fn search(&self, me: u32) -> Option<u32> {
        let count = self.layout.buffers;
        let start = self.next.load(Relaxed);
        let claimed = (0..count).map(|i| (start + i) % count).find(|&index| {
            let seen = self.words.look(index);
            seen.state == State::Empty && self.words.claim(index, seen, me).is_some()
        })?;
        self.next.store((claimed + 1) % count, Relaxed);
        // A pool has fewer than 2^32.
        Some(claimed as u32)
    }

    /// Gives a buffer back, which only its holder does.
    pub(super) fn free(&self, index: u32) {
        let index = index as usize;
        let generation = self.words.look(index).generation;
        self.words.settle(index, Word { state: State::Empty, holder: 0, generation });
        self.next.store(index, Relaxed);
    }

    /// Takes out of service what such a holder has.
    pub(super) fn retire(&self, of: impl Fn(Word) -> bool) {
        for index in 0..self.layout.buffers {
            let seen = self.words.look(index);
            if seen.state == State::Claimed && of(seen) && self.words.inherit(index, seen, 0) {
                self.words.settle(index, Word { state: State::Retired, holder: 0, ..seen });
            }
        }
    }

    fn count(&self, state: State) -> usize {
        (0..self.layout.buffers).filter(|&index| self.words.look(index).state == state).count()
    }

    /// Where a buffer is, and how long.
    pub(super) fn buffer(&self, index: u32) -> (NonNull<u8>, usize) {
        let at = self.at(self.layout.buffer_at(index as usize));
        (NonNull::new(at).expect("it lies in a mapping"), self.layout.size)
    }

    /// The number that a buffer is registered under; `None` beyond what a request can name.
    pub(super) fn fixed(&self, index: u32) -> Option<u16> {
        u16::try_from(self.layout.piece_of(index as usize)).ok()
    }

    pub(super) fn stats(&self) -> BufferStats {
        BufferStats {
            buffers: self.layout.buffers,
            size: self.layout.size,
            in_use: self.count(State::Claimed),
            retired: self.count(State::Retired),
            rings_sharing: self.shared.load(Relaxed),
            rings_registering: self.registered.load(Relaxed),
            rings_without: self.refused.0.load(Relaxed),
            refused: self.refused.1.get().copied(),
        }
    }
}
