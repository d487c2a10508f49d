//! The commands, each in a file of its own.

mod advise;
mod bench;
mod check;
mod demo;
mod join;
mod key;
mod publish;
mod record;
mod repair;
mod replay;
mod serve;
mod stretch;
mod subscribe;
mod token;
mod user;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Takes telemetry in, evaluates alert rules as it arrives, and pushes alerts to browsers.
#[derive(Debug, Parser)]
#[command(name = "bellwire", version, arg_required_else_help = true, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

// A new command is a file under `command/`, a variant here and a line in `run`.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::Arguments),
    /// Run a server with the metrics of this machine and 200 simulated sensors.
    Demo(demo::Arguments),
    /// Publish events.
    Publish(publish::Arguments),
    /// Follow topics, across restarts and network failures.
    Subscribe(subscribe::Arguments),
    /// Check configuration and rule files.
    Check(check::Arguments),
    /// Say which transport suits what flows between clients and a server, why, and what it costs.
    Advise(advise::Arguments),
    /// Copy what has happened in a stretch of time into a file, to be replayed.
    Record(record::Arguments),
    /// Say what other rules would have done with what was recorded.
    Replay(replay::Arguments),
    /// Make, list and take back API keys.
    Key(key::Arguments),
    /// Make and explain tokens.
    Token(token::Arguments),
    /// Make users with passwords.
    User(user::Arguments),
    /// Keep what is whole of a damaged journal, in a data directory that no server uses.
    Repair(repair::Arguments),
    /// Make the data directory of a server that stood alone what an empty cluster begins with.
    Join(join::Arguments),
    /// Measure a server, or this machine with one.
    Bench(bench::Arguments),
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> Result<()> {
    match CommandLine::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Publish(arguments) => publish::run(arguments),
        Command::Subscribe(arguments) => subscribe::run(arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Advise(arguments) => advise::run(&arguments),
        Command::Record(arguments) => record::run(arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Key(arguments) => key::run(arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::User(arguments) => user::run(&arguments),
        Command::Repair(arguments) => repair::run(&arguments),
        Command::Join(arguments) => join::run(&arguments),
        Command::Bench(arguments) => bench::run(arguments),
    }
}

/// A runtime for commands that mostly wait.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
