//! Requests for the tests, and what they become, in words.

use bellwire_ingest::Decoded;
use bellwire_ingest::otlp::{self, Encoding, Settings};
use bellwire_model::{Holder, Sample, Timestamp};
use prost::Message;

use super::proto::{
    AnyValue, Data, Gauge, Histogram, HistogramPoint, KeyValue, Metric, Number, NumberPoint,
    Request, Resource, ResourceMetrics, ScopeMetrics, Sum, Value,
};

pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
pub(crate) const NOW_NS: u64 = 1_700_000_000_000_000_000;
pub(crate) const SECOND_NS: u64 = 1_000_000_000;

pub(crate) const DELTA: i32 = 1;
pub(crate) const CUMULATIVE: i32 = 2;

/// Whoever sends, where it is one.
pub(crate) fn sender() -> Holder {
    Holder::named("ada")
}

pub(crate) fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let text = |text: &str| AnyValue { value: Some(Value::Text(text.to_owned())) };
    let pair =
        |(key, value): &(&str, &str)| KeyValue { key: (*key).to_owned(), value: Some(text(value)) };
    pairs.iter().map(pair).collect()
}

/// A point of now.
pub(crate) fn number(pairs: &[(&str, &str)], value: f64) -> NumberPoint {
    NumberPoint {
        time_unix_nano: NOW_NS,
        attributes: attributes(pairs),
        value: Some(Number::AsDouble(value)),
        ..NumberPoint::default()
    }
}

pub(crate) fn gauge(name: &str, unit: &str, data_points: Vec<NumberPoint>) -> Metric {
    metric(name, unit, Data::Gauge(Gauge { data_points }))
}

pub(crate) fn counter(name: &str, temporality: i32, data_points: Vec<NumberPoint>) -> Metric {
    let sum = Sum { data_points, aggregation_temporality: temporality, is_monotonic: true };
    metric(name, "", Data::Sum(sum))
}

pub(crate) fn histogram(name: &str, unit: &str, points: Vec<HistogramPoint>) -> Metric {
    let histogram = Histogram { data_points: points, aggregation_temporality: CUMULATIVE };
    metric(name, unit, Data::Histogram(histogram))
}

pub(crate) fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: "what it is".to_owned(),
        data: Some(data),
    }
}

pub(crate) fn of_resource(pairs: &[(&str, &str)], metrics: Vec<Metric>) -> Request {
    let resource = Resource { attributes: attributes(pairs), ..Resource::default() };
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() };
    Request { resource_metrics: vec![resource_metrics] }
}

pub(crate) fn of(metrics: Vec<Metric>) -> Request {
    of_resource(&[], metrics)
}

pub(crate) fn decode_with(settings: &Settings, request: &Request) -> Decoded {
    otlp::decode(Encoding::Protobuf, &request.encode_to_vec(), settings, NOW).expect("a request")
}

pub(crate) fn decode(request: &Request) -> Decoded {
    decode_with(&Settings::default(), request)
}

/// Samples in words; the time only where it is not now.
pub(crate) fn told(samples: &[Sample]) -> Vec<String> {
    let one = |sample: &Sample| {
        let value = if sample.value.to_bits() == Sample::STALE.to_bits() {
            "stale".to_owned()
        } else {
            sample.value.to_string()
        };
        match sample.time.as_ms() - NOW.as_ms() {
            0 => format!("{} {value}", sample.series),
            offset => format!("{} {value} @{offset}", sample.series),
        }
    };
    samples.iter().map(one).collect()
}

/// What was refused: line, code and the beginning of the reason.
pub(crate) fn refused(decoded: &Decoded) -> Vec<(usize, &'static str)> {
    decoded.rejections.iter().map(|rejection| (rejection.line, rejection.code)).collect()
}
