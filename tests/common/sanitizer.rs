//! Under AddressSanitizer or valgrind, as `./x sanitize` runs the tests: what is different then.

pub(crate) const ADDRESS: &str = "AddressSanitizer";
pub(crate) const VALGRIND: &str = "valgrind";

/// Which of them watches this process, if any: `./x sanitize` says so.
pub(crate) fn sanitizer() -> Option<String> {
    std::env::var("URING_POOL_SANITIZER").ok()
}

/// Whether a test, or a part of one, is to be left out under one of these, said aloud if so:
/// `./x sanitize` lists what it reads of that.
pub(crate) fn left_out(under: &[&str], what: &str, why: &str) -> bool {
    let sanitizer = sanitizer().filter(|sanitizer| under.contains(&&**sanitizer));
    if let Some(sanitizer) = &sanitizer {
        eprintln!("LEFT OUT under {sanitizer}: {what}: {why}");
    }
    sanitizer.is_some()
}
