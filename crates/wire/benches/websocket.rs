//! What WebSocket adds: frames out and in, `MessagePack`, compression, requests.

use bellwire_model::{Body, Cursor, Epoch, Event, Offset, Timestamp};
use bellwire_wire::ws::{self, Compression, Decoder, Inflater, Input, Opcode, Role};
use bellwire_wire::{Deflater, gzip, json, msgpack, request};
use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

const EPOCH: Epoch = Epoch::new(7);
const OFFSET: Offset = Offset::new(1_042);
const FRAMES: usize = 1_000;

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

fn json_event() -> Vec<u8> {
    json::event(Some(Cursor::new(EPOCH, OFFSET)), &event())
}

/// An array of 64 KiB.
fn json_array() -> Vec<u8> {
    [b"[", &json_events(300).join(&b","[..])[..], b"]"].concat()
}

/// Events that differ as readings of some sensors do.
fn json_events(count: usize) -> Vec<Vec<u8>> {
    let different = |n: usize| {
        let number = n.wrapping_mul(2_654_435_761) % 10_000;
        let body = format!(
            r#"{{"site":"oslo","sensor":"boiler-{}","value":{}.{:02},"unit":"celsius"}}"#,
            number % 17,
            number / 100,
            number % 100
        );
        let time = Timestamp::from_ms(1_700_000_000_000 + 37 * n as i64);
        let event = Event { time, body: Some(Body::Json(body.into())), ..event() };
        json::event(Some(Cursor::new(EPOCH, Offset::new(1_042 + n as u64))), &event)
    };
    (0..count).map(different).collect()
}

#[divan::bench]
fn frame_around_json(bencher: Bencher<'_, '_>) {
    let json = json_event();
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| ws::frame(Opcode::Text, black_box(&json)));
}

#[divan::bench]
fn frame_of_msgpack(bencher: Bencher<'_, '_>) {
    let event = event();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        ws::frame(
            Opcode::Binary,
            &msgpack::event(Some(Cursor::new(EPOCH, OFFSET)), black_box(&event)),
        )
    });
}

#[divan::bench]
fn msgpack_from_json(bencher: Bencher<'_, '_>) {
    let json = json_array();
    bencher
        .counter(BytesCount::new(json.len()))
        .bench_local(|| msgpack::from_json(black_box(&json)));
}

#[divan::bench]
fn msgpack_to_json(bencher: Bencher<'_, '_>) {
    let json = json_array();
    let packed = msgpack::from_json(&json);
    bencher
        .counter(BytesCount::new(packed.len()))
        .bench_local(|| msgpack::to_json(black_box(&packed)));
}

/// Frames of one size that came in one read.
#[divan::bench(args = [16, 256, 4_096, 65_536])]
fn decode(bencher: Bencher<'_, '_>, payload_bytes: usize) {
    let frame = ws::masked_frame(Opcode::Text, &vec![b'x'; payload_bytes], [1, 2, 3, 4]);
    let frames = FRAMES.min((1 << 20) / payload_bytes);
    let stream = frame.repeat(frames);
    bencher
        .counter(ItemsCount::new(frames))
        .counter(BytesCount::new(stream.len()))
        .with_inputs(|| stream.clone())
        .bench_local_values(|mut stream| {
            let mut decoder = Decoder::new(Role::Server, Compression::Off);
            let mut inflater = Inflater::default();
            let mut input = Input::new(&mut stream);
            let mut count = 0;
            while decoder.next(&mut input, &mut inflater).expect("right").is_some() {
                count += 1;
            }
            assert_eq!(count, frames);
            stream
        });
}

#[divan::bench(args = [2, 5, 20, 100])]
fn deflate_frame(bencher: Bencher<'_, '_>, events: usize) {
    let payload = json_events(events).concat();
    let mut deflater = Deflater::default();
    bencher
        .counter(BytesCount::new(payload.len()))
        .bench_local(|| deflater.frame(Opcode::Text, black_box(&payload)));
}

#[divan::bench(args = [1, 5, 20, 100])]
fn gzip_segment(bencher: Bencher<'_, '_>, events: usize) {
    let (events, mut deflater) = (json_events(events), Deflater::default());
    let parts: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
    bencher
        .counter(BytesCount::new(events.concat().len()))
        .bench_local(|| deflater.segment(black_box(&parts)));
}

#[divan::bench]
fn gzip_stored(bencher: Bencher<'_, '_>) {
    let json = json_event();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| gzip::stored(black_box(&json)));
}

const PUBLISH: &str =
    r#"{"request":"publish","id":9,"topic":"chat/a","data":{"user":"u7","text":"hello"}}"#;

#[divan::bench]
fn request_json(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| request::read_json(black_box(PUBLISH)));
}

#[divan::bench]
fn request_msgpack(bencher: Bencher<'_, '_>) {
    let packed = msgpack::from_json(PUBLISH.as_bytes());
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| request::read_msgpack(black_box(&packed)));
}
