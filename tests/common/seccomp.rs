//! System calls that end as a test wants them to: by a seccomp filter on this process, so in a child,
//! since there is no way back.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use libc::{c_int, c_void};
use nix::errno::Errno;

/// From now on each `io_uring_setup` of this process ends with `errno`, as under a container's
/// profile.
pub(crate) fn refuse_setups(errno: Errno) {
    install(libc::SECCOMP_RET_ERRNO | errno as u32, 0);
}

/// From now on each `io_uring_enter` of this process that is to submit so many SQEs ends with `errno`.
pub(crate) fn refuse_submissions_of(sqes: u32, errno: Errno) {
    // The lower half of the second argument, in `struct seccomp_data`.
    let to_submit = if cfg!(target_endian = "little") { 24 } else { 28 };
    let mut program = [
        load_number(),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_io_uring_enter as u32, 0, 3),
        load(to_submit),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, sqes, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    install_program(&mut program, 0);
}

/// One call of `io_uring_setup`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) entries: u64,
    /// `IORING_SETUP_*`.
    pub(crate) flags: u32,
}

impl Setup {
    /// Whether the ring is to lie in memory that it is given (`IORING_SETUP_NO_MMAP`).
    pub(crate) fn in_given_memory(self) -> bool {
        self.flags & 1 << 14 != 0
    }
}

/// From now on `decide` is asked about each `io_uring_setup` of this process: the errno to end it
/// with, or `None` to let it go to the kernel. The count can be read meanwhile.
pub(crate) fn decide_setups(
    decide: impl Fn(Setup) -> Option<Errno> + Send + 'static,
) -> Arc<AtomicUsize> {
    let listener = install(libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    std::thread::spawn(move || {
        while let Some(notice) = received(listener) {
            let number = counted.fetch_add(1, SeqCst) + 1;
            let [entries, params, ..] = notice.data.args;
            // SAFETY: the caller is this process, and waits; `flags` is the third word of the
            // struct that it gave.
            let flags = unsafe { *(params as *const [u32; 3]) }[2];
            answer(listener, notice.id, decide(Setup { number, entries, flags }));
        }
        // Who waits for an answer would wait for ever.
        std::process::abort();
    });
    calls
}

const NOTIF_RECV: u64 =
    nix::request_code_readwrite!(b'!', 0, size_of::<libc::seccomp_notif>()) as u64;
const NOTIF_SEND: u64 =
    nix::request_code_readwrite!(b'!', 1, size_of::<libc::seccomp_notif_resp>()) as u64;

/// The next call that waits for an answer.
fn received(listener: c_int) -> Option<libc::seccomp_notif> {
    loop {
        // SAFETY: all-zero is a valid value of this plain C struct, and what the kernel asks for.
        let mut notice: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a struct of the size that the request names.
        let done = unsafe { libc::ioctl(listener, NOTIF_RECV as _, &raw mut notice) };
        match Errno::result(done) {
            Ok(_) => return Some(notice),
            Err(Errno::EINTR | Errno::ENOENT) => {}
            Err(_) => return None,
        }
    }
}

fn answer(listener: c_int, id: u64, errno: Option<Errno>) {
    let mut answer = libc::seccomp_notif_resp {
        id,
        val: 0,
        error: errno.map_or(0, |errno| -(errno as i32)),
        flags: if errno.is_none() { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 } else { 0 },
    };
    // SAFETY: as above. An error means that the caller was interrupted, and asks again.
    let _ = unsafe { libc::ioctl(listener, NOTIF_SEND as _, &raw mut answer) };
}

/// From now on any other system call than these ends this process, by a signal.
pub(crate) fn allow_only(calls: &[libc::c_long]) {
    let verdict = |action| step(libc::BPF_RET | libc::BPF_K, action, 0, 0);
    let mut program = vec![load_number()];
    for &call in calls {
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 0, 1));
        program.push(verdict(libc::SECCOMP_RET_ALLOW));
    }
    program.push(verdict(libc::SECCOMP_RET_KILL_PROCESS));
    install_program(&mut program, 0);
}

/// `action` for `io_uring_setup`, and everything else as before.
fn install(action: u32, flags: libc::c_ulong) -> c_int {
    let mut program = [
        load_number(),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_io_uring_setup as u32, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, action, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    install_program(&mut program, flags)
}

fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// The first word of `struct seccomp_data` is the system call's number.
fn load_number() -> libc::sock_filter {
    load(0)
}

/// The word of it at this offset.
fn load(at: u32) -> libc::sock_filter {
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0)
}

fn install_program(steps: &mut [libc::sock_filter], flags: libc::c_ulong) -> c_int {
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs().unwrap();
    // SAFETY: the program and its steps live until the call, which copies them, returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            (&raw const program).cast::<c_void>(),
        )
    };
    Errno::result(done).expect("a filter can be installed") as c_int
}
