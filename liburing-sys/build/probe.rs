//! What this liburing can do, found out by compiling and linking.

use std::thread;

use crate::apis::{APIS, Api, What};
use crate::compiler::Compiler;
use crate::find::{Liburing, indented};
use crate::header::Header;
use crate::help::{Failure, Missing};
use crate::version::{OLDEST, Version};

/// A function of every release, and one that 2.0 was the first to export.
const EVERY: &str = "io_uring_queue_init";
const SINCE_OLDEST: &str = "__io_uring_sqring_wait";

/// The headers, which may be missing although a liburing.pc is there.
pub(crate) fn header(compiler: &Compiler, found: &Liburing) -> Result<Header, Failure> {
    let unread = |said: &str| broken(found, "its headers cannot be read", said);
    let preprocessed = compiler.preprocess()?.map_err(|said| unread(&said))?;
    Header::read(&preprocessed)
        .ok_or_else(|| unread("the compiler does not say which liburing.h it read"))
}

/// That headers and library are there, fit, and are not from before 2.0.
///
/// The last is tried, not read: liburing.pc of a 2.0 built from upstream's own tag says 0.7.
pub(crate) fn usable(
    compiler: &Compiler,
    found: &Liburing,
    header: &Header,
) -> Result<(), Failure> {
    compiler.compiles("")?.map_err(|said| broken(found, "its headers do not compile", &said))?;
    compiler
        .links(&[EVERY])?
        .map_err(|said| broken(found, "its library cannot be linked", &said))?;
    compiler.links(&[EVERY, SINCE_OLDEST])?.map_err(|_| {
        let stated =
            found.stated.map_or("from before 2.0".to_owned(), |version| version.to_string());
        let (path, source) = (header.path.display(), &found.source);
        Failure::new(
            Missing::Liburing,
            format!("the liburing of {path} ({source}) is too old: {stated}."),
        )
    })
}

fn broken(found: &Liburing, what: &str, said: &str) -> Failure {
    let version = found.stated.map_or(String::new(), |version| format!(" {version}"));
    let source = &found.source;
    Failure::new(
        Missing::Liburing,
        format!("liburing{version} ({source}): {what}.\n{}", indented(said)),
    )
}

/// Every row of the table, with whether it is there.
pub(crate) fn detect(compiler: &Compiler) -> Result<Vec<(&'static Api, bool)>, Failure> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = APIS.len().div_ceil(threads);
    thread::scope(|scope| {
        let workers: Vec<_> = APIS
            .chunks(share)
            .map(|rows| {
                scope.spawn(|| rows.iter().map(|api| Ok((api, has(compiler, api)?))).collect())
            })
            .collect();
        let answers: Result<Vec<Vec<_>>, Failure> =
            workers.into_iter().map(|worker| worker.join().expect("a probe panicked")).collect();
        Ok(answers?.concat())
    })
}

fn has(compiler: &Compiler, api: &Api) -> Result<bool, Failure> {
    let verdict = match api.what {
        What::Function(name) => compiler.links(&[name])?,
        What::Member(of, field) => compiler.compiles(&format!(
            "unsigned long offset = __builtin_offsetof(struct {of}, {field});\n"
        ))?,
    };
    Ok(verdict.is_ok())
}

/// The release to report: what the headers say, else a liburing.pc, else the newest thing that was found.
pub(crate) fn version(found: &Liburing, header: &Header, detected: &[(&Api, bool)]) -> Version {
    let path = header.path.display();
    if let Some((told, stated)) =
        header.version.zip(found.stated).filter(|(told, stated)| told != stated)
    {
        let source = &found.source;
        println!(
            "cargo::warning={path} is of liburing {told}, but the liburing.pc ({source}) says {stated}"
        );
    }
    let stated = found.stated.filter(|stated| *stated >= OLDEST);
    header.version.or(stated).unwrap_or_else(|| {
        let since = detected.iter().filter(|(_, there)| *there).filter_map(|(api, _)| Version::parse(api.since));
        let least = since.max().unwrap_or(OLDEST);
        println!("cargo::warning={path} tells no version, and neither does a liburing.pc: taken for {least}");
        least
    })
}
