//! What is registered with a ring: files, and its own descriptor with a thread.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::errno::Errno;

use super::file_table::FileTable;
use super::home::Held;
use super::{Marks, RegisteredFile, Ring, system};
use crate::error::{Cause, Error, Result};
use crate::limits::Limits;
use crate::thread::Thread;

/// Most files in a table (`IORING_MAX_FIXED_FILES` in the kernel).
const MOST_FILES: u32 = 1 << 20;
/// The same before Linux 5.19.
const MOST_FILES_ONCE: u64 = 1 << 15;

/// Threads that a ring is known to be registered with; in those before them it goes by its descriptor.
const MOST_THREADS: usize = 64;

impl<B: 'static> Ring<B> {
    /// Makes room for so many registered files, once for this value and before the first request:
    /// [`register_file`](Self::register_file) fills it. When the ring is dropped they are
    /// unregistered, and its next user finds none.
    ///
    /// For each request of a registered file the kernel saves looking its descriptor up, and a
    /// count of its users that all processors share.
    ///
    /// # Errors
    /// [`Cause::Invalid`] if it has room already, or requests are under way (kernels before Linux
    /// 5.13 would wait for them); [`Cause::FileTableTooLong`] for more than the process may have descriptors.
    #[doc(alias = "IORING_REGISTER_FILES")]
    pub fn reserve_files(&mut self, files: u32) -> Result<()> {
        let what = || format!("cannot make room for {files} registered files");
        let invalid = |why| Err(Error::new(what(), Cause::Invalid(why)));
        self.refuse_in_a_child(what)?;
        self.drop_prepared();
        if self.held.files.is_some() {
            return invalid("the ring has room for some already");
        }
        if self.in_flight() > 0 {
            return invalid("requests are under way");
        }
        if !(1..=MOST_FILES).contains(&files) {
            return invalid("it must be for 1..=1048576");
        }
        self.held.ring.register_files(files).map_err(|errno| match errno {
            Errno::EMFILE => {
                let limit = Limits::read().open_files.map_or(0, |limit| limit.soft);
                // Else it is the kernel's own.
                let limit = if u64::from(files) > limit { limit } else { MOST_FILES_ONCE };
                Error::new(what(), Cause::FileTableTooLong { limit }).with_errno(Some(errno))
            }
            errno => system(&what(), errno),
        })?;
        self.held.files = Some(FileTable::new(files));
        self.marks |= Marks::REGISTERED;
        Ok(())
    }

    /// Registers a file with the ring: requests may then name it instead of its descriptor, which
    /// may be closed.
    ///
    /// ```
    /// # use uring_pool::{Ring, RingConfig};
    /// let mut ring = Ring::<Vec<u8>>::open(&RingConfig::new(8)?)?;
    /// ring.reserve_files(1)?;
    /// let file = ring.register_file(&std::fs::File::open("/dev/zero")?)?;
    /// let mut batch = ring.batch();
    /// batch.read_at(&file, vec![1; 16], 0).push()?;
    /// batch.submit()?;
    /// assert_eq!(ring.wait(1)?.next().unwrap().buf.unwrap(), [0; 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Cause::FileTableFull`] if there is no room [reserved](Self::reserve_files), or none left.
    #[doc(alias = "IORING_REGISTER_FILES_UPDATE")]
    pub fn register_file(&mut self, file: &impl AsFd) -> Result<RegisteredFile> {
        const WHAT: &str = "cannot register the file";
        self.refuse_in_a_child(|| WHAT.to_owned())?;
        let Held { ring, files, .. } = &mut **self.held;
        let reserved = files.as_ref().map_or(0, FileTable::len);
        let next = files.as_mut().and_then(|files| files.next().map(|index| (files, index)));
        let Some((files, index)) = next else {
            return Err(Error::new(WHAT, Cause::FileTableFull { files: reserved }));
        };
        let fd = file.as_fd().as_raw_fd();
        ring.put_file(index, Some(fd)).map_err(|errno| system(WHAT, errno))?;
        Ok(files.fill(index))
    }

    /// Takes a file out of the ring's table; its place is free for another. Requests for it that
    /// have started go on.
    ///
    /// # Errors
    /// [`Cause::FileNotRegistered`] if it is not in; [`Cause::FileInUse`] while a request for it is
    /// under way that may start late, and would then find another file there.
    #[doc(alias = "IORING_REGISTER_FILES_UPDATE")]
    pub fn unregister_file(&mut self, file: RegisteredFile) -> Result<()> {
        const WHAT: &str = "cannot unregister the file";
        self.refuse_in_a_child(|| WHAT.to_owned())?;
        self.drop_prepared();
        let Held { ring, files, .. } = &mut **self.held;
        let Some(files) = files.as_mut().filter(|files| files.has(file)) else {
            return Err(Error::new(WHAT, Cause::FileNotRegistered));
        };
        if self.flight.any(|request| request.extra.needs(file.index)) {
            return Err(Error::new(WHAT, Cause::FileInUse));
        }
        ring.put_file(file.index, None).map_err(|errno| system(WHAT, errno))?;
        files.clear(file);
        Ok(())
    }

    /// Registers the ring's descriptor with the calling thread, until the ring is dropped: the
    /// kernel then saves looking it up with each submission and each wait. It is of use in processes
    /// of many threads, whose descriptors are in use by all of them.
    ///
    /// In other threads the ring works as ever, and can be registered with them, too. With those that
    /// it is not dropped in it stays registered until they end: a ring that is closed lives as long, in
    /// pages that the pool has replaced, and one of the thread's 16 places is taken.
    ///
    /// # Errors
    /// [`Cause::NotRegistrable`] before Linux 5.18; [`Cause::System`] with `EBUSY` if 16 rings are
    /// registered with this thread.
    #[doc(alias = "IORING_REGISTER_RING_FDS")]
    pub fn register_descriptor(&mut self) -> Result<()> {
        const WHAT: &str = "cannot register the ring's descriptor with this thread";
        self.refuse_in_a_child(|| WHAT.to_owned())?;
        if self.held.number_here().is_some() {
            return Ok(());
        }
        let index = self.held.ring.register_descriptor().map_err(|errno| match errno {
            Errno::EINVAL => Error::new(WHAT, Cause::NotRegistrable("a ring's descriptor", "5.18"))
                .with_errno(Some(errno)),
            errno => system(WHAT, errno),
        })?;
        // All of them are looked through, and threads that have ended do not say so.
        if self.held.numbers.len() == MOST_THREADS {
            self.held.numbers.remove(0);
        }
        self.held.numbers.push((Thread::current(), index));
        self.marks |= Marks::REGISTERED;
        Ok(())
    }

    fn refuse_in_a_child(&self, what: impl FnOnce() -> String) -> Result<()> {
        if self.is_inherited() {
            return Err(Error::new(what(), Cause::Inherited));
        }
        Ok(())
    }
}

