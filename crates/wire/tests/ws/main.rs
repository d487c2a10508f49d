//! WebSocket: what comes in means what RFC 6455 and RFC 7692 say, however it is cut; and what
//! goes out is what comes in at the other end.

mod autobahn;
mod bounds;
mod compression;

use bellwire_wire::ws::{
    self, Close, CloseCode, Compression, Decoder, Inflater, Input, Opcode, Received, Role,
    Violation,
};
use proptest::prelude::*;

use compression::deflated;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A masked frame with any first byte, right or wrong.
fn sent(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = ws::masked_frame(Opcode::Binary, payload, MASK);
    frame[0] = first;
    frame
}

fn text(text: &str) -> Received<'static> {
    Received::Text(text.to_owned().into())
}

fn binary(bytes: &[u8]) -> Received<'static> {
    Received::Binary(bytes.to_owned().into())
}

fn ping(bytes: &[u8]) -> Received<'static> {
    Received::Ping(bytes.to_owned().into())
}

fn pong(bytes: &[u8]) -> Received<'static> {
    Received::Pong(bytes.to_owned().into())
}

fn close(code: u16, reason: &str) -> Received<'static> {
    let code = CloseCode::new(code).expect("a code that may be sent");
    Received::Close(Some(Close { code, reason: reason.to_owned() }))
}

fn owned(received: Received<'_>) -> Received<'static> {
    match received {
        Received::Text(text) => Received::Text(text.into_owned().into()),
        Received::Binary(bytes) => Received::Binary(bytes.into_owned().into()),
        Received::Ping(bytes) => Received::Ping(bytes.into_owned().into()),
        Received::Pong(bytes) => Received::Pong(bytes.into_owned().into()),
        Received::Close(close) => Received::Close(close),
    }
}

/// All that came, and how it ended if it did not end well.
type Outcome = (Vec<Received<'static>>, Option<Violation>);

fn decoder() -> Decoder {
    Decoder::new(Role::Server, Compression::Off)
}

fn decode<'a>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let (mut inflater, mut all) = (Inflater::default(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match decoder.next(&mut input, &mut inflater) {
                Ok(Some(received)) => all.push(owned(received)),
                Ok(None) => break,
                Err(violation) => return (all, Some(violation)),
            }
        }
        assert!(input.is_empty(), "all is read before it asks for more");
    }
    (all, None)
}

/// The outcome of the frames in one piece, in the pieces that are frames, and byte by byte.
#[track_caller]
fn check(name: &str, new: impl Fn() -> Decoder, frames: &[Vec<u8>], expected: &Outcome) {
    let stream = frames.concat();
    assert_eq!(&decode(new(), [&stream[..]]), expected, "{name}, whole");
    assert_eq!(&decode(new(), frames.iter().map(Vec::as_slice)), expected, "{name}, by frame");
    for length in [1, 997] {
        let outcome = decode(new(), stream.chunks(length));
        assert_eq!(&outcome, expected, "{name}, in pieces of {length}");
    }
}

#[test]
fn a_client_masks_and_a_server_does_not() {
    let from_server = ws::frame(Opcode::Text, b"hello").to_vec();
    let from_client = ws::masked_frame(Opcode::Text, b"hello", MASK);
    let client = || Decoder::new(Role::Client, Compression::Off);
    let hello = (vec![text("hello")], None);
    check("client", client, std::slice::from_ref(&from_server), &hello);
    check("server", decoder, std::slice::from_ref(&from_client), &hello);
    check("unmasked", decoder, &[from_server], &(vec![], Some(Violation::Unmasked)));
    check("masked", client, &[from_client], &(vec![], Some(Violation::Masked)));
    // The example of RFC 6455, section 5.7.
    assert_eq!(ws::masked_frame(Opcode::Text, b"Hello", MASK)[6..], *b"\x7f\x9f\x4d\x51\x58");
}

#[test]
fn every_violation_has_a_reason_that_fits_a_close_frame() {
    let violations = [
        Violation::OpcodeUnknown { opcode: 15 },
        Violation::ReservedBits { bits: 7 },
        Violation::LengthNotMinimal { length: 65535 },
        Violation::ControlTooLong { bytes: u64::MAX },
        Violation::TooLarge { bytes_max: u32::MAX },
        Violation::TooManyFragments,
        Violation::Interleaved,
        Violation::CloseCodeInvalid { code: 65535 },
    ];
    for violation in violations {
        let reason = violation.to_string();
        let frame = ws::close(violation.close_code(), &reason);
        assert_eq!(frame.len(), 4 + reason.len(), "{reason}");
    }
    assert_eq!(Violation::Utf8.close_code(), CloseCode::INVALID_DATA);
    assert_eq!(Violation::Unmasked.close_code(), CloseCode::PROTOCOL_ERROR);
    assert_eq!(Violation::TooLarge { bytes_max: 1 }.close_code().get(), 1009);
    let cut = ws::close_payload(CloseCode::POLICY, &"é".repeat(100));
    assert_eq!(cut, [&b"\x03\xF0"[..], "é".repeat(61).as_bytes()].concat());
}

#[test]
fn a_frame_is_built_in_place() {
    for length in [0, 125, 126, 65535, 65536] {
        let payload = vec![b'x'; length];
        let built = ws::build(Opcode::Text, 0, |out| out.extend_from_slice(&payload));
        assert_eq!(built, ws::frame(Opcode::Text, &payload));
    }
    assert_eq!(ws::frame(Opcode::Text, b"hi"), &b"\x81\x02hi"[..]);
    assert_eq!(ws::ping(&[7; 200]).len(), 2 + ws::CONTROL_BYTES_MAX);
    assert_eq!(ws::pong(b"p"), &b"\x8A\x01p"[..]);
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop::sample::select(vec![CONTINUATION, TEXT, BINARY, PING, PONG, CLOSE]);
    let first = prop_oneof![
        20 => (opcode, prop::bool::weighted(0.7)).prop_map(|(opcode, is_last)| {
            if is_last || opcode >= CLOSE { FIN | opcode } else { opcode }
        }),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        "[a-zé€😀]{0,200}".prop_map(String::into_bytes),
        "[a-zé€😀]{0,60}".prop_map(|text| deflated(text.as_bytes())),
    ];
    (first, payload).prop_map(|(first, payload)| sent(first, &payload))
}

proptest! {
    #[test]
    fn cuts_do_not_matter(
        frames in prop::collection::vec(any_frame(), 0..12),
        noise in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        compression in prop::sample::select(vec![Compression::Off, Compression::Deflate]),
    ) {
        let stream = [frames.concat(), noise].concat();
        let new = || Decoder::new(Role::Server, compression).with_message_bytes_max(400);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        prop_assert_eq!(decode(new(), pieces), decode(new(), [&stream[..]]));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for role in [Role::Server, Role::Client] {
            decode(Decoder::new(role, Compression::Deflate), [&bytes[..]]);
        }
        let compressed = sent(FIN | RSV1 | BINARY, &bytes);
        decode(Decoder::new(Role::Server, Compression::Deflate), [&compressed[..]]);
    }
}
