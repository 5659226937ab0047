//! What each method puts into the submission queue, against what liburing's own function for it fills.
#![allow(unsafe_code)]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use liburing_sys as sys;
use proptest::prelude::*;

use super::Batch;
use super::prepared::{ASYNC, DRAIN, FIXED_FILE, HARD_LINK, LINK};
use crate::ring::extra::Extra;
use crate::ring::op::Sqe;
use crate::ring::op::tests::theirs;
use crate::ring::{
    Advice, Buf, Dir, Fallocate, PollEvents, RecvFlags, SendFlags, SocketAddress, SpliceFlags,
    Statx, SyncRange, Vectored,
};
use crate::{PoolBuf, Ring, RingConfig, RingPool};

fn ring<B>() -> Ring<B> {
    Ring::open(&RingConfig::new(8).unwrap()).unwrap()
}

/// The SQE that was put into the queue last.
fn last<B>(batch: &Batch<'_, '_, B>) -> Sqe {
    let held = &batch.ring.held;
    let number = held.ring.raw().sq.sqe_tail.wrapping_sub(1);
    // SAFETY: an SQE inside the queue, which the kernel does not have.
    unsafe { held.queues.sqes().at(number).read() }
}

/// Where the time lies that the request in flight has.
fn time_of<B>(batch: &mut Batch<'_, '_, B>, key: u64) -> *mut sys::__kernel_timespec {
    match &batch.ring.flight.get(key).unwrap().extra {
        Extra::Time(time) | Extra::Limit(time) => std::ptr::from_ref(time).cast_mut().cast(),
        other => panic!("no time, but {other:?}"),
    }
}

/// Compares what a request puts into the queue with what liburing puts there, and flags.
macro_rules! same {
    ($ring:expr, $flags:expr, |$batch:ident, $key:ident| $request:expr,
     $function:ident($($argument:expr),*)) => {{
        let mut $batch = $ring.batch();
        let $key = $request.push().unwrap().0;
        let ours = last(&$batch);
        let theirs = theirs($key, |sqe| {
            // SAFETY: it only fills the SQE it is given; addresses are copied, not followed.
            unsafe { sys::$function(sqe $(, $argument)*) }
        });
        prop_assert_eq!(ours, Sqe { flags: $flags, ..theirs }, "{}", stringify!($function));
    }};
}

/// A buffer, and where its bytes stay.
fn buf(len: usize) -> (Vec<u8>, *mut std::ffi::c_void) {
    let mut buf = vec![0u8; len];
    let at = buf.as_mut_ptr().cast();
    (buf, at)
}

