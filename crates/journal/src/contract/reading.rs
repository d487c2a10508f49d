//! Clauses about reading: filters, pages, and what a page says of itself.

use std::sync::Arc;
use std::thread;

use bellwire_model::{Body, Event, FilterSet, Offset, Timestamp};
use bytes::Bytes;

use super::{Open, Rig, filters, plain, rule};
use crate::{Append, Page, ReadLimit, RetentionRule};

/// Every kind of body and every part of the envelope comes back as it was.
pub fn every_body_and_envelope_reads_back(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let binary = |bytes: &'static [u8]| Body::Binary {
        content_type: "image/png".into(),
        bytes: Bytes::from_static(bytes),
    };
    let bodies = [
        None,
        Some(Body::Json(Bytes::from_static(b"{\"a\": 1}"))),
        Some(Body::Text(Bytes::from_static("h\u{f6}he".as_bytes()))),
        Some(Body::Text(Bytes::new())),
        Some(binary(&[0, 159, 146, 150])),
        Some(binary(&[])),
    ];
    let envelopes = [(None, None), (Some("k"), None), (None, Some("t")), (Some(""), Some("t"))];
    let mut events = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        for (key, event_type) in envelopes {
            events.push(Event {
                topic: "h\u{f6}he/\u{b0}C".parse().expect("a topic"),
                key: key.map(Into::into),
                event_type: event_type.map(Into::into),
                time: Timestamp::from_ms(index as i64 * 1_000_000_007 - 5),
                body: body.clone(),
            });
        }
    }
    let append = |event: &Event| Append::new(event.clone(), None);
    rig.append_new(events.iter().map(append).collect());
    let read: Vec<Event> = rig.read_all("**").into_iter().map(|entry| entry.event).collect();
    assert_eq!(read, events);
}

