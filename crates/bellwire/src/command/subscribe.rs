//! `bellwire subscribe`: follows topics over SSE, and resumes where it was after every failure.

mod follow;
mod print;

use anyhow::{Result, bail};
use bellwire_model::{Cursor, Filter};

use self::follow::{End, Follow};
use self::print::Printer;
use crate::client::ServerFlag;
use crate::output;

/// What `subscribe` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Topics or filters, such as `chat/general`, `alerts/events/*/BoilerHot` or `chat/**`.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<Filter>,
    /// Where to begin: `earliest`, `latest`, or the cursor of the last event that was seen.
    #[arg(long, value_name = "CURSOR", default_value = "latest", value_parser = parse_after)]
    after: String,
    #[command(flatten)]
    server: ServerFlag,
    /// Print each event as a line of JSON; the default where the output is no terminal.
    #[arg(long, conflicts_with = "data_only")]
    json: bool,
    /// Print each event's data alone.
    #[arg(long)]
    data_only: bool,
}

fn parse_after(text: &str) -> Result<String> {
    if !matches!(text, "earliest" | "latest") && text.parse::<Cursor>().is_err() {
        bail!("expected `earliest`, `latest` or a cursor such as `e7-1042`");
    }
    Ok(text.to_owned())
}

/// Prints events until the server ends the stream for good, or refuses it.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let printer = match (arguments.json, arguments.data_only) {
        (_, true) => Printer::DataOnly,
        (true, _) => Printer::Json,
        _ => Printer::suited_to_output(),
    };
    let client = arguments.server.client()?;
    let follow = Follow::new(client, &arguments.topics, arguments.after);
    match super::runtime()?.block_on(follow.run(printer))? {
        End::OfTopics => {}
        End::ByServer => output::notice("The server has ended the stream for good."),
    }
    Ok(())
}
