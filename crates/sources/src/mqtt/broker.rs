//! Brokers that the server is a client of: what they bring goes to the rules as what sensors publish
//! here does.
//!
//! ```text
//! Brokers ─┬─ Visit (a broker): Link ─▶ Session ─▶ mapping ─▶ batch ─▶ Intake
//!          │                     ▲         │                            │
//!          │                     └ packets ┴────────── PUBACK ◀ outcome ┘
//!          └─ Visit …
//! ```
//!
//! A broker is a task. [`session`] decides what is said and is told the time; [`link`] has the socket,
//! and [`visit`] brings them together, again and again.

mod config;
mod figures;
mod link;
mod pause;
mod session;
mod table;
mod visit;

use std::sync::Arc;

use bellwire_ingest::mqtt::mapping::Mapping;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::intake::Intake;
use visit::Visit;

pub use config::{BrokerAddress, BrokerConfig, BrokerLogin, BrokerVersion};
pub use figures::{BrokerCounts, BrokerFigures};
pub use table::BrokerTable;

/// What the clients of brokers stand on.
#[derive(Clone, Debug)]
pub struct BrokerParts {
    /// What messages mean.
    pub mapping: Arc<Mapping>,
    /// Where samples go.
    pub intake: Arc<dyn Intake>,
    /// What is counted.
    pub figures: Arc<BrokerFigures>,
    /// Says when the server ends.
    pub draining: watch::Receiver<bool>,
}

/// The clients of all brokers.
#[derive(Debug)]
pub struct Brokers(Vec<JoinHandle<()>>);

impl Brokers {
    /// Goes to these brokers. They are left once the server drains.
    pub fn start(configs: &[BrokerConfig], parts: &BrokerParts, runtime: &Handle) -> Self {
        let start = |(place, config): (usize, &BrokerConfig)| {
            parts.figures.expect(place, config);
            let (config, parts) = (Arc::new(config.clone()), parts.clone());
            let inner = runtime.clone();
            runtime.spawn(async move { again_and_again(place, &config, &parts, &inner).await })
        };
        Self(configs.iter().enumerate().map(start).collect())
    }

    /// Waits until what the rules have seen is acknowledged, and the brokers are left.
    pub async fn ended(self) {
        for client in self.0 {
            if client.await.is_err() {
                tracing::error!("A client of a broker of MQTT had failed.");
            }
        }
    }
}

/// A broken invariant ends a connection, and all that is known of it: what was not acknowledged comes
/// again.
async fn again_and_again(
    place: usize,
    config: &Arc<BrokerConfig>,
    parts: &BrokerParts,
    runtime: &Handle,
) {
    loop {
        let visit = Visit::new(place, Arc::clone(config), parts.clone());
        if runtime.spawn(visit.run()).await.is_ok() {
            return;
        }
        parts.figures.lost(place, config, ("broken", "an invariant is broken"));
        tokio::time::sleep(bellwire_model::limits::MQTT_BROKER_PAUSE_MAX).await;
    }
}
