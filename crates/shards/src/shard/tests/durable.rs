//! Readers of Durable Streams: what they are given, and where they are told to be behind it.

use bellwire_hub::Start;
use bellwire_model::limits::DURABLE_STREAMS_RUN_BYTES_MAX;
use bellwire_model::{Cursor, Offset};
use bellwire_wire::durable_streams::{From, Payload, StreamCursor};

use super::rig::{Client, EPOCH, Rig};
use crate::form::{DurableForm, Form, Framing};

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Data(String),
    Behind(u64),
    UpToDate(u64),
    Closed(u64),
}

fn json() -> Form {
    Form::Durable(DurableForm::new(Payload::Json, StreamCursor::default(), Framing::Plain))
}

/// All whole events of a text.
fn read(text: &str) -> Vec<Told> {
    let (whole, _) = text.rsplit_once("\n\n").unwrap_or_default();
    let blocks = whole.split("\n\n").filter(|block| !block.is_empty());
    blocks.map(|block| told(block).expect(block)).collect()
}

fn told(block: &str) -> Option<Told> {
    if let Some(data) = block.strip_prefix("event: data\ndata:") {
        return Some(Told::Data(data.to_owned()));
    }
    let (head, rest) = block.split_once("\"streamNextOffset\":\"")?;
    assert_eq!(head, "event: control\ndata:{");
    let (offset, rest) = rest.split_once('"')?;
    let Ok(From::After(place)) = offset.parse() else { return None };
    let offset = place.offset.get();
    Some(match () {
        () if rest == ",\"streamClosed\":true}" => Told::Closed(offset),
        () if rest.ends_with("\",\"upToDate\":true}") => Told::UpToDate(offset),
        () => Told::Behind(offset),
    })
}

/// What has come since the last look.
fn news(client: &mut Client, seen: &mut usize) -> Vec<Told> {
    let all = read(&client.take());
    let new = all[*seen..].to_vec();
    *seen = all.len();
    new
}

fn data(text: &str) -> Told {
    Told::Data(text.to_owned())
}

#[test]
fn a_reader_is_told_where_it_is_by_its_own_events_and_when_there_are_no_more() {
    let mut rig = Rig::with_journal(1_000);
    rig.append("a", "1");
    rig.append("a", "2");
    let (mut client, mut seen) = (rig.connect(&["a"], Start::Earliest, json()), 0);
    rig.settle();
    assert_eq!(news(&mut client, &mut seen), [data("[1,2]"), Told::UpToDate(2)]);
    rig.append("b", "3");
    rig.settle();
    assert_eq!(news(&mut client, &mut seen), [], "what it does not follow is none of its places");
    rig.append("a", "{\"n\":4}");
    rig.settle();
    assert_eq!(news(&mut client, &mut seen), [data("[{\"n\":4}]"), Told::UpToDate(4)]);
    rig.end("a");
    rig.settle();
    assert_eq!(news(&mut client, &mut seen), [Told::Closed(5)]);
    assert_eq!(rig.shard.connections.len(), 0, "nothing comes any more");

    // Who comes to what is closed is told so, from wherever it comes.
    for (offset, expected) in [
        (4, vec![Told::Closed(5)]),
        (5, vec![Told::UpToDate(5), Told::Closed(5)]),
        (2, vec![data("[{\"n\":4}]"), Told::Closed(5)]),
    ] {
        let start = Start::After(Cursor::new(EPOCH, Offset::new(offset)));
        let (mut client, mut seen) = (rig.connect(&["a"], start, json()), 0);
        rig.settle();
        assert_eq!(news(&mut client, &mut seen), expected, "{offset}");
        assert_eq!(rig.shard.connections.len(), 0);
    }
}

#[test]
fn what_comes_behind_a_reopening_is_not_given_to_who_was_there_before() {
    let mut rig = Rig::with_journal(1_000);
    rig.append("a", "1");
    let (mut client, mut seen) = (rig.connect(&["a"], Start::Earliest, json()), 0);
    rig.append("a", "2");
    rig.end("a");
    rig.reopen("a");
    // It may be of another stream, and of another type.
    rig.append("a", "3");
    rig.settle();
    assert_eq!(news(&mut client, &mut seen), [data("[1,2]"), Told::Behind(3)]);
    assert_eq!(rig.shard.connections.len(), 0, "it has to ask again");

    // So it is where the same is live.
    let start = Start::After(Cursor::new(EPOCH, Offset::new(5)));
    let (mut client, mut seen) = (rig.connect(&["a"], start, json()), 0);
    rig.settle();
    for text in ["6", "7"] {
        rig.append("a", text);
    }
    rig.end("a");
    rig.reopen("a");
    rig.append("a", "10");
    rig.settle();
    let expected = [Told::UpToDate(5), data("[6,7]"), Told::Behind(8)];
    assert_eq!(news(&mut client, &mut seen), expected);

    // Who comes back gets on.
    let start = Start::After(Cursor::new(EPOCH, Offset::new(8)));
    let (mut client, mut seen) = (rig.connect(&["a"], start, json()), 0);
    rig.settle();
    let expected = [Told::Behind(9), data("[10]"), Told::UpToDate(10)];
    assert_eq!(news(&mut client, &mut seen), expected);
}

#[test]
fn a_slow_reader_gets_all_once_in_order_and_holds_one_run() {
    const EVENTS: u64 = 400;
    let mut rig = Rig::with_journal(1_000);
    let padding = "x".repeat(3_000);
    let of = |number: u64| format!("[{number},\"{padding}\"]");
    for number in 1..=EVENTS / 2 {
        rig.append("a", &of(number));
    }
    let mut client = rig.connect(&["a"], Start::Earliest, json());
    for number in EVENTS / 2 + 1..=EVENTS {
        rig.append("a", &of(number));
    }
    let mut unwritten_max = 0;
    for _ in 0..2_000 {
        rig.settle();
        let unwritten = rig.shard.connections.iter().map(|(_, it)| it.outlet.unwritten().len());
        unwritten_max = unwritten_max.max(unwritten.max().unwrap_or_default());
        client.take_some(10_000);
    }
    rig.settle();
    let bound = DURABLE_STREAMS_RUN_BYTES_MAX + 1_024;
    assert!((1..=bound).contains(&unwritten_max), "{unwritten_max}");
    let told = read(&client.take());
    assert_eq!(told.last(), Some(&Told::UpToDate(EVENTS)));
    let mut next = 1;
    for pair in told.chunks(2) {
        let [Told::Data(data), place] = pair else { panic!("a place behind each: {pair:?}") };
        while data.contains(&of(next)) {
            next += 1;
        }
        assert!(
            matches!(place, Told::Behind(at) | Told::UpToDate(at) if *at == next - 1),
            "{place:?}"
        );
    }
    assert_eq!(next, EVENTS + 1);
}
