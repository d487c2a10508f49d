//! Translated names against those that otlptranslator 1.0.0 gives for the same: the rows were made
//! by calling it. Where it gives an error the name is empty here. One row differs on purpose: it
//! cuts `ératio` within a letter.

use super::{Kind, Strategy};

const STRATEGIES: [Strategy; 4] = [
    Strategy::UnderscoreEscapingWithSuffixes,
    Strategy::UnderscoreEscapingWithoutSuffixes,
    Strategy::NoUtf8EscapingWithSuffixes,
    Strategy::NoTranslation,
];

/// A metric's name, its unit and its kind, and its name by each of the strategies.
type MetricRow = (&'static str, &'static str, Kind, [&'static str; 4]);

#[rustfmt::skip]
const METRICS: &[MetricRow] = &[
    ("http.server.duration", "s", Kind::Histogram, ["http_server_duration_seconds", "http_server_duration", "http.server.duration_seconds", "http.server.duration"]),
    ("http.server.duration", "ms", Kind::Histogram, ["http_server_duration_milliseconds", "http_server_duration", "http.server.duration_milliseconds", "http.server.duration"]),
    ("system.memory.usage", "By", Kind::Sum, ["system_memory_usage_bytes", "system_memory_usage", "system.memory.usage_bytes", "system.memory.usage"]),
    ("system.network.io", "By", Kind::Counter, ["system_network_io_bytes_total", "system_network_io", "system.network.io_bytes_total", "system.network.io"]),
    ("requests", "1", Kind::Counter, ["requests_total", "requests", "requests_total", "requests"]),
    ("requests_total", "", Kind::Counter, ["requests_total", "requests_total", "requests_total", "requests_total"]),
    ("requests.total.count", "{request}", Kind::Counter, ["requests_count_total", "requests_total_count", "requests.total.count_total", "requests.total.count"]),
    ("cpu.utilization", "1", Kind::Gauge, ["cpu_utilization_ratio", "cpu_utilization", "cpu.utilization_ratio", "cpu.utilization"]),
    ("cpu.ratio", "1", Kind::Gauge, ["cpu_ratio", "cpu_ratio", "cpu_ratio", "cpu.ratio"]),
    ("cpu_ratio_used", "1", Kind::Gauge, ["cpu_used_ratio", "cpu_ratio_used", "cpu_ratio_used_ratio", "cpu_ratio_used"]),
    ("queue", "1", Kind::Sum, ["queue", "queue", "queue", "queue"]),
    ("throughput", "By/s", Kind::Gauge, ["throughput_bytes_per_second", "throughput", "throughput_bytes_per_second", "throughput"]),
    ("rate", "1/s", Kind::Gauge, ["rate_per_second", "rate", "rate_per_second", "rate"]),
    ("rate", "{packet}/s", Kind::Gauge, ["rate_per_second", "rate", "rate_per_second", "rate"]),
    ("rate", "By/{op}", Kind::Gauge, ["rate_bytes", "rate", "rate_bytes", "rate"]),
    ("fuel", "L/h", Kind::Gauge, ["fuel_L_per_hour", "fuel", "fuel_L_per_hour", "fuel"]),
    ("speed", "m/m", Kind::Gauge, ["speed_meters_per_minute", "speed", "speed_meters_per_minute", "speed"]),
    ("age", "mo", Kind::Gauge, ["age_mo", "age", "age_mo", "age"]),
    ("growth", "1/mo", Kind::Gauge, ["growth_per_month", "growth", "growth_per_month", "growth"]),
    ("growth", "1/y", Kind::Gauge, ["growth_per_year", "growth", "growth_per_year", "growth"]),
    ("visits", "1/w", Kind::Gauge, ["visits_per_week", "visits", "visits_per_week", "visits"]),
    ("temperature", "Cel", Kind::Gauge, ["temperature_celsius", "temperature", "temperature_celsius", "temperature"]),
    ("load", "%", Kind::Gauge, ["load_percent", "load", "load_percent", "load"]),
    ("power", "W", Kind::Summary, ["power_watts", "power", "power_watts", "power"]),
    ("a.seconds.b", "s", Kind::Gauge, ["a_seconds_b", "a_seconds_b", "a.seconds.b_seconds", "a.seconds.b"]),
    ("a_seconds", "s", Kind::Gauge, ["a_seconds", "a_seconds", "a_seconds", "a_seconds"]),
    ("1st.metric", "", Kind::Gauge, ["_1st_metric", "_1st_metric", "1st.metric", "1st.metric"]),
    ("metric__with___underscores", "", Kind::Gauge, ["metric_with_underscores", "metric__with___underscores", "metric__with___underscores", "metric__with___underscores"]),
    ("_leading", "", Kind::Gauge, ["leading", "_leading", "_leading", "_leading"]),
    ("trailing_", "", Kind::Gauge, ["trailing", "trailing_", "trailing_", "trailing_"]),
    ("ns:job.rate", "", Kind::Gauge, ["ns:job_rate", "ns:job_rate", "ns:job.rate", "ns:job.rate"]),
    ("métrique", "s", Kind::Gauge, ["m_trique_seconds", "m_trique", "métrique_seconds", "métrique"]),
    ("température.été", "Cel", Kind::Gauge, ["temp_rature_t_celsius", "temp_rature_t", "température.été_celsius", "température.été"]),
    ("ようこそ", "", Kind::Gauge, ["", "", "ようこそ", "ようこそ"]),
    ("___", "", Kind::Gauge, ["", "___", "___", "___"]),
    ("__", "s", Kind::Gauge, ["seconds", "__", "___seconds", "__"]),
    ("@#$%", "", Kind::Counter, ["total", "", "@#$%_total", "@#$%"]),
    ("@#$%", "s", Kind::Gauge, ["seconds", "", "@#$%_seconds", "@#$%"]),
    ("", "s", Kind::Gauge, ["seconds", "", "_seconds", ""]),
    ("", "", Kind::Counter, ["total", "", "_total", ""]),
    ("x", "weird unit@1", Kind::Gauge, ["x_weird_unit_1", "x", "x_weird unit@1", "x"]),
    ("x", "__odd__", Kind::Gauge, ["x_odd_", "x", "x___odd__", "x"]),
    ("x", "a_/b", Kind::Gauge, ["x_a_per_b", "x", "x_a__per_b", "x"]),
    ("x", "/", Kind::Gauge, ["x", "x", "x", "x"]),
    ("x", "/s", Kind::Gauge, ["x_per_second", "x", "x_per_second", "x"]),
    ("x", "s/", Kind::Gauge, ["x_seconds", "x", "x_seconds", "x"]),
    ("x", " s ", Kind::Gauge, ["x_seconds", "x", "x_seconds", "x"]),
    ("x", "s/@", Kind::Gauge, ["x_seconds", "x", "x_seconds_per_@", "x"]),
    ("x", "@/s", Kind::Gauge, ["x_per_second", "x", "x_@_per_second", "x"]),
    ("total", "", Kind::Counter, ["total", "total", "total_total", "total"]),
    ("ratio", "1", Kind::Gauge, ["ratio", "ratio", "ratio_ratio", "ratio"]),
    ("ératio", "1", Kind::Gauge, ["ratio", "ratio", "ératio_ratio", "ératio"]),
    ("xratio", "1", Kind::Gauge, ["xratio_ratio", "xratio", "xratio_ratio", "xratio"]),
    ("xy_total", "s", Kind::Counter, ["xy_seconds_total", "xy_total", "xy_seconds_total", "xy_total"]),
    ("cpu_seconds_total", "s", Kind::Counter, ["cpu_seconds_total", "cpu_seconds_total", "cpu_seconds_total", "cpu_seconds_total"]),
    ("x_per_second", "By/s", Kind::Gauge, ["x_per_second_bytes_per_second", "x_per_second", "x_bytes_per_second", "x_per_second"]),
    ("a.b", "TiBy", Kind::Gauge, ["a_b_tibibytes", "a_b", "a.b_tibibytes", "a.b"]),
    ("a.b", "KiBy", Kind::Gauge, ["a_b_kibibytes", "a_b", "a.b_kibibytes", "a.b"]),
    ("a.b", "us", Kind::Histogram, ["a_b_microseconds", "a_b", "a.b_microseconds", "a.b"]),
    ("a.b", "d", Kind::Summary, ["a_b_days", "a_b", "a.b_days", "a.b"]),
    ("a b\tc", "h", Kind::Gauge, ["a_b_c_hours", "a_b_c", "a b\tc_hours", "a b\tc"]),
    ("foo_per_second_total", "1/s", Kind::Counter, ["foo_per_second_per_second_total", "foo_per_second_total", "foo_per_second_total", "foo_per_second_total"]),
];

/// An attribute's name, and its label's: escaped, and not.
#[rustfmt::skip]
const LABELS: &[(&str, [&str; 2])] = &[
    ("http.method", ["http_method", "http.method"]),
    ("http_method", ["http_method", "http_method"]),
    ("label:with:colons", ["label_with_colons", "label:with:colons"]),
    ("123label", ["key_123label", "123label"]),
    ("_private", ["key_private", "_private"]),
    ("__reserved__", ["__reserved__", "__reserved__"]),
    ("__two", ["__two", "__two"]),
    ("a__b", ["a__b", "a__b"]),
    ("a..b", ["a__b", "a..b"]),
    ("label!with&special$chars)", ["label_with_special_chars_", "label!with&special$chars)"]),
    ("字符", ["", "字符"]),
    ("a字符", ["a__", "a字符"]),
    ("", ["", ""]),
    ("_", ["key_", ""]),
    ("__", ["", ""]),
    ("字_x", ["__x", "字_x"]),
    (".x", ["key_x", ".x"]),
    ("1", ["key_1", "1"]),
    ("A9", ["A9", "A9"]),
    ("été", ["key_t_", "été"]),
];

#[test]
fn metrics_are_named_as_prometheus_names_them() {
    for (name, unit, kind, expected) in METRICS {
        let named = STRATEGIES.map(|strategy| strategy.metric_name(name, unit, *kind));
        let named = named.map(Option::unwrap_or_default);
        assert_eq!(named.each_ref().map(String::as_str), *expected, "{name} in {unit}");
    }
}

#[test]
fn labels_are_named_as_prometheus_names_them() {
    for (key, [escaped, kept]) in LABELS {
        let named = STRATEGIES.map(|strategy| strategy.label_name(key).unwrap_or_default());
        let named = named.each_ref().map(String::as_str);
        assert_eq!(named, [*escaped, *escaped, *kept, *kept], "{key}");
    }
}

#[test]
fn strategies_have_the_names_that_prometheus_has_for_them() {
    for (name, strategy) in [
        "UnderscoreEscapingWithSuffixes",
        "UnderscoreEscapingWithoutSuffixes",
        "NoUTF8EscapingWithSuffixes",
        "NoTranslation",
    ]
    .into_iter()
    .zip(STRATEGIES)
    {
        assert_eq!(name.parse(), Ok(strategy));
    }
    assert!("underscores".parse::<Strategy>().is_err());
    assert_eq!(Strategy::default(), STRATEGIES[0]);
}
