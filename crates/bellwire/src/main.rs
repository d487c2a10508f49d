//! The `bellwire` binary: a command line around the server, and small clients of its public API.

mod client;
mod command;
mod output;

use std::process::ExitCode;

use crate::output::{AlreadyTold, ReaderGone};

/// Many small, short-lived allocations on many threads: what this allocator is for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 0: done; 1: failed; 2, from the parser of the command line: used wrongly.
fn main() -> ExitCode {
    match command::run() {
        Ok(()) => ExitCode::SUCCESS,
        // `bellwire subscribe … | head -1` has done what was asked.
        Err(error) if error.is::<ReaderGone>() => ExitCode::SUCCESS,
        Err(error) if error.is::<AlreadyTold>() => ExitCode::FAILURE,
        Err(error) => {
            output::notice(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
