//! What is measured, a file for each.

mod alert;
mod attack;
mod connect;
mod fairness;
mod fanout;
mod idle;
mod keys;
mod latency;
mod live_queries;
mod mqtt;
mod nodes;
mod publish;
mod reactions;
mod replay;
mod resume_storm;
mod rules;
mod slow_reader;
mod soak;

use anyhow::Result;

use crate::{Print, floor, report};

/// What `bench` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    workload: Workload,
}

// A new workload is a file under `workload/`, a variant here and a line in `run`.
#[derive(Debug, clap::Subcommand)]
enum Workload {
    /// One topic, many subscribers: deliveries a second, their cost and their latency.
    Fanout(fanout::Arguments),
    /// One topic, some subscribers: from publishing an event to its arrival.
    Latency(latency::Arguments),
    /// Many connections without traffic: memory of the server for each.
    Idle(idle::Arguments),
    /// Many connections one after the other: what beginning one costs the server.
    Connect(connect::Arguments),
    /// All subscribers return at once with an old cursor: how long until they have caught up, and
    /// whether those who stayed notice.
    ResumeStorm(resume_storm::Arguments),
    /// Some subscribers stop to read: whether the others notice, and what it costs.
    SlowReader(slow_reader::Arguments),
    /// A small topic beside a very large one: whether its subscribers notice.
    Fairness(fairness::Arguments),
    /// Some subscribers, first in peace, then beside many who mean no good: whether they notice.
    Attack(attack::Arguments),
    /// Publishers in a closed loop: acknowledged events a second.
    Publish(publish::Arguments),
    /// From the sample that crosses a threshold to the alert at the subscriber.
    Alert(alert::Arguments),
    /// The same beside queries that are followed, and what one of them costs with very many followers.
    LiveQueries(live_queries::Arguments),
    /// An audience whose taps are samples, and who all follow the heatmap of them: from the tap to the
    /// heatmap, CPU and memory.
    Reactions(reactions::Arguments),
    /// Sensors over MQTT in a closed loop: messages a second that are acknowledged once 1,000 rules
    /// have seen them.
    Mqtt(mqtt::Arguments),
    /// Very many keys of state: memory of the server for each, and how long a start with them takes.
    Keys(keys::Arguments),
    /// Followers on each transport over a network that fails again and again: whether each event
    /// reaches each of them once, how late, and at what cost. Fails where one is missed or doubled.
    Soak(soak::Arguments),
    /// Several nodes of a cluster on one machine, beside one server that stands alone: from publishing at
    /// one to the arrival at another, acknowledged events a second, a node that is killed, and many
    /// streams. Fails where an event is missed or doubled.
    Nodes(nodes::Arguments),
    /// The journal read from its beginning, inside this process.
    Replay(replay::Arguments),
    /// From the bytes of requests to what 1,000 rules make of them, inside this process.
    Rules(rules::Arguments),
    /// Write the Markdown report of kept results.
    Report(report::Arguments),
    /// Serve as the floor: what `--system floor` measures.
    #[command(hide = true)]
    Floor,
}

/// Runs one workload.
pub(crate) fn run(arguments: Arguments, print: Print) -> Result<()> {
    match arguments.workload {
        Workload::Fanout(arguments) => fanout::run(&arguments, print),
        Workload::Latency(arguments) => latency::run(&arguments, print),
        Workload::Idle(arguments) => idle::run(&arguments, print),
        Workload::Connect(arguments) => connect::run(&arguments, print),
        Workload::ResumeStorm(arguments) => resume_storm::run(&arguments, print),
        Workload::SlowReader(arguments) => slow_reader::run(&arguments, print),
        Workload::Fairness(arguments) => fairness::run(&arguments, print),
        Workload::Attack(arguments) => attack::run(&arguments, print),
        Workload::Publish(arguments) => publish::run(&arguments, print),
        Workload::Alert(arguments) => alert::run(&arguments, print),
        Workload::LiveQueries(arguments) => live_queries::run(&arguments, print),
        Workload::Reactions(arguments) => reactions::run(&arguments, print),
        Workload::Mqtt(arguments) => mqtt::run(&arguments, print),
        Workload::Keys(arguments) => keys::run(&arguments, print),
        Workload::Soak(arguments) => soak::run(&arguments, print),
        Workload::Nodes(arguments) => nodes::run(&arguments, print),
        Workload::Replay(arguments) => replay::run(&arguments, print),
        Workload::Rules(arguments) => rules::run(&arguments, print),
        Workload::Report(arguments) => report::run(&arguments, print),
        Workload::Floor => floor::run(print),
    }
}
