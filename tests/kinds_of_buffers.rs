//! Buffers for direct I/O, shared and constant ones, and those of the crate `bytes`, by every route that
//! there is.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use common::config;
use common::direct::direct_file;
use common::rings::{one, rings};
use uring_pool::{AlignedBuf, Vectored};

const BLOCK: usize = 4096;

/// A pipe that takes no more, and how many bytes are in it.
fn full_pipe() -> (File, File, usize) {
    let (read, write) = nix::unistd::pipe().unwrap();
    let (read, mut full) = (File::from(read), File::from(write));
    let room = nix::fcntl::fcntl(&full, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap() as usize;
    full.write_all(&vec![1; room]).unwrap();
    (read, full, room)
}

#[test]
fn aligned_buffers_are_read_and_written_past_the_page_cache() {
    let Some(file) = direct_file(&[7; 4 * BLOCK]) else { return };
    for mut ring in rings::<AlignedBuf>(config(8)) {
        let mut buf = AlignedBuf::new(2 * BLOCK, BLOCK);
        buf.fill(9);
        let done = one!(ring, |batch| batch.write_at(&file, buf, BLOCK as u64).direct());
        assert_eq!(done.result.unwrap() as usize, 2 * BLOCK);
        let buf = AlignedBuf::new(4 * BLOCK, BLOCK);
        let done = one!(ring, |batch| batch.read_at(&file, buf, 0).direct());
        assert_eq!(done.result.unwrap() as usize, 4 * BLOCK);
        let buf = done.buf.unwrap();
        let firsts: Vec<_> = buf.chunks(BLOCK).map(|block| block[0]).collect();
        assert_eq!(firsts, [7, 9, 9, 7]);
        assert!(buf.chunks(BLOCK).all(|block| block.iter().all(|&byte| byte == block[0])));
    }
}

#[test]
fn aligned_buffers_in_a_row_are_read_past_the_page_cache() {
    let Some(file) = direct_file(&[[1; BLOCK], [2; BLOCK]].concat()) else { return };
    for mut ring in rings::<Vectored<AlignedBuf>>(config(8)) {
        let bufs =
            Vectored::new(vec![AlignedBuf::new(BLOCK, BLOCK), AlignedBuf::new(BLOCK, BLOCK)]);
        let done = one!(ring, |batch| batch.readv_at(&file, bufs, 0).direct());
        assert_eq!(done.result.unwrap() as usize, 2 * BLOCK);
        let bufs = done.buf.unwrap().into_bufs();
        assert_eq!((&bufs[0][..], &bufs[1][..]), (&[1; BLOCK][..], &[2; BLOCK][..]));
    }
}

#[test]
fn shared_and_static_bytes_are_written_and_a_share_is_kept_meanwhile() {
    for (mut shared, mut constant) in
        rings::<Arc<[u8]>>(config(8)).into_iter().zip(rings::<&'static [u8]>(config(8)))
    {
        let (mut read, full, room) = full_pipe();

        let mut bytes: Arc<[u8]> = Arc::from([2; 50]);
        let mut batch = shared.batch();
        batch.write(&full, Arc::clone(&bytes)).push().unwrap();
        batch.submit().unwrap();
        assert_eq!(shared.peek().count(), 0, "the pipe is full");
        assert!(Arc::get_mut(&mut bytes).is_none(), "the ring has a share");
        read.read_exact(&mut vec![0; room]).unwrap();
        assert_eq!(shared.wait_through_signals(1).unwrap().next().unwrap().result.unwrap(), 50);
        assert!(Arc::get_mut(&mut bytes).is_some(), "nobody else has one any more");

        let done = one!(constant, |batch| batch.write(&full, b"constant"));
        assert_eq!(done.buf, Some(&b"constant"[..]));
        let mut text = [0; 58];
        read.read_exact(&mut text).unwrap();
        assert_eq!(text, [&[2; 50][..], b"constant"].concat()[..]);
    }
}

#[cfg(feature = "bytes")]
mod of_bytes {
    use bytes::{Bytes, BytesMut};

    use super::*;

    #[test]
    fn shared_bytes_are_written_and_are_nobodys_to_change_meanwhile() {
        for mut ring in rings::<Bytes>(config(8)) {
            let (mut read, full, room) = full_pipe();

            let bytes = Bytes::from(vec![2; 100]);
            let mut batch = ring.batch();
            batch.write(&full, bytes.slice(10..60)).push().unwrap();
            batch.submit().unwrap();
            assert_eq!(ring.peek().count(), 0, "the pipe is full");
            let bytes = bytes.try_into_mut().expect_err("the ring has a share");

            read.read_exact(&mut vec![0; room]).unwrap();
            let done = ring.wait_through_signals(1).unwrap().next().unwrap();
            assert_eq!(done.result.unwrap(), 50);
            let mut text = [0; 50];
            read.read_exact(&mut text).unwrap();
            assert_eq!(text, [2; 50]);
            drop(done.buf);
            assert_eq!(bytes.try_into_mut().expect("nobody else has a share"), [2; 100][..]);
        }
    }

    #[test]
    fn bytes_are_read_into_the_length_of_their_handle_and_no_further() {
        let zeroes = File::open("/dev/zero").unwrap();
        for mut ring in rings::<BytesMut>(config(8)) {
            // A relative before, one behind, and room that belongs to the latter.
            let mut before = BytesMut::with_capacity(1000);
            before.extend([1; 300]);
            let mut middle = before.split_off(100);
            let behind = middle.split_off(100);
            let at = middle.as_ptr();
            let done = one!(ring, |batch| batch.read_at(&zeroes, middle, 0));
            assert_eq!(done.result.unwrap(), 100);
            let middle = done.buf.unwrap();
            assert_eq!((middle.as_ptr(), &middle[..]), (at, &[0; 100][..]));
            assert_eq!((&before[..], &behind[..]), (&[1; 100][..], &[1; 100][..]));
        }
    }

    #[test]
    fn room_behind_the_bytes_is_not_read_into() {
        let zeroes = File::open("/dev/zero").unwrap();
        for mut ring in rings::<BytesMut>(config(8)) {
            let mut buf = BytesMut::with_capacity(1000);
            buf.extend([1; 1000]);
            buf.truncate(10);
            let done = one!(ring, |batch| batch.read_at(&zeroes, buf, 0));
            assert_eq!(done.result.unwrap(), 10);
            assert_eq!(done.buf.unwrap(), [0; 10][..]);
            let done = one!(ring, |batch| batch.read_at(&zeroes, BytesMut::with_capacity(10), 0));
            assert_eq!((done.result.unwrap(), done.buf.unwrap().len()), (0, 0));
        }
    }
}
