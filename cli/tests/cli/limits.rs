//! Limits of the system: which one, its value, what is needed, and how to get it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::geteuid;

use crate::run::{Run, copy_in, folder, json, limited, probed, run, uring_pool};

/// A user of its own, so that nothing else counts against its locked memory.
const SOMEBODY: u32 = 61_834;

#[test]
fn too_few_descriptors_are_told_before_any_ring_is_made() {
    let run = limited("ulimit -n 100", &["demo", "--rings", "500"]);
    let line = run.one_line(1, &["500 rings", "RLIMIT_NOFILE", "100", "ulimit -Hn ", "--rings "]);
    // What it advises is true.
    let most = line.rsplit("--rings ").next().unwrap().trim_end_matches(')');
    let run = limited("ulimit -n 100", &["demo", "--rings", most, "--json"]);
    assert_eq!(json(run.silent_success())["checksum_ok"], true);
}

#[test]
fn a_soft_limit_below_the_hard_one_is_raised_and_told() {
    let limits = "ulimit -Sn 50 && ulimit -Hn 400";
    let run = limited(limits, &["demo", "--rings", "300", "--json"]);
    run.one_line(0, &["raised", "RLIMIT_NOFILE", "from 50 to 3"]);
    assert_eq!(json(&run.stdout)["modes"][1]["rings"], 300);
}

/// The command under limits, as a user without privileges.
fn as_somebody(limits: &str, args: &[&str]) -> Run {
    let folder = folder();
    let binary = copy_in(folder.path());
    let mut command = Command::new("sh");
    let script = format!("{limits} && exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(&binary).args(args);
    if geteuid().is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    run(&mut command)
}

/// Whether this kernel charges rings to the user's locked memory, as it says itself: a ring is
/// refused to a user who may lock nothing.
fn rings_are_charged() -> bool {
    let probe = as_somebody("ulimit -l 0", &["probe", "--json"]);
    json(&probe.stdout)["caps"]["checked"] == false
}

#[test]
fn too_little_locked_memory_is_told_where_the_kernel_charges_rings() {
    let run = as_somebody("ulimit -l 64", &["demo", "--rings", "100", "--json"]);
    if rings_are_charged() {
        run.one_line(1, &["100 rings", "RLIMIT_MEMLOCK", "65536", "ulimit -Hl ", "CAP_IPC_LOCK"]);
    } else {
        assert_eq!(json(run.silent_success())["checksum_ok"], true);
    }
}

#[test]
fn a_soft_limit_of_locked_memory_is_raised_and_told_where_it_counts() {
    let run = as_somebody("ulimit -Sl 8", &["demo", "--rings", "6", "--json"]);
    if rings_are_charged() {
        run.one_line(0, &["raised", "RLIMIT_MEMLOCK", "from 8192 to "]);
    }
    assert_eq!(json(&run.stdout)["checksum_ok"], true, "{run:?}");
}

#[test]
fn a_probe_that_fails_still_answers_in_json_and_says_why() {
    if !rings_are_charged() {
        // No other limit lets the program start and keeps it from making a ring.
        eprintln!("not tested: this kernel does not charge rings to locked memory");
        assert_eq!(probed()["caps"]["checked"], true);
        return;
    }
    let run = as_somebody("ulimit -l 0", &["probe", "--json"]);
    run.one_line(1, &["locked memory", "RLIMIT_MEMLOCK"]);
    let answer = json(&run.stdout);
    let caps = &answer["caps"];
    assert_eq!(caps["checked"], false);
    assert!(caps["mem_init_size"].is_null() && caps["route"].is_null());
    assert!(caps["reason"].as_str().unwrap().contains("RLIMIT_MEMLOCK"));
    assert_eq!((&answer["features"], &answer["operations"]), (&json("[]"), &json("[]")));
    assert_eq!(answer["limits"]["locked_memory"]["soft"], 0);
}

#[test]
fn a_plan_that_fits_is_told_with_every_resource_and_exit_code_0() {
    let answer = json(uring_pool(["probe", "--rings", "3", "--json"]).silent_success());
    let plan = &answer["plan"];
    assert_eq!((&plan["rings"], &plan["can_fit"]), (&3.into(), &true.into()));
    let number = |key: &str| plan[key].as_u64().unwrap();
    // Where no ring can lie in the pool's memory, that is its header alone.
    let in_pool = if answer["caps"]["mem_init_size"].is_null() { 0 } else { 3 };
    assert!(number("bytes") >= in_pool * number("bytes_per_ring") && number("bytes") > 0);
    let named: Vec<_> = plan["needs"].as_array().unwrap().iter().map(|n| &n["resource"]).collect();
    assert_eq!(named, ["open_files", "locked_memory", "maps", "address_space", "memory"]);
    let run = uring_pool(["probe", "--rings", "3"]);
    // But for figures: another process has other mappings, and memory comes and goes.
    let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    let text = words(run.silent_success());
    for need in plan["needs"].as_array().unwrap() {
        let reason = words(need["reason"].as_str().unwrap());
        assert!(text.contains(&reason), "{reason:?} is missing in {text}");
    }
    assert!(probed()["plan"].is_null(), "only where it is asked for");
}

#[test]
fn a_plan_that_cannot_fit_is_told_whole_and_exits_with_1() {
    let run = limited("ulimit -n 100", &["probe", "--rings", "500", "--json"]);
    let words = ["500 rings", "RLIMIT_NOFILE", "100", "ulimit -Hn ", "--rings "];
    run.one_line(1, &words);
    let plan = &json(&run.stdout)["plan"];
    assert_eq!(plan["can_fit"], false);
    assert_eq!(plan["needs"][0]["verdict"], "too_low");
    assert!(plan["needs"][0]["remedy"].as_str().unwrap().contains("ulimit -Hn "));
    let run = limited("ulimit -n 100", &["probe", "--rings", "500"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("do not fit") && run.stdout.contains("ulimit -Hn "), "{run:?}");
}

#[test]
fn a_plan_that_fits_once_a_soft_limit_is_raised_is_no_failure() {
    let run = limited("ulimit -Sn 50", &["probe", "--rings", "100"]);
    let text = run.silent_success();
    assert!(text.contains("raise the soft limit with `ulimit -Sn 1"), "{text}");
}
