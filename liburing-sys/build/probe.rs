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

/// The release to report: what the headers say, else a liburing.pc, else the least that it can be.
pub(crate) fn version(found: &Liburing, header: &Header, detected: &[(&Api, bool)]) -> Version {
    let (path, source) = (header.path.display(), &found.source);
    match (header.version, found.stated) {
        (Some(told), Some(stated)) if told != stated => {
            println!(
                "cargo::warning={path} is of liburing {told}, but liburing.pc ({source}) says {stated}"
            );
            told
        }
        (Some(told), _) => told,
        (None, Some(stated)) if stated >= OLDEST => stated,
        (None, stated) => {
            let least = least(detected);
            let instead = stated.map_or("is nowhere to be found".to_owned(), |stated| {
                format!("cannot be {stated}")
            });
            println!(
                "cargo::warning=the version of {path} ({source}) {instead}: taken for {least}"
            );
            least
        }
    }
}

/// The newest release that has nothing which is not here. A single find would prove too much: archives of every
/// release have functions that shared libraries export only since 2.4.
fn least(detected: &[(&Api, bool)]) -> Version {
    let since = |wanted: bool| {
        let matching = detected.iter().filter(move |(_, there)| *there == wanted);
        matching.filter_map(|(api, _)| Version::parse(api.since))
    };
    let too_new = since(false).min();
    since(true)
        .filter(|version| too_new.is_none_or(|bound| *version < bound))
        .max()
        .unwrap_or(OLDEST)
}
