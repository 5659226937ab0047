//! Waits for a ring in tokio's way: by its descriptor, while other tasks run.
//!
//! A ring's descriptor is readable while completions are there, so tokio's reactor can wait for it
//! as it does for a socket. The loop is: submit, wait until readable, take all completions, clear
//! what tokio knows of readiness, again. It reads files and pipes to their ends; a pipe that has
//! nothing yet keeps neither the others nor the second task from going on.
//!
//! ```console
//! $ cargo run --release --example tokio_wait -- README.md <(sleep 1; echo late)
//! ```
// Tokio's word for watching a descriptor is unsafe: it cannot see that the descriptor stays open.
#![allow(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use uring_pool::{Ring, RingConfig, RingPool};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const BLOCK: usize = 16 * 1024;

const TICK: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        eprintln!("usage: tokio_wait FILE...");
        return ExitCode::from(2);
    }
    let inputs: Result<Vec<Input>> = paths.iter().map(|path| Input::open(path)).collect();
    match inputs.and_then(|inputs| run(&inputs)) {
        Ok((bytes, ticks)) => {
            for (path, bytes) in paths.iter().zip(bytes) {
                println!("{bytes} bytes: {}", path.display());
            }
            println!("{ticks} ticks meanwhile");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tokio_wait: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A file or a pipe, and its name for complaints.
struct Input {
    path: PathBuf,
    file: File,
}

impl Input {
    fn open(path: &Path) -> Result<Self> {
        let file =
            File::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        Ok(Self { path: path.into(), file })
    }
}

/// Reads the inputs while another task ticks, and tells the bytes of each, and the ticks.
fn run(inputs: &[Input]) -> Result<(Vec<u64>, u64)> {
    let ticks = Arc::new(AtomicU64::new(0));
    let mut bytes = vec![0; inputs.len()];
    let counted = Arc::clone(&ticks);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::spawn(tick(move |ticks| counted.store(ticks, Relaxed)));
        read_all(inputs, |input, some| bytes[input] += some.len() as u64).await
    })?;
    Ok((bytes, ticks.load(Relaxed)))
}

/// The second task: it ticks for ever.
async fn tick(mut each: impl FnMut(u64)) {
    let mut interval = tokio::time::interval(TICK);
    for ticks in 1.. {
        interval.tick().await;
        each(ticks);
    }
}

/// Tokio asks for the trait of raw descriptors, which a ring does not have.
struct Waitable(Ring<Vec<u8>>);

impl AsRawFd for Waitable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Reads the inputs to their ends, all at a time, and gives out what comes: the input's number, and
/// bytes.
///
/// Where its future is dropped, so is the ring, which cancels what is under way and awaits it.
async fn read_all(inputs: &[Input], mut give: impl FnMut(usize, &[u8])) -> Result<()> {
    // A request for each at a time.
    let entries = u32::try_from(inputs.len())?;
    let pool = RingPool::builder(RingConfig::new(entries)?).build()?;
    let ring = Waitable(pool.claim()?);
    // SAFETY: a ring keeps its one descriptor until it is dropped, and nobody puts another ring in
    // this one's place.
    let mut ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
        .map_err(|error| format!("cannot watch the ring: {error}"))?;
    // Inputs that are to be read on, and the buffers for them.
    let mut ready: Vec<_> = (0..inputs.len()).map(|number| (number, vec![0; BLOCK])).collect();
    loop {
        let mut batch = ring.get_mut().0.batch();
        for (number, buf) in ready.drain(..) {
            // At the file's own position, as pipes must be.
            batch.read(&inputs[number].file, buf).tag(number as u64).push()?;
        }
        batch.submit()?;
        if ring.get_ref().0.in_flight() == 0 {
            return Ok(());
        }
        let mut readable = ring.readable_mut().await?;
        // To the last: tokio is told of what comes anew, not of what is still there.
        for done in readable.get_inner_mut().0.peek() {
            let (number, buf) = (done.tag as usize, done.buf.unwrap_or_default());
            match done.result {
                Ok(0) => {}
                Ok(n) => {
                    give(number, &buf[..n as usize]);
                    ready.push((number, buf));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => ready.push((number, buf)),
                Err(error) => {
                    let path = inputs[number].path.display();
                    return Err(format!("cannot read {path}: {error}").into());
                }
            }
        }
        // What has come since `readable` was there is not cleared with it.
        readable.clear_ready();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};
    use tokio::runtime::Builder;

    fn input(file: impl Into<File>) -> Input {
        Input { path: "input".into(), file: file.into() }
    }

    fn scratch(content: &[u8]) -> Input {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        input(file)
    }

    fn pipe() -> (Input, File) {
        let (read, write) = nix::unistd::pipe().unwrap();
        (input(read), write.into())
    }

    fn content(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn files_are_read_to_their_ends() {
        let expected = [0, 1, BLOCK, 10 * BLOCK + 17].map(content);
        let inputs = expected.each_ref().map(|content| scratch(content));
        let mut came = vec![Vec::new(); inputs.len()];
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime
            .block_on(read_all(&inputs, |number, some| came[number].extend_from_slice(some)))
            .unwrap();
        assert!(came == expected);
    }

    #[test]
    fn a_task_goes_on_while_pipes_are_waited_for() {
        let ((one, to_one), (two, to_two)) = (pipe(), pipe());
        let inputs = [one, scratch(&content(5 * BLOCK)), two];
        let mut came = vec![Vec::new(); inputs.len()];
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime
            .block_on(async {
                // Nothing would ever come if waiting for the ring kept this task from ticking.
                let mut ends = vec![to_two, to_one];
                tokio::spawn(tick(move |ticks| {
                    if let Some(mut end) = ends.last() {
                        writeln!(end, "tick {ticks}").unwrap();
                    }
                    if ticks % 3 == 0 {
                        ends.pop();
                    }
                }));
                read_all(&inputs, |number, some| came[number].extend_from_slice(some)).await
            })
            .unwrap();
        assert_eq!(came[0], b"tick 1\ntick 2\ntick 3\n");
        assert!(came[1] == content(5 * BLOCK));
        assert_eq!(came[2], b"tick 4\ntick 5\ntick 6\n");
    }

    #[test]
    fn the_program_tells_bytes_and_ticks() {
        let (read, mut write) = pipe();
        let late = std::thread::spawn(move || {
            std::thread::sleep(3 * TICK);
            write.write_all(b"late").unwrap();
        });
        let (bytes, ticks) = run(&[read, scratch(b"file")]).unwrap();
        late.join().unwrap();
        assert_eq!(bytes, [4, 4]);
        assert!(ticks >= 1, "{ticks}");
    }

    #[test]
    fn a_read_that_fails_ends_it() {
        let dir = Input::open(Path::new("/")).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(read_all(&[dir], |_, _| {})).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /: "), "{error}");
    }
}
