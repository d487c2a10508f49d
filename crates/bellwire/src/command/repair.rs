//! `bellwire repair`: keeps what is whole of a damaged journal.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use bellwire_journal::{RepairSource, Repaired};
use bellwire_model::Epoch;

use crate::output::{self, counted};

/// What `repair` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The data directory; no server may use it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let shown = arguments.data.display();
    ensure!(arguments.data.is_dir(), "nothing was changed: there is no directory {shown}");
    let number = getrandom::u32().context("the system gives no random number")?;
    let repaired = bellwire_journal::repair(&arguments.data, Epoch::new(number))
        .context("nothing was changed")?;
    report(&repaired).iter().try_for_each(|line| output::line(line))
}

fn report(repaired: &Repaired) -> Vec<String> {
    let Repaired { events, topics, values, records, keys, epoch, .. } = *repaired;
    let mut kept = vec![
        format!("{} of {}", counted(events, "event"), counted(topics, "topic")),
        counted(records, "record"),
        counted(keys, "idempotency key"),
    ];
    let mut lost =
        vec![counted(repaired.events_lost, "event"), counted(repaired.records_lost, "record")];
    // Who has no state topics on the disk need not know of them.
    if values > 0 || repaired.values_lost > 0 {
        kept.push(counted(values, "state value"));
        lost.push(counted(repaired.values_lost, "state value"));
    }
    let mut lines =
        vec![format!("kept: {}", kept.join(", ")), format!("lost: {}", lost.join(", "))];
    match &repaired.source {
        RepairSource::AsItWas => {}
        RepairSource::WithNewFirstPage(cause) => lines.push(format!(
            "the first page of the database is lost ({cause}): its tables were looked for where a new \
             one has them"
        )),
        RepairSource::Unreadable(cause) => {
            lines.push(format!("nothing could be read of the database: {cause}"));
        }
    }
    if repaired.record_changes_lost > 0 {
        let changes = match repaired.record_changes_lost {
            1 => "change".into(),
            lost => format!("{lost} changes"),
        };
        lines.push(format!("lost: the last {changes} of silences, acknowledgements and the like"));
    }
    if !repaired.is_witnessed {
        lines.push(
            "more may be lost: no whole witness tells up to where events were acknowledged".into(),
        );
    }
    for (first, last) in &repaired.unreadable {
        lines.push(if first == last {
            format!("  offset {first} could not be read")
        } else {
            format!("  offsets {first} to {last} could not be read")
        });
    }
    lines.push(format!("the journal begins epoch {epoch}: who has a cursor gets a gap"));
    lines.push(format!("the damaged files are in {}", repaired.damaged_files.display()));
    lines
}
