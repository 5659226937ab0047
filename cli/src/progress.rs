//! A progress bar on standard error, for runs that take their time.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter runs are over before a bar can be read.
const WORTH_A_BAR: Duration = Duration::from_secs(1);

/// Counts bytes. It draws only when it is told something, by the thread that tells it: a ticker of
/// its own would be a second thread in a process that forks.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    since: Instant,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new(bytes: u64) -> Self {
        let style = ProgressStyle::with_template("{msg:22} {wide_bar} {bytes}/{total_bytes}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
        Self {
            bar: bar.with_style(style),
            since: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// What is being done from now on.
    pub(crate) fn stage(&mut self, what: String) {
        self.bar.set_message(what);
        self.show_when_due();
    }

    /// So many bytes more.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.bar.inc(bytes);
        self.show_when_due();
    }

    fn show_when_due(&mut self) {
        if self.terminal && self.bar.is_hidden() && self.since.elapsed() >= WORTH_A_BAR {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
