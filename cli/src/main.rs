//! The command `uring-pool`: what io_uring can do here, and what one shared mapping is worth.

mod args;
mod demo;
mod failure;
mod fork;
mod output;
mod preflight;
mod probe;
mod progress;
mod table;

use std::process::ExitCode;

use args::Command;

fn main() -> ExitCode {
    let command = match args::parse() {
        Ok(command) => command,
        Err(code) => return code,
    };
    let outcome = match command {
        Command::Probe(args) => probe::run(&args),
        Command::Demo(args) => demo::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            failure.exit_code()
        }
    }
}
