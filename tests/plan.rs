//! What rings need, held against what a process may have, before anything is made.

mod common;

use common::config;
use uring_pool::{Cause, Limit, Limits, Make, Memory, Plan, Resource, RingPool, Route, Verdict};

/// This system's limits, but with enough of everything for an ordinary user.
fn roomy() -> Limits {
    let mut limits = Limits::read();
    set(&mut limits.open_files, 1 << 20, 1 << 20);
    limits.open_files_used = Some(10);
    set(&mut limits.locked_memory, 1 << 40, 1 << 40);
    (limits.rings_charged, limits.ipc_lock) = (true, Some(false));
    (limits.max_map_count, limits.maps_used) = (Some(1 << 20), Some(100));
    set(&mut limits.address_space, 1 << 46, 1 << 46);
    limits.address_space_used = Some(1 << 20);
    limits.memory_available = Some(1 << 40);
    limits.io_uring_disabled = Some(0);
    limits
}

fn set(limit: &mut Option<Limit>, soft: u64, hard: u64) {
    let limit = limit.as_mut().expect("Linux has this limit");
    (limit.soft, limit.hard) = (soft, hard);
}

fn plan(rings: usize, change: impl FnOnce(&mut Limits)) -> Plan {
    let mut limits = roomy();
    change(&mut limits);
    RingPool::builder(config(64)).rings(rings).plan_within(&limits).unwrap()
}

#[track_caller]
fn needs(plan: &Plan, resource: Resource, verdict: Verdict, words: &[&str]) {
    let need = plan.need(resource).unwrap();
    assert_eq!(need.verdict, verdict, "{need}");
    for word in words {
        assert!(need.to_string().contains(word), "{word:?} is missing in {need}");
    }
}

#[test]
fn a_system_with_room_for_everything_is_enough() {
    let plan = plan(4000, |_| {});
    assert!(plan.fits() && plan.can_fit(), "{plan}");
    assert!(plan.needs.iter().all(|need| need.verdict == Verdict::Enough), "{plan}");
    assert!(plan.needs.iter().all(|need| need.remedy.is_none()), "{plan}");
}

#[test]
fn buffers_that_are_to_be_registered_are_locked_once_or_with_each_ring() {
    let locked = |rings_charged, buffers_shared, locked: u64| {
        let mut limits = roomy();
        (limits.rings_charged, limits.buffers_shared) = (rings_charged, buffers_shared);
        set(&mut limits.locked_memory, locked, locked);
        let builder = RingPool::builder(config(64)).rings(10).buffers(100, 4096);
        builder.plan_within(&limits).unwrap()
    };
    let ring = locked(true, true, 0).bytes_per_ring as u64;
    let buffers = 100 * 4096;
    // The ring that the others have them from is small, but one more.
    let source =
        locked(true, true, 0).need(Resource::LockedMemory).unwrap().needed - 10 * ring - buffers;
    assert!(source > 0 && source <= ring, "{source}");
    for (charged, shared, needed, words) in [
        (true, true, 10 * ring + buffers + source, "10 rings of"),
        (false, true, buffers, "409600 bytes of buffers"),
        (true, false, 10 * (ring + buffers), "409600 of buffers with each"),
        (false, false, 10 * buffers, "with each of 10 rings"),
    ] {
        let (fits, not) = (locked(charged, shared, needed), locked(charged, shared, needed - 1));
        needs(&fits, Resource::LockedMemory, Verdict::Enough, &[words, &needed.to_string()]);
        needs(
            &not,
            Resource::LockedMemory,
            Verdict::TooLow,
            &[words, "RLIMIT_MEMLOCK", "CAP_IPC_LOCK"],
        );
    }
}

