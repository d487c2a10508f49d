//! `bellwire demo`: a running system to look at, with one command.
//!
//! A server in this process, the rules of `examples/rules/demo.yml`, the real metrics of this
//! machine, 200 simulated sensors, and what the pages of the examples show. All of it goes in over the
//! public HTTP API, as anybody's would.

mod feeder;
mod field;
mod host;
mod random;
mod sample;
mod showcase;
mod teams;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwire_client::Client;
use bellwire_journal::Lock;
use bellwire_model::Topic;
use bellwire_server::Config;
use bellwire_server::config::{Flags, parse_listen};

use self::teams::Teams;
use super::serve;
use super::serve::Signals;

/// The rules, as the user may read and change them.
const RULES: &str = include_str!("../../../../examples/rules/demo.yml");
const RULES_FILE: &str = "rules.yml";

/// What `demo` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address to accept connections on; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_listen)]
    listen: SocketAddr,
    /// Let whoever reaches the address read and publish everything, be it another machine.
    #[arg(long)]
    insecure: bool,
    /// Ask who comes: three teams that see their own sites, and an operator, each with a login.
    #[arg(long)]
    teams: bool,
    /// Data directory; made where it is missing.
    #[arg(long, value_name = "DIR", default_value = "bellwire-data/demo")]
    data: PathBuf,
}

/// Runs until a signal asks for the end.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    serve::start_logs();
    let rules = provide_rules(&arguments.data)?;
    let teams = arguments.teams.then(|| Teams::make(&arguments.data)).transpose()?;
    let access = teams.as_ref().map(|teams| {
        let config = Config::load(Some(&teams.config), |_| None, &Flags::default());
        config.map_err(serve::refusal)
    });
    let mut config = Config {
        access: access.transpose()?.and_then(|config| config.access),
        listen: arguments.listen,
        insecure: arguments.insecure,
        data: arguments.data.clone(),
        // A path is a pattern too: what is special in one is not meant so here.
        rules: vec![glob::Pattern::escape(&rules.display().to_string())],
        ..Config::default()
    };
    // Whoever looks at the board, or has an alert open, sees who else does.
    let at_alerts = format!("{}/*", Topic::AT_ALERTS);
    config.presence.topics = vec![Topic::OF_BOARD.parse()?, at_alerts.parse()?];
    // Teams have topics of their own, and nothing of what the examples are about.
    if teams.is_none() {
        config.examples = true;
        config.topics = showcase::topic_rules()?;
        config.presence.topics.push(showcase::presence()?);
    }
    super::runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let server = serve::start(config, &mut signals).await?;
        let address = server.address();
        let welcome = welcome(address, &rules, teams.as_ref());
        serve::announce(&format!("listening on http://{address}\n\n{welcome}"));
        let mut itself = Client::builder(&reachable(address).to_string())?;
        if let Some(teams) = &teams {
            itself = itself.token(&*teams.key);
        }
        let client = itself.build()?;
        let sensors = feeder::run(client.clone());
        let stage = async {
            if teams.is_some() {
                std::future::pending::<()>().await;
            }
            showcase::run(client).await
        };
        tokio::select! {
            result = sensors => result?,
            result = stage => result?,
            () = signals.next() => {}
        }
        serve::drain(server, signals).await
    })
}

/// Writes the rules where there are none yet: what the user has changed stays. A directory that a
/// server uses is left alone.
fn provide_rules(data: &Path) -> Result<PathBuf> {
    let _lock = Lock::take(data).context("cannot start")?;
    let path = data.join(RULES_FILE);
    if !path.exists() {
        // Half of them, on a disk that is full, would be taken for what somebody has changed.
        let new = data.join(format!("{RULES_FILE}.new"));
        let written = fs::write(&new, RULES).and_then(|()| fs::rename(&new, &path));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path)
}

/// An address to connect to: one that stands for all of this machine's is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}

fn welcome(address: SocketAddr, rules: &Path, teams: Option<&Teams>) -> String {
    let url = format!("http://{}", reachable(address));
    let (logins, curl, topic) = match teams {
        None => (format!("Examples to copy:    {url}/examples\n"), "curl", "chat/general"),
        // It asks for the password.
        Some(teams) => (format!("{}\n", teams.welcome()), "curl -u north", "teams/north/chat"),
    };
    let who_may = teams.map_or_else(String::new, |teams| {
        format!(
            "Who may what is in {}; passwords are drawn at each start.\n",
            teams.config.display()
        )
    });
    format!(
        "Open {url} to watch alerts come and go: this machine and {sensors} simulated sensors
are being measured. The first alerts fire within ten seconds.

{logins}Follow alerts:       {curl} -N '{url}/v1/events?topic=alerts/events/**'
Publish an event:    {curl} -d '{{\"text\":\"hello\"}}' {url}/v1/topics/{topic}
Read the board:      {curl} '{url}/v1/topics/alerts/active'

{who_may}The rules are in {rules}. Ctrl-C ends the demo.",
        sensors = field::SENSORS,
        rules = rules.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_reaches_itself_wherever_it_listens() {
        for (listens, expected) in
            [("127.0.0.1:1", "127.0.0.1:1"), ("0.0.0.0:2", "127.0.0.1:2"), ("[::]:3", "[::1]:3")]
        {
            let listens = listens.parse().expect("an address");
            assert_eq!(reachable(listens).to_string(), expected);
        }
    }

    #[test]
    fn rules_that_were_changed_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = provide_rules(folder.path()).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), RULES);
        std::fs::write(&path, "groups: []").expect("written");
        provide_rules(folder.path()).expect("kept");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "groups: []");
    }
}
