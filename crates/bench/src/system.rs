//! The push systems that are measured: how each is started, and how one talks to it.

mod access;
mod bellwire;
mod centrifugo;
mod certificate;
mod child;
mod engine;
mod flags;
mod floor;
mod mercure;
mod nchan;
mod nodes;
mod server;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

pub(crate) use self::access::bad_credential;
use self::certificate::Certificate;
pub(crate) use self::engine::EngineFlags;
pub(crate) use self::flags::{ServerFlags, SystemFlags};
pub(crate) use self::nodes::{NodeCpu, Nodes};
pub(crate) use self::server::Server;
use crate::load::Opening;

/// A system by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SystemName {
    /// This program.
    Bellwire,
    /// A bare loop that writes each event to all, and does nothing else: part of this program.
    Floor,
    /// Nginx with the module nchan, one worker.
    Nchan,
    Centrifugo,
    Mercure,
}

/// How a push system is started, and how one talks to it.
pub(crate) trait System: fmt::Debug + Sync {
    /// The command that runs it in the foreground.
    fn start(&self, launch: &Launch<'_>) -> Result<Start>;

    /// How a subscriber of a topic begins.
    fn opening(&self, topic: &str, transport: Transport) -> Result<Opening>;

    /// How a subscriber begins that has seen an event and lacks those after it. It is live with
    /// the first byte of its answer, since it has to catch up. `answer` is what the publisher of
    /// the event was told.
    fn resumption(&self, topic: &str, transport: Transport, answer: &[u8]) -> Result<Opening>;

    /// The request that publishes a JSON body, on a connection that is kept.
    fn publication(&self, topic: &str, body: &str) -> Vec<u8>;
}

impl SystemName {
    pub(crate) fn system(self) -> &'static dyn System {
        match self {
            Self::Bellwire => &bellwire::Bellwire,
            Self::Floor => &floor::Floor,
            Self::Nchan => &nchan::Nchan,
            Self::Centrifugo => &centrifugo::Centrifugo,
            Self::Mercure => &mercure::Mercure,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bellwire => "bellwire",
            Self::Floor => "floor",
            Self::Nchan => "nchan",
            Self::Centrifugo => "centrifugo",
            Self::Mercure => "mercure",
        }
    }
}

/// How subscribers get events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// Server-Sent Events.
    Sse,
    Websocket,
    /// Long polls; of Bellwire alone.
    Poll,
}

impl Transport {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Websocket => "websocket",
            Self::Poll => "poll",
        }
    }
}

/// When the server acknowledges an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Durability {
    Sync,
    Interval,
}

impl Durability {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Interval => "interval",
        }
    }
}

/// Whom the server lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Everybody,
    /// Who has the key of the configuration, or a token of its issuer.
    Known,
}

/// Where sensors come with MQTT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener<'a> {
    pub(crate) address: SocketAddr,
    /// The entries of the configuration for what they send.
    pub(crate) topics: &'a str,
}

/// The cluster that a server is a node of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterPlace<'a> {
    /// The address of the engine, which may have a password.
    pub(crate) engine: &'a str,
    pub(crate) name: &'a str,
}

/// What a server is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) durability: Durability,
    /// The text of a file of alert rules; for Bellwire alone.
    pub(crate) rules: Option<&'a str>,
    /// Who may do what; for Bellwire alone.
    pub(crate) access: Access,
    /// The entries of the configuration for topics that are no streams; for Bellwire alone.
    pub(crate) topics: &'a str,
    /// Where sensors come with MQTT; for Bellwire alone.
    pub(crate) mqtt: Option<Listener<'a>>,
    /// Of which cluster it is a node; for Bellwire alone.
    pub(crate) cluster: Option<ClusterPlace<'a>>,
    /// With TLS, and this certificate.
    pub(crate) certificate: Option<&'a Certificate>,
    /// A folder for whatever it keeps: an empty one, or that of its last run.
    pub(crate) folder: &'a Path,
}

/// A command, and where its server will listen.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) command: Command,
    /// `None`: the server says so in its first line.
    pub(crate) address: Option<SocketAddr>,
}

/// An address that nobody listens at: for servers that cannot choose a port and tell.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("there is no free port")?;
    let address = listener.local_addr()?;
    ensure!(address.port() != 0, "the system gives no port");
    Ok(address)
}

/// Whether a program is found where programs are looked for.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
