//! WebSocket: what each sequence of frames means, case by case as the Autobahn test suite has
//! them (its numbers stand beside the cases), and that it does not matter how bytes are cut.

use std::iter::repeat_n;

use bellwire_model::limits::{WEBSOCKET_FRAGMENTS_MAX, WEBSOCKET_MESSAGE_BYTES_MAX};
use bellwire_wire::ws::{
    self, Close, CloseCode, Compression, Decoder, Deflater, Inflater, Input, Opcode, Received,
    Role, Violation,
};
use proptest::prelude::*;

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
fn text_and_binary_of_any_length_come_whole() {
    for length in [0, 1, 125, 126, 127, 128, 65535, 65536, 65537] {
        let star = "*".repeat(length);
        check("1.1", decoder, &[sent(FIN | TEXT, star.as_bytes())], &(vec![text(&star)], None));
        let bytes = vec![0xFE; length];
        check("1.2", decoder, &[sent(FIN | BINARY, &bytes)], &(vec![binary(&bytes)], None));
    }
}

#[test]
fn pings_and_pongs_come_with_their_payload() {
    let long = vec![0xFE; 125];
    let ten: Vec<_> = (0..10_u8).map(|n| sent(FIN | PING, &[n])).collect();
    let cases = [
        ("2.1", vec![sent(FIN | PING, b"")], vec![ping(b"")]),
        ("2.2", vec![sent(FIN | PING, b"Hello, world!")], vec![ping(b"Hello, world!")]),
        ("2.3", vec![sent(FIN | PING, b"\x00\xFF\xFE\x00")], vec![ping(b"\x00\xFF\xFE\x00")]),
        ("2.4", vec![sent(FIN | PING, &long)], vec![ping(&long)]),
        ("2.7", vec![sent(FIN | PONG, b"")], vec![pong(b"")]),
        ("2.8", vec![sent(FIN | PONG, b"unsolicited")], vec![pong(b"unsolicited")]),
        ("2.9", vec![sent(FIN | PONG, b"a"), sent(FIN | PING, b"b")], vec![pong(b"a"), ping(b"b")]),
        ("2.10", ten, (0..10_u8).map(|n| ping(&[n])).collect()),
    ];
    for (name, frames, expected) in cases {
        check(name, decoder, &frames, &(expected, None));
    }
    let violation = Violation::ControlTooLong { bytes: 126 };
    check("2.5", decoder, &[sent(FIN | PING, &[0; 126])], &(vec![], Some(violation)));
}

#[test]
fn reserved_bits_and_opcodes_end_the_connection() {
    for (name, first, bits) in [
        ("3.1", FIN | 0x40 | TEXT, 0b100),
        ("3.2", FIN | 0x20 | TEXT, 0b010),
        ("3.3", FIN | 0x30 | TEXT, 0b011),
        ("3.4", FIN | 0x10 | TEXT, 0b001),
        ("3.5", FIN | 0x50 | BINARY, 0b101),
        ("3.6", FIN | 0x60 | PING, 0b110),
        ("3.7", FIN | 0x70 | CLOSE, 0b111),
    ] {
        let frames = [sent(FIN | TEXT, b"good"), sent(first, b"bad"), sent(FIN | PING, b"")];
        let violation = Violation::ReservedBits { bits };
        check(name, decoder, &frames, &(vec![text("good")], Some(violation)));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"bad"] {
            let frames = [sent(FIN | TEXT, b"good"), sent(FIN | opcode, payload)];
            let violation = Violation::OpcodeUnknown { opcode };
            check("4.1, 4.2", decoder, &frames, &(vec![text("good")], Some(violation)));
        }
    }
}

