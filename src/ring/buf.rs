//! Buffers that can be lent to the kernel.
//!
//! This room may hold `unsafe`: it says of types that their bytes stay where they are when the value
//! moves. It guarantees that of each of them.
#![allow(unsafe_code)]

use std::sync::Arc;

/// Memory that the kernel may read from while a request is under way.
///
/// A buffer is moved into its ring for that time, so nobody can touch, move or free it. It must
/// not borrow anything (`'static`), since a ring may be leaked.
///
/// Lent, it is out of reach:
///
/// ```compile_fail,E0382
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = uring_pool::Ring::<Vec<u8>>::open(&uring_pool::RingConfig::new(8)?)?;
/// let file = std::fs::File::open("/etc/os-release")?;
/// let buf = vec![0; 16];
/// let mut batch = ring.batch();
/// batch.read_at(&file, buf, 0).push()?;
/// batch.submit()?;
/// println!("{buf:?}");
/// # Ok(()) }
/// ```
///
/// A borrowed one cannot be lent, and shared bytes cannot be read into:
///
/// ```compile_fail,E0597
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = uring_pool::Ring::<&'static [u8]>::open(&uring_pool::RingConfig::new(8)?)?;
/// let file = std::fs::File::create("/dev/null")?;
/// let bytes = [0; 16];
/// ring.batch().write_at(&file, &bytes, 0).push()?;
/// # Ok(()) }
/// ```
///
/// ```compile_fail,E0277
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = uring_pool::Ring::<std::sync::Arc<[u8]>>::open(&uring_pool::RingConfig::new(8)?)?;
/// let file = std::fs::File::open("/etc/os-release")?;
/// ring.batch().read_at(&file, vec![0; 16].into(), 0).push()?;
/// # Ok(()) }
/// ```
///
/// A program that needs several kinds in one ring makes an enum of them and implements this by
/// forwarding.
///
/// # Safety
/// [`stable_ptr`](Self::stable_ptr) returns an address that stays valid for reads of
/// [`len`](Self::len) initialised bytes, the same ones, while the value lives, wherever it is
/// moved; and nobody changes those bytes through a shared reference.
pub unsafe trait Buf: 'static {
    /// Where the bytes are.
    fn stable_ptr(&self) -> *const u8;

    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which of a pool's registered buffers the bytes lie in; `None` unless there is a
    /// [`PoolBuf`](crate::PoolBuf) in here, whose answer is to be passed on.
    #[inline]
    fn fixed(&self) -> Option<FixedBuffer> {
        None
    }
}

/// Names a pool's buffers: no two pools that live have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArenaId(pub(crate) usize);

/// Which of a pool's registered buffers some bytes lie in ([`Buf::fixed`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedBuffer {
    pub(crate) arena: ArenaId,
    /// The number that it is registered under.
    pub(crate) index: u16,
}

/// Memory that the kernel may write to while a request is under way.
///
/// # Safety
/// As for [`Buf`], and [`stable_mut_ptr`](Self::stable_mut_ptr) is the same address, valid for
/// writes too: nobody else has access to the bytes while this value is owned.
pub unsafe trait BufMut: Buf {
    /// Where the bytes are.
    fn stable_mut_ptr(&mut self) -> *mut u8;
}

// SAFETY: a vector's bytes are on the heap, where they stay when the vector is moved, and the
// vector owns them alone.
unsafe impl Buf for Vec<u8> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn len(&self) -> usize {
        Vec::len(self)
    }
}

// SAFETY: as above; `as_mut_ptr` is the same address.
unsafe impl BufMut for Vec<u8> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}

// SAFETY: a boxed slice's bytes are on the heap, where they stay when the box is moved, and the
// box owns them alone.
unsafe impl Buf for Box<[u8]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

// SAFETY: as above; `as_mut_ptr` is the same address.
unsafe impl BufMut for Box<[u8]> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}

// SAFETY: the bytes live for ever and cannot change. Only to write from: no `BufMut`.
unsafe impl Buf for &'static [u8] {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

// SAFETY: the bytes are on the heap and stay while any owner lives; shared, they cannot change
// (`Arc::get_mut` needs the only owner, and the ring is one). Only to write from: no `BufMut`.
unsafe impl Buf for Arc<[u8]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stays(mut buf: impl BufMut) {
        let (at, len) = (buf.stable_ptr().addr(), buf.len());
        assert_eq!(buf.stable_mut_ptr().addr(), at);
        let moved = Box::new(buf);
        assert_eq!((moved.stable_ptr().addr(), moved.len()), (at, len));
    }

    #[test]
    fn an_address_stays_when_the_buffer_is_moved() {
        stays(vec![1u8; 100]);
        stays(vec![1u8; 100].into_boxed_slice());
        let shared: Arc<[u8]> = vec![1u8; 100].into();
        let at = shared.stable_ptr().addr();
        let moved = Box::new(shared);
        assert_eq!(moved.stable_ptr().addr(), at);
    }
}
