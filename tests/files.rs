//! Operations on files and their names, by every route that there is.

mod common;

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use common::config;
use common::rings::{number, one, rings};
use nix::libc;
use uring_pool::{
    Advice, Cause, Dir, Fallocate, Operation, PgAioUringCaps, SpliceFlags, Statx, SyncRange,
    Vectored,
};

fn scratch(content: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    Arc::new(file)
}

fn name(path: impl AsRef<std::path::Path>) -> CString {
    CString::new(path.as_ref().to_str().unwrap()).unwrap()
}

#[test]
fn this_kernel_says_that_it_knows_every_operation_here() {
    use Operation::*;
    let caps = PgAioUringCaps::check(&config(8)).unwrap();
    for op in [
        Nop,
        Readv,
        Writev,
        Fsync,
        ReadFixed,
        WriteFixed,
        PollAdd,
        SyncFileRange,
        Timeout,
        Accept,
        AsyncCancel,
        LinkTimeout,
        Connect,
        Fallocate,
        Openat,
        Close,
        Statx,
        Read,
        Write,
        Fadvise,
        Send,
        Recv,
        Splice,
    ] {
        assert_ne!(caps.supports(op.into()), Some(false), "{op:?}");
    }
}

#[test]
fn reads_and_writes_at_the_files_own_position_move_it_on() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let mut file = scratch(b"");
        for part in [b"one ".to_vec(), b"two".to_vec()] {
            let len = part.len() as i32;
            let done = one!(ring, |batch| batch.write(&file, part));
            assert_eq!(number(&done), len);
        }
        Arc::get_mut(&mut file).unwrap().rewind().unwrap();
        for expected in [&b"one "[..], b"two", b""] {
            let done = one!(ring, |batch| batch.read(&file, vec![0; 4]));
            let n = number(&done) as usize;
            assert_eq!(&done.buf.unwrap()[..n], expected);
        }
    }
}

#[test]
fn pieces_are_written_and_read_one_after_another_and_used_again() {
    for mut ring in rings::<Vectored<Vec<u8>>>(config(8)) {
        let file = scratch(b"");
        let pieces = Vectored::new(vec![b"abc".to_vec(), b"".to_vec(), b"defgh".to_vec()]);
        let done = one!(ring, |batch| batch.writev_at(&file, pieces, 10));
        assert_eq!(number(&done), 8);
        let mut pieces = done.buf.unwrap();
        pieces.bufs_mut()[0] = vec![0; 6];
        pieces.bufs_mut()[2] = vec![0; 6];
        let done = one!(ring, |batch| batch.readv_at(&file, pieces, 10));
        assert_eq!(number(&done), 8);
        assert_eq!(done.buf.unwrap().into_bufs(), [&b"abcdef"[..], b"", b"gh\0\0\0\0"]);
        let none = one!(ring, |batch| batch.writev_at(&file, Vectored::new(vec![]), 0));
        assert_eq!(number(&none), 0);
        let many = Vectored::new(vec![vec![1]; 1025]);
        let done = one!(ring, |batch| batch.writev_at(&file, many, 0));
        assert_eq!(number(&done), -libc::EINVAL);
        assert_eq!(done.buf.unwrap().bufs().len(), 1025, "an error comes with the pieces");
    }
}

#[test]
fn ranges_are_synced_allocated_and_advised() {
    for mut ring in rings::<()>(config(8)) {
        let file = scratch(&[1; 8192]);
        let what = SyncRange::WAIT_BEFORE | SyncRange::WRITE | SyncRange::WAIT_AFTER;
        let done = one!(ring, |batch| batch.sync_file_range(&file, 0, 0, what));
        assert_eq!(number(&done), 0);

        let grow = Fallocate::empty();
        assert_eq!(number(&one!(ring, |batch| batch.fallocate(&file, grow, 8192, 4096))), 0);
        assert_eq!(file.metadata().unwrap().len(), 12288);
        let hole = Fallocate::PUNCH_HOLE | Fallocate::KEEP_SIZE;
        assert_eq!(number(&one!(ring, |batch| batch.fallocate(&file, hole, 0, 4096))), 0);
        let (mut content, mut reader) = (Vec::new(), &*file);
        reader.rewind().unwrap();
        reader.read_to_end(&mut content).unwrap();
        assert!(content[..4096].iter().all(|&byte| byte == 0) && content[4096] == 1);
        assert_eq!(content.len(), 12288);

        for advice in [
            Advice::Normal,
            Advice::Random,
            Advice::Sequential,
            Advice::WillNeed,
            Advice::DontNeed,
            Advice::NoReuse,
        ] {
            let done = one!(ring, |batch| batch.fadvise(&file, 0, 4096, advice));
            assert_eq!(number(&done), 0, "{advice:?}");
        }
        let (_read, write) = nix::unistd::pipe().unwrap();
        let pipe = Arc::new(write);
        let refused = one!(ring, |batch| batch.fallocate(&pipe, grow, 0, 1));
        assert_eq!(number(&refused), -libc::ESPIPE);
    }
}

