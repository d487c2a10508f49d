//! Server-Sent Events: the bytes that the server writes, and a parser that any chunking suits.

use std::time::Duration;

use bellwire_model::{Body, Cursor, Epoch, Event, Offset, Timestamp};
use bellwire_wire::sse::{self, Item, Parser, ParserError, Received};
use bellwire_wire::{ByeReason, Control, json};
use bytes::Bytes;
use proptest::prelude::*;

const CURSOR: Cursor = Cursor::new(Epoch::new(7), Offset::new(1042));

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

fn parsed(bytes: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    Parser::default().push(bytes, &mut items).expect("within bounds");
    items
}

fn received(id: &str, event_type: Option<&str>, data: &str) -> Item {
    Item::Event(Received {
        last_event_id: id.to_owned(),
        event_type: event_type.map(str::to_owned),
        data: data.to_owned(),
    })
}

#[test]
fn an_event_is_id_type_data_and_a_blank_line() {
    assert_eq!(
        text(sse::event(Some(CURSOR), Some("alert.firing"), b"{\"a\":1}")),
        "id: e7-1042\nevent: alert.firing\ndata: {\"a\":1}\n\n"
    );
    assert_eq!(text(sse::event(None, None, b"{}")), "data: {}\n\n");
    assert_eq!(text(sse::event(None, Some("a\nid: x"), b"{}")), "event: a id: x\ndata: {}\n\n");
    let frame = sse::event_frame(Some(CURSOR), None, b"{}");
    assert_eq!(frame.payload(), sse::event(Some(CURSOR), None, b"{}"));
}

#[test]
fn the_fast_path_writes_the_same_bytes() {
    let event = Event {
        topic: "plants/oslo".parse().expect("a topic"),
        key: Some("k".into()),
        event_type: Some("hot".into()),
        time: Timestamp::from_ms(1_700),
        body: Some(Body::Text(Bytes::from_static(b"it is\nhot"))),
    };
    for offset in [Some(CURSOR.offset), None] {
        let cursor = offset.map(|_| CURSOR);
        let json = json::event(offset.map(|offset| Cursor::new(CURSOR.epoch, offset)), &event);
        let frame = sse::frame(offset.map(|offset| Cursor::new(CURSOR.epoch, offset)), &event);
        assert_eq!(frame.payload(), sse::event(cursor, Some("hot"), &json));
    }
}

#[test]
fn a_raw_event_is_the_payload_alone() {
    let lines = |text: &'static [u8]| Some(Body::Text(Bytes::from_static(text)));
    let binary =
        Body::Binary { content_type: "a/b".into(), bytes: Bytes::from_static(b"\x00\xFF") };
    let cases = [
        (Some(Body::Json(Bytes::from_static(b"{\n1}"))), "event: t\ndata: {\ndata: 1}\n\n"),
        (lines(b"a"), "event: t\ndata: a\n\n"),
        (lines(b""), "event: t\ndata: \n\n"),
        (lines(b"a\nb\rc\r\nd"), "event: t\ndata: a\ndata: b\ndata: c\ndata: d\n\n"),
        (lines(b"a\n"), "event: t\ndata: a\ndata: \n\n"),
        (lines(b"\n\r"), "event: t\ndata: \ndata: \ndata: \n\n"),
        (lines(b" a\nid: 5"), "event: t\ndata:  a\ndata: id: 5\n\n"),
        (Some(binary), "event: t\ndata: AP8=\n\n"),
        (None, "event: deleted\ndata:\n\n"),
    ];
    for (body, expected) in cases {
        assert_eq!(text(sse::raw(None, Some("t"), body.as_ref())), expected);
        let with_id = text(sse::raw(Some(CURSOR), Some("t"), body.as_ref()));
        assert_eq!(with_id, format!("id: e7-1042\n{expected}"));
    }
}

