//! A reader of NDJSON streams that fails loudly when nothing comes.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::Value;

use super::raw::Raw;

/// An open stream of lines.
#[derive(Debug)]
pub(crate) struct Lines {
    raw: Raw,
    /// What has come of a line that is not complete.
    begun: Vec<u8>,
    ready: VecDeque<Value>,
}

impl Lines {
    /// Opens `/v1/events?{query}`.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, query: &str) -> Self {
        let mut raw = Raw::connect(address);
        raw.send(format!(
            "GET /v1/events?{query} HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n"
        ));
        let head = raw.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("Content-Type: application/x-ndjson"), "{head}");
        Self { raw, begun: Vec::new(), ready: VecDeque::new() }
    }

    /// The next line that is not empty; `None` at the end.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Value> {
        self.try_next().expect("the stream goes on")
    }

    /// The same; an error where nothing comes.
    pub(crate) fn try_next(&mut self) -> std::io::Result<Option<Value>> {
        while self.ready.is_empty() {
            let Some(chunk) = self.raw.try_chunk()? else { return Ok(None) };
            for byte in chunk {
                match byte {
                    b'\n' if self.begun.is_empty() => {}
                    b'\n' => {
                        let line = std::mem::take(&mut self.begun);
                        self.ready.push_back(serde_json::from_slice(&line).expect("JSON"));
                    }
                    byte => self.begun.push(byte),
                }
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Reads up to `ready`, which comes last.
    #[track_caller]
    pub(crate) fn until_ready(&mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            let line = self.next().expect("the stream goes on");
            let is_ready = line["control"] == "ready";
            lines.push(line);
            if is_ready {
                return lines;
            }
        }
    }

    /// The next events, control events left out.
    #[track_caller]
    pub(crate) fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            let line = self.next().expect("the stream goes on");
            if line.get("control").is_none() {
                events.push(line);
            }
        }
        events
    }
}
