//! A reader of `GET /v1/events` that fails loudly when nothing comes.

use std::collections::VecDeque;
use std::io::BufReader;
use std::net::{SocketAddr, TcpStream};

use bellwire_wire::sse::{Item, Parser};

use super::http::{self, Request};

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamItem {
    /// The last event id as of this event; empty where there was none.
    pub(crate) id: String,
    /// Its `event:`, or `message`, as browsers call it.
    pub(crate) event_type: String,
    pub(crate) data: String,
}

impl StreamItem {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }

    /// The event's own data, below its envelope.
    pub(crate) fn payload(&self) -> serde_json::Value {
        self.json()["data"].clone()
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
    parser: Parser,
    items: VecDeque<StreamItem>,
}

impl Stream {
    /// Opens `/v1/events?{query}`.
    pub(crate) fn open(address: SocketAddr, query: &str) -> Self {
        Self::open_with(address, query, &[])
    }

    /// Opens it where a client was.
    pub(crate) fn resume(address: SocketAddr, query: &str, cursor: &str) -> Self {
        Self::open_with(address, query, &[("Last-Event-ID", cursor)])
    }

    #[track_caller]
    pub(crate) fn open_with(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Self {
        let path = format!("/v1/events?{query}");
        let accept = [("Accept", "text/event-stream")];
        let headers: Vec<_> = accept.into_iter().chain(headers.iter().copied()).collect();
        let request = Request { method: "GET", path: &path, headers: &headers, body: b"" };
        let mut reader = http::send(address, request);
        let (status, headers) = http::read_head(&mut reader);
        assert_eq!(status, 200, "{path}");
        let chunked = ("transfer-encoding".to_owned(), "chunked".to_owned());
        assert!(headers.contains(&chunked), "{headers:?}");
        Self { reader, parser: Parser::default(), items: VecDeque::new() }
    }

    /// The next event, control events included; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<StreamItem> {
        while self.items.is_empty() {
            let chunk = http::read_chunk(&mut self.reader)?;
            let mut items = Vec::new();
            self.parser.push(&chunk, &mut items).expect("events of a sane size");
            self.items.extend(items.into_iter().filter_map(of_item));
        }
        self.items.pop_front()
    }

    /// The next event that is of this type; those before it are left out.
    #[track_caller]
    pub(crate) fn next_of(&mut self, event_type: &str) -> StreamItem {
        loop {
            let item = self.next().expect("the stream goes on");
            if item.event_type == event_type {
                return item;
            }
        }
    }

    /// Reads up to `ready`; returns the events before it.
    #[track_caller]
    pub(crate) fn until_ready(&mut self) -> Vec<StreamItem> {
        let mut before = Vec::new();
        loop {
            let item = self.next().expect("the stream goes on");
            if item.event_type == "ready" {
                return before;
            }
            before.push(item);
        }
    }

    /// The next events, control events left out.
    #[track_caller]
    pub(crate) fn events(&mut self, count: usize) -> Vec<StreamItem> {
        let mut events = Vec::new();
        while events.len() < count {
            let item = self.next().expect("the stream goes on");
            let controls = ["ready", "gap", "bye", "heartbeat", "degraded", "restored"];
            if !controls.contains(&item.event_type.as_str()) {
                events.push(item);
            }
        }
        events
    }
}

pub(crate) fn of_item(item: Item) -> Option<StreamItem> {
    let Item::Event(received) = item else { return None };
    Some(StreamItem {
        id: received.last_event_id,
        event_type: received.event_type.unwrap_or_else(|| "message".to_owned()),
        data: received.data,
    })
}
