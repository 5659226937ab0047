//! How a run can end badly.

use std::process::ExitCode;

/// A line for standard error, and which exit code goes with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command was asked for something that cannot be: code 2.
    #[error("{0}")]
    WrongUse(String),

    /// It ran, and failed: code 1.
    #[error("{0}")]
    Ran(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::WrongUse(_) => ExitCode::from(2),
            Failure::Ran(_) => ExitCode::FAILURE,
        }
    }
}

impl From<uring_pool::Error> for Failure {
    fn from(error: uring_pool::Error) -> Self {
        match error.cause() {
            uring_pool::Cause::Invalid(_) => Failure::WrongUse(error.to_string()),
            _ => Failure::Ran(error.to_string()),
        }
    }
}
