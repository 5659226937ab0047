//! The constants, against what a C compiler makes of the same headers.

use std::collections::BTreeSet;

use crate::{common, inventory};

/// How the constants of liburing and its kernel header begin. The headers of libc and kernel that come along begin
/// otherwise, so what is found by these can be told from theirs without knowing which file it stands in.
const PREFIXES: &[&str] = &[
    "IORING_",
    "IOSQE_",
    "IO_URING_",
    "IOU_",
    "IO_WQ_",
    "LIBURING_",
    "SOCKET_URING_",
    "SPLICE_F_FD_",
    "ZCRX_",
];

#[test]
fn every_constant_has_the_value_it_has_in_c() {
    let mut program = String::new();
    for (name, value) in inventory::constants() {
        let negative = u8::from(*value < 0);
        let suffix = if *value < 0 { "LL" } else { "ULL" };
        // The sign separately: in C, -1 equals 0xffffffffU.
        program += &format!(
            "_Static_assert(({name}) == {value}{suffix} && (({name}) < 0) == {negative}, \"{name}\");\n"
        );
    }
    common::must_compile(&common::scratch("values"), program);
}

#[test]
fn a_wrong_value_does_not_pass_the_comparison() {
    let folder = common::scratch("wrong-value");
    let output = common::compile(&folder, "_Static_assert((IOSQE_ASYNC) == 17ULL, \"\");\n");
    assert!(!output.status.success());
}

#[test]
fn no_integer_of_the_headers_is_missing() {
    let bound: BTreeSet<_> = inventory::constants().iter().map(|(name, _)| *name).collect();
    let wanted: BTreeSet<String> = enumerators().into_iter().chain(macros()).collect();
    // 2.0 has 106, and no release has had fewer than the one before.
    assert!(wanted.len() > 100, "only {} constants were found in the headers", wanted.len());
    let missing: Vec<_> = wanted.iter().filter(|name| !bound.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "not bound: {missing:?}");
}

/// bindgen by itself loses these, and some would come out with another type or sign.
#[test]
fn macros_that_bindgen_cannot_evaluate_have_the_type_and_value_of_c() {
    let _: u64 = liburing_sys::LIBURING_UDATA_TIMEOUT;
    assert_eq!(liburing_sys::LIBURING_UDATA_TIMEOUT, u64::MAX);
    let flags: [u32; 6] = [
        liburing_sys::IOSQE_FIXED_FILE,
        liburing_sys::IOSQE_IO_DRAIN,
        liburing_sys::IOSQE_IO_LINK,
        liburing_sys::IOSQE_IO_HARDLINK,
        liburing_sys::IOSQE_ASYNC,
        liburing_sys::IOSQE_BUFFER_SELECT,
    ];
    assert_eq!(flags, [1, 2, 4, 8, 16, 32]);
    let offsets: [u64; 3] = [
        liburing_sys::IORING_OFF_SQ_RING,
        liburing_sys::IORING_OFF_CQ_RING,
        liburing_sys::IORING_OFF_SQES,
    ];
    assert_eq!(offsets, [0, 0x800_0000, 0x1000_0000]);
}

#[cfg(have_register_sparse)]
#[test]
fn all_ones_stays_unsigned() {
    let _: u32 = liburing_sys::IORING_FILE_INDEX_ALLOC;
    assert_eq!(liburing_sys::IORING_FILE_INDEX_ALLOC, u32::MAX);
}

/// Names that remain when macros are expanded and comments gone.
fn enumerators() -> Vec<String> {
    words(&preprocessed("-P")).filter(|word| ours(word)).map(str::to_owned).collect()
}

/// Macros without arguments, with a value that begins like a number or an expression.
fn macros() -> Vec<String> {
    let integer = |line: &str| {
        let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
        let number =
            value.starts_with(|c: char| c.is_ascii_digit() || "(~-".contains(c)) || ours(value);
        (ours(name) && !name.contains('(') && number).then(|| name.to_owned())
    };
    preprocessed("-dM").lines().filter_map(integer).collect()
}

fn preprocessed(how: &str) -> String {
    let output = common::cc().args(["-E", how]).arg(common::wrapper()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

fn ours(word: &str) -> bool {
    PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}
