//! permessage-deflate: what is compressed comes out whole, or not at all.

use bellwire_wire::ws::Deflater;

use super::*;

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
pub(super) fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut stream = flate2::Compress::new(flate2::Compression::fast(), false);
    let mut out = Vec::with_capacity(payload.len() + 100);
    stream.compress_vec(payload, &mut out, flate2::FlushCompress::Sync).expect("room");
    out.truncate(out.len() - 4);
    out
}

#[test]
fn a_compressed_frame_keeps_no_room_for_what_it_was() {
    let frame = Deflater::default().frame(Opcode::Text, &vec![b'x'; 200_000]).expect("smaller");
    let bytes = frame.try_into_mut().expect("nobody shares it");
    assert!(bytes.capacity() < 5_000, "{} for {}", bytes.capacity(), bytes.len());
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
