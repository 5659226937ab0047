//! The switch took effect: what runs is what uring-pool-sys says it found.

use std::process::Command;

#[test]
fn the_branch_that_runs_is_the_one_that_was_detected() {
    let output = Command::new(env!("CARGO_BIN_EXE_feature-gate")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let branch =
        if liburing_sys::HAVE_INIT_MEM { "io_uring_queue_init_mem" } else { "io_uring_queue_init" };
    let first =
        format!("built with liburing {}, compiled branch: {branch}\n", liburing_sys::VERSION);
    assert!(said.starts_with(&first), "{said:?} does not start with {first:?}");

    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("this kernel takes no memory of ours") {
        assert!(std::env::var_os("CI").is_none(), "must be tested in CI: {errors}");
        return eprintln!("NOT TESTED: memory of our own: needs Linux 6.5");
    }
    assert!(output.status.success(), "{errors}");
    assert!(said.contains("a NOP went round"), "{said}");
    // Where our own memory was used, some of it was taken.
    assert_eq!(said.ends_with("memory: 0\n"), !liburing_sys::HAVE_INIT_MEM, "{said}");
}