impl Held {
    /// The number that the ring has with this thread. Mostly there is none with any.
    #[inline]
    fn number_here(&self) -> Option<u32> {
        if self.numbers.is_empty() {
            return None;
        }
        let here = Thread::current();
        self.numbers.iter().find(|(thread, _)| *thread == here).map(|&(_, index)| index)
    }

    /// By which number the kernel knows the ring in this thread, and the flag that says which kind
    /// of number it is.
    #[inline]
    pub(super) fn number(&self) -> (RawFd, libc::c_uint) {
        const REGISTERED_RING: libc::c_uint = 1 << 4;
        match self.number_here() {
            // One of 16.
            Some(index) => (index as RawFd, REGISTERED_RING),
            None => (self.ring.fd(), 0),
        }
    }

    /// Undoes what the ring's user has registered; whether nothing of it is left in the ring. With
    /// requests under way, files stay, since before Linux 5.13 the kernel would wait for them.
    pub(super) fn unregister(&mut self, quiet: bool) -> bool {
        if let Some(index) = self.number_here() {
            // It is registered: it was, and only this thread can undo it.
            let _ = self.ring.unregister_descriptor(index);
        }
        self.numbers.clear();
        self.files.take().is_none() || quiet && self.ring.unregister_files().is_ok()
    }

    /// In a forked child: what is registered is the parent's, with the ring or with its thread.
    pub(super) fn forget_what_is_registered(&mut self) {
        self.numbers.clear();
        self.files = None;
    }
}
