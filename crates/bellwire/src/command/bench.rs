//! `bellwire bench`: measures a server the same way for everybody, and keeps what was measured.
//!
//! Each workload starts its own server from this binary on the loopback interface, or measures
//! one that runs already. The generator shares the machine with the server, so it is built to be
//! cheap: few threads, plain sockets, and answers are searched for what matters only.
#![allow(clippy::disallowed_methods, reason = "a load generator reads the clock and paces itself")]

mod alert;
mod connection;
mod date;
mod event_stream;
mod fanout;
mod headline;
mod histogram;
mod idle;
mod machine;
mod marker;
mod open_files;
mod process;
mod publish;
mod publishers;
mod record;
mod replay;
mod report;
mod request;
mod response;
mod server_process;
mod subscribers;
mod target;

use anyhow::Result;

/// What `bench` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Debug, clap::Subcommand)]
enum Workload {
    /// One topic, many subscribers: deliveries a second, their cost and their latency.
    Fanout(fanout::Arguments),
    /// Many connections without traffic: memory of the server for each.
    Idle(idle::Arguments),
    /// Publishers in a closed loop: acknowledged events a second.
    Publish(publish::Arguments),
    /// From the sample that crosses a threshold to the alert at the subscriber.
    Alert(alert::Arguments),
    /// The journal read from its beginning, inside this process.
    Replay(replay::Arguments),
    /// Write the Markdown report of kept results.
    Report(report::Arguments),
}

/// Runs one workload.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    match arguments.workload {
        Workload::Fanout(arguments) => fanout::run(&arguments),
        Workload::Idle(arguments) => idle::run(&arguments),
        Workload::Publish(arguments) => publish::run(&arguments),
        Workload::Alert(arguments) => alert::run(&arguments),
        Workload::Replay(arguments) => replay::run(&arguments),
        Workload::Report(arguments) => report::run(&arguments),
    }
}
