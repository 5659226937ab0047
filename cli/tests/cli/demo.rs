//! `demo`: that it reads right, and counts right.

use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use serde_json::Value;

use crate::run::{BINARY, file_of, folder, json, left_out, probed, uring_pool};

const BLOCK: usize = 8192;

fn demo(file: &std::path::Path, options: &[&str]) -> Value {
    let mut args = vec!["demo", file.to_str().unwrap(), "--json"];
    args.extend(options);
    json(uring_pool(args).silent_success())
}

#[track_caller]
fn modes(answer: &Value) -> (&Value, &Value) {
    let modes = answer["modes"].as_array().unwrap();
    let [separate, pooled] = &modes[..] else { panic!("two modes in {answer}") };
    assert_eq!((&separate["mode"], &pooled["mode"]), (&"separate".into(), &"pooled".into()));
    (separate, pooled)
}

#[test]
fn files_of_all_sizes_are_read_whole_and_right_in_both_modes() {
    let folder = folder();
    for len in [0, 1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * 1024 * 1024 + 4321] {
        let path = file_of(len, folder.path());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&std::fs::read(&path).unwrap());
        let expected = format!("{:08x}", hasher.finalize());

        let answer = demo(&path, &["--rings", "8", "--workers", "3", "--entries", "16"]);
        assert_eq!(answer["file"], path.to_str().unwrap());
        assert_eq!(answer["bytes"], len);
        assert_eq!(answer["checksum_ok"], true);
        assert_eq!(answer["checksum"], expected, "{len} bytes");
        let (separate, pooled) = modes(&answer);
        assert_eq!(separate["checksum"], expected, "{len} bytes");
        assert_eq!(pooled["checksum"], expected, "{len} bytes");
    }
}

#[test]
fn a_pool_adds_one_mapping_and_separate_rings_two_each() {
    let folder = folder();
    let path = file_of(100_000, folder.path());
    let answer = demo(&path, &["--rings", "200", "--workers", "4"]);
    let (separate, pooled) = modes(&answer);
    for mode in [separate, pooled] {
        assert_eq!(mode["rings"], 200);
        for time in ["create_us_per_ring", "fork_us", "fork_exit_us", "read_us"] {
            assert!(mode[time].as_f64().unwrap() > 0.0, "{time} in {mode}");
        }
    }
    let maps_count = !left_out("how many mappings the demo adds");
    assert_eq!(separate["route"], "separate");
    if maps_count {
        assert_eq!(separate["maps_added"], 400);
    }
    assert_eq!(separate["bytes_per_ring"], 0);

    let caps = &probed()["caps"];
    assert_eq!(pooled["route"], caps["route"]);
    if caps["mem_init_size"].is_null() {
        let fallbacks = pooled["fallbacks"].as_array().unwrap();
        assert!(!fallbacks[0]["first"]["reason"].as_str().unwrap().is_empty(), "{pooled}");
    } else {
        if maps_count {
            assert_eq!(pooled["maps_added"], 1);
        }
        assert_eq!(pooled["bytes_per_ring"], caps["mem_init_size"]);
        assert_eq!(pooled["by_route"]["separate"], 0);
    }
}

#[test]
fn as_many_workers_as_rings_and_rings_of_one_entry_work() {
    let folder = folder();
    let path = file_of(40 * BLOCK + 5, folder.path());
    let answer = demo(&path, &["--rings", "6", "--workers", "6", "--entries", "1"]);
    assert_eq!(answer["checksum_ok"], true);
    assert_eq!((&answer["workers"], &answer["entries"]), (&6.into(), &1.into()));
}

#[test]
fn without_a_file_it_reads_its_own_binary() {
    let run = uring_pool(["demo", "--rings", "4", "--json"]);
    let answer = json(run.silent_success());
    assert_eq!(answer["bytes"], std::fs::metadata(BINARY).unwrap().len());
    assert_eq!(answer["checksum_ok"], true);
}

#[test]
fn the_table_has_a_row_for_each_mode_and_one_for_the_ratio() {
    let folder = folder();
    let path = file_of(BLOCK, folder.path());
    let run = uring_pool(["demo", path.to_str().unwrap(), "--rings", "10"]);
    let text = run.silent_success();
    for row in ["separate  ", "pooled  ", "ratio  "] {
        assert_eq!(text.lines().filter(|line| line.starts_with(row)).count(), 1, "{text}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    for args in [&["demo", "--rings", "4"][..], &["demo", "--rings", "4", "--json"], &["probe"]] {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        drop(read);
        let mut command = Command::new(BINARY);
        let output = command.args(args).stdout(Stdio::from(write)).stderr(Stdio::piped());
        let output = output.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}
