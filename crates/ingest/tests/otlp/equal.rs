//! A request means the same in both encodings.

use bellwire_ingest::otlp::{self, Encoding, Promoted, Settings, Strategy as Naming, Totals};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::proto::{
    AnyValue, Data, Gauge, Histogram, HistogramPoint, InJson, Integers, KeyValue, List, Metric,
    Number, NumberPoint, Pairs, Request, Resource, ResourceMetrics, Scope, ScopeMetrics, Sum,
    Summary, SummaryPoint, Value, ValueAtQuantile,
};
use super::samples::{NOW, NOW_NS, sender, told};

pub(crate) fn json(request: &Request, integers: Integers) -> Vec<u8> {
    request.json(integers).to_string().into_bytes()
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_map(|value| match value {
            // JSON has one NaN, and prost leaves out what equals nothing.
            _ if value.is_nan() || value == 0.0 => 0.0,
            _ => value,
        }),
        Just(f64::NAN),
        -10.0..10.0,
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c._]{0,3}", "\\PC{0,8}", Just("le".to_owned()), Just("job".to_owned())]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        text().prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        double().prop_map(Value::Double),
        vec(any::<u8>(), 0..5).prop_map(Value::Bytes),
    ];
    let leaf = option::of(leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(20, 40, 3, |inner| {
        let pair = (text(), option::of(inner.clone()));
        let pair = pair.prop_map(|(key, value)| KeyValue { key, value });
        prop_oneof![
            vec(inner, 0..3).prop_map(|values| Value::List(List { values })),
            vec(pair, 0..3).prop_map(|values| Value::Map(Pairs { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = (text(), option::of(value())).prop_map(|(key, value)| KeyValue { key, value });
    vec(pair, 0..4)
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), NOW_NS - 100..=NOW_NS, any::<u64>()]
}

fn number_point() -> impl Strategy<Value = NumberPoint> {
    let number =
        prop_oneof![double().prop_map(Number::AsDouble), any::<i64>().prop_map(Number::AsInt)];
    (attributes(), time(), time(), option::of(number), 0_u32..3).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, value, flags)| NumberPoint {
            start_time_unix_nano,
            time_unix_nano,
            attributes,
            flags,
            value,
            ..NumberPoint::default()
        },
    )
}

fn histogram_point() -> impl Strategy<Value = HistogramPoint> {
    let buckets = (vec(double(), 0..4), vec(any::<u64>(), 0..5));
    let sorted = (vec(-5.0..5.0, 0..4), vec(0..9_u64, 5)).prop_map(|(mut bounds, mut counts)| {
        bounds.sort_by(f64::total_cmp);
        counts.truncate(bounds.len() + 1);
        (bounds, counts)
    });
    let buckets = prop_oneof![buckets, sorted];
    (attributes(), time(), any::<u64>(), option::of(double()), buckets, 0_u32..2).prop_map(
        |(attributes, time_unix_nano, count, sum, (explicit_bounds, bucket_counts), flags)| {
            HistogramPoint {
                time_unix_nano,
                count,
                sum,
                bucket_counts,
                explicit_bounds,
                attributes,
                flags,
                ..HistogramPoint::default()
            }
        },
    )
}

fn summary_point() -> impl Strategy<Value = SummaryPoint> {
    let quantile = (double(), double());
    let quantile = quantile.prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (attributes(), time(), any::<u64>(), double(), vec(quantile, 0..3)).prop_map(
        |(attributes, time_unix_nano, count, sum, quantile_values)| SummaryPoint {
            time_unix_nano,
            count,
            sum,
            quantile_values,
            attributes,
            ..SummaryPoint::default()
        },
    )
}

fn data() -> impl Strategy<Value = Data> {
    let histogram =
        (vec(histogram_point(), 0..3), 0..4).prop_map(|(data_points, aggregation_temporality)| {
            Histogram { data_points, aggregation_temporality }
        });
    prop_oneof![
        vec(number_point(), 0..3).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number_point(), 0..3), 0..4, any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
            }
        ),
        (histogram, any::<bool>()).prop_map(|(histogram, is_exponential)| {
            if is_exponential {
                Data::ExponentialHistogram(histogram)
            } else {
                Data::Histogram(histogram)
            }
        }),
        vec(summary_point(), 0..2).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let metric = (text(), prop_oneof!["", "s", "1", "By/s", "\\PC{0,4}"], option::of(data()));
    let metric = metric.prop_map(|(name, unit, data)| Metric {
        name,
        unit,
        description: String::new(),
        data,
    });
    let scope = (text(), text(), attributes()).prop_map(|(name, version, attributes)| Scope {
        name,
        version,
        attributes,
    });
    let scope_metrics = (option::of(scope), vec(metric, 0..3), text());
    let scope_metrics = scope_metrics.prop_map(|(scope, metrics, schema_url)| ScopeMetrics {
        scope,
        metrics,
        schema_url,
    });
    let known = prop_oneof![Just("service.name"), Just("service.instance.id"), Just("host")];
    let resource =
        (attributes(), vec((known, value()), 0..3)).prop_map(|(mut attributes, known)| {
            let known = known.into_iter();
            attributes
                .extend(known.map(|(key, value)| KeyValue { key: key.into(), value: Some(value) }));
            Resource { attributes, ..Resource::default() }
        });
    let resource_metrics =
        (option::of(resource), vec(scope_metrics, 0..3)).prop_map(|(resource, scope_metrics)| {
            ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }
        });
    vec(resource_metrics, 0..3).prop_map(|resource_metrics| Request { resource_metrics })
}