/// A filter lets through what it matches, in order, whatever else lies between.
pub fn read_returns_what_matches_in_order(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    for (topic, text) in [("a/b", "1"), ("$sys/a", "2"), ("a", "3"), ("a/b/c", "4"), ("a/b", "5")] {
        rig.append_new(vec![plain(topic, text)]);
    }
    let cases: [(&str, &[&str]); 6] = [
        ("a/b", &["1", "5"]),
        ("a/*", &["1", "5"]),
        ("a/**", &["1", "3", "4", "5"]),
        ("**", &["1", "3", "4", "5"]),
        ("$sys/**", &["2"]),
        ("never/published", &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(rig.texts(filter), expected, "{filter}");
    }
    let both = rig.read(Offset::ZERO, &filters(&["$sys/*", "a/b/c"]));
    assert_eq!(both.entries.len(), 2);
}

/// Whatever the limit, the pages one after the other are what there is; each ends where it says.
pub fn pages_join_without_holes(open: Open<'_>) {
    const ROUNDS: usize = 900;
    let rig = Rig::open(open, Vec::new());
    for round in 0..ROUNDS {
        // One topic in every batch, one in a few, one just once.
        let mut batch = vec![plain("often", "x"), plain("often", "xx")];
        batch.extend((round % 100 == 7).then(|| plain("seldom", "y")));
        batch.extend((round == 650).then(|| plain("once", "z")));
        rig.append_new(batch);
    }
    let seen = rig.seen.entries();
    let tail = rig.journal.bounds().tail;
    for filter in ["often", "seldom", "once", "**", "never"] {
        let filters = filters(&[filter]);
        let expected: Vec<_> =
            seen.iter().filter(|entry| filters.matches(&entry.event.topic)).cloned().collect();
        for (events, bytes) in [(1, 1 << 20), (100, 1 << 20), (1000, 64), (10_000, 1 << 30)] {
            let (mut after, mut found) = (Offset::ZERO, Vec::new());
            while after < tail {
                let limit = ReadLimit { events, bytes };
                let page = rig.journal.read(after, &filters, limit).expect("a page");
                check_page(&page, after, limit);
                found.extend(page.entries);
                after = page.end;
            }
            assert!(after == tail && found == expected, "{filter}, {events} events, {bytes} bytes");
        }
    }
}

fn check_page(page: &Page, after: Offset, limit: ReadLimit) {
    assert!(page.end > after, "a page before the tail makes progress");
    let size_bytes: usize = page.entries.iter().map(|entry| entry.event.size_bytes()).sum();
    assert!(page.entries.len() <= limit.events);
    assert!(size_bytes <= limit.bytes || page.entries.len() == 1);
    assert!(page.entries.iter().all(|entry| entry.offset > after && entry.offset <= page.end));
    assert!(page.entries.is_sorted_by(|a, b| a.offset < b.offset));
}

/// An event larger than the limit comes alone.
pub fn the_first_matching_event_always_fits(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let offsets = rig.append_texts("a", &["a long text", "another long text"]);
    let mut after = Offset::ZERO;
    for offset in offsets {
        let limit = ReadLimit { events: 1, bytes: 3 };
        let page = rig.journal.read(after, &filters(&["a"]), limit).expect("a page");
        assert_eq!(page.entries.iter().map(|entry| entry.offset).collect::<Vec<_>>(), [offset]);
        after = page.end;
    }
    assert_eq!(after, rig.journal.bounds().tail);
}

/// There is nothing after the tail, and a reader is never sent back.
pub fn a_read_from_the_tail_or_beyond_is_empty(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    rig.append_texts("a", &["1", "2"]);
    let tail = rig.journal.bounds().tail;
    for after in [tail, Offset::new(tail.get() + 1000), Offset::MAX] {
        let page = rig.read(after, &filters(&["**"]));
        assert!(page.entries.is_empty() && page.end == after, "{page:?}");
    }
    // Nothing matches, and the end is reached all the same.
    let page = rig.read(Offset::ZERO, &filters(&["b"]));
    assert!(page.entries.is_empty() && page.end == tail, "{page:?}");
}

/// While events come and retention removes them: what a page lacks, its `trimmed` tells.
pub fn readers_miss_nothing_that_the_page_does_not_tell(open: Open<'_>) {
    const BATCHES: usize = 300;
    let limited = RetentionRule { events_max: Some(1500), ..rule("a/*") };
    let rig = Rig::open(open, vec![limited]);
    let write = || {
        for batch in 0..BATCHES {
            let topic = format!("a/{}", batch % 5);
            let mut events = vec![plain(&topic, "x"); 20];
            events.push(plain("b", "y"));
            rig.append_new(events);
            if batch % 10 == 0 {
                rig.retain(0);
            }
        }
    };
    thread::scope(|scope| {
        // The readers end with it, also where it fails.
        let writer = Arc::new(scope.spawn(write));
        for filter in ["a/*", "a/0", "b"] {
            let (rig, writer) = (&rig, Arc::clone(&writer));
            scope.spawn(move || {
                let filters = filters(&[filter]);
                while !writer.is_finished() {
                    read_once(rig, &filters);
                }
            });
        }
    });
    rig.retain(0);
    assert_eq!(rig.read_all("a/*").len(), 1500);
    assert_eq!(rig.read_all("b").len(), BATCHES);
}

/// Reads from the beginning to the tail and checks each page against what the observer saw.
fn read_once(rig: &Rig, filters: &FilterSet) {
    let mut after = Offset::ZERO;
    while after < rig.journal.bounds().tail {
        let limit = ReadLimit { events: 200, bytes: 1 << 20 };
        let page = rig.journal.read(after, filters, limit).expect("a page");
        check_page(&page, after, limit);
        let told = after.max(page.trimmed);
        let due = |offset: Offset| offset > told && offset <= page.end;
        let expected = rig
            .seen
            .entries()
            .into_iter()
            .filter(|entry| due(entry.offset) && filters.matches(&entry.event.topic));
        // A page may be ahead of the observer by the commit that it is being told of.
        let found: Vec<_> = page.entries.iter().filter(|entry| due(entry.offset)).collect();
        for (expected, found) in expected.zip(&found) {
            assert_eq!(expected, **found, "after {after}");
        }
        after = page.end;
    }
}
