//! What a ring takes along when it is claimed, and where it goes when it is dropped.

use super::buf::ArenaId;
use super::file_table::FileTable;
use super::queues::Queues;
use super::spare::Spare;
use crate::config::RingConfig;
use crate::process::Process;
use crate::setup::OpenRing;
use crate::thread::Thread;

/// Which slot a ring has, and which of the rings that were in that slot it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    /// Counts the rings made in the slot; relatives know by it whether theirs is still the one.
    pub(crate) generation: u32,
    /// The process that made the ring: while nobody uses it, that alone puts another in its place.
    pub(crate) maker: Option<Process>,
    /// The maker's number among the pool's processes.
    pub(crate) maker_number: u32,
}

impl Ticket {
    pub(crate) fn slot(&self) -> usize {
        self.slot as usize
    }
}

/// A ring between its slot and its user: boxed once, when it is made, and passed to and fro.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) ring: OpenRing,
    pub(crate) queues: Queues,
    pub(crate) ticket: Ticket,
    /// Which pool's buffers are registered with it.
    pub(crate) registered: Option<ArenaId>,
    /// The files that its user has registered with it.
    pub(crate) files: Option<FileTable>,
    /// The threads that its descriptor is registered with, and the number that it has with each.
    pub(crate) numbers: Vec<(Thread, u32)>,
    /// A table of requests, for its next user.
    pub(crate) spare: Option<Spare>,
}

impl Held {
    pub(crate) fn new(ring: OpenRing, config: &RingConfig, ticket: Ticket) -> Self {
        let queues = Queues::new(ring.raw(), config);
        Self {
            ring,
            queues,
            ticket,
            registered: None,
            files: None,
            numbers: Vec::new(),
            spare: None,
        }
    }

    /// Takes the queues as they are in the memory shared with relatives who may have used the
    /// ring since: this process's copy of liburing's struct does not know.
    #[inline]
    pub(crate) fn resync(&mut self) {
        self.queues.resync(self.ring.raw_mut());
    }
}

/// Where a ring goes when its user is done with it.
pub(crate) trait Home: Send + Sync {
    /// Nothing is in flight: the next user may have it as it is.
    fn give_back(&self, held: Box<Held>);

    /// Nothing is in flight, but the ring is not fit for another user: it is closed.
    fn close(&self, held: Box<Held>);

    /// Requests are under way that did not come home: the ring must go, and its pages with it.
    fn abandon(&self, held: Box<Held>);

    /// It is a forked child's copy: the child's descriptor is closed, and nothing else happens.
    fn close_copy(&self, held: Box<Held>);
}