#[test]
fn fragments_are_joined_and_control_frames_may_stand_between_them() {
    let one = || sent(TEXT, b"fragment1");
    let middle = || sent(CONTINUATION, b"-");
    let two = || sent(FIN | CONTINUATION, b"fragment2");
    let end = || sent(FIN | CONTINUATION, b"");
    let whole = || sent(FIN | TEXT, b"whole");
    let joined = text("fragment1fragment2");
    let nothing = Some(Violation::ContinuationOfNothing);
    let cut = Some(Violation::ControlFragmented);
    let cases: [(&str, Vec<Vec<u8>>, Outcome); 15] = [
        ("5.1", vec![sent(PING, b"a"), two()], (vec![], cut)),
        ("5.2", vec![sent(PONG, b"a"), two()], (vec![], cut)),
        ("5.3", vec![one(), two()], (vec![joined.clone()], None)),
        (
            "5.6",
            vec![one(), sent(FIN | PING, b"p"), two()],
            (vec![ping(b"p"), joined.clone()], None),
        ),
        ("5.9", vec![two(), whole()], (vec![], nothing)),
        ("5.12", vec![middle(), whole()], (vec![], nothing)),
        ("5.15", vec![one(), two(), middle(), whole()], (vec![joined.clone()], nothing)),
        ("5.16", vec![middle(), one(), two()], (vec![], nothing)),
        ("5.17", vec![two(), one(), two()], (vec![], nothing)),
        ("5.18", vec![one(), one()], (vec![], Some(Violation::Interleaved))),
        ("5.18, whole", vec![one(), whole()], (vec![], Some(Violation::Interleaved))),
        (
            "5.19",
            vec![one(), sent(FIN | PING, b"1"), middle(), middle(), sent(FIN | PONG, b"2"), two()],
            (vec![ping(b"1"), pong(b"2"), text("fragment1--fragment2")], None),
        ),
        ("6.1", vec![sent(TEXT, b""), sent(CONTINUATION, b""), end()], (vec![text("")], None)),
        ("6.1.3", vec![sent(TEXT, b""), middle(), end()], (vec![text("-")], None)),
        (
            "two messages",
            vec![one(), two(), sent(BINARY, b"a"), sent(FIN | CONTINUATION, b"b")],
            (vec![joined, binary(b"ab")], None),
        ),
    ];
    for (name, frames, expected) in cases {
        check(name, decoder, &frames, &expected);
    }
}

#[test]
fn text_must_be_utf8_and_fails_at_the_first_wrong_byte() {
    let right = [
        "Hello-µ@ßöäüàá-UTF-8!!",
        "κόσμε",
        "\u{0}",
        "\u{7FF}",
        "\u{10FFFF}",
        "\u{FFFE}",
        "\u{D7FF}",
    ];
    for right in right {
        let octets = right.bytes().map(|byte| sent(CONTINUATION, &[byte]));
        let mut frames = vec![sent(TEXT, b"")];
        frames.extend(octets);
        frames.push(sent(FIN | CONTINUATION, b""));
        check(
            "6.2, 6.5",
            decoder,
            &[sent(FIN | TEXT, right.as_bytes())],
            &(vec![text(right)], None),
        );
        check("6.2.4, 6.5", decoder, &frames, &(vec![text(right)], None));
    }
    let wrong: [&[u8]; 16] = [
        b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited",
        b"\xF4\x90\x80\x80",
        b"\x80",
        b"\xBF",
        b"\xC0\xAF",
        b"\xE0\x80\xAF",
        b"\xF0\x80\x80\xAF",
        b"\xF8\x80\x80\x80\xAF",
        b"\xFE",
        b"\xFF",
        b"\xED\xBF\xBF",
        b"\xED\xA0\x80\xED\xB0\x80",
        b"\xC2",
        b"\xE1\xBD",
        b"\xF0\x9F\x98",
        b"a\xC3(",
    ];
    for wrong in wrong {
        let whole = [sent(FIN | TEXT, wrong)];
        check("6.3, 6.6 to 6.21", decoder, &whole, &(vec![], Some(Violation::Utf8)));
        let (first, rest) = wrong.split_at(wrong.len() / 2);
        let parts = [sent(TEXT, first), sent(FIN | CONTINUATION, rest)];
        check("6.3.2", decoder, &parts, &(vec![], Some(Violation::Utf8)));
    }
    // The rest of the message, and of the frame, never comes: it fails all the same.
    let first = sent(TEXT, "κόσμε".as_bytes());
    let second = sent(CONTINUATION, b"\xF4\x90\x80\x80");
    let started = [first.clone(), second[..6].to_vec(), vec![second[6]], vec![second[7]]];
    check("6.4", decoder, &started, &(vec![], Some(Violation::Utf8)));
    let started = [first, second[..7].to_vec()];
    check("6.4, before", decoder, &started, &(vec![], None));
}

