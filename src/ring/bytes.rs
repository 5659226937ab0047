//! Buffers of the crate `bytes`.
//!
//! This room may hold `unsafe`: it says of their types that their bytes stay where they are when the
//! value moves, and that nobody else changes what is read into. It guarantees that of each of them.
#![allow(unsafe_code)]

use ::bytes::{Bytes, BytesMut};

use super::{Buf, BufMut};

// SAFETY: whatever owns the bytes keeps them where they are while any handle lives, of which the
// ring has one; a handle that is moved still points there. They can be changed only by who has the
// last handle (`Bytes::try_into_mut`). Only to write from: no `BufMut`.
unsafe impl Buf for Bytes {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn len(&self) -> usize {
        Bytes::len(self)
    }
}

// SAFETY: the bytes are on the heap and stay until this handle moves them itself, which takes
// `&mut`. Handles that were split off, even frozen, have other bytes of the same allocation; they
// do not move that while this one lives. The room behind the bytes, which is not initialised, does
// not count.
unsafe impl Buf for BytesMut {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn len(&self) -> usize {
        BytesMut::len(self)
    }
}

// SAFETY: as above: no other handle has these bytes. `as_mut_ptr` is the same address.
unsafe impl BufMut for BytesMut {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it is before and after a move is the same, and what is there, too.
    fn stays(buf: impl Buf + AsRef<[u8]>) {
        let (at, len, content) = (buf.stable_ptr().addr(), buf.len(), buf.as_ref().to_vec());
        let moved = Box::new(buf);
        assert_eq!((moved.stable_ptr().addr(), moved.len()), (at, len));
        let is = (*moved).as_ref();
        assert_eq!((is.as_ptr().addr(), is), (at, &content[..]));
    }

    #[test]
    fn bytes_stay_when_their_handle_is_moved_whatever_owns_them() {
        // How they are kept depends on spare room, and on being shared.
        let roomy = || {
            let mut vec = Vec::with_capacity(64);
            vec.extend([1u8; 16]);
            vec
        };
        let shared = Bytes::from(vec![1; 16]);
        let mut rest = BytesMut::from(&[1; 16][..]);
        let frozen = rest.split_to(8).freeze();
        for bytes in [
            Bytes::new(),
            Bytes::from_static(b"static"),
            Bytes::from(vec![1; 16]),
            Bytes::from(roomy()),
            Bytes::from_owner([1; 16]),
            shared.clone(),
            shared.slice(3..7),
            frozen,
        ] {
            stays(bytes);
        }
        stays(rest);
        stays(BytesMut::new());
        stays(BytesMut::from(Bytes::from(roomy())));
    }

    #[test]
    fn bytes_to_be_read_into_are_those_of_this_handle_and_stay_when_its_relatives_grow() {
        let mut first = BytesMut::with_capacity(64);
        first.extend([1; 32]);
        let mut second = first.split_off(16);
        let (at, len) = (first.stable_mut_ptr().addr(), Buf::len(&first));
        assert_eq!((first.stable_ptr().addr(), len), (at, 16), "without the room behind");
        assert_eq!(second.stable_mut_ptr().addr(), at + 16);
        second.extend([2; 1000]);
        drop(second);
        assert_eq!((first.stable_ptr().addr(), &first[..]), (at, &[1; 16][..]));
    }

    #[test]
    fn shared_bytes_cannot_become_ones_to_be_changed() {
        let bytes = Bytes::from(vec![1; 16]);
        let lent = bytes.clone();
        let bytes = bytes.try_into_mut().expect_err("another handle lives");
        drop(lent);
        assert_eq!(bytes.try_into_mut().expect("the last handle"), [1; 16][..]);
    }
}
