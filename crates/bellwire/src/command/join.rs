//! `bellwire join`: a server that stood alone becomes the first node of a cluster.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bellwire_server::{BroughtIn, bring_in};

use super::serve::{SettingFlags, hide_files_from_others, load, refusal, start_logs};
use crate::output::{self, counted};

const EXAMPLES: &str = "\
Example:
  systemctl stop bellwire
  bellwire join --cluster nats://10.0.0.5:4222 --data /var/lib/bellwire
  bellwire serve --cluster nats://10.0.0.5:4222 --data /var/lib/bellwire

The cluster has to be empty, and no server may use the directory. The configuration is to be the node's.
Whoever is cut off meanwhile is run once more.
";

/// What `join` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Configuration file, such as `bellwire.toml`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Prints what the cluster begins with, and where the journal is as it was.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let config = load(arguments.config.as_deref(), &arguments.settings).map_err(refusal)?;
    start_logs();
    hide_files_from_others();
    let shown = config.data.display();
    let brought_in = bring_in(&config).with_context(|| format!("{shown} was not changed"))?;
    let Some(BroughtIn { converted, kept_in }) = brought_in else {
        return output::line(&format!(
            "{shown} is that of the first node of the cluster already: start it with `bellwire serve`"
        ));
    };
    let has = [
        counted(converted.events, "event"),
        counted(converted.values, "state value"),
        counted(converted.records, "record"),
    ];
    let lines = [
        format!("the cluster begins with: {}", has.join(", ")),
        format!("it goes on in epoch {}, so that cursors go on", converted.epoch),
        format!(
            "the journal as it was is in {}: keep it until a second node has caught up, and start no \
             server with it",
            kept_in.display()
        ),
        "now start this node with `bellwire serve`, and then the others, each with an empty directory"
            .to_owned(),
    ];
    lines.iter().try_for_each(|line| output::line(line))
}
