//! `bellwire serve`: the server until it is told to end.

mod logs;
mod settings;
mod signals;

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use bellwire_server::{Config, Server, Succession};
use rustix::fs::Mode;
use rustix::process::umask;

pub(super) use self::logs::start as start_logs;
pub(super) use self::settings::{SettingFlags, load, passed_over, refusal};
pub(super) use self::signals::Signals;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  bellwire serve                                   nothing but streams, on 127.0.0.1:8080
  bellwire serve --rules 'rules/*.yml'             and alert rules
  bellwire serve --listen 0.0.0.0:8080 --insecure  reached from other machines, by whoever comes
  bellwire serve --config bellwire.toml            settings of a file
  BELLWIRE_DATA=/var/lib/bellwire bellwire serve   settings of the environment
";

/// How long a server that begins anew waits before it tries that again.
const START_AGAIN_INTERVAL: Duration = Duration::from_secs(2);

/// How long whoever comes waits for a server that begins anew. Then they are refused, and a proxy goes
/// to another node.
const WAIT_AT_DOOR_MAX: Duration = Duration::from_secs(3);

/// How long the desk is given up for at an early end: whoever waits for its lease has it by then.
const GIVE_UP_MAX: Duration = Duration::from_secs(4);

/// What `serve` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Configuration file, such as `bellwire.toml`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Prints where it listens once it does, and nothing else.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let config = load(arguments.config.as_deref(), &arguments.settings).map_err(refusal)?;
    start_logs();
    for text in passed_over() {
        tracing::warn!("It is passed over: {text}.");
    }
    super::runtime()?.block_on(async {
        // Before the start, so that a signal during it is not lost.
        let mut signals = Signals::listen()?;
        let mut server = start(config.clone(), &mut signals).await?;
        announce(&format!("listening on {}", server.url()));
        // Where others know to find it, also where the system has chosen the port.
        let config = Config { listen: server.address(), ..config };
        while !is_ended(&server, &mut signals).await {
            let succession = server.succession();
            let mut replacing = pin!(replace(server, &config, &mut signals));
            let replaced = tokio::select! {
                replaced = &mut replacing => replaced?,
                () = tokio::time::sleep(WAIT_AT_DOOR_MAX) => {
                    succession.turn_away();
                    replacing.await?
                }
            };
            // It was asked to end meanwhile.
            let Some(next) = replaced else { return Ok(()) };
            server = next;
        }
        drain(server, signals).await
    })
}

/// Ends a server, and starts another in its place; none where it is asked to end meanwhile.
async fn replace(server: Server, config: &Config, signals: &mut Signals) -> Result<Option<Server>> {
    let mut handing_over = tokio::task::spawn_blocking(move || server.hand_over());
    let (handed_over, goes_on) = tokio::select! {
        handed_over = &mut handing_over => (handed_over, true),
        () = signals.next() => {
            tracing::info!("It ends where it was to begin anew; a second signal ends at once.");
            (or_at_once(handing_over, signals).await, false)
        }
    };
    let succession = handed_over.context("the drain failed")?;
    if goes_on {
        return Ok(Some(start_anew(config, succession, signals).await));
    }
    give_up(succession, signals).await;
    Ok(None)
}

/// Waits for the end of something, or ends the process at a signal.
async fn or_at_once<T>(ending: impl Future<Output = T>, signals: &mut Signals) -> T {
    tokio::select! {
        ended = ending => ended,
        () = signals.next() => std::process::exit(EXIT_INTERRUPTED),
    }
}

/// Leaves to others what a server held that does not come back, for as long as that is worth it.
async fn give_up(succession: Succession, signals: &mut Signals) {
    let given_up = tokio::task::spawn_blocking(move || succession.give_up());
    let given_up = or_at_once(tokio::time::timeout(GIVE_UP_MAX, given_up), signals).await;
    if given_up.is_err() {
        tracing::warn!(
            "The desk is not given up in time: another node has it once its lease is over."
        );
    }
}

/// Starts again what has served, for as long as it takes: what keeps it from that may pass.
async fn start_anew(config: &Config, succession: Succession, signals: &mut Signals) -> Server {
    loop {
        match start_after(config.clone(), succession.clone(), signals).await {
            Ok(server) => return server,
            Err(error) => {
                // Another node may be able to do what this one is to do.
                give_up(succession.clone(), signals).await;
                let error = format!("{error:#}");
                tracing::error!(error, "It does not start yet; it is tried again.");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(START_AGAIN_INTERVAL) => {}
            () = signals.next() => {
                give_up(succession, signals).await;
                std::process::exit(0)
            }
        }
    }
}

/// Waits until it is asked to end, or has to begin anew: then all that it has shown is void.
async fn is_ended(server: &Server, signals: &mut Signals) -> bool {
    tokio::select! {
        () = signals.next() => true,
        () = server.begins_anew() => false,
    }
}

/// Starts a server, or ends the process at a signal meanwhile: nothing was served yet, and what is
/// on the disk bears any end.
pub(super) async fn start(config: Config, signals: &mut Signals) -> Result<Server> {
    start_after(config, Succession::default(), signals).await
}

/// The same of one that begins anew.
async fn start_after(
    config: Config,
    succession: Succession,
    signals: &mut Signals,
) -> Result<Server> {
    hide_files_from_others();
    let held = succession.clone();
    let starting = tokio::task::spawn_blocking(|| Server::start_after(config, succession));
    tokio::select! {
        started = starting => started.context("the start failed")?.context("cannot start"),
        () = signals.next() => {
            tracing::info!("It was asked to end before it had started.");
            give_up(held, signals).await;
            std::process::exit(0)
        }
    }
}

/// Whatever is made from now on is for the server's own user and group: the journal has what all
/// teams are told, and who did what.
pub(super) fn hide_files_from_others() {
    let before = umask(Mode::RWXO);
    umask(before | Mode::RWXO);
}

/// Prints where it listens. A server whose output nobody takes serves all the same.
pub(super) fn announce(text: &str) {
    if let Err(error) = output::line(text) {
        tracing::warn!(error = format!("{error:#}"), "Nobody was told: {text}");
    }
}

/// Ends the server gracefully, or at once at a second signal.
pub(super) async fn drain(server: Server, mut signals: Signals) -> Result<()> {
    tracing::info!("Draining; a second signal ends at once.");
    let drained = tokio::task::spawn_blocking(move || server.drain());
    or_at_once(drained, &mut signals).await.context("the drain failed")
}

/// What shells report of a program that was interrupted.
const EXIT_INTERRUPTED: i32 = 130;
