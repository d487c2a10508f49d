//! Requests as `MessagePack`, and its way to JSON and back.

#![no_main]

use bellwire_wire::msgpack::{from_json, to_json};
use bellwire_wire::request::read_msgpack;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let _ = read_msgpack(data);
    if let Ok(json) = to_json(data) {
        let again = to_json(&from_json(&json)).expect("what is written can be read");
        assert_eq!(value(&again), value(&json));
    }
    // What comes here is always JSON, but nothing may go wrong if it is not.
    assert!(to_json(&from_json(data)).is_ok());
});

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("what is written is JSON")
}
