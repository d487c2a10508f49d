//! What one event costs on its way to subscribers, and one published event on its way in.

use std::fmt::Write;

use bellwire_model::{Body, Cursor, Epoch, Event, Offset, Timestamp};
use bellwire_wire::publish::{BatchFormat, batch};
use bellwire_wire::{json, ndjson, sse};
use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

const EPOCH: Epoch = Epoch::new(7);
const OFFSET: Offset = Offset::new(1_042);
const EVENTS: usize = 10_000;

fn main() {
    divan::main();
}

fn event() -> Event {
    Event {
        topic: "alerts/events/critical/BoilerHot".parse().expect("a topic"),
        key: Some("5f3a9c0b12d4e687".into()),
        event_type: Some("alert.firing".into()),
        time: Timestamp::from_ms(1_700_000_000_000),
        body: Some(Body::Json(Bytes::from_static(
            br#"{"site":"oslo","sensor":"boiler-7","value":93.25,"unit":"celsius"}"#,
        ))),
    }
}

/// The JSON, shared by all transports, then SSE's frame and chunk around it.
#[divan::bench]
fn json_then_sse_frame(bencher: Bencher<'_, '_>) {
    let event = event();
    let cursor = Cursor::new(EPOCH, OFFSET);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let json = json::event(Some(Cursor::new(EPOCH, OFFSET)), black_box(&event));
        sse::event_frame(Some(cursor), event.event_type.as_deref(), &json)
    });
}

/// The same bytes in one allocation.
#[divan::bench]
fn sse_frame_at_once(bencher: Bencher<'_, '_>) {
    let event = event();
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| sse::frame(Some(Cursor::new(EPOCH, OFFSET)), black_box(&event)));
}

#[divan::bench]
fn json_alone(bencher: Bencher<'_, '_>) {
    let event = event();
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| json::event(Some(Cursor::new(EPOCH, OFFSET)), black_box(&event)));
}

#[divan::bench]
fn ndjson_frame(bencher: Bencher<'_, '_>) {
    let json = json::event(Some(Cursor::new(EPOCH, OFFSET)), &event());
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| ndjson::line_frame(black_box(&json)));
}

#[divan::bench]
fn sse_parser(bencher: Bencher<'_, '_>) {
    let stream = sse::frame(Some(Cursor::new(EPOCH, OFFSET)), &event()).payload().repeat(1_000);
    bencher.counter(ItemsCount::new(1_000_usize)).bench_local(|| {
        let mut items = Vec::new();
        sse::Parser::default().push(&stream, &mut items).expect("within bounds");
        items
    });
}

fn items() -> String {
    (0..EVENTS).fold(String::new(), |mut body, n| {
        let _ = writeln!(
            body,
            r#"{{"topic":"chat/room{}","type":"said","data":{{"user":"u{n}","text":"hello"}}}}"#,
            n % 100
        );
        body
    })
}

#[divan::bench]
fn batch_ndjson(bencher: Bencher<'_, '_>) {
    let body = Bytes::from(items());
    bencher
        .counter(ItemsCount::new(EVENTS))
        .counter(BytesCount::new(body.len()))
        .bench_local(|| batch(BatchFormat::Ndjson, &body));
}

#[divan::bench]
fn batch_array(bencher: Bencher<'_, '_>) {
    let body = Bytes::from(format!("[{}]", items().trim_end().replace('\n', ",")));
    bencher
        .counter(ItemsCount::new(EVENTS))
        .counter(BytesCount::new(body.len()))
        .bench_local(|| batch(BatchFormat::Json, &body));
}
