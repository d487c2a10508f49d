//! A request in JSON, as OTLP has it: names in lowerCamelCase, 64-bit integers as texts or as
//! numbers, enumerations as numbers (or their names, as Protocol Buffers have it), `NaN` and
//! infinities as texts, what is unknown ignored.
//!
//! The parts of a message are looked into one after the other, and a part that is not yet looked
//! into is text of the body: so a body of empty objects takes little memory.

use std::borrow::Cow;

use bellwire_model::limits::OTLP_POINT_BYTES_MAX;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::labels::{Attribute, Scope};
use super::point::{Head, Histogram, Point, Summary, too_large};
use super::series::Series;
use super::translation::Kind;
use crate::decoded::Refusal;

mod attribute;
mod number;

use attribute::KeyValue;
use number::{Aggregation, Double, Signed, Unsigned};

/// Reads a request into what takes its points.
pub(super) fn read(body: &str, series: &mut Series<'_>) -> serde_json::Result<()> {
    let request: Option<Request<'_>> = serde_json::from_str(body)?;
    for part in request.and_then(|request| request.resource_metrics).into_iter().flatten() {
        if let Some(resource_metrics) = serde_json::from_str(part.get())? {
            read_resource_metrics(resource_metrics, series)?;
        }
    }
    Ok(())
}

fn read_resource_metrics(
    message: ResourceMetrics<'_>,
    series: &mut Series<'_>,
) -> serde_json::Result<()> {
    let resource = origin(message.resource, "resource").and_then(Origin::attributes);
    series.begin_resource(resource.as_deref().map_err(Refusal::clone));
    for part in message.scope_metrics.into_iter().flatten() {
        if let Some(scope_metrics) = serde_json::from_str(part.get())? {
            read_scope_metrics(scope_metrics, series)?;
        }
    }
    if let Ok(attributes) = resource {
        series.end_resource(&attributes);
    }
    Ok(())
}

fn read_scope_metrics(
    message: ScopeMetrics<'_>,
    series: &mut Series<'_>,
) -> serde_json::Result<()> {
    let scope = origin(message.scope, "scope").and_then(|mut origin| {
        let text = |text: Option<String>| Cow::Owned(text.unwrap_or_default());
        Ok(Scope {
            name: text(origin.name.take()),
            version: text(origin.version.take()),
            schema_url: text(message.schema_url),
            attributes: origin.attributes()?,
        })
    });
    series.begin_scope(scope.as_ref().map_err(Refusal::clone));
    for part in message.metrics.into_iter().flatten() {
        if let Some(metric) = serde_json::from_str(part.get())? {
            read_metric(metric, series);
        }
    }
    Ok(())
}

fn read_metric(metric: Metric<'_>, series: &mut Series<'_>) {
    let Metric { name, unit, gauge, sum, histogram, exponential_histogram, summary } = metric;
    let kind_of_sum = match &sum {
        Some(Data { is_monotonic: Some(true), .. }) => Kind::Counter,
        _ => Kind::Sum,
    };
    let kinds = [
        (gauge, Kind::Gauge),
        (sum, kind_of_sum),
        (histogram, Kind::Histogram),
        (exponential_histogram, Kind::ExponentialHistogram),
        (summary, Kind::Summary),
    ];
    let Some((data, kind)) = kinds.into_iter().find_map(|(data, kind)| Some((data?, kind))) else {
        return;
    };
    let [name, unit] = [name, unit].map(|text| Cow::Owned(text.unwrap_or_default()));
    let temporality = data.aggregation_temporality.map(|Aggregation(it)| it).unwrap_or_default();
    let points = data.points.unwrap_or_default();
    if series.begin_metric(Ok(Head { name, unit, kind, temporality })) {
        for point in points {
            read_point(point.get(), kind, series);
        }
    } else {
        series.refuse_metric(points.len());
    }
}

fn read_point(json: &str, kind: Kind, series: &mut Series<'_>) {
    let read = part::<DataPoint<'_>>(json, "point").and_then(|members| members.take(kind, series));
    if let Err(refusal) = read {
        series.refuse(refusal);
    }
}

fn origin<'a>(json: Option<&'a RawValue>, what: &str) -> Result<Origin<'a>, Refusal> {
    let origin = json.map(|json| part::<Option<Origin<'_>>>(json.get(), what)).transpose()?;
    Ok(origin.flatten().unwrap_or_default())
}

