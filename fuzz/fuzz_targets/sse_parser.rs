//! The parser of event streams: no bytes panic, and cuts do not matter.
//!
//! The first byte of an input says how the rest is cut.

#![no_main]

use bellwire_wire::sse::{Item, Parser, ParserError};
use libfuzzer_sys::fuzz_target;

const EVENT_BYTES_MAX: usize = 1_000;

fuzz_target!(|data: &[u8]| {
    let Some((length, stream)) = data.split_first() else { return };
    let whole = parse(stream, stream.len().max(1));
    let in_pieces = parse(stream, usize::from(*length).max(1));
    assert_eq!(whole, in_pieces);
});

fn parse(stream: &[u8], length: usize) -> (Vec<Item>, Option<ParserError>) {
    let (mut parser, mut items) = (Parser::new(EVENT_BYTES_MAX), Vec::new());
    for piece in stream.chunks(length) {
        if let Err(error) = parser.push(piece, &mut items) {
            return (items, Some(error));
        }
    }
    (items, None)
}
