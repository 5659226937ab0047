//! Every function can be called: those that the library exports and those that C inlines.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{common, inventory};

#[test]
fn every_function_links() {
    for (name, address) in inventory::functions() {
        assert!(!address.is_null(), "{name} has no address");
    }
    let names = names();
    for name in
        ["io_uring_queue_init", "io_uring_get_sqe", "io_uring_prep_nop", "io_uring_cqe_seen"]
    {
        assert!(names.contains(name), "{name} is not bound");
    }
}

fn names() -> BTreeSet<String> {
    inventory::functions().iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// Not even a C program can call what is left out.
#[test]
fn a_function_is_left_out_only_if_the_library_lacks_it() {
    let bound = names();
    let declared = declared();
    assert!(
        declared.len() >= bound.len() / 2,
        "only {} functions were found in the headers",
        declared.len()
    );
    let folder = common::scratch("left-out");
    for name in declared.difference(&bound) {
        assert!(!links(&folder, name), "{name} links in C and is not bound");
    }
    assert!(links(&folder, "io_uring_queue_init"), "no C program links, so nothing was compared");
}

/// All that looks like a function of liburing once macros are expanded.
fn declared() -> BTreeSet<String> {
    let output = common::cc().args(["-E", "-P"]).arg(common::wrapper()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices('(') {
        let before = text[..at].trim_end();
        let start = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(0, |space| space + 1);
        let name = &before[start..];
        if name.trim_start_matches('_').starts_with("io_uring_") {
            names.insert(name.to_owned());
        }
    }
    names
}

fn links(folder: &Path, name: &str) -> bool {
    let source = folder.join("one.c");
    let program = format!(
        "#include \"{}\"\nvoid *volatile address;\nint main(void) {{ address = (void *)&{name}; return 0; }}\n",
        common::wrapper().display()
    );
    fs::write(&source, program).unwrap();
    let mut command = common::cc();
    command.arg("-o").arg(folder.join("one")).arg(&source);
    for dir in common::lib_dirs() {
        command.arg("-L").arg(dir);
    }
    let library = if env!("URING_POOL_SYS_STATIC") == "1" { "-l:liburing.a" } else { "-luring" };
    command.arg(library).output().unwrap().status.success()
}
