//! Wrong use: exit code 2, one line, and what to do.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use crate::run::{copy_in, folder, run, uring_pool};

/// The user that a test becomes where root could read everything.
pub(crate) const NOBODY: u32 = 65_534;

#[test]
fn values_out_of_range_are_told_with_the_range() {
    for (args, words) in [
        (["demo", "--rings", "0"], ["--rings", "from 1"]),
        (["demo", "--workers", "0"], ["--workers", "from 1"]),
        (["demo", "--entries", "0"], ["--entries", "32768"]),
        (["demo", "--entries", "32769"], ["--entries", "32768"]),
        (["probe", "--entries", "-1"], ["--entries", "32768"]),
    ] {
        uring_pool(args).one_line(2, &words);
    }
}

#[test]
fn more_workers_than_rings_are_refused() {
    let run = uring_pool(["demo", "--workers", "5", "--rings", "4"]);
    run.one_line(2, &["5 workers", "4", "--rings", "--workers"]);
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_is_refused_without_waiting_for_it() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let missing = folder.path().join("missing");
    for (path, words) in [
        (missing.to_str().unwrap(), "no such file"),
        (folder.path().to_str().unwrap(), "a directory"),
        (pipe.to_str().unwrap(), "a pipe"),
        ("/dev/zero", "a device"),
    ] {
        uring_pool(["demo", path]).one_line(2, &[path, words]);
    }
}

#[test]
fn a_file_that_the_user_may_not_read_is_told_as_such() {
    let folder = folder();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "x").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = Command::new(copy_in(folder.path()));
    if geteuid().is_root() {
        use std::os::unix::process::CommandExt;
        command.uid(NOBODY).gid(NOBODY);
    }
    let run = run(command.arg("demo").arg(&secret));
    run.one_line(2, &[secret.to_str().unwrap(), "permission denied"]);
}

#[test]
fn a_line_break_in_a_files_name_does_not_break_the_line() {
    uring_pool(["demo", "no\nsuch\x1bfile"]).one_line(2, &["no\\nsuch\\u{1b}file"]);
}

#[test]
fn without_a_command_or_with_an_unknown_one_the_usage_is_shown() {
    for args in [&[][..], &["frobnicate"]] {
        let run = uring_pool(args);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("Usage: uring-pool"), "{run:?}");
        assert_eq!(run.stdout, "");
    }
    uring_pool(["demo", "--frobnicate"]).one_line(2, &["--frobnicate", "uring-pool help"]);
}

#[test]
fn help_names_every_option_and_what_it_defaults_to() {
    let run = uring_pool(["demo", "--help"]);
    let text = run.silent_success();
    for word in ["--rings", "1000", "--workers", "4", "--entries", "64", "--json", "FILE"] {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
}
