//! What is counted of brokers, and what is wrong with them now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_process::Family;

use super::config::BrokerConfig;

bellwire_process::figures! {
    /// Of all brokers together.
    pub struct BrokerCounts {
        configured "gauge" "bellwire_mqtt_brokers" "Brokers of MQTT that the server is a client of.";
        connected "gauge" "bellwire_mqtt_brokers_connected" "Those of them that it is connected to.";
        connections "counter" "bellwire_mqtt_broker_connections_total" "Connections that brokers of MQTT have taken.";
        messages "counter" "bellwire_mqtt_broker_messages_total" "Messages that brokers of MQTT have brought.";
        repeated "counter" "bellwire_mqtt_broker_messages_repeated_total" "Messages of these that have come again and were not given to the rules a second time.";
        rebirths "counter" "bellwire_mqtt_broker_rebirths_asked_total" "Nodes of Sparkplug that were asked through a broker of MQTT to announce themselves again.";
    }
}

/// What is counted, and what is wrong.
#[derive(Debug, Default)]
pub struct BrokerFigures {
    /// What has no reason.
    pub counts: BrokerCounts,
    failures: Mutex<BTreeMap<&'static str, u64>>,
    /// What is wrong with a broker, by its place in the configuration.
    wrong: Mutex<BTreeMap<usize, String>>,
}

impl BrokerFigures {
    /// What is wrong with brokers now, one line each.
    pub fn complaints(&self) -> Vec<String> {
        lock(&self.wrong).values().cloned().collect()
    }

    /// A broker is to be gone to.
    pub(super) fn expect(&self, place: usize, config: &BrokerConfig) {
        self.counts.configured.add(1);
        let line = format!("the broker of MQTT at {} is not connected yet", config.address);
        lock(&self.wrong).insert(place, line);
    }

    /// A connection could not be made, or has ended: a word, and words.
    pub(super) fn lost(
        &self,
        place: usize,
        config: &BrokerConfig,
        (word, detail): (&'static str, &str),
    ) {
        *lock(&self.failures).entry(word).or_default() += 1;
        let address = &config.address;
        let line = format!("the broker of MQTT at {address} is not connected: {detail}");
        tracing::warn!("{line}");
        lock(&self.wrong).insert(place, line);
    }

    /// It is connected; what is still wrong, if something is.
    pub(super) fn came(&self, place: usize, wrong: Option<String>) {
        match wrong {
            Some(line) => {
                tracing::warn!("{line}");
                lock(&self.wrong).insert(place, line);
            }
            None => _ = lock(&self.wrong).remove(&place),
        }
    }

    /// Why connections ended.
    pub(crate) fn failures(&self) -> Family {
        let failures = lock(&self.failures);
        Family {
            name: "bellwire_mqtt_broker_failures_total",
            kind: "counter",
            help: "Connections to brokers of MQTT that could not be made, or have ended, by the reason.",
            labels: &["reason"],
            values: failures.iter().map(|(word, count)| (vec![*word], *count)).collect(),
        }
    }
}

/// A connection that a broker has taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Connected(Arc<BrokerFigures>);

impl Connected {
    pub(super) fn new(figures: &Arc<BrokerFigures>) -> Self {
        figures.counts.connections.add(1);
        figures.counts.connected.add(1);
        Self(Arc::clone(figures))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.counts.connected.sub(1);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
