//! What this kernel lets one register with a ring, found out by trying.
//!
//! This room may hold `unsafe`: it registers a page, to see whether that can be done. It guarantees
//! that no request is made of it, and that it is unregistered before it is unmapped.
#![allow(unsafe_code)]

use nix::errno::Errno;

use super::OpenRing;
use crate::error::Error;
use crate::region::{Memory, Region, page_size};

/// What can be registered with a ring, so that the kernel looks it up once and not for each
/// request. `None` where that could not be told: a limit was in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Registrations {
    /// Files: [`Ring::register_file`](crate::Ring::register_file).
    pub files: Option<bool>,
    /// Buffers: [`PoolBuilder::buffers`](crate::PoolBuilder::buffers).
    pub buffers: Option<bool>,
    /// One ring's buffers with another one, so that their memory is locked once (Linux 6.12).
    pub shared_buffers: Option<bool>,
    /// The ring's descriptor with a thread (Linux 5.18):
    /// [`Ring::register_descriptor`](crate::Ring::register_descriptor).
    pub descriptor: Option<bool>,
}

impl Registrations {
    /// Tries with a ring that has nothing registered, and undoes it.
    pub(crate) fn of(ring: &mut OpenRing) -> Self {
        let buffers = one_page_of_buffers(ring);
        Self {
            files: told(ring.register_files(1))
                .map(|works| works && ring.unregister_files().is_ok()),
            buffers,
            shared_buffers: Some(ring.may_clone_buffers()),
            descriptor: told(ring.register_descriptor().map(|index| {
                // It is this thread's, of just now.
                let _ = ring.unregister_descriptor(index);
            })),
        }
    }
}

fn one_page_of_buffers(ring: &mut OpenRing) -> Option<bool> {
    let page = Region::map(Memory::Anonymous, page_size()).ok()?;
    let at = page.at(0, page_size());
    let piece = libc::iovec { iov_base: at.as_ptr().cast(), iov_len: page_size() };
    // SAFETY: nobody makes requests of it before it is unregistered.
    let registered = unsafe { ring.register_buffers(&[piece], true) };
    let errno = |error: Error| error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
    told(registered.map_err(errno)).map(|works| works && ring.unregister_buffers().is_ok())
}

/// Whether it works, unless something else was in the way than the kernel.
fn told(tried: Result<(), Errno>) -> Option<bool> {
    match tried {
        Ok(()) => Some(true),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_own_no_is_a_no() {
        assert_eq!(told(Ok(())), Some(true));
        assert_eq!(told(Err(Errno::EINVAL)), Some(false));
        for errno in [Errno::ENOMEM, Errno::EMFILE, Errno::EBUSY, Errno::EPERM] {
            assert_eq!(told(Err(errno)), None);
        }
    }
}
