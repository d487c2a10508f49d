//! `bellwire advise`: which transport suits what flows between clients and a server.

mod text;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bellwire_advice::{advise, read_toml};
use bellwire_model::limits::ADVICE_BYTES_MAX;

use crate::output::{self, harmless};

/// What `advise` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the advice as JSON.
    #[arg(long)]
    json: bool,
    /// A description of the flows in TOML, such as examples/flows.toml.
    #[arg(value_name = "FLOWS.toml")]
    flows: PathBuf,
}

/// Fails if the description cannot be read.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.flows;
    let name = harmless(&path.display().to_string());
    let text = read(path).with_context(|| format!("cannot read {name}"))?;
    let description = match read_toml(&text) {
        Ok(description) => description,
        Err(error) => bail!("{name}:{error}"),
    };
    let advice = advise(&description);
    let text = if arguments.json {
        serde_json::to_string_pretty(&advice).expect("texts and numbers are JSON")
    } else {
        text::render(&advice)
    };
    output::line(&text)
}

/// The text of a file, of which no more is read than a description may have and a byte.
fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(ADVICE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > ADVICE_BYTES_MAX {
        bail!("it has more than {ADVICE_BYTES_MAX} bytes: describe flows of one kind once");
    }
    String::from_utf8(bytes).context("it is not UTF-8")
}
