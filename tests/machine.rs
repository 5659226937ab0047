//! Refusals that only settings of the whole machine bring about.
//!
//! For a machine of one's own, such as the matrix' virtual ones: `--ignored` runs them.

// No child uses what sets them.
#![allow(clippy::disallowed_types)]

mod common;

use std::fs;
use std::sync::{Mutex, MutexGuard};

use common::refused::{leaves_nothing, refused, says};
use common::relatives::answers;
use common::somebody::Somebody;
use common::{config, in_child};
use nix::errno::Errno;
use uring_pool::{Cause, Make, RingPool, Route};

/// A setting of the machine's, back to what it was when dropped. Not to be made in a child: another
/// test's may have been there when it was forked, and never goes away in it.
struct Setting {
    path: String,
    before: String,
    _alone: MutexGuard<'static, ()>,
}

impl Setting {
    /// `None` where this kernel has none of this name.
    fn new(name: &str, value: impl ToString) -> Option<Self> {
        // One test at a time: what one sets, the others would meet.
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(|failed| failed.into_inner());
        let path = format!("/proc/sys/{name}");
        let before = fs::read_to_string(&path).ok()?;
        let setting = Self { path, before, _alone: alone };
        setting.set(value);
        Some(setting)
    }

    fn set(&self, value: impl ToString) {
        fs::write(&self.path, value.to_string()).unwrap();
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.set(self.before.trim());
    }
}

const SYSCTL: &str = "kernel.io_uring_disabled";

#[test]
#[ignore = "switches io_uring off for the whole machine"]
fn io_uring_that_is_switched_off_for_everybody_is_told_with_the_sysctl() {
    let Some(_off) = Setting::new("kernel/io_uring_disabled", 2) else {
        return common::cannot(SYSCTL, "needs Linux 6.6");
    };
    // Also for root.
    let child = in_child(|| {
        for error in leaves_nothing(refused) {
            let words = ["switched off", "io_uring_disabled = 2", "io_uring_disabled=0"];
            says(&error, Errno::EPERM, Cause::SwitchedOff { value: 2 }, &words);
            assert!(!error.cause().is_unsupported(), "{error}");
        }
        let plan = RingPool::plan(&config(8), 1).unwrap();
        assert!(!plan.can_fit() && plan.to_string().contains("io_uring_disabled=0"), "{plan}");
    });
    assert!(child.succeeded());
}

#[test]
#[ignore = "leaves io_uring to one group on the whole machine"]
fn io_uring_that_is_left_to_a_group_is_refused_to_all_others_and_works_for_it() {
    const GROUP: u32 = 61_850;
    let Some(_left) = Setting::new("kernel/io_uring_disabled", 1) else {
        return common::cannot(SYSCTL, "needs Linux 6.6");
    };
    fs::write("/proc/sys/kernel/io_uring_group", GROUP.to_string()).unwrap();
    let works = || answers(&mut RingPool::builder(config(8)).build().unwrap().claim().unwrap(), 1);
    assert!(in_child(works).succeeded(), "root");
    let member = in_child(|| {
        Somebody(61_851).in_group(GROUP);
        works();
    });
    assert!(member.succeeded(), "a member of the group");
    let stranger = in_child(|| {
        Somebody(61_852).in_group(61_852);
        for error in leaves_nothing(refused) {
            let words = ["io_uring_disabled = 1", "io_uring_disabled=0", "kernel.io_uring_group"];
            says(&error, Errno::EPERM, Cause::SwitchedOff { value: 1 }, &words);
        }
        // Whether 1 means this process only the kernel knows: a plan does not say no.
        assert!(RingPool::plan(&config(8), 1).unwrap().fits());
    });
    assert!(stranger.succeeded());
}

#[test]
#[ignore = "leaves the whole machine without a file descriptor"]
fn a_machine_without_a_descriptor_left_is_told_from_a_process_without_one() {
    let open = fs::read_to_string("/proc/sys/fs/file-nr").unwrap();
    let open: u64 = open.split_whitespace().next().unwrap().parse().unwrap();
    let pool = RingPool::builder(config(8)).rings(4000).build().unwrap();
    let few = Setting::new("fs/file-max", open + 200).unwrap();
    // Root would get more.
    let user = in_child(|| {
        Somebody(61_853).with_locked_memory(1 << 30);
        let mut rings = Vec::new();
        let error = loop {
            match pool.claim::<()>() {
                Ok(ring) => rings.push(ring),
                Err(error) => break error,
            }
            assert!(rings.len() < 4000, "the limit is not in force");
        };
        // /proc is out of reach now, too.
        assert_eq!(error.cause(), Cause::SystemOpenFiles, "{error}");
        answers(&mut rings[0], 1);
        drop(rings);
        answers(&mut pool.claim().unwrap(), 2);
    });
    assert!(user.succeeded());
    drop(few);
}

#[test]
#[ignore = "leaves every process of the machine few mappings"]
fn too_few_mappings_are_told_with_their_number_and_the_sysctl() {
    const MOST: u64 = 400;
    let few = Setting::new("vm/max_map_count", MOST).unwrap();
    let child = in_child(|| {
        let builder = || {
            let builder = RingPool::builder(config(8)).routes(&[Route::Separate]);
            builder.make(Make::UpFront)
        };
        let error = leaves_nothing(|| builder().rings(500).build().unwrap_err());
        let Cause::Maps { limit, used } = error.cause() else { panic!("{error}") };
        // The kernel gives one more, and shows one that is its own.
        assert!(limit == MOST && used.abs_diff(MOST) <= 2, "{error}");
        says(&error, Errno::ENOMEM, error.cause(), &["400", "vm.max_map_count", "one mapping"]);
        assert!(!error.cause().is_unsupported(), "{error}");
        drop(builder().rings(100).build().expect("it has given all of them back"));
    });
    assert!(child.succeeded());
    drop(few);
}
