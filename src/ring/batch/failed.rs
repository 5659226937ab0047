//! Requests that the kernel did not take, with what they were given.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::error::{Cause, Error};
use crate::ring::TakenBack;

/// A request could not be put into the batch; what it was given comes back.
#[non_exhaustive]
pub struct Full<B> {
    /// [`Cause::SubmissionFull`], [`Cause::TooManyInFlight`], [`Cause::DescriptorNotKept`],
    /// [`Cause::Invalid`] of what a builder was given, or in a forked child [`Cause::Inherited`].
    pub cause: Cause,
    /// The request's buffer, if it had one.
    pub buf: Option<B>,
    /// The descriptor that it was to close.
    pub fd: Option<OwnedFd>,
}

impl<B> fmt::Debug for Full<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").field("cause", &self.cause).finish_non_exhaustive()
    }
}

impl<B> fmt::Display for Full<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::new("cannot push the request", self.cause).fmt(f)
    }
}

impl<B> std::error::Error for Full<B> {}

impl<B> From<Full<B>> for Error {
    fn from(full: Full<B>) -> Self {
        Error::new("cannot push the request", full.cause)
    }
}

/// A request that the kernel did not take, or never saw.
#[derive(Debug)]
#[non_exhaustive]
pub struct Returned<B> {
    /// Its tag.
    pub tag: u64,
    /// Its buffer, if it had one.
    pub buf: Option<B>,
    /// The descriptor that it was to close.
    pub fd: Option<OwnedFd>,
}

impl<B> From<TakenBack<B>> for Returned<B> {
    fn from((request, fd): TakenBack<B>) -> Self {
        Self { tag: request.tag, buf: request.buf, fd }
    }
}

/// The kernel did not take the whole batch.
#[non_exhaustive]
pub struct SubmitError<B> {
    /// Why it stopped.
    pub error: Error,
    /// Requests that it took before; their completions will come.
    pub submitted: u32,
    /// The others, in order, with their buffers. (None in a forked child: they are the parent's.)
    pub returned: Vec<Returned<B>>,
}

impl<B> fmt::Debug for SubmitError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitError")
            .field("error", &self.error)
            .field("submitted", &self.submitted)
            .field("returned", &self.returned.len())
            .finish()
    }
}

impl<B> fmt::Display for SubmitError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, all) = (self.submitted, self.submitted as usize + self.returned.len());
        write!(f, "{} (the kernel took {taken} of {all} requests)", self.error)
    }
}

impl<B> std::error::Error for SubmitError<B> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<SubmitError<B>> for Error {
    fn from(error: SubmitError<B>) -> Self {
        error.error
    }
}
