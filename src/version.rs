//! Which liburing this was built with, and which kernel it runs on. Told, and not what routes are
//! chosen by: those are tried.

use std::fmt;

/// A release of liburing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// After the dot.
    pub minor: u32,
}

impl Version {
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The liburing whose headers this crate was built with.
    #[must_use]
    pub const fn headers() -> Self {
        Self::new(liburing_sys::VERSION_MAJOR, liburing_sys::VERSION_MINOR)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The running kernel's release, as `uname -r` prints it.
#[must_use]
pub fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".to_owned(), |name| name.release().to_string_lossy().into_owned())
}

/// The running kernel's version: the first two numbers of its release.
pub(crate) fn kernel_version() -> Option<(u32, u32)> {
    version_of(&kernel_release())
}

/// The first two numbers of a release.
pub(crate) fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_a_version_whatever_follows() {
        for (release, version) in [
            ("6.5.0", Some((6, 5))),
            ("6.12.48+deb13-cloud-amd64", Some((6, 12))),
            ("7.0-rc1", Some((7, 0))),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(version_of(release), version);
        }
    }

    #[test]
    fn versions_compare_by_number_not_by_text() {
        assert!(Version::new(2, 15) > Version::new(2, 9));
        assert_eq!(Version::new(2, 15).to_string(), "2.15");
    }

    #[test]
    fn the_kernel_tells_a_release_that_begins_with_a_number() {
        assert!(kernel_release().starts_with(|c: char| c.is_ascii_digit()));
    }
}
