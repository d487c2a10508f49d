//! What the command line says of the server that is measured.

use url::Url;

use super::{Durability, SystemName, Transport};

/// A server that runs already.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerFlags {
    /// Measure a server that runs already, instead of one that is started for it; on this
    /// machine's loopback interface only.
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<Url>,
    /// Processes of that server, to measure their CPU time and memory.
    #[arg(long, value_name = "PID", requires = "server", value_delimiter = ',')]
    pub(super) pid: Vec<u32>,
}

impl ServerFlags {
    /// Whether the server runs already, as somebody else has configured it.
    pub(crate) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// The durability to note in a result.
    pub(crate) fn durability_text(&self, asked: Durability) -> &'static str {
        if self.is_given() { "as configured" } else { asked.as_str() }
    }
}

/// Which push system is measured, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SystemFlags {
    /// The system to measure.
    #[arg(long, value_enum, default_value_t = SystemName::Bellwire)]
    pub(crate) system: SystemName,
    /// How subscribers get events.
    #[arg(long, value_enum, default_value_t = Transport::Sse)]
    pub(crate) transport: Transport,
    /// Over TLS, with a certificate that is made for the run.
    #[arg(long, conflicts_with = "server")]
    pub(crate) tls: bool,
    /// When Bellwire acknowledges an event.
    #[arg(long, value_enum, default_value_t = Durability::Interval, conflicts_with = "server")]
    pub(crate) durability: Durability,
    #[command(flatten)]
    pub(crate) server: ServerFlags,
}
