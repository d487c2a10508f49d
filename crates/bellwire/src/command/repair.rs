//! `bellwire repair`: keeps what is whole of a damaged journal.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bellwire_journal::Repaired;
use bellwire_model::Epoch;

use crate::output;

/// What `repair` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The data directory; no server may use it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let number = getrandom::u32().context("the system gives no random number")?;
    let repaired = bellwire_journal::repair(&arguments.data, Epoch::new(number))
        .context("nothing was changed")?;
    report(&repaired).iter().try_for_each(|line| output::line(line))
}

fn report(repaired: &Repaired) -> Vec<String> {
    let Repaired { events, topics, records, keys, epoch, .. } = repaired;
    let mut lines = vec![
        format!(
            "kept: {events} events of {topics} topics, {records} records, {keys} idempotency keys"
        ),
        format!("lost: {} events, {} records", repaired.events_lost, repaired.records_lost),
    ];
    if repaired.record_changes_lost > 0 {
        let lost = repaired.record_changes_lost;
        lines.push(format!(
            "lost: the last {lost} changes of silences, acknowledgements and the like"
        ));
    }
    for (first, last) in &repaired.unreadable {
        lines.push(format!("  offsets {first} to {last} could not be read"));
    }
    lines.push(format!("the journal begins epoch {epoch}: who has a cursor gets a gap"));
    lines.push(format!("the damaged files are in {}", repaired.damaged_files.display()));
    lines
}
