//! WebSocket's decoder: no bytes panic, cuts do not matter, and no more is held than allowed.
//!
//! The first byte of an input chooses role and compression, the second how the rest is cut.

#![no_main]

use bellwire_wire::ws::{Compression, Decoder, Inflater, Input, Received, Role, Violation};
use libfuzzer_sys::fuzz_target;

const MESSAGE_BYTES_MAX: u32 = 1_000;
/// A buffer may be twice as large as what is in it; what is around it is small.
const HELD_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX as usize + 1_000;

fuzz_target!(|data: &[u8]| {
    let [options, length, stream @ ..] = data else { return };
    let role = if options & 1 == 0 { Role::Server } else { Role::Client };
    let compression = if options & 2 == 0 { Compression::Off } else { Compression::Deflate };
    let decoder = || Decoder::new(role, compression).with_message_bytes_max(MESSAGE_BYTES_MAX);
    let whole = decode(decoder(), stream, stream.len().max(1));
    let in_pieces = decode(decoder(), stream, usize::from(*length).max(1));
    assert_eq!(whole, in_pieces);
});

/// All that was received, in words, and how it ended if it did not end well.
fn decode(mut decoder: Decoder, stream: &[u8], length: usize) -> (Vec<String>, Option<Violation>) {
    let (mut inflater, mut all) = (Inflater::default(), Vec::new());
    for piece in stream.chunks(length) {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match decoder.next(&mut input, &mut inflater) {
                Ok(Some(received)) => {
                    assert!(bytes(&received) <= MESSAGE_BYTES_MAX as usize);
                    all.push(format!("{received:?}"));
                }
                Ok(None) => break,
                Err(violation) => return (all, Some(violation)),
            }
        }
        assert!(input.is_empty() && decoder.held_bytes() <= HELD_BYTES_MAX);
    }
    (all, None)
}

fn bytes(received: &Received<'_>) -> usize {
    match received {
        Received::Text(text) => text.len(),
        Received::Binary(bytes) | Received::Ping(bytes) | Received::Pong(bytes) => bytes.len(),
        Received::Close(close) => close.as_ref().map_or(0, |close| close.reason.len()),
    }
}