#[test]
fn control_events_are_named_and_say_where_the_subscriber_is() {
    let ready = Control::Ready { cursor: CURSOR, heartbeat_interval: Duration::from_secs(25) };
    let json = text(ready.json());
    assert_eq!(text(sse::control(&ready)), format!("id: e7-1042\nevent: ready\ndata: {json}\n\n"));
    let bye = Control::Bye { reason: ByeReason::Limit, retry: Duration::from_secs(1) };
    let json = text(bye.json());
    assert_eq!(text(sse::control(&bye)), format!("event: bye\ndata: {json}\n\n"));
    assert_eq!(text(sse::retry(Duration::from_secs(2))), "retry: 2000\n");
}

#[test]
fn a_heartbeat_is_a_comment_or_brings_a_cursor_to_every_reader() {
    assert_eq!(text(sse::heartbeat(None)), ":\n");
    let json = r#"{"control":"heartbeat","cursor":"e7-1042"}"#;
    let moved = text(sse::heartbeat(Some(CURSOR)));
    assert_eq!(moved, format!("id: e7-1042\nevent: heartbeat\ndata: {json}\n\n"));
    let (mut parser, mut items) = (Parser::default(), Vec::new());
    parser.push(&sse::heartbeat(None), &mut items).expect("within bounds");
    assert_eq!(items, [Item::Comment(String::new())]);
    parser.push(moved.as_bytes(), &mut items).expect("within bounds");
    assert_eq!(items[1], received("e7-1042", Some("heartbeat"), json));
}

#[test]
fn the_parser_follows_the_specification() {
    let cases: [(&[u8], Vec<Item>); 27] = [
        // The specification's own examples.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", vec![received("", None, "YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            vec![
                Item::Comment(" test stream".into()),
                received("1", None, "first event"),
                received("", None, "second event"),
                received("", None, " third event"),
            ],
        ),
        (b"data\n\ndata\ndata\n\ndata:", vec![received("", None, ""), received("", None, "\n")]),
        (b"data:test\n\ndata: test\n\n", vec![received("", None, "test"); 2]),
        // Line ends.
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", vec![
            received("", None, "a"), received("", None, "b"), received("", None, "c"),
        ]),
        (b"data: a\n\r\n", vec![received("", None, "a")]),
        (b"data: a\r\ndata: b\n\n", vec![received("", None, "a\nb")]),
        // The byte order mark: one at the start goes, others are text.
        (b"\xEF\xBB\xBFdata: a\n\n", vec![received("", None, "a")]),
        (b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n", vec![]),
        (b"\xEF\xBBdata: a\n\ndata: b\n\n", vec![received("", None, "b")]),
        (b"data: \xEF\xBB\xBFa\n\n", vec![received("", None, "\u{FEFF}a")]),
        // Ids.
        (b"id: 1\ndata: a\n\ndata: b\n\n", vec![received("1", None, "a"), received("1", None, "b")]),
        (b"id: 1\n\nid: 2\0\ndata: a\n\n", vec![received("1", None, "a")]),
        (b"id: 1\nid: 2\ndata: a\n\n", vec![received("2", None, "a")]),
        (b"data: a\nid: 1\n\n", vec![received("1", None, "a")]),
        // Types: the last one of a block, and none is left behind for the next.
        (b"event: a\nevent: b\ndata: x\n\n", vec![received("", Some("b"), "x")]),
        (b"event: a\n\ndata: x\n\n", vec![received("", None, "x")]),
        (b"event: a\ndata: x\n\ndata: y\n\n", vec![received("", Some("a"), "x"), received("", None, "y")]),
        (b"event:\ndata: x\n\n", vec![received("", None, "x")]),
        // Retry: digits only.
        (b"retry: 1500\n", vec![Item::Retry(Duration::from_millis(1_500))]),
        (b"retry: 1.5\nretry: -1\nretry:\nretry: 0x1\nretry: 1 \n", vec![]),
        (
            b"retry: 99999999999999999999999\n",
            vec![Item::Retry(Duration::from_millis(u64::MAX))],
        ),
        // Unknown fields, odd colons, bytes that are no UTF-8.
        (b"Data: a\ndatum: b\n data: c\n\n", vec![]),
        (b"data::a\n\n", vec![received("", None, ":a")]),
        (b"data: a: b\n\n", vec![received("", None, "a: b")]),
        (b"data: \xFF\n\n", vec![received("", None, "\u{FFFD}")]),
        // A block without its blank line is not dispatched.
        (b"data: a\n\ndata: b\n", vec![received("", None, "a")]),
    ];
    for (bytes, expected) in cases {
        let shown = String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(parsed(bytes), expected, "{shown:?}");
        let mut items = Vec::new();
        let mut parser = Parser::default();
        for byte in bytes {
            parser.push(&[*byte], &mut items).expect("within bounds");
            parser.push(&[], &mut items).expect("within bounds");
        }
        assert_eq!(items, expected, "byte by byte: {shown:?}");
    }
}

