//! The head of a connection's first request: no bytes panic, and what was decided of the first
//! bytes is not decided otherwise when more have come.
//!
//! The first byte of an input says where it is cut.

#![no_main]

use bellwire_server::fuzzing::request_head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cut, head)) = data.split_first() else { return };
    let first = &head[..usize::from(*cut).min(head.len())];
    let decision = request_head(head);
    if let Some(early) = request_head(first) {
        assert_eq!(Some(early), decision);
    }
});
