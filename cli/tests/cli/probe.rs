//! `probe`: the shape of its answer.

use serde_json::Value;

use crate::run::{json, probed, uring_pool};

#[test]
fn the_json_has_the_keys_that_programs_rely_on() {
    let answer = probed();
    assert!(answer["liburing"]["headers"].as_str().unwrap().starts_with("2."));
    assert!(answer["liburing"]["loaded"].is_null() || answer["liburing"]["loaded"].is_string());
    assert!(answer["liburing"]["have_init_mem"].is_boolean());
    assert!(!answer["kernel"].as_str().unwrap().is_empty());
    assert_eq!(answer["caps"]["checked"], true);
    // Of every kernel that this is for.
    let registrations = &answer["caps"]["registrations"];
    assert_eq!(registrations["files"], true);
    assert!(registrations["descriptor"].is_boolean());
    for name in answer["features"].as_array().unwrap() {
        assert!(name.is_string());
    }
    let operations = answer["operations"].as_array().unwrap();
    assert!(operations.contains(&Value::from("nop")) && operations.contains(&Value::from("read")));
    assert!(answer["limits"]["open_files"]["soft"].as_u64().unwrap() > 0);
    assert!(answer["limits"]["max_map_count"].as_u64().unwrap() > 0);
}

#[test]
fn either_a_ring_has_a_size_in_a_common_mapping_or_there_is_a_reason_why_not() {
    let caps = &probed()["caps"];
    match caps["route"].as_str().unwrap() {
        "separate" => {
            assert!(caps["mem_init_size"].is_null());
            assert!(caps["reason"].as_str().unwrap().contains(' '), "a sentence: {caps}");
        }
        "init_mem" | "direct" => {
            // 64 SQEs of 64 bytes and 128 CQEs of 16 lie on a page each at least.
            assert!(caps["mem_init_size"].as_u64().unwrap() >= 8192);
            assert!(caps["reason"].is_null());
        }
        other => panic!("no such route: {other}"),
    }
}

#[test]
fn larger_rings_take_more_memory() {
    let size = |entries: &str| {
        let run = uring_pool(["probe", "--json", "--entries", entries]);
        json(run.silent_success())["caps"]["mem_init_size"].as_u64()
    };
    match (size("64"), size("4096")) {
        (Some(small), Some(large)) => assert!(large > 32 * small, "{small} {large}"),
        // Before Linux 6.10 large rings may have to have mappings of their own, small ones not.
        (_, None) => assert!(probed()["caps"]["checked"] == true),
        (None, Some(_)) => panic!("a small ring fits wherever a large one does"),
    }
}

#[test]
fn the_text_tells_the_same_as_the_json() {
    let run = uring_pool(["probe"]);
    let text = run.silent_success();
    let answer = probed();
    for value in [&answer["liburing"]["headers"], &answer["kernel"], &answer["caps"]["route"]] {
        assert!(text.contains(value.as_str().unwrap()), "{value} is missing in {text}");
    }
    for name in answer["operations"].as_array().unwrap() {
        assert!(text.split_whitespace().any(|word| word == name.as_str().unwrap()));
    }
}