#[test]
fn a_file_is_made_in_its_directory_and_closed_by_requests() {
    for mut ring in rings::<()>(config(8)) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Arc::new(File::open(folder.path()).unwrap());
        let (flags, new) = (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, name("new"));
        let done = one!(ring, |batch| batch.openat(Dir::of(&dir), &new, flags, 0o600));
        assert_eq!(number(&done), 0, "the number is not given away besides the descriptor");
        let fd = done.fd.unwrap();
        let number_of = fd.as_raw_fd();
        let made = folder.path().join("new").metadata().unwrap();
        assert_eq!((made.mode() & 0o777, made.len()), (0o600, 0));
        let mode = nix::fcntl::fcntl(fd.as_fd(), nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(mode, libc::FD_CLOEXEC);
        let done = one!(ring, |batch| batch.close(fd));
        assert_eq!((number(&done), done.fd.is_none()), (0, true));
        let link = std::fs::read_link(format!("/proc/self/fd/{number_of}"));
        assert!(link.map_or(true, |path| path != folder.path().join("new")), "it is closed");

        let again = one!(ring, |batch| batch.openat(Dir::of(&dir), &new, flags, 0o600));
        assert_eq!((number(&again), again.fd.is_none()), (-libc::EEXIST, true));
        let path = name(folder.path().join("new"));
        let done = one!(ring, |batch| batch.openat(Dir::current(), &path, 0, 0));
        assert!(done.fd.is_some());
    }
}

#[test]
fn a_rings_descriptor_which_the_kernel_does_not_close_so_comes_back() {
    for mut ring in rings::<()>(config(8)) {
        let copy = ring.as_fd().try_clone_to_owned().unwrap();
        let done = one!(ring, |batch| batch.close(copy));
        assert_eq!((number(&done), done.fd.is_some()), (-libc::EBADF, true));
    }
}

#[test]
fn statx_tells_what_the_file_system_does() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let folder = tempfile::tempdir().unwrap();
        let (dir, file) = (folder.path(), folder.path().join("file"));
        std::fs::write(&file, b"eleven here").unwrap();
        let open = Arc::new(File::open(dir).unwrap());
        for (dir, path) in [(Dir::of(&open), name("file")), (Dir::current(), name(&file))] {
            let buf = vec![0xff; Statx::SIZE + path.as_bytes_with_nul().len()];
            let done = one!(ring, |batch| batch.statx(dir, &path, 0, libc::STATX_ALL, buf));
            assert_eq!(number(&done), 0);
            let found = Statx::from_bytes(&done.buf.unwrap()).unwrap();
            let expected = file.metadata().unwrap();
            assert_eq!(found.size(), 11);
            assert_eq!(u32::from(found.mode()), expected.mode());
            assert_eq!((found.inode(), found.links()), (expected.ino(), 1));
            assert_eq!((found.uid(), found.gid()), (expected.uid(), expected.gid()));
            assert_eq!(found.blocks(), expected.blocks());
            assert_eq!(u64::from(found.block_size()), expected.blksize());
            assert_eq!(found.modified().unwrap(), expected.modified().unwrap());
            let (major, minor) = found.file_system_device();
            assert_eq!(libc::makedev(major, minor), expected.dev());
            assert_eq!(found.mask() & libc::STATX_BASIC_STATS, libc::STATX_BASIC_STATS);
        }
        let missing = name(dir.join("missing"));
        let buf = vec![0; 1024];
        let done = one!(ring, |batch| batch.statx(Dir::current(), &missing, 0, 0, buf));
        assert_eq!((number(&done), done.buf.unwrap().len()), (-libc::ENOENT, 1024));
    }
}

