//! The workers, from the parent's side: forked, listened to, put together.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use serde::{Deserialize, Serialize};

use super::checksum::{InOrder, Sum};
use super::input::Input;
use super::rings::Rings;
use super::share::Share;
use super::worker;
use crate::failure::Failure;
use crate::fork::{Child, Ending, OneThread, fork};

/// What a worker says: a line of JSON in the pipe that all workers share, short enough to go in
/// whole.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum News {
    Read { bytes: u64 },
    Done { worker: usize, sum: Sum },
    Failed { worker: usize, message: String },
}

/// Up to this length a write to a pipe is never mixed with others (`PIPE_BUF`, pipe(7)).
const WHOLE: usize = 4096;

/// Bytes between two reports of progress.
const REPORT_EVERY: u64 = 4 << 20;

/// What came of a joint reading.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) sum: Sum,
    pub(crate) time: Duration,
}

/// Forks `workers` workers that read the input, each by the ring of its number.
pub(crate) fn read(
    one_thread: &OneThread,
    rings: &mut Rings,
    input: &Input,
    workers: usize,
    mut progress: impl FnMut(u64),
) -> Result<Reading, Failure> {
    let start = Instant::now();
    let (listen, speak) = pipe2(OFlag::O_CLOEXEC)
        .map_err(|errno| Failure::Ran(format!("cannot make a pipe: {}", errno.desc())))?;
    let speak = File::from(speak);
    let mut children = Vec::with_capacity(workers);
    for number in 0..workers {
        let child = fork(one_thread, || work(rings, input, number, workers, &speak));
        children.push(child.map_err(|errno| {
            Failure::Ran(format!(
                "cannot fork worker {number}: {}; allow more processes (`ulimit -u`) or take fewer \
                 --workers",
                errno.desc()
            ))
        })?);
    }
    // The pipe ends when the last worker has ended.
    drop(speak);
    let mut sums: Vec<Option<Sum>> = vec![None; workers];
    for line in BufReader::new(File::from(listen)).lines() {
        match line.and_then(|line| Ok(serde_json::from_str(&line)?)) {
            Ok(News::Read { bytes }) => progress(bytes),
            Ok(News::Done { worker, sum }) if worker < workers => sums[worker] = Some(sum),
            Ok(News::Done { worker, .. }) => return Err(unheard_of(&worker)),
            Ok(News::Failed { worker, message }) => return Err(gave_up(worker, &message)),
            Err(error) => return Err(unheard_of(&error)),
        }
    }
    for (number, child) in children.into_iter().enumerate() {
        ended_well(number, child, sums[number].is_some())?;
    }
    let mut whole = InOrder::from(0);
    for (part, sum) in sums.into_iter().flatten().enumerate() {
        whole.put(part as u64, sum);
    }
    Ok(Reading { sum: whole.sum(), time: start.elapsed() })
}

/// A worker's life; what it returns is its exit code.
fn work(rings: &mut Rings, input: &Input, number: usize, workers: usize, parent: &File) -> u8 {
    let share = Share::new(input.bytes, number, workers);
    let mut unsaid = 0;
    let tell = |bytes| {
        unsaid += bytes;
        if unsaid < REPORT_EVERY {
            return Ok(());
        }
        say(parent, &News::Read { bytes: std::mem::take(&mut unsaid) })
    };
    let outcome = rings
        .lend(number, |ring| worker::read(ring, &input.file, share, tell))
        .unwrap_or_else(|error| Err(error.into()));
    let news = match outcome {
        Ok(sum) => News::Done { worker: number, sum },
        Err(trouble) => News::Failed { worker: number, message: trouble.to_string() },
    };
    let failed = matches!(news, News::Failed { .. });
    // If the parent does not hear it, it will see the exit code.
    let unheard = say(parent, &News::Read { bytes: unsaid }).and_then(|()| say(parent, &news));
    u8::from(failed || unheard.is_err())
}

fn say(mut parent: &File, news: &News) -> io::Result<()> {
    let mut line = serde_json::to_vec(news)?;
    line.push(b'\n');
    if line.len() > WHOLE {
        return Err(io::Error::other("a message that does not fit the pipe"));
    }
    parent.write_all(&line)
}

fn ended_well(number: usize, child: Child, said_done: bool) -> Result<(), Failure> {
    let ending = child.wait().map_err(|errno| {
        Failure::Ran(format!("cannot wait for worker {number}: {}", errno.desc()))
    })?;
    match ending {
        Ending::Exited(0) if said_done => Ok(()),
        Ending::Exited(code) => Err(gave_up(number, &format!("it exited with code {code}"))),
        Ending::Panicked => Err(gave_up(number, "it panicked, which is a fault of this program")),
        Ending::Killed(signal) => {
            Err(gave_up(number, &format!("it was killed ({})", signal.as_str())))
        }
    }
}

fn gave_up(worker: usize, why: &str) -> Failure {
    Failure::Ran(format!("worker {worker} failed: {why}"))
}

fn unheard_of(what: &dyn std::fmt::Display) -> Failure {
    Failure::Ran(format!("a worker said what makes no sense ({what}): a fault of this program"))
}
