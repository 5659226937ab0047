//! What can go wrong, why, and what to do about it.
//!
//! No errno is passed on bare: an [`Error`] says what was tried, a [`Cause`] says why it failed in
//! terms of the system (a limit and its value, a sysctl, a kernel or library that lacks something),
//! and [`Cause::remedy`] says what would help.

use std::fmt;

pub use crate::cause::Cause;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that failed: what was tried, and the [`Cause`].
///
/// Its `Display` is one line: what, why, the errno's name where there is one, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    what: String,
    cause: Cause,
    errno: Option<nix::errno::Errno>,
}

impl Error {
    pub(crate) fn new(what: impl Into<String>, cause: Cause) -> Self {
        Self { what: what.into(), cause, errno: None }
    }

    pub(crate) fn with_errno(mut self, errno: Option<nix::errno::Errno>) -> Self {
        self.errno = errno;
        self
    }

    /// The same with a cause that says more.
    pub(crate) fn with_cause(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// Says which part of a larger undertaking failed.
    pub(crate) fn during(mut self, part: impl std::fmt::Display) -> Self {
        self.what = format!("{part}: {}", self.what);
        self
    }

    /// An error number that nothing more is known about.
    pub(crate) fn system(what: impl Into<String>, errno: nix::errno::Errno) -> Self {
        Self::new(what, Cause::System { errno: errno as i32 }).with_errno(Some(errno))
    }

    /// Why it failed.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The error number that the system gave, if it came to that.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno.map(|errno| errno as i32)
    }

    /// Whether a signal came before what was waited for (`EINTR`); waiting may simply go on.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.errno == Some(nix::errno::Errno::EINTR)
    }

    /// What was tried.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.what)?;
        write_cause(f, &self.cause, self.errno)?;
        if let Some(remedy) = self.cause.remedy() {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.errno.as_ref().map(|errno| errno as _)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = error.errno.map_or(std::io::ErrorKind::Other, |errno| {
            std::io::Error::from_raw_os_error(errno as i32).kind()
        });
        std::io::Error::new(kind, error)
    }
}

/// The cause, with the errno's name after it where there is one.
pub(crate) fn write_cause(
    f: &mut fmt::Formatter<'_>,
    cause: &Cause,
    errno: Option<nix::errno::Errno>,
) -> fmt::Result {
    match errno {
        Some(errno) => write!(f, "{cause} ({errno:?})"),
        None => write!(f, "{cause}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn an_error_is_one_line_with_what_why_errno_and_remedy() {
        let text = Error::new("cannot make ring 17", Cause::OpenFiles { limit: 1024 })
            .with_errno(Some(Errno::EMFILE))
            .to_string();
        for part in ["cannot make ring 17", "1024", "RLIMIT_NOFILE", "(EMFILE)", "ulimit -n"] {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn limits_and_permissions_are_never_called_unsupported() {
        for cause in [
            Cause::OpenFiles { limit: 1 },
            Cause::SystemOpenFiles,
            Cause::LockedMemory { limit: 1, needed: 2, rings: 1, open: 0 },
            Cause::Maps { limit: 1, used: 1 },
            Cause::AddressSpace { limit: 1, used: 1 },
            Cause::OutOfMemory,
            Cause::SwitchedOff { value: 2 },
            Cause::Forbidden,
        ] {
            assert!(!cause.is_unsupported(), "{cause}");
            assert!(cause.remedy().is_some(), "{cause} has no remedy");
        }
    }

    #[test]
    fn an_io_error_made_of_ours_keeps_kind_and_text() {
        let ours = Error::system("cannot map 1 page", Errno::EPERM);
        let text = ours.to_string();
        let io = std::io::Error::from(ours);
        assert_eq!(io.kind(), std::io::ErrorKind::PermissionDenied);
        assert_eq!(io.to_string(), text);
    }
}