#[test]
fn a_buffer_too_short_for_statx_is_refused_and_handed_back() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let mut batch = ring.batch();
        let buf = vec![0; Statx::SIZE + 1];
        let full = batch.statx(Dir::current(), c"/", 0, 0, buf).push().unwrap_err();
        assert!(matches!(full.cause, Cause::Invalid(_)), "{full}");
        assert_eq!(full.buf.unwrap().len(), Statx::SIZE + 1);
        let buf = vec![0; Statx::SIZE + 2];
        batch.statx(Dir::current(), c"/", 0, 0, buf).push().unwrap();
        batch.submit().unwrap();
        assert_eq!(number(&ring.wait_through_signals(1).unwrap().next().unwrap()), 0);
    }
}

#[test]
fn a_splice_moves_bytes_between_a_file_and_a_pipe_both_ways() {
    for mut ring in rings::<()>(config(8)) {
        let (read, write) = nix::unistd::pipe().unwrap();
        let (read, write) = (Arc::new(read), Arc::new(write));
        let (from, to) = (scratch(b"0123456789"), scratch(b""));
        let (source, pipe) = ((&from, Some(3)), (&write, None));
        let done = one!(ring, |batch| batch.splice(source, pipe, 5, SpliceFlags::empty()));
        assert_eq!(number(&done), 5);
        let (pipe, target) = ((&read, None), (&to, Some(1)));
        let done = one!(ring, |batch| batch.splice(pipe, target, 5, SpliceFlags::MOVE));
        assert_eq!(number(&done), 5);
        let mut content = Vec::new();
        (&*to).read_to_end(&mut content).unwrap();
        assert_eq!(content, b"\x0034567");
    }
}

#[test]
fn a_file_given_up_after_submission_stays_open_for_what_starts_late() {
    // Each of these the kernel leaves to a thread, which looks the descriptor up by its number.
    for mut ring in rings::<Vec<u8>>(config(64)) {
        for _ in 0..50 {
            let file = scratch(&[7; 4096]);
            let mut batch = ring.batch();
            batch.fsync(&file).push().unwrap();
            batch.fdatasync(&file).push().unwrap();
            batch.sync_file_range(&file, 0, 0, SyncRange::WRITE).push().unwrap();
            batch.fallocate(&file, Fallocate::empty(), 0, 4096).push().unwrap();
            batch.fadvise(&file, 0, 0, Advice::WillNeed).push().unwrap();
            batch.read_at(&file, vec![0; 16], 0).keep(&file).force_async().push().unwrap();
            batch.submit().unwrap();
            drop(file);
            // The number, was it free, is a pipe's now: each of these would fail.
            let _others = nix::unistd::pipe().unwrap();
            for done in common::rings::all(&mut ring) {
                assert!(done.result.is_ok(), "{done:?}");
                assert!(done.buf.is_none_or(|buf| buf == [7; 16]));
            }
        }
    }
}

#[test]
fn descriptors_that_nobody_takes_are_closed() {
    let child = common::in_child(|| {
        for mut ring in rings::<()>(config(8)) {
            let before = common::descriptors();
            let new = || -> OwnedFd { File::open("/dev/null").unwrap().into() };
            for _ in 0..3 {
                // Completions dropped, and completions never reaped.
                drop(one!(ring, |batch| batch.openat(Dir::current(), c"/dev/null", 0, 0)));
                // A close never pushed, taken back, forgotten, and refused.
                drop(ring.batch().close(new()));
                let mut batch = ring.batch();
                batch.close(new()).push().unwrap();
                drop(batch);
                let mut batch = ring.batch();
                batch.close(new()).push().unwrap();
                std::mem::forget(batch);
                let mut batch = ring.batch();
                for _ in 0..8 {
                    batch.close(new()).push().unwrap();
                }
                let full = batch.close(new()).push().unwrap_err();
                assert_eq!(full.cause, Cause::SubmissionFull { entries: 8 });
                assert!(full.fd.is_some(), "it is handed back");
                drop(full);
                batch.submit().unwrap();
                assert_eq!(common::rings::all(&mut ring).len(), 8);
            }
            assert_eq!(common::descriptors(), before);
        }
        for route in common::routes_here(&config(8)) {
            let pool = common::pool_by(route, config(8), 1);
            drop(pool.claim::<()>().unwrap());
            let before = common::descriptors();
            for wait in [true, false] {
                let mut ring = pool.claim::<()>().unwrap();
                let mut batch = ring.batch();
                for _ in 0..8 {
                    batch.openat(Dir::current(), c"/dev/null", 0, 0).push().unwrap();
                }
                batch.submit().unwrap();
                if wait {
                    let _ = ring.wait_through_signals(8).unwrap();
                }
                drop(ring);
                assert_eq!(common::descriptors(), before, "by the route {route}");
            }
        }
    });
    assert!(child.succeeded());
}
