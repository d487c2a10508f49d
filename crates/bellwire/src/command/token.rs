//! `bellwire token`: what a token says to a server, and tokens to try things out with.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bellwire_access::jwt;
use bellwire_model::{Filter, FilterSet, Scope};
use bellwire_server::explain_token;
use serde_json::{Map, Value};

use super::serve::{SettingFlags, load};
use crate::output::{self, AlreadyTold};

/// What `token` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token that is signed with a secret (HS256), for an issuer of your own.
    Make(Make),
    /// Say who a token is of to a server of this configuration, and what they may; or why it does not
    /// count.
    Explain(Explain),
}

#[derive(Debug, clap::Args)]
struct Make {
    /// File of the secret, 32 bytes at least; the configuration names the same.
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// The issuer's name in the configuration.
    #[arg(long)]
    issuer: String,
    /// Whom it is of: `{sub}` in rights.
    #[arg(long)]
    subject: String,
    /// A name under which the server is meant.
    #[arg(long)]
    audience: Option<String>,
    /// How long it is valid, such as `1h`.
    #[arg(long, default_value = "1h", value_parser = duration)]
    valid_for: Duration,
    /// A claim, such as `team=payments`; one that is repeated is a list.
    #[arg(long = "claim", value_name = "NAME=TEXT", value_parser = pair)]
    claims: Vec<(String, String)>,
    /// The name of the key, where the configuration gives it one.
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Explain {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The token; `-`, or nothing, reads it from standard input, where no list of processes shows it.
    token: Option<String>,
}

/// Makes or explains a token.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Make(make) => self::make(make),
        Command::Explain(explain) => self::explain(explain),
    }
}

fn make(make: &Make) -> Result<()> {
    let path = make.secret_file.display();
    let secret = std::fs::read(&make.secret_file).with_context(|| format!("cannot read {path}"))?;
    // As the server reads it: without the end of the line.
    let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    // What the server would say of it.
    jwt::VerificationKey::from_secret(None, secret).with_context(|| path.to_string())?;
    let now = bellwire_process::clock::now();
    let mut claims = gathered(&make.claims);
    claims.insert("iss".into(), make.issuer.as_str().into());
    claims.insert("sub".into(), make.subject.as_str().into());
    if let Some(audience) = &make.audience {
        claims.insert("aud".into(), audience.as_str().into());
    }
    claims.insert("iat".into(), (now.as_ms() / 1_000).into());
    let ends_at = now.saturating_add(make.valid_for);
    claims.insert("exp".into(), (ends_at.as_ms() / 1_000).into());
    output::line(&jwt::signed(make.key_id.as_deref(), &claims, secret))
}

/// Claims as JSON: one that is repeated is a list.
pub(super) fn gathered(pairs: &[(String, String)]) -> Map<String, Value> {
    let mut claims = Map::new();
    for (name, text) in pairs {
        let text = Value::from(text.as_str());
        match claims.get_mut(name) {
            None => drop(claims.insert(name.clone(), text)),
            Some(Value::Array(list)) => list.push(text),
            Some(one) => *one = Value::Array(vec![one.take(), text]),
        }
    }
    claims
}

fn explain(explain: &Explain) -> Result<()> {
    let config = load(Some(&explain.config), &SettingFlags::default())
        .map_err(|errors| anyhow::anyhow!("{}", errors[0]))?;
    let Some(access) = config.access else {
        bail!("the configuration has no `[access]`: nobody is asked for a token");
    };
    let text = match explain.token.as_deref() {
        None | Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            text
        }
        Some(text) => text.to_owned(),
    };
    let now = bellwire_process::clock::now();
    let explained = super::runtime()?.block_on(explain_token(&access, text.trim(), now));
    match explained? {
        Ok(identity) => output::line(&told(&identity)),
        Err(error) => {
            output::line(&format!("It does not count here ({}): {error}.", error.word()))?;
            Err(AlreadyTold.into())
        }
    }
}

fn told(identity: &bellwire_access::Identity) -> String {
    let rights = &identity.rights;
    let mut lines = vec![
        format!("subject      {}", identity.subject()),
        format!("roles        {}", identity.roles.join(", ")),
    ];
    if let Some(ends_at) = identity.ends_at() {
        lines.push(format!("ends         {}", ends_at.rfc3339()));
    }
    let filters = [("subscribe", &rights.subscribe), ("publish", &rights.publish)];
    lines.extend(filters.map(|(name, filters)| format!("{name:<12} {}", filters_text(filters))));
    let scopes = [
        ("ingest", &rights.ingest),
        ("query", &rights.query),
        ("alerts", &rights.alerts),
        ("attend", &rights.attend),
        ("post_alerts", &rights.post_alerts),
    ];
    lines.extend(scopes.map(|(name, scope)| format!("{name:<12} {}", scope_text(scope))));
    lines.push(format!("admin        {}", if rights.is_admin { "yes" } else { "no" }));
    lines.join("\n")
}

fn filters_text(filters: &FilterSet) -> String {
    let texts: Vec<&str> = filters.iter().map(Filter::as_str).collect();
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(" ") }
}

fn scope_text(scope: &Scope) -> String {
    match scope.sets() {
        None => "everything".to_owned(),
        Some([]) => "nothing".to_owned(),
        Some(sets) => sets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = bellwire_model::duration::parse(text);
    duration.ok_or_else(|| "a duration such as 30m, 1h or 7d".to_owned())
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| "a claim is written `name=text`".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}
