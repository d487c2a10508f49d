//! What WebSocket adds: frames out and in, `MessagePack`, compression, requests.

use bellwire_model::{Body, Epoch, Event, Offset, Timestamp};
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
    json::event(EPOCH, Some(OFFSET), &event())
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
        ws::frame(Opcode::Binary, &msgpack::event(EPOCH, Some(OFFSET), black_box(&event)))
    });
}

/// A body of 64 KiB: what transcoding costs a byte.
#[divan::bench]
fn msgpack_from_json(bencher: Bencher<'_, '_>) {
    let json = [b"[", json_event().repeat(300).as_slice(), b"]"].concat();
    let json = String::from_utf8(json).expect("JSON").replace("}{", "},{");
    bencher
        .counter(BytesCount::new(json.len()))
        .bench_local(|| msgpack::from_json(black_box(json.as_bytes())));
}

#[divan::bench]
fn msgpack_to_json(bencher: Bencher<'_, '_>) {
    let json = [b"[", json_event().repeat(300).as_slice(), b"]"].concat();
    let json = String::from_utf8(json).expect("JSON").replace("}{", "},{");
    let packed = msgpack::from_json(json.as_bytes());
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

#[divan::bench(args = [1, 5, 20, 100])]
fn deflate_frame(bencher: Bencher<'_, '_>, events: usize) {
    let payload = json_event().repeat(events);
    let mut deflater = Deflater::default();
    bencher
        .counter(BytesCount::new(payload.len()))
        .bench_local(|| deflater.frame(Opcode::Text, black_box(&payload)));
}

#[divan::bench(args = [1, 5, 20, 100])]
fn gzip_segment(bencher: Bencher<'_, '_>, events: usize) {
    let (json, mut deflater) = (json_event(), Deflater::default());
    let parts = vec![json.as_slice(); events];
    bencher
        .counter(BytesCount::new(json.len() * events))
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
