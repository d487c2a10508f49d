//! `bellwire key`: API keys of sensors and services.

use anyhow::{Context, Result};
use bellwire_access::StoredKey;
use bellwire_access::key::NewKey;
use serde_json::json;

use crate::output;

/// What `key` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key, and print it with the table that the configuration needs of it.
    Make(Make),
}

#[derive(Debug, clap::Args)]
struct Make {
    /// Whose key it is, such as `sensor-17`: `{sub}` in rights.
    #[arg(long)]
    subject: String,
    /// A role that the key has; may be repeated.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,
    /// What it is for.
    #[arg(long, default_value = "")]
    note: String,
}

/// Makes a key. It is shown once: what is kept is a hash.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Command::Make(Make { subject, roles, note }) = &arguments.command;
    let mut random = [0; NewKey::RANDOM_BYTES];
    getrandom::fill(&mut random).context("the system gives no random numbers")?;
    let key = NewKey::make(random);
    // What is wrong with it would be wrong in the configuration, too.
    let names = roles.iter().map(|role| role.as_str().into()).collect();
    StoredKey::new(key.id(), &key.hash(), (subject, names), note)?;
    output::line(&format!(
        "{}\n\n# The key is above, and nowhere else from now on. For bellwire.toml:\n{}",
        key.text(),
        table(&key, (subject, roles), note)
    ))
}

/// The table of a key. Texts in quotes are the same in TOML as in JSON.
fn table(key: &NewKey, (subject, roles): (&str, &[String]), note: &str) -> String {
    format!(
        "[[access.key]]\nid = {}\nhash = {}\nsubject = {}\nroles = {}\nnote = {}",
        json!(key.id()),
        json!(key.hash()),
        json!(subject),
        json!(roles),
        json!(note)
    )
}