#[test]
fn a_plan_is_what_the_pool_then_takes() {
    let plan = RingPool::plan(&config(64), 20).unwrap();
    let pool = RingPool::builder(config(64)).rings(20).make(Make::UpFront).build().unwrap();
    let stats = pool.stats();
    assert_eq!((plan.rings, plan.bytes), (stats.slots, stats.bytes));
    assert_eq!(plan.bytes_per_ring, stats.bytes_per_ring);
    let maps = plan.need(Resource::Maps).unwrap();
    assert_eq!(maps.most_rings, None, "one mapping, however many rings: {maps}");
}

#[test]
fn a_plan_makes_nothing() {
    // In a process without other tests' threads.
    let child = common::in_child(|| {
        let plan = || drop(RingPool::plan(&config(64), 20).unwrap());
        // Once unmeasured: the allocator maps its own.
        plan();
        let before = (common::maps(), common::descriptors());
        plan();
        assert_eq!((common::maps(), common::descriptors()), before);
    });
    assert!(child.succeeded());
}

#[test]
fn each_limit_that_is_too_low_is_told_with_its_value_the_need_and_the_remedy() {
    use Resource::{AddressSpace, LockedMemory, Maps, OpenFiles};
    use Verdict::TooLow;
    let files = plan(1000, |l| set(&mut l.open_files, 100, 500));
    let words = ["1000 rings", "1018", "RLIMIT_NOFILE", "500", "ulimit -Hn 1018", "most 482"];
    needs(&files, OpenFiles, TooLow, &words);

    let locked = plan(1000, |l| set(&mut l.locked_memory, 4096, 65_536));
    let words = ["8192000", "RLIMIT_MEMLOCK", "65536", "ulimit -Hl 8000", "most 8 rings"];
    needs(&locked, LockedMemory, TooLow, &words);

    let maps = plan(1000, |l| l.max_map_count = Some(110));
    needs(&maps, Maps, TooLow, &["133", "110", "vm.max_map_count=133"]);

    let space = plan(1000, |l| set(&mut l.address_space, 5 << 20, 5 << 20));
    needs(&space, AddressSpace, TooLow, &["8200192", "RLIMIT_AS", "5242880", "ulimit -Hv"]);

    let memory = plan(1000, |l| l.memory_available = Some(1 << 20));
    needs(&memory, Resource::Memory, TooLow, &["8200192", "1048576", "most 127 rings"]);

    for plan in [files, locked, maps, space, memory] {
        assert!(!plan.fits() && !plan.can_fit(), "{plan}");
    }
}

#[test]
fn huge_pages_are_counted_whole_and_instead_of_ordinary_memory() {
    let within = |change: fn(&mut Limits)| {
        let mut limits = roomy();
        limits.huge_page = Some(2 << 20);
        change(&mut limits);
        let builder = RingPool::builder(config(64)).rings(1000).memory(Memory::HugePages);
        builder.plan_within(&limits).unwrap()
    };
    // 8,200,192 bytes are not quite four pages.
    let plan = within(|l| l.huge_pages_free = Some(8 << 20));
    needs(&plan, Resource::HugePages, Verdict::Enough, &["8388608", "4 of 2097152"]);
    assert!(plan.fits() && plan.need(Resource::Memory).is_none(), "{plan}");
    let plan = within(|l| l.huge_pages_free = Some(6 << 20));
    let words = ["6291456", "vm.nr_hugepages", "at most "];
    needs(&plan, Resource::HugePages, Verdict::TooLow, &words);
    let plan = within(|l| l.huge_page = None);
    needs(&plan, Resource::HugePages, Verdict::TooLow, &["vm.nr_hugepages"]);
    let plan = within(|l| l.huge_pages_free = None);
    needs(&plan, Resource::HugePages, Verdict::Unknown, &[]);
}

#[test]
fn a_soft_limit_that_may_be_raised_does_not_fit_yet_but_can() {
    for (resource, change) in [
        (Resource::OpenFiles, (|l| set(&mut l.open_files, 5, 5000)) as fn(&mut Limits)),
        (Resource::LockedMemory, |l| set(&mut l.locked_memory, 0, 1 << 30)),
        (Resource::LockedMemory, |l| set(&mut l.locked_memory, 0, Limit::UNLIMITED)),
        (Resource::AddressSpace, |l| set(&mut l.address_space, 1 << 20, Limit::UNLIMITED)),
    ] {
        let plan = plan(1000, change);
        needs(&plan, resource, Verdict::RaiseSoft, &["raise the soft limit", "ulimit -S"]);
        assert!(!plan.fits() && plan.can_fit(), "{plan}");
    }
}

