//! `bellwire key`: API keys of sensors and services.

mod remote;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwire_access::StoredKey;
use bellwire_access::key::{NewKey, check_note};
use serde_json::json;

use crate::client::ServerFlag;
use crate::output;

/// What `key` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key, and print it: with the table that the configuration needs of it, or with
    /// `--server` for a server that keeps it itself.
    Make(Make),
    /// List the keys of a server.
    List(List),
    /// Take a key back: it counts no more from now on, and its streams end.
    Revoke(Revoke),
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
    /// A claim, such as `team=payments`; one that is repeated is a list. Of a server's key.
    #[arg(long = "claim", value_name = "NAME=TEXT", value_parser = super::token::pair)]
    claims: Vec<(String, String)>,
    /// How long it is valid, such as `90d`; without it until it is taken back. Of a server's key.
    #[arg(long, value_name = "DURATION", value_parser = super::token::duration)]
    valid_for: Option<Duration>,
    #[command(flatten)]
    server: ServerFlag,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    server: ServerFlag,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The key's id: the 8 characters behind `bw_`.
    id: String,
    #[command(flatten)]
    server: ServerFlag,
}

/// Makes, lists and takes back keys.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Make(make) if make.server.is_given() => remote::make(make),
        Command::Make(make) => self::make(&make),
        Command::List(list) => remote::list(list),
        Command::Revoke(revoke) => remote::revoke(revoke),
    }
}

/// Makes a key. It is shown once: what is kept is a hash.
fn make(Make { subject, roles, note, claims, valid_for, .. }: &Make) -> Result<()> {
    ensure!(
        claims.is_empty() && valid_for.is_none(),
        "`--claim` and `--valid-for` are for keys that a server keeps: `--server` names it"
    );
    let mut random = [0; NewKey::RANDOM_BYTES];
    getrandom::fill(&mut random).context("the system gives no random numbers")?;
    let key = NewKey::make(random);
    // What is wrong with it would be wrong in the configuration, too.
    let names = roles.iter().map(|role| role.as_str().into()).collect();
    StoredKey::new(key.id(), &key.hash(), (subject, names), note)?;
    check_note(note)?;
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