#[test]
fn an_event_too_large_is_an_error_and_what_came_before_it_is_kept() {
    for large in ["data: 0123456789", "data: 01234\ndata: 5678", "0123456789abcdefg"] {
        let mut items = Vec::new();
        let stream = format!("data: a\n\n{large}\n\n");
        let error = Parser::new(15).push(stream.as_bytes(), &mut items);
        assert_eq!(error, Err(ParserError::TooLarge { bytes_max: 15 }), "{large}");
        assert_eq!(items, [received("", None, "a")]);
    }
    let mut items = Vec::new();
    Parser::new(15).push(b"data: a\n\n".repeat(100).as_slice(), &mut items).expect("small events");
    assert_eq!(items.len(), 100);
}

/// What a stream is made of, and what a client makes of it.
fn any_part() -> impl Strategy<Value = (Vec<u8>, Option<Item>)> {
    let event_type = || prop::option::of("[a-z.°]{1,9}");
    let offset = 1_u64..1_000;
    let cursor_of = |offset| Cursor::new(Epoch::new(3), Offset::new(offset));
    prop_oneof![
        (offset, event_type(), "\\PC{0,40}").prop_map(move |(offset, event_type, data)| {
            let cursor = cursor_of(offset);
            let bytes = sse::event(Some(cursor), event_type.as_deref(), data.as_bytes());
            let item = received(&cursor.to_string(), event_type.as_deref(), &data);
            (bytes, Some(item))
        }),
        (1_u64..1_000, event_type(), "[a-z:\u{FEFF} \n]{0,40}").prop_map(
            move |(offset, event_type, text)| {
                let cursor = cursor_of(offset);
                let body = Body::Text(Bytes::from(text.clone()));
                let bytes = sse::raw(Some(cursor), event_type.as_deref(), Some(&body));
                let item = received(&cursor.to_string(), event_type.as_deref(), &text);
                (bytes, Some(item))
            }
        ),
        Just((sse::heartbeat(None), Some(Item::Comment(String::new())))),
        (0_u64..10_000).prop_map(|ms| {
            let delay = Duration::from_millis(ms);
            (sse::retry(delay), Some(Item::Retry(delay)))
        }),
    ]
}

proptest! {
    #[test]
    fn any_chunking_of_a_stream_reads_back_as_what_was_written(
        parts in prop::collection::vec(any_part(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        line_end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
    ) {
        let stream: Vec<u8> = parts.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let stream = String::from_utf8(stream).expect("UTF-8").replace('\n', line_end).into_bytes();
        let expected: Vec<Item> = parts.into_iter().filter_map(|(_, item)| item).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let (mut parser, mut items) = (Parser::default(), Vec::new());
        for pair in cuts.windows(2) {
            parser.push(&stream[pair[0]..pair[1]], &mut items).expect("within bounds");
        }
        prop_assert_eq!(items, expected);
    }

    #[test]
    fn no_bytes_panic_and_cuts_do_not_matter(
        bytes in prop::collection::vec(
            prop::sample::select(b"\xEF\xBB\xBF\r\n:  diaetvnry0\0\xC3".to_vec()), 0..120),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = parsed(&bytes);
        let (one, two) = bytes.split_at(cut.index(bytes.len() + 1));
        let (mut parser, mut items) = (Parser::default(), Vec::new());
        parser.push(one, &mut items).expect("within bounds");
        parser.push(two, &mut items).expect("within bounds");
        prop_assert_eq!(items, whole);
    }
}