#[test]
fn locked_memory_counts_only_where_the_kernel_charges_rings_and_no_capability_frees_from_it() {
    let tight = |l: &mut Limits| set(&mut l.locked_memory, 0, 0);
    for (change, why) in [
        ((|l| l.rings_charged = false) as fn(&mut Limits), "does not charge"),
        (|l| l.ipc_lock = Some(true), "CAP_IPC_LOCK"),
        (|l| set(&mut l.locked_memory, Limit::UNLIMITED, Limit::UNLIMITED), "no limit"),
    ] {
        let plan = plan(1000, |l| {
            tight(l);
            change(l);
        });
        needs(&plan, Resource::LockedMemory, Verdict::NotLimited, &[why]);
        assert!(plan.fits(), "{plan}");
    }
}

#[test]
fn what_cannot_be_read_is_said_to_be_unknown_and_stands_in_nobodys_way() {
    let plan = plan(1000, |l| {
        l.open_files = None;
        l.maps_used = None;
        l.ipc_lock = None;
        l.address_space = None;
        l.memory_available = None;
    });
    assert!(plan.needs.iter().all(|need| need.verdict == Verdict::Unknown), "{plan}");
    assert!(plan.fits(), "{plan}");
}

#[test]
fn io_uring_switched_off_for_everybody_fits_nothing_whatever_the_limits() {
    let off = plan(1, |l| l.io_uring_disabled = Some(2));
    assert!(!off.can_fit() && off.switched_off == Some(2));
    assert!(off.to_string().contains("sysctl kernel.io_uring_disabled=0"), "{off}");
    // Whether 1 means this process only the kernel knows.
    assert!(plan(1, |l| l.io_uring_disabled = Some(1)).fits());
}

#[test]
fn rings_that_may_not_share_a_mapping_need_two_each() {
    let mut limits = roomy();
    limits.max_map_count = Some(1500);
    let builder = RingPool::builder(config(64)).rings(1000).routes(&[Route::Separate]);
    let plan = builder.plan_within(&limits).unwrap();
    let words = ["2132", "1500", "vm.max_map_count=2132", "most 684 rings"];
    needs(&plan, Resource::Maps, Verdict::TooLow, &words);
    assert!(!plan.combined);
}

#[test]
fn a_plan_that_makes_no_sense_is_refused_as_the_pool_would_be() {
    let none = RingPool::plan(&config(64), 0).unwrap_err();
    assert!(matches!(none.cause(), Cause::Invalid(_)), "{none}");
    let many = RingPool::plan(&config(64), usize::MAX).unwrap_err();
    assert!(matches!(many.cause(), Cause::Invalid(_)), "{many}");
}

#[cfg(feature = "serde")]
#[test]
fn programs_read_the_same_as_people() {
    let plan = plan(1000, |l| {
        set(&mut l.open_files, 100, 500);
        l.ipc_lock = Some(true);
    });
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(
        (&json["rings"], &json["fits"], &json["can_fit"]),
        (&1000.into(), &false.into(), &false.into())
    );
    let files = &json["needs"][0];
    assert_eq!((&files["resource"], &files["verdict"]), (&"open_files".into(), &"too_low".into()));
    assert_eq!((&files["needed"], &files["most_rings"]), (&1018.into(), &482.into()));
    assert_eq!(files["limit"], serde_json::json!({"soft": 100, "hard": 500}));
    assert!(plan.to_string().contains(files["remedy"].as_str().unwrap()));
    assert_eq!(json["needs"][1]["verdict"], "not_limited");
    assert!(json["needs"][1]["limit"].is_null());
}
