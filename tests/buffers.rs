//! Buffers for direct I/O, by every route that there is.

mod common;

use common::config;
use common::direct::direct_file;
use common::rings::{one, rings};
use uring_pool::{AlignedBuf, Vectored};

const BLOCK: usize = 4096;

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
