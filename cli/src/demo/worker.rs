//! What a worker does: read its share by the ring it was given, many blocks at a time.

use std::fs::File;
use std::io::{self, ErrorKind};

use uring_pool::Ring;

use super::checksum::Sum;
use super::share::{BLOCK, Ended, Share};

/// Why a worker gave up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Ring(#[from] uring_pool::Error),
    #[error("cannot read the file at byte {offset}: {error}")]
    Read { offset: u64, error: io::Error },
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("cannot tell the parent: {0}")]
    Parent(#[from] io::Error),
}

/// Reads the share with as many reads in flight as the submission queue has entries, and tells
/// how many bytes came whenever some did.
pub(crate) fn read(
    ring: &mut Ring<Vec<u8>>,
    file: &File,
    mut share: Share,
    mut tell: impl FnMut(u64) -> io::Result<()>,
) -> Result<Sum, Trouble> {
    let mut spare: Vec<Vec<u8>> = Vec::new();
    loop {
        let room = ring.sq_len() - ring.in_flight();
        let mut batch = ring.batch();
        for _ in 0..room {
            let Some(piece) = share.next() else { break };
            let mut buf = spare.pop().unwrap_or_default();
            buf.resize(piece.len, 0);
            batch
                .read_at(file, buf, piece.offset)
                .tag(piece.block)
                .push()
                .map_err(uring_pool::Error::from)?;
        }
        batch.submit().map_err(uring_pool::Error::from)?;
        if ring.in_flight() == 0 {
            return Ok(share.sum());
        }
        let mut came = 0;
        for done in ring.wait_through_signals(1)? {
            let buf = done.buf.unwrap_or_default();
            match done.result {
                Ok(bytes) => {
                    share.arrived(done.tag, &buf[..bytes as usize])?;
                    came += u64::from(bytes);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => share.failed(done.tag),
                Err(error) => {
                    return Err(Trouble::Read { offset: done.tag * BLOCK, error });
                }
            }
            spare.push(buf);
        }
        tell(came)?;
    }
}
