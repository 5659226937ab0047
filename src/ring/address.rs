//! Addresses of sockets, as the kernel takes them.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Cause, Error, Result};

/// Where to [connect](crate::Batch::connect) to: `struct sockaddr`.
///
/// ```
/// # use uring_pool::SocketAddress;
/// let web = SocketAddress::from(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
/// let local = SocketAddress::unix("/run/server.sock")?;
/// # Ok::<(), uring_pool::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct SocketAddress {
    bytes: [u8; SIZE],
    len: u32,
}

/// `struct sockaddr_un`, the longest: the family, and a path of 108 bytes.
const SIZE: usize = 110;

impl SocketAddress {
    /// A socket in the file system, as [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)
    /// has it.
    ///
    /// # Errors
    /// [`Cause::Invalid`] for a path that is empty, longer than 107 bytes, or has a zero byte in it.
    pub fn unix(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().as_os_str().as_bytes();
        if path.is_empty() || path.len() > 107 || path.contains(&0) {
            let cause = Cause::Invalid("a socket's path has 1 to 107 bytes, and no zero");
            return Err(Error::new("cannot make a socket's address", cause));
        }
        // With the zero behind it.
        Ok(Self::new(libc::AF_UNIX, &[path, &[0]]))
    }

    fn new(family: i32, parts: &[&[u8]]) -> Self {
        let mut bytes = [0; SIZE];
        bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        let mut len = 2;
        for part in parts {
            bytes[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
        Self { bytes, len: len as u32 }
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    /// Bytes of it that count.
    pub(super) fn len(&self) -> u32 {
        self.len
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        let port = address.port().to_be_bytes();
        match address {
            SocketAddr::V4(v4) => Self::new(libc::AF_INET, &[&port, &v4.ip().octets(), &[0; 8]]),
            SocketAddr::V6(v6) => {
                let (flow, scope) = (v6.flowinfo().to_ne_bytes(), v6.scope_id().to_ne_bytes());
                Self::new(libc::AF_INET6, &[&port, &flow, &v6.ip().octets(), &scope])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_as_long_as_the_kernels_struct() {
        let v4 = SocketAddress::from(SocketAddr::from(([1, 2, 3, 4], 0x1234)));
        assert_eq!(v4.len() as usize, size_of::<libc::sockaddr_in>());
        assert_eq!(v4.bytes[2..8], [0x12, 0x34, 1, 2, 3, 4]);
        let v6 = SocketAddress::from(SocketAddr::from(([1u16; 8], 80)));
        assert_eq!(v6.len() as usize, size_of::<libc::sockaddr_in6>());
        assert_eq!(SIZE, size_of::<libc::sockaddr_un>());
        assert_eq!(SocketAddress::unix("/a").unwrap().len(), 5);
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused() {
        for bad in ["", "a\0b", &"x".repeat(108)] {
            assert!(SocketAddress::unix(bad).is_err(), "{bad:?}");
        }
        assert_eq!(SocketAddress::unix("x".repeat(107)).unwrap().len() as usize, SIZE);
    }
}
