//! Transports: what streams are sent over and how they are encoded, and how many there are of each.

use bellwire_process::{Family, Figure};
use bellwire_wire::ws::Subprotocol;

use crate::form::{Encoding, Form, HttpForm, WebSocketForm};

/// What a stream is sent over, and how it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Server-Sent Events with the event's JSON.
    Sse,
    /// Server-Sent Events with the payload alone.
    SseRaw,
    /// JSON, an object a line.
    Ndjson,
    /// A WebSocket that speaks JSON.
    WebSocketJson,
    /// A WebSocket that speaks MessagePack.
    WebSocketMsgpack,
    /// The Server-Sent Events of Durable Streams.
    DurableStreams,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 6] = [
        Self::Sse,
        Self::SseRaw,
        Self::Ndjson,
        Self::WebSocketJson,
        Self::WebSocketMsgpack,
        Self::DurableStreams,
    ];

    pub(crate) fn of(form: Form) -> Self {
        match form {
            Form::Http(HttpForm { encoding: Encoding::Sse, .. }) => Self::Sse,
            Form::Http(HttpForm { encoding: Encoding::SseRaw, .. }) => Self::SseRaw,
            Form::Http(HttpForm { encoding: Encoding::Ndjson, .. }) => Self::Ndjson,
            Form::WebSocket(WebSocketForm { subprotocol: Subprotocol::Json, .. }) => {
                Self::WebSocketJson
            }
            Form::WebSocket(WebSocketForm { subprotocol: Subprotocol::Msgpack, .. }) => {
                Self::WebSocketMsgpack
            }
            Form::Durable(_) => Self::DurableStreams,
        }
    }

    /// The transport's name, as `$sys/connections` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sse | Self::SseRaw => "sse",
            Self::Ndjson => "ndjson",
            Self::WebSocketJson | Self::WebSocketMsgpack => "websocket",
            Self::DurableStreams => "durable-streams",
        }
    }

    /// How events are encoded.
    pub const fn encoding(self) -> &'static str {
        match self {
            Self::Sse | Self::Ndjson | Self::WebSocketJson => "json",
            Self::WebSocketMsgpack => "msgpack",
            Self::SseRaw | Self::DurableStreams => "raw",
        }
    }
}

/// How many streams each transport has.
#[derive(Debug, Default)]
pub struct Transports([Counts; Transport::ALL.len()]);

#[derive(Debug, Default)]
struct Counts {
    open: Figure,
    opened: Figure,
}

impl Transports {
    pub(crate) fn open(&self, transport: Transport) {
        let counts = &self.0[transport as usize];
        counts.open.add(1);
        counts.opened.add(1);
    }

    pub(crate) fn close(&self, transport: Transport) {
        self.0[transport as usize].open.sub(1);
    }

    /// How many are open, and how many were opened since the start.
    pub fn counts(&self) -> impl Iterator<Item = (Transport, u64, u64)> {
        Transport::ALL.into_iter().map(|transport| {
            let Counts { open, opened } = &self.0[transport as usize];
            (transport, open.get(), opened.get())
        })
    }

    /// The same as figures.
    pub fn families(&self) -> [Family; 2] {
        let labels: &[&str] = &["transport", "encoding"];
        let names = |transport: Transport| vec![transport.name(), transport.encoding()];
        [
            Family {
                name: "bellwire_transport_streams_open",
                kind: "gauge",
                help: "Open streams, by what they are sent over and how they are encoded.",
                labels,
                values: self.counts().map(|(it, open, _)| (names(it), open)).collect(),
            },
            Family {
                name: "bellwire_transport_streams_opened_total",
                kind: "counter",
                help: "Streams that were opened, by what they are sent over and how they are encoded.",
                labels,
                values: self.counts().map(|(it, _, opened)| (names(it), opened)).collect(),
            },
        ]
    }
}
