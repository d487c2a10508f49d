//! What a flow costs over each transport.

use serde::Serialize;

use crate::flow::Flow;
use crate::measured::{self, Transport};

/// Without an event a server gives a sign this often, or answers a poll.
const SILENCE_S: f64 = 25.0;

/// Bytes of such a sign, both ways: a comment in a chunk; a ping and its pong.
const SSE_SIGN_BYTES: f64 = 8.0;
const WEBSOCKET_SIGN_BYTES: f64 = 8.0;

/// What base64 makes of bytes.
const BASE64: f64 = 4.0 / 3.0;

/// What something costs, of all clients together unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Bytes a second, both ways, heads and frames included; without TLS, IP and what browsers add to
    /// the heads of requests.
    pub bytes_per_second: f64,
    /// Requests a second.
    pub requests_per_second: f64,
    /// Bytes of the server's memory, without the kernel's buffers; null where it was not measured.
    pub memory_bytes: Option<f64>,
    /// Processor time of the server, in cores; null where it was not measured.
    pub cpu_cores: Option<f64>,
}

/// What a flow would cost over one transport.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Which.
    pub transport: Transport,
    /// Bytes a second of one client, both ways.
    pub bytes_per_second_each: f64,
    /// Requests a second of one client.
    pub requests_per_second_each: f64,
    /// Of all its clients.
    pub cost: Cost,
}

impl Cost {
    /// What nothing costs.
    pub(crate) const NOTHING: Self = Self {
        bytes_per_second: 0.0,
        requests_per_second: 0.0,
        memory_bytes: Some(0.0),
        cpu_cores: Some(0.0),
    };

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    /// What is left of it without the other.
    pub(crate) fn less(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    fn with(self, other: Self, each: fn(f64, f64) -> f64) -> Self {
        let known = |a: Option<f64>, b: Option<f64>| Some(each(a?, b?));
        Self {
            bytes_per_second: each(self.bytes_per_second, other.bytes_per_second),
            requests_per_second: each(self.requests_per_second, other.requests_per_second),
            memory_bytes: known(self.memory_bytes, other.memory_bytes),
            cpu_cores: known(self.cpu_cores, other.cpu_cores),
        }
    }
}

impl Candidate {
    /// What `flow` costs over `transport`.
    pub(crate) fn of(flow: &Flow, transport: Transport) -> Self {
        let (down, up) = (Down::of(flow, transport), Up::of(flow, transport));
        let connections = flow.connections;
        let bytes = down.bytes_per_second + up.bytes_per_second;
        let requests = down.requests_per_second + up.requests_per_second;
        // Who only sends by `POST` holds no stream open.
        let holds = flow.down_per_second > 0.0 || transport == Transport::Websocket;
        let memory = if holds { measured::memory_bytes(transport) } else { Some(0.0) };
        let cpu = down.cpu_cores.zip(up.cpu_cores).map(|(down, up)| down + up);
        Self {
            transport,
            bytes_per_second_each: bytes,
            requests_per_second_each: requests,
            cost: Cost {
                bytes_per_second: bytes * connections,
                requests_per_second: requests * connections,
                memory_bytes: memory.map(|bytes| bytes * connections),
                cpu_cores: cpu.map(|cores| cores * connections),
            },
        }
    }
}

/// One way, of one client.
#[derive(Clone, Copy, Debug)]
struct Way {
    bytes_per_second: f64,
    requests_per_second: f64,
    cpu_cores: Option<f64>,
}

/// What goes a way that nothing goes.
const NOTHING: Way = Way { bytes_per_second: 0.0, requests_per_second: 0.0, cpu_cores: Some(0.0) };

/// Processor time of so many a second; of none it is known.
fn cores(per_second: f64, each_s: Option<f64>) -> Option<f64> {
    if per_second == 0.0 { Some(0.0) } else { Some(per_second * each_s?) }
}

struct Down;
struct Up;

impl Down {
    fn of(flow: &Flow, transport: Transport) -> Way {
        let rate = flow.down_per_second;
        if rate == 0.0 && transport != Transport::Websocket {
            return NOTHING;
        }
        let payload = payload_bytes(flow, transport);
        let events = rate * (payload + measured::bytes_around_delivery(transport));
        // Between events that come more often there is no silence. A WebSocket pings in any case.
        let silent = (1.0 / SILENCE_S - rate).max(0.0);
        let (signs, requests) = match transport {
            Transport::Sse => (silent * SSE_SIGN_BYTES, 0.0),
            Transport::Websocket => (WEBSOCKET_SIGN_BYTES / SILENCE_S, 0.0),
            // Each event answers a poll at most, and each poll without one is asked again.
            Transport::LongPoll => ((rate + silent) * measured::bytes_of_poll(), rate + silent),
        };
        let polls = if transport == Transport::LongPoll { silent } else { 0.0 };
        Way {
            bytes_per_second: events + signs,
            requests_per_second: requests,
            cpu_cores: cores(rate + polls, measured::delivery_cpu_s(transport)),
        }
    }
}

impl Up {
    fn of(flow: &Flow, transport: Transport) -> Way {
        let rate = flow.up_per_second;
        // The body of a request is bytes of any kind, as a message is.
        let payload = rate * flow.up_bytes;
        let sends = match transport {
            Transport::Websocket => rate,
            Transport::Sse | Transport::LongPoll => flow.posts_per_second(),
        };
        Way {
            bytes_per_second: payload + sends * measured::bytes_around_publish(transport),
            requests_per_second: if transport == Transport::Websocket { 0.0 } else { sends },
            cpu_cores: cores(sends, measured::publish_cpu_s(transport)),
        }
    }
}

/// On its way to a client binary is itself over a WebSocket that speaks MessagePack, and base64 elsewhere.
fn payload_bytes(flow: &Flow, transport: Transport) -> f64 {
    let is_encoded = flow.binary && transport != Transport::Websocket;
    if is_encoded { flow.bytes * BASE64 } else { flow.bytes }
}