#[test]
fn a_close_frame_ends_it_and_nothing_that_follows_counts() {
    let normal = sent(FIN | CLOSE, b"\x03\xE8");
    let (one, two) = (sent(TEXT, b"1"), sent(FIN | CONTINUATION, b"2"));
    let after = [sent(FIN | PING, b""), sent(FIN | TEXT, b"late"), sent(0xFF, b""), two];
    for after in after {
        let frames = [sent(FIN | TEXT, b"a"), one.clone(), normal.clone(), after];
        check("7.1", decoder, &frames, &(vec![text("a"), close(1000, "")], None));
    }
    let long = [b"\x03\xE8".to_vec(), vec![b'*'; 123]].concat();
    let too_long = [long.clone(), b"*".to_vec()].concat();
    let cases: [(&str, &[u8], Result<Received<'_>, Violation>); 6] = [
        ("7.3.1", b"", Ok(Received::Close(None))),
        ("7.3.2", b"a", Err(Violation::CloseCodeCut)),
        ("7.3.4", b"\x03\xE8Hello", Ok(close(1000, "Hello"))),
        ("7.3.5", &long, Ok(close(1000, &"*".repeat(123)))),
        ("7.3.6", &too_long, Err(Violation::ControlTooLong { bytes: 126 })),
        ("7.5.1", b"\x03\xE8\xCE\xBA\xED\xA0\x80", Err(Violation::CloseReasonUtf8)),
    ];
    for (name, payload, expected) in cases {
        let expected = match expected {
            Ok(received) => (vec![received], None),
            Err(violation) => (vec![], Some(violation)),
        };
        check(name, decoder, &[sent(FIN | CLOSE, payload)], &expected);
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999_u16] {
        let frame = sent(FIN | CLOSE, &code.to_be_bytes());
        check("7.7", decoder, &[frame], &(vec![close(code, "")], None));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535_u16] {
        let frame = sent(FIN | CLOSE, &code.to_be_bytes());
        let violation = Violation::CloseCodeInvalid { code };
        check("7.9, 7.13", decoder, &[frame], &(vec![], Some(violation)));
    }
}

#[test]
fn large_messages_come_in_any_fragments() {
    let whole = "*".repeat(1 << 20);
    for size in [1 << 20, 1 << 16, 4096, 1300, 256] {
        let pieces = whole.as_bytes().chunks(size);
        let count = pieces.len();
        let frames: Vec<_> = pieces
            .enumerate()
            .map(|(index, piece)| {
                let opcode = if index == 0 { TEXT } else { CONTINUATION };
                sent(if index + 1 == count { FIN | opcode } else { opcode }, piece)
            })
            .collect();
        let (all, violation) = decode(decoder(), frames.concat().chunks(16 * 1024));
        assert!(all == [text(&whole)] && violation.is_none(), "9.1, 9.3, 10.1: {size}");
    }
}

#[test]
fn too_much_is_refused_as_soon_as_a_head_says_so() {
    let new = || decoder().with_message_bytes_max(1_000);
    let bytes_max = 1_000;
    let too_large = Some(Violation::TooLarge { bytes_max });
    let head_of = |length: usize| sent(FIN | BINARY, &vec![0; length])[..8].to_vec();
    check("whole", new, &[head_of(1_001)], &(vec![], too_large));
    check("whole, allowed", new, &[head_of(1_000)], &(vec![], None));
    let part = sent(BINARY, &[0; 600]);
    let rest = sent(FIN | CONTINUATION, &[0; 401])[..8].to_vec();
    check("together", new, &[part, rest], &(vec![], too_large));
    let most = sent(FIN | BINARY, &vec![0; WEBSOCKET_MESSAGE_BYTES_MAX + 1])[..14].to_vec();
    let bytes_max = WEBSOCKET_MESSAGE_BYTES_MAX as u32;
    check("by default", decoder, &[most], &(vec![], Some(Violation::TooLarge { bytes_max })));
    let longest = [&[FIN | BINARY, 0xFF, 0x7F][..], &[0xFF; 7], &MASK].concat();
    check("63 bits", decoder, &[longest], &(vec![], Some(Violation::TooLarge { bytes_max })));

    let fragments = WEBSOCKET_FRAGMENTS_MAX as usize;
    let empty = |count| repeat_n(sent(CONTINUATION, b""), count).collect::<Vec<_>>().concat();
    let stream = [sent(BINARY, b""), empty(fragments - 1)].concat();
    assert_eq!(decode(decoder(), [&stream[..]]), (vec![], None));
    let stream = [sent(BINARY, b""), empty(fragments)].concat();
    assert_eq!(decode(decoder(), [&stream[..]]), (vec![], Some(Violation::TooManyFragments)));
}

#[test]
fn lengths_are_as_short_as_can_be_and_never_negative() {
    let head = |bytes: &[u8]| [&[FIN | BINARY], bytes, &MASK].concat();
    let not_minimal = |length| Violation::LengthNotMinimal { length };
    let cases: [(&[u8], Violation); 4] = [
        (&[0xFE, 0, 125], not_minimal(125)),
        (&[0xFF, 0, 0, 0, 0, 0, 0, 0, 5], not_minimal(5)),
        (&[0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], not_minimal(0xFFFF)),
        (&[0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], Violation::LengthNegative),
    ];
    for (bytes, violation) in cases {
        check("length", decoder, &[head(bytes)], &(vec![], Some(violation)));
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
fn compressed_messages_are_inflated_and_bounded() {
    let new = || Decoder::new(Role::Server, Compression::Deflate).with_message_bytes_max(1_000);
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    let last_block = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    let two_blocks = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    let first = FIN | RSV1 | TEXT;
    // The examples of RFC 7692, section 7.2.3.
    for payload in [&hello[..], stored, last_block, two_blocks] {
        let expected = (vec![text("Hello"), text("Hello")], None);
        check("one frame", new, &[sent(first, payload), sent(first, payload)], &expected);
        let (one, two) = payload.split_at(3);
        let frames = [sent(RSV1 | TEXT, one), sent(FIN | PING, b""), sent(FIN | CONTINUATION, two)];
        check("two frames", new, &frames, &(vec![ping(b""), text("Hello")], None));
    }
    check("plain", new, &[sent(FIN | TEXT, b"plain")], &(vec![text("plain")], None));
    let zeros = |length| sent(FIN | RSV1 | BINARY, &deflated(&vec![0; length]));
    check("at the bound", new, &[zeros(1_000)], &(vec![binary(&[0; 1_000])], None));
    let bits = Some(Violation::ReservedBits { bits: 0b100 });
    let bytes_max = 1_000;
    let cases = [
        ("beyond", vec![zeros(1_001)], Some(Violation::TooLarge { bytes_max })),
        ("far beyond", vec![zeros(200_000)], Some(Violation::TooLarge { bytes_max })),
        ("noise", vec![sent(first, b"\xFF\xFF\xFF")], Some(Violation::Deflate)),
        ("cut", vec![sent(first, b"\xf2\x48")], Some(Violation::Deflate)),
        ("a cut block", vec![sent(first, b"\x00\x14\x00\xeb\xffabc")], Some(Violation::Deflate)),
        ("no text", vec![sent(first, &deflated(b"\xFF"))], Some(Violation::Utf8)),
        ("continuation", vec![sent(TEXT, b""), sent(RSV1 | CONTINUATION, b"")], bits),
        ("control", vec![sent(FIN | RSV1 | PING, b"")], bits),
    ];
    for (name, frames, violation) in cases {
        check(name, new, &frames, &(vec![], violation));
    }
}

/// As a client would compress it.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut stream = flate2::Compress::new(flate2::Compression::fast(), false);
    let mut out = Vec::with_capacity(payload.len() + 100);
    stream.compress_vec(payload, &mut out, flate2::FlushCompress::Sync).expect("room");
    out.truncate(out.len() - 4);
    out
}

#[test]
fn a_compressed_frame_is_smaller_or_is_none() {
    let mut deflater = Deflater::default();
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(4096)
    .collect();
    assert_eq!(deflater.frame(Opcode::Binary, b"short"), None);
    assert_eq!(deflater.frame(Opcode::Binary, &noise), None);
    for count in [10, 1_000, 20_000] {
        let payload = "{\"topic\":\"plants/oslo\",\"data\":21.5}".repeat(count);
        let frame = deflater.frame(Opcode::Text, payload.as_bytes()).expect("it pays");
        assert!(frame.len() < payload.len() / 3);
        let client = Decoder::new(Role::Client, Compression::Deflate);
        assert_eq!(decode(client, [&frame[..]]), (vec![text(&payload)], None));
    }
}

#[test]
fn memory_is_held_only_while_something_is_incomplete() {
    let mut decoder = decoder();
    let mut inflater = Inflater::default();
    let (one, two) = (sent(TEXT, &[b'a'; 100]), sent(FIN | CONTINUATION, &[b'b'; 100]));
    let ping = sent(FIN | PING, b"p");
    let steps: [(&[u8], bool); 9] = [
        (&ping, false),
        (&one[..1], true),
        (&one[1..50], true),
        (&one[50..], true),
        (&ping[..3], true),
        (&ping[3..], true),
        (&two, false),
        (&ping[..6], true),
        (&ping[6..], false),
    ];
    for (number, (piece, holds)) in steps.into_iter().enumerate() {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        while decoder.next(&mut input, &mut inflater).expect("right").is_some() {}
        assert_eq!(decoder.held_bytes() > 0, holds, "step {number}");
        assert!(decoder.held_bytes() < 1_000);
    }
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
