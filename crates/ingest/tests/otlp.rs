//! OTLP: known answers, and the two encodings against each other.

mod otlp {
    pub(crate) mod equal;
    pub(crate) mod proto;
    pub(crate) mod samples;
    pub(crate) mod totals;
}

use std::collections::BTreeSet;

use bellwire_ingest::otlp::{Encoding, Error, Promoted, Settings, Strategy, decode as read};
use bellwire_model::limits::{LABEL_VALUE_BYTES_MAX, SAMPLES_PER_REQUEST_MAX};
use prost::Message;

use self::otlp::proto::{
    AnyValue, Data, HistogramPoint, KeyValue, List, Number, NumberPoint, Pairs, Request, Scope,
    Sum, Summary, SummaryPoint, Value, ValueAtQuantile,
};
use self::otlp::samples::{
    CUMULATIVE, NOW, NOW_NS, SECOND_NS, attributes, counter, decode, decode_with, gauge, histogram,
    metric, number, of, of_resource, refused, told,
};

fn buckets() -> HistogramPoint {
    HistogramPoint {
        time_unix_nano: NOW_NS,
        count: 10,
        sum: Some(7.5),
        bucket_counts: vec![3, 2, 5],
        explicit_bounds: vec![0.5, 10.0],
        attributes: attributes(&[("route", "/a")]),
        ..HistogramPoint::default()
    }
}

#[test]
fn each_kind_of_point_becomes_the_series_that_prometheus_has_for_it() {
    let summary = SummaryPoint {
        time_unix_nano: NOW_NS,
        count: 4,
        sum: 2.0,
        quantile_values: vec![
            ValueAtQuantile { quantile: 0.5, value: 0.25 },
            ValueAtQuantile { quantile: 1.0, value: 0.75 },
        ],
        ..SummaryPoint::default()
    };
    let integer = NumberPoint { value: Some(Number::AsInt(-3)), ..number(&[("a", "b")], 0.0) };
    let falling = Sum {
        data_points: vec![integer],
        aggregation_temporality: CUMULATIVE,
        is_monotonic: false,
    };
    let decoded = decode(&of(vec![
        gauge("room.temperature", "Cel", vec![number(&[("room", "1")], 21.5)]),
        gauge("cpu.utilization", "1", vec![number(&[], 0.5)]),
        counter("http.requests", CUMULATIVE, vec![number(&[("http.method", "GET")], 5.0)]),
        metric("connections", "{connection}", Data::Sum(falling)),
        histogram("http.server.duration", "s", vec![buckets()]),
        metric("gc", "ms", Data::Summary(Summary { data_points: vec![summary] })),
    ]));
    assert_eq!(
        told(&decoded.samples),
        [
            r#"room_temperature_celsius{room="1"} 21.5"#,
            "cpu_utilization_ratio 0.5",
            r#"http_requests_total{http_method="GET"} 5"#,
            r#"connections{a="b"} -3"#,
            r#"http_server_duration_seconds_bucket{le="0.5",route="/a"} 3"#,
            r#"http_server_duration_seconds_bucket{le="10",route="/a"} 5"#,
            r#"http_server_duration_seconds_bucket{le="+Inf",route="/a"} 10"#,
            r#"http_server_duration_seconds_sum{route="/a"} 7.5"#,
            r#"http_server_duration_seconds_count{route="/a"} 10"#,
            r#"gc_milliseconds{quantile="0.5"} 0.25"#,
            r#"gc_milliseconds{quantile="1"} 0.75"#,
            "gc_milliseconds_sum 2",
            "gc_milliseconds_count 4",
        ]
    );
    assert_eq!(decoded.lines, [1, 2, 3, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6]);
    assert_eq!((decoded.rejected, decoded.warnings), (0, vec![]));
}

