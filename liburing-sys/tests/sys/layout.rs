//! Sizes, alignments and offsets of all structs, against what a C compiler makes of the same headers.

use std::mem::{align_of, size_of};

use crate::{common, inventory};

/// What other crates fill in or read by offset: losing one of these would not do, whatever else is found.
const INDISPENSABLE: &[&str] = &[
    "__kernel_timespec",
    "io_cqring_offsets",
    "io_sqring_offsets",
    "io_uring",
    "io_uring_cq",
    "io_uring_cqe",
    "io_uring_getevents_arg",
    "io_uring_params",
    "io_uring_probe",
    "io_uring_probe_op",
    "io_uring_sq",
    "io_uring_sqe",
];

#[test]
fn every_struct_has_the_size_and_alignment_it_has_in_c() {
    for name in INDISPENSABLE {
        let bound = inventory::types()
            .iter()
            .any(|(known, ..)| known.strip_prefix("struct ") == Some(name));
        assert!(bound, "{name} is not bound");
    }
    let mut program = String::new();
    for (name, size, alignment) in inventory::types() {
        program += &format!("_Static_assert(sizeof({name}) == {size}, \"size of {name}\");\n");
        program +=
            &format!("_Static_assert(_Alignof({name}) == {alignment}, \"alignment of {name}\");\n");
    }
    common::must_compile(&common::scratch("sizes"), program);
}

#[test]
fn every_field_lies_where_it_lies_in_c() {
    let mut program = String::new();
    for (name, field, offset) in inventory::fields() {
        program += &format!(
            "_Static_assert(__builtin_offsetof({name}, {field}) == {offset}, \"{name}.{field}\");\n"
        );
    }
    common::must_compile(&common::scratch("offsets"), program);
}

#[test]
fn fields_of_unnamed_unions_are_among_those_compared() {
    for known in
        [("off", 8), ("addr", 16), ("rw_flags", 28), ("buf_index", 40), ("splice_fd_in", 44)]
    {
        let listed = inventory::fields().contains(&("struct io_uring_sqe", known.0, known.1));
        assert!(listed, "{known:?} is not among the fields");
    }
}

#[test]
fn a_wrong_number_does_not_pass_the_comparison() {
    let output = common::compile(
        &common::scratch("wrong"),
        "_Static_assert(sizeof(struct io_uring_cqe) == 17, \"\");\n",
    );
    assert!(!output.status.success());
}

#[test]
fn types_taken_from_the_libc_crate_are_those_of_c() {
    macro_rules! same {
        ($($rust:ident: $c:literal),* $(,)?) => {
            [$(($c, size_of::<libc::$rust>(), align_of::<libc::$rust>())),*]
        };
    }
    let types = same! {
        cmsghdr: "struct cmsghdr", cpu_set_t: "cpu_set_t", epoll_event: "struct epoll_event", id_t: "id_t",
        idtype_t: "idtype_t", iovec: "struct iovec", loff_t: "loff_t", mode_t: "mode_t", msghdr: "struct msghdr",
        off_t: "off_t", open_how: "struct open_how", siginfo_t: "siginfo_t", sigset_t: "sigset_t",
        sockaddr: "struct sockaddr", socklen_t: "socklen_t", statx: "struct statx",
    };
    let mut program =
        String::from("#include <sched.h>\n#include <sys/epoll.h>\n#include <sys/wait.h>\n");
    for (name, size, alignment) in types {
        program += &format!("_Static_assert(sizeof({name}) == {size}, \"size of {name}\");\n");
        program +=
            &format!("_Static_assert(_Alignof({name}) == {alignment}, \"alignment of {name}\");\n");
    }
    common::must_compile(&common::scratch("libc"), program);
}
