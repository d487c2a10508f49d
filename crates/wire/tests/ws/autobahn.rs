//! What each sequence of frames means, case by case as the Autobahn test suite has them; its
//! numbers stand beside the cases.

use bellwire_wire::ws::{Received, Violation};

use super::*;

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
