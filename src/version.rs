//! Which liburing this was built with, and which kernel it runs on. Told, never decided on: routes
//! are chosen by trying them.

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

/// Whether a kernel of this release charges ring memory to the user's locked memory: 5.11 and
/// older (26bfa89e25f4 ended it), and 6.14 and newer. It only decides how an `ENOMEM` is explained.
pub(crate) fn charges_ring_memory(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return true;
    };
    !((5, 12)..(6, 14)).contains(&(major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_memory_is_blamed_only_on_kernels_that_charge_it() {
        let charging = ["5.10.0-32-amd64", "6.14.0", "6.18.1-x", "7.0-rc1"];
        let not = ["5.12.1", "6.1.0-40-amd64", "6.12.48+deb13"];
        assert!(charging.into_iter().all(charges_ring_memory));
        assert!(!not.into_iter().any(charges_ring_memory));
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