const OWN: u64 = u64::MAX;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn transfers_are_put_into_the_queue_as_liburing_does(
        off in any::<u64>(), len in 1usize..5000, bits in any::<u32>(),
    ) {
        let (mut ring, file) = (ring::<Vec<u8>>(), File::open("/dev/null").unwrap());
        let (fd, n) = (file.as_raw_fd(), len as u32);
        let (b, at) = buf(len);
        same!(ring, 0, |batch, key| batch.read_at(&file, b, off), io_uring_prep_read(fd, at, n, off as _));
        let (b, at) = buf(len);
        same!(ring, 0, |batch, key| batch.read(&file, b), io_uring_prep_read(fd, at, n, OWN as _));
        let (b, at) = buf(len);
        same!(ring, 0, |batch, key| batch.write_at(&file, b, off), io_uring_prep_write(fd, at, n, off as _));
        let (b, at) = buf(len);
        same!(ring, 0, |batch, key| batch.write(&file, b), io_uring_prep_write(fd, at, n, OWN as _));
        let (b, at) = buf(len);
        let flags = SendFlags::from_bits_truncate(bits);
        same!(ring, 0, |batch, key| batch.send(&file, b, flags),
            io_uring_prep_send(fd, at, len as _, flags.bits() as i32));
        let (b, at) = buf(len);
        let flags = RecvFlags::from_bits_truncate(bits);
        same!(ring, 0, |batch, key| batch.recv(&file, b, flags),
            io_uring_prep_recv(fd, at, len as _, flags.bits() as i32));

        let mut ring = self::ring::<Vectored<Vec<u8>>>();
        // Where the array of pieces lies is known once it is in the table.
        let pieces = |sqe: Sqe| sqe.addr as usize as *const libc::iovec;
        let bufs = || Vectored::new(vec![vec![0u8; len]; 3]);
        same!(ring, 0, |batch, key| batch.readv_at(&file, bufs(), off),
            io_uring_prep_readv(fd, pieces(last(&batch)), 3, off as _));
        same!(ring, 0, |batch, key| batch.writev_at(&file, bufs(), off),
            io_uring_prep_writev(fd, pieces(last(&batch)), 3, off as _));
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn buffers_of_the_pools_are_put_into_the_queue_as_liburing_does(off in any::<u64>()) {
        let config = RingConfig::new(8).unwrap();
        let pool = RingPool::builder(config).rings(1).buffers(1, 4096).build().unwrap();
        let (mut ring, file) = (pool.claim::<PoolBuf>().unwrap(), File::open("/dev/null").unwrap());
        prop_assert!(ring.has_registered_buffers());
        let fd = file.as_raw_fd();
        let buf = || pool.buffer().map(|buf| (buf.stable_ptr().cast_mut().cast(), buf)).unwrap();
        let (at, b) = buf();
        same!(ring, 0, |batch, key| batch.read_fixed(&file, b, off),
            io_uring_prep_read_fixed(fd, at, 4096, off as _, 0));
        let (at, b) = buf();
        same!(ring, 0, |batch, key| batch.write_fixed(&file, b, off),
            io_uring_prep_write_fixed(fd, at, 4096, off as _, 0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn operations_on_files_are_put_into_the_queue_as_liburing_does(
        off in any::<u64>(), long in any::<u64>(), len in any::<u32>(), bits in any::<u32>(),
    ) {
        let (mut ring, file) = (ring::<Vec<u8>>(), Arc::new(File::open("/dev/null").unwrap()));
        let other = Arc::new(File::open("/dev/zero").unwrap());
        let (fd, to) = (file.as_raw_fd(), other.as_raw_fd());
        same!(ring, 0, |batch, key| batch.fsync(&file), io_uring_prep_fsync(fd, 0));
        same!(ring, 0, |batch, key| batch.fdatasync(&file),
            io_uring_prep_fsync(fd, sys::IORING_FSYNC_DATASYNC));
        let what = SyncRange::from_bits_truncate(bits);
        same!(ring, 0, |batch, key| batch.sync_file_range(&file, off, len, what),
            io_uring_prep_sync_file_range(fd, len, off as _, what.bits() as i32));
        let mode = Fallocate::from_bits_truncate(bits);
        same!(ring, 0, |batch, key| batch.fallocate(&file, mode, off, long),
            io_uring_prep_fallocate(fd, mode.bits() as i32, off as _, long as _));
        same!(ring, 0, |batch, key| batch.fadvise(&file, off, len, Advice::WillNeed),
            io_uring_prep_fadvise(fd, off as _, len as _, libc::POSIX_FADV_WILLNEED));
        let flags = SpliceFlags::from_bits_truncate(bits);
        same!(ring, 0, |batch, key| batch.splice((&file, Some(off)), (&other, None), len, flags),
            io_uring_prep_splice(fd, off as i64, to, -1, len, flags.bits()));
        same!(ring, 0, |batch, key| batch.splice((&file, None), (&other, Some(off)), len, flags),
            io_uring_prep_splice(fd, -1, to, off as i64, len, flags.bits()));
        let events = PollEvents::from_bits_truncate(bits);
        same!(ring, 0, |batch, key| batch.poll(&file, events), io_uring_prep_poll_add(fd, events.bits()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn operations_on_names_and_sockets_are_put_into_the_queue_as_liburing_does(
        flags in any::<i32>(), mode in any::<u32>(), port in any::<u16>(),
    ) {
        let (mut ring, dir) = (ring::<Vec<u8>>(), Arc::new(File::open("/").unwrap()));
        let (fd, path) = (dir.as_raw_fd(), c"some/name");
        same!(ring, 0, |batch, key| batch.openat(Dir::of(&dir), path, flags, mode),
            io_uring_prep_openat(fd, path.as_ptr(), flags | libc::O_CLOEXEC, mode));
        same!(ring, 0, |batch, key| batch.openat(Dir::current(), path, flags, mode),
            io_uring_prep_openat(libc::AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC, mode));
        let (answer, at) = buf(Statx::SIZE + 10);
        same!(ring, 0, |batch, key| batch.statx(Dir::of(&dir), path, flags, mode, answer),
            io_uring_prep_statx(fd, at.cast::<std::ffi::c_char>().wrapping_add(Statx::SIZE), flags, mode, at.cast()));
        let spare = File::open("/dev/null").unwrap();
        let number = spare.as_raw_fd();
        same!(ring, 0, |batch, key| batch.close(spare.into()), io_uring_prep_close(number));

        same!(ring, 0, |batch, key| batch.accept(&dir),
            io_uring_prep_accept(fd, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC));
        let to = SocketAddress::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        same!(ring, 0, |batch, key| batch.connect(&dir, &to),
            io_uring_prep_connect(fd, to.as_ptr().cast_mut().cast(), to.len()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn operations_on_the_ring_are_put_into_the_queue_as_liburing_does(
        ms in any::<u32>(), count in any::<u32>(),
    ) {
        let (mut ring, time) = (ring::<Vec<u8>>(), Duration::from_millis(ms.into()));
        same!(ring, 0, |batch, key| batch.nop(), io_uring_prep_nop());
        same!(ring, 0, |batch, key| batch.timeout(time), io_uring_prep_timeout(time_of(&mut batch, key), 0, 0));
        same!(ring, 0, |batch, key| batch.timeout_or(time, count),
            io_uring_prep_timeout(time_of(&mut batch, key), count, 0));
        same!(ring, 0, |batch, key| batch.link_timeout(time),
            io_uring_prep_link_timeout(time_of(&mut batch, key), 0));
        let mut batch = ring.batch();
        let target = batch.nop().push().unwrap();
        drop(batch);
        // Its target's number, which is an address to some releases.
        let mut batch = ring.batch();
        let key = batch.cancel(target).push().unwrap().0;
        let expected = theirs(key, |sqe| {
            // SAFETY: it fills the SQE it is given.
            unsafe { sys::io_uring_prep_nop(sqe) }
        });
        let opcode = sys::IORING_OP_ASYNC_CANCEL as u8;
        prop_assert_eq!(last(&batch), Sqe { opcode, addr: target.0, ..expected });
        let key = batch.cancel_all().push().unwrap().0;
        // IORING_ASYNC_CANCEL_ALL, IORING_ASYNC_CANCEL_ANY
        prop_assert_eq!(last(&batch), Sqe { opcode, op_flags: 1 | 4, user_data: key, ..expected });
    }
}

/// The kernel's own numbers, which this crate has by heart.
#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_requests_flags_are_put_into_the_queue() {
    let (mut ring, file) = (ring::<Vec<u8>>(), Arc::new(File::open("/dev/null").unwrap()));
    let mut batch = ring.batch();
    let mut flags_of = |which: fn(crate::Prepared<'_, '_, '_, Vec<u8>>) -> u8| which(batch.nop());
    assert_eq!(flags_of(|nop| nop.link().sqe.flags), LINK);
    assert_eq!(flags_of(|nop| nop.hard_link().sqe.flags), HARD_LINK);
    assert_eq!(flags_of(|nop| nop.force_async().sqe.flags), ASYNC);
    assert_eq!(flags_of(|nop| nop.drain().sqe.flags), DRAIN);
    assert_eq!([FIXED_FILE, DRAIN, LINK, HARD_LINK, ASYNC], [1, 2, 4, 8, 16]);
    for bit in [
        (FIXED_FILE, sys::IOSQE_FIXED_FILE_BIT),
        (DRAIN, sys::IOSQE_IO_DRAIN_BIT),
        (LINK, sys::IOSQE_IO_LINK_BIT),
        (HARD_LINK, sys::IOSQE_IO_HARDLINK_BIT),
        (ASYNC, sys::IOSQE_ASYNC_BIT),
    ] {
        assert_eq!(u32::from(bit.0), 1 << bit.1);
    }
    batch.read_at(&file, vec![0; 1], 0).keep(&file).link().push().unwrap();
    assert_eq!(last(&batch).flags, LINK);
    batch.write_at(&file, vec![0; 1], 0).keep(&file).hard_link().force_async().push().unwrap();
    assert_eq!(last(&batch).flags, HARD_LINK | ASYNC);
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_registered_file_is_put_into_the_queue_by_its_place_and_with_its_flag() {
    // SPLICE_F_FD_IN_FIXED
    const FROM_REGISTERED: u32 = 1 << 31;
    let (mut ring, null) = (ring::<Vec<u8>>(), Arc::new(File::open("/dev/null").unwrap()));
    ring.reserve_files(2).unwrap();
    let _first = ring.register_file(&null).unwrap();
    let file = ring.register_file(&null).unwrap();
    let mut batch = ring.batch();
    batch.read_at(&file, vec![0; 1], 7).push().unwrap();
    let Sqe { fd, flags, off, .. } = last(&batch);
    assert_eq!((fd, flags, off), (1, FIXED_FILE, 7));
    batch.fsync(&file).link().push().unwrap();
    let Sqe { fd, flags, .. } = last(&batch);
    assert_eq!((fd, flags), (1, FIXED_FILE | LINK));
    for (from, to) in [(true, false), (false, true), (true, true)] {
        let none = SpliceFlags::MOVE;
        let request = match (from, to) {
            (true, false) => batch.splice((&file, None), (&null, None), 3, none),
            (false, true) => batch.splice((&null, None), (&file, None), 3, none),
            _ => batch.splice((&file, None), (&file, None), 3, none),
        };
        request.push().unwrap();
        let Sqe { fd, flags, op_flags, splice_fd_in, .. } = last(&batch);
        let number = |registered| if registered { 1 } else { null.as_raw_fd() };
        assert_eq!((splice_fd_in, fd), (number(from), number(to)));
        assert_eq!(flags, if to { FIXED_FILE } else { 0 });
        assert_eq!(op_flags, none.bits() | if from { FROM_REGISTERED } else { 0 });
    }
}

/// What lay there before does not become half of a command.
#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn the_second_half_of_a_wide_sqe_is_zeroes() {
    let config = RingConfig::new(8).unwrap().sqe128();
    // Where it is not supported there are none.
    let Ok(mut ring) = Ring::<()>::open(&config) else { return };
    let mut batch = ring.batch();
    let held = &batch.ring.held;
    let tail = held.ring.raw().sq.sqe_tail;
    let second = held.queues.sqes().at(tail).as_ptr().wrapping_add(1);
    let old = Sqe { user_data: u64::MAX, addr3: 5, ..Sqe::default() };
    // SAFETY: the second half of an SQE inside the queue, which the kernel does not have.
    unsafe { second.write(old) };
    batch.nop().push().unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { second.read() }, Sqe::default());
}
