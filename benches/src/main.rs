//! What uring-pool costs, next to the same programs in C and on the io-uring crate.
//!
//! Every measurement is a process of its own, which this program starts from itself: `one` is a program that is
//! measured (`work`), `all` lets them run and prints the table (`plan`, `rounds`, `counts`, `table`).

mod allocations;
mod counts;
mod in_c;
mod plan;
mod rounds;
mod table;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A failure is told in words: nobody acts on its kind.
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

#[derive(Debug, Parser)]
#[command(
    name = "uring-pool-bench",
    about = "What uring-pool costs, next to C and the io-uring crate"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures, and prints the table
    All(plan::Options),
    /// Runs one program, and prints how long its work took
    One {
        /// How many operations
        #[arg(long)]
        operations: u64,
        #[command(subcommand)]
        program: work::Program,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::All(options) => plan::run(&options),
        Command::One { operations, program } => work::run(&program, operations).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("uring-pool-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
