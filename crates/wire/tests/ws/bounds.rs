//! Nothing grows without bound, and an idle connection holds nothing.

use std::iter::repeat_n;

use bellwire_model::limits::{WEBSOCKET_FRAGMENTS_MAX, WEBSOCKET_MESSAGE_BYTES_MAX};

use super::*;

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
