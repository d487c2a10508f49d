//! The messages of opentelemetry-proto as another implementation encodes them: prost's. JSON is made
//! of them here, by the rules of OTLP.

use prost::{Message, Oneof};
use serde_json::{Map, Value as Json, json};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_metrics: Vec<ScopeMetrics>,
    #[prost(string, tag = "3")]
    pub(crate) schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "2")]
    pub(crate) dropped_attributes_count: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ScopeMetrics {
    #[prost(message, optional, tag = "1")]
    pub(crate) scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) metrics: Vec<Metric>,
    #[prost(string, tag = "3")]
    pub(crate) schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Scope {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
    #[prost(string, tag = "3")]
    pub(crate) unit: String,
    #[prost(oneof = "Data", tags = "5, 7, 9, 10, 11")]
    pub(crate) data: Option<Data>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Data {
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    #[prost(message, tag = "7")]
    Sum(Sum),
    #[prost(message, tag = "9")]
    Histogram(Histogram),
    #[prost(message, tag = "10")]
    ExponentialHistogram(Histogram),
    #[prost(message, tag = "11")]
    Summary(Summary),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Gauge {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<NumberPoint>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sum {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<NumberPoint>,
    #[prost(int32, tag = "2")]
    pub(crate) aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub(crate) is_monotonic: bool,
}

/// Of an exponential histogram only what both kinds have is told.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<HistogramPoint>,
    #[prost(int32, tag = "2")]
    pub(crate) aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<SummaryPoint>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NumberPoint {
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[prost(message, repeated, tag = "5")]
    pub(crate) exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "8")]
    pub(crate) flags: u32,
    #[prost(oneof = "Number", tags = "4, 6")]
    pub(crate) value: Option<Number>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum Number {
    #[prost(double, tag = "4")]
    AsDouble(f64),
    #[prost(sfixed64, tag = "6")]
    AsInt(i64),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(fixed64, tag = "2")]
    pub(crate) time_unix_nano: u64,
    #[prost(double, tag = "3")]
    pub(crate) as_double: f64,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) trace_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HistogramPoint {
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    pub(crate) count: u64,
    #[prost(double, optional, tag = "5")]
    pub(crate) sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    pub(crate) bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub(crate) explicit_bounds: Vec<f64>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    pub(crate) flags: u32,
    #[prost(double, optional, tag = "11")]
    pub(crate) min: Option<f64>,
    #[prost(double, optional, tag = "12")]
    pub(crate) max: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SummaryPoint {
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    pub(crate) count: u64,
    #[prost(double, tag = "5")]
    pub(crate) sum: f64,
    #[prost(message, repeated, tag = "6")]
    pub(crate) quantile_values: Vec<ValueAtQuantile>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "8")]
    pub(crate) flags: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueAtQuantile {
    #[prost(double, tag = "1")]
    pub(crate) quantile: f64,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    List(List),
    #[prost(message, tag = "6")]
    Map(Pairs),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Pairs {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<KeyValue>,
}

/// How 64-bit integers are written in JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Integers {
    Texts,
    Numbers,
}

impl Integers {
    fn json(self, number: impl Into<Json> + ToString) -> Json {
        match self {
            Self::Texts => number.to_string().into(),
            Self::Numbers => number.into(),
        }
    }
}

/// What has a form in JSON.
pub(crate) trait InJson {
    fn json(&self, integers: Integers) -> Json;
}

fn all<T: InJson>(parts: &[T], integers: Integers) -> Json {
    parts.iter().map(|part| part.json(integers)).collect()
}

fn double(number: f64) -> Json {
    match number {
        _ if number.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        _ => number.into(),
    }
}

/// An object without the members that say nothing: encoders leave them out.
fn object<const MEMBERS: usize>(members: [(&str, Json); MEMBERS]) -> Json {
    let says = |value: &Json| *value != json!([]) && *value != Json::Null && *value != json!("");
    let members = members.into_iter().filter(|(_, value)| says(value));
    members.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

impl InJson for Request {
    fn json(&self, integers: Integers) -> Json {
        object([("resourceMetrics", all(&self.resource_metrics, integers))])
    }
}

impl InJson for ResourceMetrics {
    fn json(&self, integers: Integers) -> Json {
        let resource = |resource: &Resource| {
            object([("attributes", all(&resource.attributes, integers)), ("unknown", json!({}))])
        };
        object([
            ("scopeMetrics", all(&self.scope_metrics, integers)),
            ("resource", self.resource.as_ref().map_or(Json::Null, resource)),
        ])
    }
}

impl InJson for ScopeMetrics {
    fn json(&self, integers: Integers) -> Json {
        let scope = |scope: &Scope| {
            object([
                ("name", scope.name.clone().into()),
                ("version", scope.version.clone().into()),
                ("attributes", all(&scope.attributes, integers)),
            ])
        };
        object([
            ("metrics", all(&self.metrics, integers)),
            ("scope", self.scope.as_ref().map_or(Json::Null, scope)),
            ("schemaUrl", self.schema_url.clone().into()),
        ])
    }
}

impl InJson for Metric {
    fn json(&self, integers: Integers) -> Json {
        let counted = |histogram: &Histogram| {
            json!({
                "dataPoints": all(&histogram.data_points, integers),
                "aggregationTemporality": histogram.aggregation_temporality,
            })
        };
        let data = match &self.data {
            None => ("unknown", json!({ "dataPoints": [{}] })),
            Some(Data::Gauge(gauge)) => {
                ("gauge", json!({ "dataPoints": all(&gauge.data_points, integers) }))
            }
            Some(Data::Sum(sum)) => (
                "sum",
                json!({
                    "dataPoints": all(&sum.data_points, integers),
                    "aggregationTemporality": sum.aggregation_temporality,
                    "isMonotonic": sum.is_monotonic,
                }),
            ),
            Some(Data::Histogram(histogram)) => ("histogram", counted(histogram)),
            Some(Data::ExponentialHistogram(histogram)) => {
                ("exponentialHistogram", counted(histogram))
            }
            Some(Data::Summary(summary)) => {
                ("summary", json!({ "dataPoints": all(&summary.data_points, integers) }))
            }
        };
        object([data, ("name", self.name.clone().into()), ("unit", self.unit.clone().into())])
    }
}

impl InJson for NumberPoint {
    fn json(&self, integers: Integers) -> Json {
        let value = match self.value {
            None => ("exemplars", Json::Null),
            Some(Number::AsDouble(value)) => ("asDouble", double(value)),
            Some(Number::AsInt(value)) => ("asInt", integers.json(value)),
        };
        object([
            value,
            ("startTimeUnixNano", integers.json(self.start_time_unix_nano)),
            ("timeUnixNano", integers.json(self.time_unix_nano)),
            ("attributes", all(&self.attributes, integers)),
            ("flags", self.flags.into()),
        ])
    }
}

impl InJson for HistogramPoint {
    fn json(&self, integers: Integers) -> Json {
        let counts = self.bucket_counts.iter().map(|count| integers.json(*count));
        object([
            ("startTimeUnixNano", integers.json(self.start_time_unix_nano)),
            ("timeUnixNano", integers.json(self.time_unix_nano)),
            ("attributes", all(&self.attributes, integers)),
            ("flags", self.flags.into()),
            ("count", integers.json(self.count)),
            ("sum", self.sum.map_or(Json::Null, double)),
            ("bucketCounts", counts.collect()),
            ("explicitBounds", self.explicit_bounds.iter().copied().map(double).collect()),
        ])
    }
}

impl InJson for SummaryPoint {
    fn json(&self, integers: Integers) -> Json {
        let quantile = |one: &ValueAtQuantile| json!({ "quantile": double(one.quantile), "value": double(one.value) });
        object([
            ("startTimeUnixNano", integers.json(self.start_time_unix_nano)),
            ("timeUnixNano", integers.json(self.time_unix_nano)),
            ("attributes", all(&self.attributes, integers)),
            ("flags", self.flags.into()),
            ("count", integers.json(self.count)),
            ("sum", double(self.sum)),
            ("quantileValues", self.quantile_values.iter().map(quantile).collect()),
        ])
    }
}

impl InJson for KeyValue {
    fn json(&self, integers: Integers) -> Json {
        let value = self.value.as_ref().map_or(Json::Null, |value| value.json(integers));
        object([("key", self.key.clone().into()), ("value", value)])
    }
}

impl InJson for AnyValue {
    fn json(&self, integers: Integers) -> Json {
        match &self.value {
            None => json!({}),
            Some(Value::Text(text)) => json!({ "stringValue": text }),
            Some(Value::Bool(flag)) => json!({ "boolValue": flag }),
            Some(Value::Integer(integer)) => json!({ "intValue": integers.json(*integer) }),
            Some(Value::Double(value)) => json!({ "doubleValue": double(*value) }),
            Some(Value::List(list)) => {
                json!({ "arrayValue": { "values": all(&list.values, integers) } })
            }
            Some(Value::Map(map)) => {
                json!({ "kvlistValue": { "values": all(&map.values, integers) } })
            }
            Some(Value::Bytes(bytes)) => {
                use base64::Engine as _;
                json!({ "bytesValue": base64::engine::general_purpose::STANDARD.encode(bytes) })
            }
        }
    }
}