/// A part that is looked into by itself: what is wrong with it costs no other.
fn part<'a, T: Deserialize<'a>>(json: &'a str, what: &str) -> Result<T, Refusal> {
    if json.len() > OTLP_POINT_BYTES_MAX {
        return Err(too_large(what));
    }
    serde_json::from_str(json).map_err(|error| {
        // Where it stands is said from the beginning of the part, which nobody can find.
        let error = error.to_string();
        let reason = error.rsplit_once(" at line ").map_or(&*error, |(reason, _)| reason);
        Refusal::new("type_invalid", format!("the {what} cannot be read: {reason}"))
    })
}

/// Parts of a message, as they stand in the body.
type Parts<'a> = Option<Vec<&'a RawValue>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    resource_metrics: Parts<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    scope_metrics: Parts<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeMetrics<'a> {
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
    #[serde(borrow)]
    metrics: Parts<'a>,
    schema_url: Option<String>,
}

/// A resource or a scope.
#[derive(Default, Deserialize)]
struct Origin<'a> {
    name: Option<String>,
    version: Option<String>,
    #[serde(borrow)]
    attributes: Option<Vec<KeyValue<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric<'a> {
    name: Option<String>,
    unit: Option<String>,
    #[serde(borrow)]
    gauge: Option<Data<'a>>,
    #[serde(borrow)]
    sum: Option<Data<'a>>,
    #[serde(borrow)]
    histogram: Option<Data<'a>>,
    #[serde(borrow)]
    exponential_histogram: Option<Data<'a>>,
    #[serde(borrow)]
    summary: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(rename = "dataPoints", borrow)]
    points: Parts<'a>,
    aggregation_temporality: Option<Aggregation>,
    is_monotonic: Option<bool>,
}

/// A point of any kind: each has some of these members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataPoint<'a> {
    #[serde(borrow)]
    attributes: Option<Vec<KeyValue<'a>>>,
    start_time_unix_nano: Option<Unsigned>,
    time_unix_nano: Option<Unsigned>,
    flags: Option<Unsigned>,
    as_double: Option<Double>,
    as_int: Option<Signed>,
    count: Option<Unsigned>,
    sum: Option<Double>,
    bucket_counts: Option<Vec<Unsigned>>,
    explicit_bounds: Option<Vec<Double>>,
    quantile_values: Option<Vec<ValueAtQuantile>>,
}

#[derive(Deserialize)]
struct ValueAtQuantile {
    quantile: Option<Double>,
    value: Option<Double>,
}

impl<'a> Origin<'a> {
    fn attributes(self) -> Result<Vec<Attribute<'a>>, Refusal> {
        self.attributes.into_iter().flatten().map(KeyValue::read).collect()
    }
}

impl DataPoint<'_> {
    fn take(self, kind: Kind, series: &mut Series<'_>) -> Result<(), Refusal> {
        let attributes = self.attributes.into_iter().flatten().map(KeyValue::read);
        let unsigned = |number: Option<Unsigned>| number.map_or(0, |Unsigned(number)| number);
        let double = |number: Option<Double>| number.map(|Double(number)| number);
        let point = Point {
            attributes: attributes.collect::<Result<_, _>>()?,
            start_ns: unsigned(self.start_time_unix_nano),
            time_ns: unsigned(self.time_unix_nano),
            flags: unsigned(self.flags) as u32,
        };
        match kind {
            Kind::Gauge | Kind::Counter | Kind::Sum => {
                let integer = self.as_int.map(|Signed(integer)| integer as f64);
                series.number(&point, double(self.as_double).or(integer));
            }
            Kind::Histogram | Kind::ExponentialHistogram => {
                let bounds = self.explicit_bounds.into_iter().flatten();
                let counts = self.bucket_counts.into_iter().flatten();
                let histogram = Histogram {
                    count: unsigned(self.count),
                    sum: double(self.sum),
                    bounds: bounds.map(|Double(bound)| bound).collect(),
                    counts: counts.map(|Unsigned(count)| count).collect(),
                };
                series.histogram(&point, &histogram);
            }
            Kind::Summary => {
                let quantiles = self.quantile_values.into_iter().flatten();
                let quantile = |one: ValueAtQuantile| {
                    [one.quantile, one.value]
                        .map(|number| double(number).unwrap_or_default())
                        .into()
                };
                let summary = Summary {
                    count: unsigned(self.count),
                    sum: double(self.sum).unwrap_or_default(),
                    quantiles: quantiles.map(quantile).collect(),
                };
                series.summary(&point, &summary);
            }
        }
        Ok(())
    }
}
