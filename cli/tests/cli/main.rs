//! The command as its users run it.

mod demo;
mod limits;
mod misuse;
mod probe;
mod run;
mod trouble;