#[test]
fn names_are_translated_as_it_is_configured() {
    let request = of(vec![
        counter("http.requests", CUMULATIVE, vec![number(&[("http.method", "GET")], 1.0)]),
        gauge("queue.wait", "ms", vec![number(&[], 2.0)]),
    ]);
    for (strategy, expected) in [
        (
            Strategy::UnderscoreEscapingWithSuffixes,
            [r#"http_requests_total{http_method="GET"} 1"#, "queue_wait_milliseconds 2"],
        ),
        (
            Strategy::UnderscoreEscapingWithoutSuffixes,
            [r#"http_requests{http_method="GET"} 1"#, "queue_wait 2"],
        ),
        (
            Strategy::NoUtf8EscapingWithSuffixes,
            [r#"http.requests_total{http.method="GET"} 1"#, "queue.wait_milliseconds 2"],
        ),
        (Strategy::NoTranslation, [r#"http.requests{http.method="GET"} 1"#, "queue.wait 2"]),
    ] {
        let settings = Settings { translation_strategy: strategy, ..Settings::default() };
        assert_eq!(told(&decode_with(&settings, &request).samples), expected, "{strategy:?}");
    }
}

const RESOURCE: &[(&str, &str)] = &[
    ("service.name", "shop"),
    ("service.namespace", "prod"),
    ("service.instance.id", "shop-1"),
    ("k8s.pod.name", "pod-7"),
    ("host.arch", "arm64"),
];

#[test]
fn a_resource_says_whose_series_they_are() {
    let at = |time_unix_nano, value| NumberPoint { time_unix_nano, ..number(&[], value) };
    let metrics = || {
        vec![
            gauge("a", "", vec![at(NOW_NS - 2 * SECOND_NS, 1.0)]),
            gauge("b", "", vec![at(NOW_NS - SECOND_NS, 2.0), at(NOW_NS - 3 * SECOND_NS, 3.0)]),
        ]
    };
    let decoded = decode(&of_resource(RESOURCE, metrics()));
    assert_eq!(
        told(&decoded.samples),
        [
            r#"a{instance="shop-1",job="prod/shop"} 1 @-2000"#,
            r#"b{instance="shop-1",job="prod/shop"} 2 @-1000"#,
            r#"b{instance="shop-1",job="prod/shop"} 3 @-3000"#,
            r#"target_info{host_arch="arm64",instance="shop-1",job="prod/shop",k8s_pod_name="pod-7"} 1 @-1000"#,
        ]
    );
    assert_eq!(decoded.lines, [1, 2, 3, 0]);
    // Without a namespace the job is the name; without more there is nothing to tell.
    let decoded = decode(&of_resource(&[("service.name", "shop")], metrics()));
    assert_eq!(told(&decoded.samples[..1]), [r#"a{job="shop"} 1 @-2000"#]);
    assert_eq!(decoded.samples.len(), 3);
    // Who is nobody has no `target_info`.
    let decoded = decode(&of_resource(&[("host.arch", "arm64")], metrics()));
    assert_eq!(told(&decoded.samples[..1]), ["a 1 @-2000"]);
    assert_eq!(decoded.samples.len(), 3);
    // Nor has one without points that were taken.
    let request = of_resource(RESOURCE, vec![gauge("a", "", vec![at(0, 1.0)])]);
    let decoded = decode(&request);
    assert_eq!((decoded.samples.len(), refused(&decoded)), (0, vec![(1, "timestamp_missing")]));
}

#[test]
fn two_resources_that_look_the_same_are_told_once() {
    let mut request = of_resource(RESOURCE, vec![gauge("a", "", vec![number(&[], 1.0)])]);
    let twin = of_resource(RESOURCE, vec![gauge("b", "", vec![number(&[], 1.0)])]);
    request.resource_metrics.extend(twin.resource_metrics);
    let decoded = decode(&request);
    let infos = told(&decoded.samples).iter().filter(|one| one.starts_with("target_info")).count();
    assert_eq!((decoded.samples.len(), infos), (3, 1));
}

#[test]
fn a_resource_that_comes_in_pieces_is_told_once_with_its_latest_time() {
    let at = |ago: u64| NumberPoint {
        time_unix_nano: NOW_NS - ago * SECOND_NS,
        ..number(&[("ago", &*ago.to_string())], 1.0)
    };
    let other = [RESOURCE, &[("zone", "b")]].concat();
    let mut request = of_resource(RESOURCE, vec![gauge("a", "", vec![at(2)])]);
    for (resource, ago) in [(RESOURCE, 1), (&*other, 4), (RESOURCE, 3)] {
        let piece = of_resource(resource, vec![gauge("a", "", vec![at(ago)])]);
        request.resource_metrics.extend(piece.resource_metrics);
    }
    let decoded = decode(&request);
    let labels = r#"host_arch="arm64",instance="shop-1",job="prod/shop",k8s_pod_name="pod-7""#;
    assert_eq!(
        told(&decoded.samples[4..]),
        [
            format!("target_info{{{labels}}} 1 @-1000"),
            format!("target_info{{{labels},zone=\"b\"}} 1 @-4000")
        ]
    );
    assert_eq!(decoded.lines, [1, 2, 3, 4, 0, 0]);
    assert_eq!(decoded.warnings.len(), 1);
    let warning = &decoded.warnings[0];
    assert!(warning.contains(r#"job="prod/shop", instance="shop-1""#), "{warning}");
}

#[test]
fn what_is_refused_says_of_which_metric_it_is() {
    let point = NumberPoint { time_unix_nano: 0, ..number(&[], 1.0) };
    let decoded = decode(&of(vec![gauge("shop.temperature", "Cel", vec![point])]));
    assert_eq!(&*decoded.rejections[0].excerpt, "shop_temperature_celsius");
}

#[test]
fn attributes_of_a_resource_are_promoted_where_it_is_configured() {
    let request = of_resource(
        RESOURCE,
        vec![gauge("a", "", vec![number(&[], 1.0), number(&[("host.arch", "own")], 2.0)])],
    );
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    let settings =
        Settings { promoted: Promoted::Only(keys(&["host.arch", "other"])), ..Settings::default() };
    let decoded = decode_with(&settings, &request);
    assert_eq!(
        told(&decoded.samples[..2]),
        [
            r#"a{host_arch="arm64",instance="shop-1",job="prod/shop"} 1"#,
            r#"a{host_arch="own",instance="shop-1",job="prod/shop"} 2"#,
        ]
    );
    let settings = Settings {
        promoted: Promoted::AllBut(keys(&["host.arch", "service.namespace"])),
        keep_identifying_resource_attributes: true,
        ..Settings::default()
    };
    let decoded = decode_with(&settings, &request);
    assert_eq!(
        told(&decoded.samples[..1]),
        [
            r#"a{instance="shop-1",job="prod/shop",k8s_pod_name="pod-7",service_instance_id="shop-1",service_name="shop"} 1"#
        ]
    );
    assert_eq!(
        told(&decoded.samples[2..]),
        [
            r#"target_info{host_arch="arm64",instance="shop-1",job="prod/shop",k8s_pod_name="pod-7",service_instance_id="shop-1",service_name="shop",service_namespace="prod"} 1"#
        ]
    );
}

#[test]
fn a_scope_is_promoted_where_it_is_configured() {
    let mut request = of(vec![gauge("a", "", vec![number(&[("otel.scope.name", "x")], 1.0)])]);
    let scope = Scope {
        name: "http".to_owned(),
        version: "1.2".to_owned(),
        attributes: attributes(&[("short.lived", "yes"), ("name", "no")]),
    };
    request.resource_metrics[0].scope_metrics[0].scope = Some(scope);
    request.resource_metrics[0].scope_metrics[0].schema_url = "https://s".to_owned();
    assert_eq!(told(&decode(&request).samples), [r#"a{otel_scope_name="x"} 1"#]);
    let settings = Settings { promote_scope_metadata: true, ..Settings::default() };
    let decoded = decode_with(&settings, &request);
    assert_eq!(
        told(&decoded.samples),
        [
            r#"a{otel_scope_name="http",otel_scope_schema_url="https://s",otel_scope_short_lived="yes",otel_scope_version="1.2"} 1"#
        ]
    );
    assert_eq!(decoded.warnings.len(), 1, "the attribute is set aside: {:?}", decoded.warnings);
}

#[test]
fn names_that_collide_are_joined_and_told() {
    let pairs = [("http_method", "b"), ("http.method", "a"), ("x", "1"), ("http:method", "")];
    let decoded = decode(&of(vec![
        gauge("a.b", "", vec![number(&pairs, 1.0)]),
        gauge("a_b", "", vec![number(&[], 2.0)]),
        gauge("a.b", "", vec![number(&[("__name__", "other")], 3.0)]),
    ]));
    let expected = [r#"a_b{http_method="a;b",x="1"} 1"#, "a_b 2", "a_b 3"];
    assert_eq!(told(&decoded.samples), expected);
    let [labels, metrics] = &decoded.warnings[..] else { panic!("{:?}", decoded.warnings) };
    assert!(labels.contains("`http_method`"), "{labels}");
    assert!(metrics.contains("both become `a_b`"), "{metrics}");
    // What the resource says of itself counts, whatever a point says.
    let points = vec![number(&[("job", "x"), ("instance", "shop-1")], 1.0)];
    let decoded = decode(&of_resource(RESOURCE, vec![gauge("a", "", points)]));
    assert_eq!(told(&decoded.samples[..1]), [r#"a{instance="shop-1",job="prod/shop"} 1"#]);
    assert_eq!(decoded.warnings, ["the attribute that becomes `job` is set aside"]);
    // And so does a bucket's bound.
    let point = HistogramPoint { attributes: attributes(&[("le", "x")]), ..buckets() };
    let decoded = decode(&of(vec![histogram("h", "", vec![point])]));
    assert_eq!(told(&decoded.samples[..1]), [r#"h_bucket{le="0.5"} 3"#]);
    assert_eq!(told(&decoded.samples[4..]), [r#"h_count{le="x"} 10"#]);
}

#[test]
fn values_of_attributes_of_all_kinds_become_texts() {
    let any = |value| AnyValue { value: Some(value) };
    let pair = |key: &str, value| KeyValue { key: key.to_owned(), value: Some(any(value)) };
    let list = List { values: vec![any(Value::Integer(1)), any(Value::Text("a".to_owned()))] };
    let map = Pairs { values: vec![pair("y", Value::Bool(false)), pair("x", Value::Double(0.5))] };
    let point = NumberPoint {
        attributes: vec![
            pair("bool", Value::Bool(true)),
            pair("int", Value::Integer(-7)),
            pair("double", Value::Double(1e21)),
            pair("list", Value::List(list)),
            pair("map", Value::Map(map)),
            pair("bytes", Value::Bytes(vec![1, 2, 3])),
            KeyValue { key: "nothing".to_owned(), value: None },
        ],
        ..number(&[], 1.0)
    };
    let decoded = decode(&of(vec![gauge("a", "", vec![point])]));
    let expected = r#"a{bool="true",bytes="AQID",double="1e+21",int="-7",list="[1,\"a\"]",map="{\"x\":0.5,\"y\":false}"} 1"#;
    assert_eq!(told(&decoded.samples), [expected]);
}

#[test]
fn what_is_not_recorded_any_more_is_stale() {
    let gone = NumberPoint { flags: 1, value: None, ..number(&[], 0.0) };
    let gone_buckets = HistogramPoint { flags: 1, sum: None, ..buckets() };
    let decoded = decode(&of(vec![
        gauge("a", "", vec![gone.clone()]),
        counter("c", CUMULATIVE, vec![gone]),
        histogram("h", "", vec![gone_buckets]),
    ]));
    assert_eq!(
        told(&decoded.samples),
        [
            "a stale",
            "c_total stale",
            r#"h_bucket{le="0.5",route="/a"} stale"#,
            r#"h_bucket{le="10",route="/a"} stale"#,
            r#"h_bucket{le="+Inf",route="/a"} stale"#,
            r#"h_count{route="/a"} stale"#,
        ]
    );
    assert_eq!(decoded.rejected, 0);
}

#[test]
fn values_that_are_no_numbers_are_values_here() {
    let points = vec![number(&[], f64::NAN), number(&[], f64::INFINITY)];
    let decoded = decode(&of(vec![gauge("a", "", points)]));
    assert_eq!(told(&decoded.samples), ["a NaN", "a inf"]);
}

#[test]
fn exponential_histograms_are_refused_by_name() {
    let exponential = self::otlp::proto::Histogram {
        data_points: vec![buckets(), buckets(), buckets()],
        aggregation_temporality: CUMULATIVE,
    };
    let decoded = decode(&of(vec![
        gauge("a", "", vec![number(&[], 1.0)]),
        metric("latency", "s", Data::ExponentialHistogram(exponential)),
        gauge("b", "", vec![number(&[], 1.0)]),
    ]));
    assert_eq!((decoded.samples.len(), decoded.rejected), (2, 3));
    assert_eq!(decoded.lines, [1, 5]);
    assert_eq!(refused(&decoded), [(2, "exponential_histogram")]);
    assert!(decoded.rejections[0].detail.contains("`latency`"));
}

#[test]
fn one_bad_point_costs_no_other() {
    let long = "x".repeat(LABEL_VALUE_BYTES_MAX + 1);
    let late = NumberPoint { time_unix_nano: SECOND_NS, ..number(&[], 1.0) };
    let early = NumberPoint { time_unix_nano: u64::MAX, ..number(&[], 1.0) };
    let none = NumberPoint { value: None, ..number(&[], 1.0) };
    let keys: Vec<_> = (0..100).map(|number| format!("k{number}")).collect();
    let many: Vec<_> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    let bounds = |explicit_bounds| HistogramPoint { explicit_bounds, ..buckets() };
    let decoded = decode(&of(vec![
        gauge(
            "a",
            "",
            vec![
                number(&[("k", &long)], 1.0),
                number(&[("", "v")], 1.0),
                number(&[("字字", "v")], 1.0),
                number(&many, 1.0),
                late,
                early,
                none,
                number(&[], 8.0),
            ],
        ),
        counter("s", 0, vec![number(&[], 1.0)]),
        gauge(&"n".repeat(300), "", vec![number(&[], 1.0)]),
        gauge("字", "", vec![number(&[], 1.0)]),
        histogram(
            "h",
            "",
            vec![
                bounds(vec![1.0]),
                bounds(vec![2.0, 1.0]),
                bounds(vec![1.0, 1.0]),
                bounds(vec![1.0, f64::NAN]),
                bounds(vec![1.0, f64::INFINITY]),
            ],
        ),
    ]));
    assert_eq!(
        refused(&decoded),
        [
            (1, "label_invalid"),
            (2, "label_invalid"),
            (3, "label_invalid"),
            (4, "label_invalid"),
            (5, "timestamp_out_of_range"),
            (6, "timestamp_out_of_range"),
            (7, "value_missing"),
            (9, "temporality_missing"),
            (10, "name_invalid"),
            (11, "name_invalid"),
            (12, "histogram_invalid"),
            (13, "histogram_invalid"),
            (14, "histogram_invalid"),
            (15, "histogram_invalid"),
        ]
    );
    assert_eq!(
        told(&decoded.samples),
        [
            "a 8",
            r#"h_bucket{le="1",route="/a"} 3"#,
            r#"h_bucket{le="+Inf",route="/a"} 10"#,
            r#"h_sum{route="/a"} 7.5"#,
            r#"h_count{route="/a"} 10"#,
        ]
    );
}

#[test]
fn a_histogram_may_have_no_buckets() {
    let bare = HistogramPoint {
        bucket_counts: vec![],
        explicit_bounds: vec![],
        attributes: vec![],
        ..buckets()
    };
    let one = HistogramPoint { bucket_counts: vec![10], ..bare.clone() };
    for point in [bare, one] {
        let decoded = decode(&of(vec![histogram("h", "", vec![point])]));
        let expected = [r#"h_bucket{le="+Inf"} 10"#, "h_sum 7.5", "h_count 10"];
        assert_eq!(told(&decoded.samples), expected);
    }
}

#[test]
fn a_resource_that_cannot_be_read_costs_its_own_points_only() {
    let mut good = of(vec![gauge("a", "", vec![number(&[], 1.0)])]);
    good.resource_metrics.extend(
        of_resource(
            &[("k", "text")],
            vec![gauge("b", "", vec![number(&[], 1.0), number(&[], 2.0)])],
        )
        .resource_metrics,
    );
    good.resource_metrics.extend(of(vec![gauge("c", "", vec![number(&[], 1.0)])]).resource_metrics);
    let mut body = good.encode_to_vec();
    let place = body.windows(4).position(|bytes| bytes == b"text").expect("the value");
    body[place] = 0xff;
    let decoded = read(Encoding::Protobuf, &body, &Settings::default(), NOW).expect("a request");
    assert_eq!(told(&decoded.samples), ["a 1", "c 1"]);
    assert_eq!((refused(&decoded), decoded.rejected), (vec![(2, "utf8_invalid")], 2));
    let json = br#"{"resourceMetrics":[
        {"resource":{"attributes":[{"key":"k","value":{"intValue":"x"}}]},
         "scopeMetrics":[{"metrics":[{"name":"a","gauge":{"dataPoints":[{}]}}]}]},
        {"scopeMetrics":[{"metrics":[{"name":"b","gauge":{"dataPoints":[
            {"timeUnixNano":"1700000000000000000","asDouble":1},
            {"timeUnixNano":"1700000000000000000","asDouble":true}]}}]}]}]}"#;
    let decoded = read(Encoding::Json, json, &Settings::default(), NOW).expect("a request");
    assert_eq!(told(&decoded.samples), ["b 1"]);
    assert_eq!(refused(&decoded), [(1, "type_invalid"), (3, "type_invalid")]);
}

#[test]
fn what_is_no_request_is_refused_whole() {
    let settings = Settings::default();
    for body in [&b"\xff"[..], b"\x0a\x05hi", b"\x08\x01", b"{}", b"\x0a\x02\x12\x05"] {
        let read = read(Encoding::Protobuf, body, &settings, NOW);
        assert!(matches!(read, Err(Error::Protobuf { .. })), "{body:?}: {read:?}");
    }
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"{\"resourceMetrics\":{}}",
        b"{\"resourceMetrics\":[1]}",
        b"{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":1}]}]}]}",
        b"\xff",
    ] {
        let read = read(Encoding::Json, body, &settings, NOW);
        assert!(matches!(read, Err(Error::Json { .. })), "{body:?}: {read:?}");
    }
    // No points are a request all the same.
    for (encoding, body) in [
        (Encoding::Protobuf, &b""[..]),
        (Encoding::Protobuf, b"\x0a\x00"),
        (Encoding::Json, b"{}"),
        (Encoding::Json, b"null"),
        (Encoding::Json, b"{\"resourceMetrics\":[null,{\"scopeMetrics\":[null]}],\"x\":[1]}"),
    ] {
        let decoded = read(encoding, body, &settings, NOW).expect("a request");
        assert_eq!((decoded.samples.len(), decoded.rejected), (0, 0), "{body:?}");
    }
}

#[test]
fn a_request_is_bounded_in_samples() {
    let points = |count| (0..count).map(|_| number(&[], 1.0)).collect::<Vec<_>>();
    let point = HistogramPoint { attributes: vec![], ..buckets() };
    let decoded = decode(&of(vec![
        gauge("a", "", points(SAMPLES_PER_REQUEST_MAX - 2)),
        histogram("h", "", vec![point]),
        gauge("b", "", points(3)),
    ]));
    assert_eq!(decoded.samples.len(), SAMPLES_PER_REQUEST_MAX);
    let first = SAMPLES_PER_REQUEST_MAX - 1;
    assert_eq!(refused(&decoded), [(first, "too_many_samples"), (first + 3, "too_many_samples")]);
}

#[test]
fn deep_and_huge_attributes_cost_their_point_only() {
    let mut deep = Value::Text("x".to_owned());
    for _ in 0..100 {
        deep = Value::List(List { values: vec![AnyValue { value: Some(deep) }] });
    }
    let huge = List { values: vec![AnyValue { value: None }; 100_000] };
    let pair = |value| {
        vec![KeyValue { key: "k".to_owned(), value: Some(AnyValue { value: Some(value) }) }]
    };
    let with = |value| NumberPoint { attributes: pair(value), ..number(&[], 1.0) };
    let many = NumberPoint { attributes: vec![KeyValue::default(); 300_000], ..number(&[], 1.0) };
    let request =
        of(vec![gauge("a", "", vec![with(deep), with(Value::List(huge)), many, number(&[], 4.0)])]);
    let expected = [(1, "nesting_too_deep"), (2, "label_invalid"), (3, "point_too_large")];
    let decoded = decode(&request);
    assert_eq!(
        (told(&decoded.samples), refused(&decoded)),
        (vec!["a 4".to_owned()], expected.to_vec())
    );
    let json = self::otlp::equal::json(&request, self::otlp::proto::Integers::Texts);
    let decoded = read(Encoding::Json, &json, &Settings::default(), NOW).expect("a request");
    assert_eq!(
        (told(&decoded.samples), refused(&decoded)),
        (vec!["a 4".to_owned()], expected.to_vec())
    );
}

#[test]
fn fields_come_in_any_order() {
    // Data before the name, points before the temporality, metrics before the scope.
    let sum = Sum {
        data_points: vec![number(&[], 1.0)],
        aggregation_temporality: CUMULATIVE,
        is_monotonic: true,
    };
    let field = |tag: u8, message: &[u8]| [&[tag << 3 | 2, message.len() as u8], message].concat();
    let metric = [field(7, &sum.encode_to_vec()), field(3, b"s"), field(1, b"a")].concat();
    let scope_metrics = [field(2, &metric), field(1, b"")].concat();
    let resource = of_resource(&[("service.name", "x")], vec![]).resource_metrics.remove(0);
    let resource = resource.resource.expect("a resource").encode_to_vec();
    let resource_metrics = [field(2, &scope_metrics), field(1, &resource)].concat();
    let body = field(1, &resource_metrics);
    let decoded = read(Encoding::Protobuf, &body, &Settings::default(), NOW).expect("a request");
    assert_eq!(told(&decoded.samples), [r#"a_seconds_total{job="x"} 1"#]);
}

#[test]
fn content_types_say_the_encoding() {
    for (content_type, encoding) in [
        ("application/x-protobuf", Some(Encoding::Protobuf)),
        ("Application/Json; charset=utf-8", Some(Encoding::Json)),
        ("application/protobuf", Some(Encoding::Protobuf)),
        ("text/plain", None),
        ("", None),
    ] {
        assert_eq!(Encoding::from_content_type(content_type), encoding, "{content_type}");
    }
    let request = Request::default().encode_to_vec();
    assert!(read(Encoding::Protobuf, &request, &Settings::default(), NOW).is_ok());
}
