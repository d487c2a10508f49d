//! The load generator: connections, what they send, and what is found in what they receive.

mod connection;
mod dial;
mod event_stream;
mod flow;
mod haste;
mod marker;
mod mqtt_clients;
mod open_files;
mod opening;
mod peer;
mod publisher;
mod publishers;
pub(crate) mod request;
mod response;
mod slow_heads;
mod stamp;
mod stream;
mod subscriber;
mod subscribers;
mod volley;

pub(crate) use self::connection::Connection;
pub(crate) use self::dial::Origin;
pub(crate) use self::event_stream::EventStream;
pub(crate) use self::flow::{Delivered, Flow, Pace};
pub(crate) use self::haste::hurry;
pub(crate) use self::mqtt_clients::MqttClients;
pub(crate) use self::open_files::provide_for;
pub(crate) use self::opening::Opening;
pub(crate) use self::peer::{Peer, SILENCE_MAX};
pub(crate) use self::publisher::Publisher;
pub(crate) use self::publishers::{Publication, Publishers, Tally};
pub(crate) use self::response::Response;
pub(crate) use self::slow_heads::{SlowHeads, Slowness};
pub(crate) use self::subscriber::Heard;
pub(crate) use self::subscribers::{AT_ONCE, Subscribers};
pub(crate) use self::volley::{Answers, UNDER_WAY_MAX, Volley};
