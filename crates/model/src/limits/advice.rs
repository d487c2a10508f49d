//! Advice on transports.

use std::time::Duration;

/// Kinds of what is followed or published that traffic is counted apart by; the others are counted
/// together. One of which nothing is open, and nothing came for an hour, makes room for another.
pub const TRAFFIC_KINDS_MAX: usize = 64;
/// First segments in the name of such a kind; who follows more is among the others.
pub const TRAFFIC_KIND_SEGMENTS_MAX: usize = 4;
/// Bytes of each of them.
pub const TRAFFIC_KIND_SEGMENT_BYTES_MAX: usize = 64;
/// How often it is written down what was carried so far, and how many of these are kept: advice looks
/// back an hour.
pub const TRAFFIC_SPAN: Duration = Duration::from_mins(5);
/// See there.
pub const TRAFFIC_SPANS_MAX: usize = 12;

/// Bytes of a description of flows: [`ADVICE_FLOWS_MAX`] of them with every key, and comments.
pub const ADVICE_BYTES_MAX: usize = 64 * 1024;
/// Flows of one description. Who has more has several of one kind.
pub const ADVICE_FLOWS_MAX: usize = 64;
/// Bytes of the name of a flow: a few words.
pub const ADVICE_NAME_BYTES_MAX: usize = 100;
/// Events a second, one way, of one connection of a described flow.
pub const ADVICE_RATE_MAX: f64 = 1_000_000.0;
/// Bytes of a described payload: as much as a body has.
pub const ADVICE_PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Connections of a described flow: more than one server has by far.
pub const ADVICE_CONNECTIONS_MAX: usize = 1_000_000_000;
/// How late a described event may be: who waits for longer asks once a day.
pub const ADVICE_LATENCY_MAX: Duration = Duration::from_hours(24);
