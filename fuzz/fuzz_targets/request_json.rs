//! Requests over a WebSocket, and batches of events, as JSON.

#![no_main]

use bellwire_wire::publish::{BatchFormat, batch};
use bellwire_wire::reply::Reply;
use bellwire_wire::request::read_json;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    for format in [BatchFormat::Json, BatchFormat::Ndjson] {
        let _ = batch(format, &body);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let received = read_json(text);
    if let Err(refusal) = &received.request {
        let reply = Reply::from(refusal).json_for(received.id.as_ref());
        assert!(serde_json::from_slice::<serde_json::Value>(&reply).is_ok());
    }
});
