//! MQTT: a listener for sensors, which publish with no broker between them and the rules, and clients
//! of [brokers](broker).
//!
//! ```text
//! server: accepts, TLS ─▶ inbox ─▶ listener's thread: packets ─▶ mapping ─▶ batch ─▶ Intake
//!                           ▲            │  ▲                                  │
//!         Gate: who is it? ─┘ ◀── CONNECT┘  └────────── PUBACK ◀── outcome ────┘
//! ```
//!
//! One thread looks after all clients with a poll: an idle one is a struct and a name. Whatever
//! messages come while the rules look at a batch are the next one, so that batches grow with the load
//! and nobody waits for one to be full. A message of quality 1 is acknowledged once the rules have
//! seen it; where they cannot take a batch now it waits, and clients with it.

mod batch;
mod broker;
mod client;
mod clients;
mod events;
mod gate;
mod inbox;
mod listener;
mod retry;
mod session;
mod turn;

pub use broker::{
    BrokerAddress, BrokerConfig, BrokerCounts, BrokerFigures, BrokerLogin, BrokerParts,
    BrokerTable, BrokerVersion, Brokers,
};
pub use gate::{Admitted, Arrival, Credential, Gate, Identified, SecureSession};
pub use inbox::ListenerParts;
pub use listener::Listener;
