//! How many samples of OTLP a core decodes each second.

#[path = "../tests/otlp/proto.rs"]
mod proto;

use bellwire_ingest::otlp::{self, Encoding, Settings, Totals};
use bellwire_model::{Holder, Timestamp};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use prost::Message;

use proto::{
    AnyValue, Data, Gauge, Histogram, HistogramPoint, InJson, Integers, KeyValue, Metric, Number,
    NumberPoint, Request, Resource, ResourceMetrics, ScopeMetrics, Sum, Value,
};

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const NOW_NS: u64 = 1_700_000_000_000_000_000;
const METRICS: usize = 100;
const POINTS: usize = 100;
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn main() {
    divan::main();
}

fn attributes(pairs: &[(&str, String)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, String)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Value::Text(value.clone())) }),
    };
    pairs.iter().map(pair).collect()
}

fn of_point(number: usize) -> Vec<KeyValue> {
    attributes(&[
        ("http.request.method", "GET".to_owned()),
        ("http.response.status_code", "200".to_owned()),
        ("http.route", format!("/api/things/{number}")),
        ("server.address", "shop.example.org".to_owned()),
    ])
}

fn request(data: impl Fn() -> Data) -> Request {
    let metric = |number| Metric {
        name: format!("http.server.thing.{number}"),
        unit: "s".to_owned(),
        description: "How long a thing took".to_owned(),
        data: Some(data()),
    };
    let metrics = (0..METRICS).map(metric).collect();
    let pairs = [
        ("service.name", "shop".to_owned()),
        ("service.instance.id", "shop-1".to_owned()),
        ("host.name", "host-1".to_owned()),
    ];
    let resource = Resource { attributes: attributes(&pairs), ..Resource::default() };
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource = Some(resource);
    Request {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }],
    }
}

fn points() -> Vec<NumberPoint> {
    let point = |number| NumberPoint {
        start_time_unix_nano: NOW_NS - 1_000,
        time_unix_nano: NOW_NS,
        attributes: of_point(number),
        value: Some(Number::AsDouble(number as f64)),
        ..NumberPoint::default()
    };
    (0..POINTS).map(point).collect()
}

fn bench(bencher: Bencher<'_, '_>, encoding: Encoding, body: &[u8]) {
    let settings = Settings::default();
    let decode = || {
        let mut decoded = otlp::decode(encoding, body, &settings, NOW).expect("a request");
        Totals::default().settle(&mut decoded, Holder::named("ada"), NOW);
        decoded
    };
    let samples = decode().samples.len();
    assert!(samples > METRICS * POINTS, "all are taken");
    bencher.counter(ItemsCount::new(samples)).counter(BytesCount::of_slice(body)).bench(decode);
}

#[divan::bench]
fn protobuf_gauges(bencher: Bencher<'_, '_>) {
    let request = request(|| Data::Gauge(Gauge { data_points: points() }));
    bench(bencher, Encoding::Protobuf, &request.encode_to_vec());
}

/// Each of them begins a total.
#[divan::bench]
fn protobuf_changes(bencher: Bencher<'_, '_>) {
    let sum = || Sum { data_points: points(), aggregation_temporality: DELTA, is_monotonic: true };
    bench(bencher, Encoding::Protobuf, &request(|| Data::Sum(sum())).encode_to_vec());
}

/// With the fifteen bounds that SDKs have by default.
#[divan::bench]
fn protobuf_histograms(bencher: Bencher<'_, '_>) {
    let bounds =
        [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1e3, 2.5e3, 5e3, 7.5e3, 1e4];
    let point = |number| HistogramPoint {
        time_unix_nano: NOW_NS,
        count: 160,
        sum: Some(1.5),
        bucket_counts: vec![10; bounds.len() + 1],
        explicit_bounds: bounds.to_vec(),
        attributes: of_point(number),
        ..HistogramPoint::default()
    };
    let histogram = || Histogram {
        data_points: (0..POINTS / 2).map(point).collect(),
        aggregation_temporality: CUMULATIVE,
    };
    bench(bencher, Encoding::Protobuf, &request(|| Data::Histogram(histogram())).encode_to_vec());
}

#[divan::bench(args = [Integers::Texts, Integers::Numbers])]
fn json_gauges(bencher: Bencher<'_, '_>, integers: Integers) {
    let request = request(|| Data::Gauge(Gauge { data_points: points() }));
    bench(bencher, Encoding::Json, request.json(integers).to_string().as_bytes());
}