fn settings() -> impl Strategy<Value = Settings> {
    let naming = prop_oneof![
        Just(Naming::UnderscoreEscapingWithSuffixes),
        Just(Naming::UnderscoreEscapingWithoutSuffixes),
        Just(Naming::NoUtf8EscapingWithSuffixes),
        Just(Naming::NoTranslation),
    ];
    let promoted = prop_oneof![
        Just(Promoted::default()),
        Just(Promoted::Only(["host".to_owned()].into())),
        Just(Promoted::AllBut(["host".to_owned()].into())),
    ];
    (naming, promoted, any::<bool>(), any::<bool>()).prop_map(
        |(translation_strategy, promoted, keeps, promote_scope_metadata)| Settings {
            translation_strategy,
            promoted,
            keep_identifying_resource_attributes: keeps,
            promote_scope_metadata,
        },
    )
}

proptest! {
    #[test]
    fn a_request_is_the_same_in_both_encodings(
        request in request(),
        settings in settings(),
        integers in prop_oneof![Just(Integers::Texts), Just(Integers::Numbers)],
    ) {
        let protobuf =
            otlp::decode(Encoding::Protobuf, &request.encode_to_vec(), &settings, NOW);
        let mut protobuf = protobuf.expect("a request");
        let body = json(&request, integers);
        let mut json = otlp::decode(Encoding::Json, &body, &settings, NOW).expect("a request");
        for decoded in [&mut protobuf, &mut json] {
            prop_assert_eq!(decoded.samples.len(), decoded.lines.len());
            let mut totals = Totals::default();
            totals.settle(decoded, sender(), NOW);
            prop_assert_eq!(decoded.samples.len(), decoded.lines.len());
        }
        prop_assert_eq!(told(&protobuf.samples), told(&json.samples));
        prop_assert_eq!(&protobuf.lines, &json.lines);
        prop_assert_eq!(&protobuf.rejections, &json.rejections);
        prop_assert_eq!(protobuf.rejected, json.rejected);
        prop_assert_eq!(&protobuf.warnings, &json.warnings);
    }

    #[test]
    fn a_request_that_is_cut_or_changed_is_read_or_refused(
        request in request(),
        cut in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let settings = Settings::default();
        for (encoding, mut body) in [
            (Encoding::Protobuf, request.encode_to_vec()),
            (Encoding::Json, json(&request, Integers::Texts)),
        ] {
            body.truncate(cut.index(body.len() + 1));
            for (place, byte) in &changes {
                if !body.is_empty() {
                    let place = place.index(body.len());
                    body[place] = *byte;
                }
            }
            if let Ok(mut decoded) = otlp::decode(encoding, &body, &settings, NOW) {
                Totals::default().settle(&mut decoded, sender(), NOW);
            }
        }
    }
}
