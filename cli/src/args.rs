//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use uring_pool::MAX_ENTRIES;

use crate::output;

/// What io_uring can do on this machine, and what it is worth to keep thousands of rings in one
/// shared memory mapping.
#[derive(Debug, Parser)]
#[command(name = "uring-pool", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 all is well, 1 it ran and failed, 2 wrong use.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell what liburing, the kernel and this system's limits allow
    Probe(ProbeArgs),
    /// Compare rings with mappings of their own with pooled ones, on a real file
    #[command(long_about = DEMO)]
    Demo(DemoArgs),
}

const DEMO: &str = "\
Compare rings with mappings of their own with pooled ones, on a real file.

It does what a database server of many processes does: the parent makes all rings up front, and \
forks workers that each read their share of FILE through a ring they inherited. The checksum of \
what they read must be that of a plain read. With the rings in place, it then measures what a \
fork costs, and a child's whole life (fork, exit, wait). All of this twice: with `separate` rings, \
two mappings each, and with `pooled` ones, one mapping for all.";

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Submission queue entries of the ring that is tried, 1 to 32768
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = entries, allow_negative_numbers = true)]
    pub(crate) entries: u32,
    /// Also tell what N rings need, and whether this process may have it (exit code 1 if not)
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) rings: Option<usize>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The file to read; this program's own binary if none is given
    pub(crate) file: Option<PathBuf>,
    /// How many rings to make
    #[arg(long, value_name = "N", default_value = "1000", value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) rings: usize,
    /// How many processes read the file, each by a ring of its own
    #[arg(long, value_name = "W", default_value = "4", value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) workers: usize,
    /// Submission queue entries of a ring, 1 to 32768; a worker keeps as many reads in flight
    #[arg(long, value_name = "E", default_value_t = 64, value_parser = entries, allow_negative_numbers = true)]
    pub(crate) entries: u32,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

fn entries(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|entries| (1..=MAX_ENTRIES).contains(entries))
        .ok_or_else(|| format!("entries must be a whole number from 1 to {MAX_ENTRIES}"))
}

fn at_least_one(text: &str) -> Result<usize, String> {
    // A pool numbers its slots with 32 bits.
    text.parse::<u32>()
        .ok()
        .filter(|&n| n > 0)
        .map(|n| n as usize)
        .ok_or_else(|| format!("must be a whole number from 1 to {}", u32::MAX))
}

/// Reads the command line. What must be said about it is printed; the code is what to exit with.
pub(crate) fn parse() -> Result<Command, ExitCode> {
    parse_from(std::env::args_os()).map_err(|error| {
        match error.kind() {
            // Here whole pages are wanted. Nobody left to read them is no failure.
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::MissingSubcommand
            | ErrorKind::InvalidSubcommand => drop(error.print()),
            _ => output::complain(&in_one_line(&error)),
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

fn parse_from(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    Cli::try_parse_from(args).map(|cli| cli.command)
}

/// The first paragraph of clap's message, which says what is wrong; the rest is usage.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let what = lines.collect::<Vec<_>>().join(" ");
    format!("{}; see `uring-pool help`", what.strip_prefix("error: ").unwrap_or(&what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Command, clap::Error> {
        parse_from(std::iter::once("uring-pool").chain(args.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_value_is_told_in_one_line_with_the_option_and_the_range() {
        for (args, words) in [
            (["probe", "--entries", "0"], ["--entries", "32768"]),
            (["probe", "--entries", "32769"], ["--entries", "32768"]),
            (["demo", "--rings", "0"], ["--rings", "from 1"]),
            (["demo", "--rings", "-1"], ["--rings", "from 1"]),
            (["demo", "--workers", "many"], ["--workers", "from 1"]),
        ] {
            let line = in_one_line(&parse(&args).unwrap_err());
            assert_eq!(line.lines().count(), 1);
            for word in words {
                assert!(line.contains(word), "{word:?} is missing in {line:?}");
            }
        }
    }
}
