//! How many samples a core decodes each second.

use std::fmt::Write;

use bellwire_ingest::exposition::{self, Parser};
use bellwire_ingest::json::{self, Format};
use bellwire_ingest::line_protocol::{self, Precision};
use bellwire_ingest::remote_write::{self, Version};
use bellwire_ingest::scrape::{Conflict, Memory, SeriesLimits, Times, Treatment};
use bellwire_model::{Labels, Timestamp};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

#[path = "../tests/remote_write/messages.rs"]
#[allow(dead_code, reason = "tests write more")]
mod messages;

use self::messages::Series;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const LINES: usize = 10_000;

fn main() {
    divan::main();
}

fn body(mut line: impl FnMut(&mut String, usize)) -> String {
    (0..LINES).fold(String::new(), |mut body, number| {
        line(&mut body, number);
        body.push('\n');
        body
    })
}

fn bench_lines(bencher: Bencher<'_, '_>, body: &str) {
    let decode = || line_protocol::decode(body.as_bytes(), Precision::default(), NOW);
    let samples = decode().samples.len();
    bencher.counter(ItemsCount::new(samples)).counter(BytesCount::of_str(body)).bench(decode);
}

/// As a small sensor sends it.
#[divan::bench]
fn line_protocol_one_field(bencher: Bencher<'_, '_>) {
    let body = body(|out, n| {
        let _ = write!(out, "temperature,site=oslo,sensor=s{n} value=21.{n} 1700000000000000000");
    });
    bench_lines(bencher, &body);
}

/// As Telegraf sends a host's figures.
#[divan::bench]
fn line_protocol_ten_fields(bencher: Bencher<'_, '_>) {
    let body = body(|out, n| {
        let _ = write!(out, "cpu,cpu=cpu0,host=host{n},region=eu-north usage_user=1.{n}");
        for field in ["system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "x"] {
            let _ = write!(out, ",usage_{field}=0.{n}");
        }
        out.push_str(" 1700000000000000000");
    });
    bench_lines(bencher, &body);
}

/// As what Kubernetes' exporters tell comes: one figure and nine labels a line, sorted as Telegraf
/// does.
#[divan::bench]
fn line_protocol_nine_labels(bencher: Bencher<'_, '_>) {
    let body = body(|out, n| {
        let _ = write!(
            out,
            "s7_duration_seconds_bucket,endpoint=http-metrics,handler=/api/v1/thing/{n},\
             instance=10.7.{n}.1:9100,job=service-7,le=0.25,method=GET,\
             namespace=production,service=service-7 value={n} 1700000000000000000"
        );
    });
    bench_lines(bencher, &body);
}

/// The same, as Prometheus sends it.
#[divan::bench(args = [Version::V1, Version::V2])]
fn remote_write_nine_labels(bencher: Bencher<'_, '_>, version: Version) {
    let series = |number: usize| Series {
        labels: [
            ("__name__", "s7_duration_seconds_bucket".to_owned()),
            ("endpoint", "http-metrics".to_owned()),
            ("handler", format!("/api/v1/thing/{number}")),
            ("instance", format!("10.7.{number}.1:9100")),
            ("job", "service-7".to_owned()),
            ("le", "0.25".to_owned()),
            ("method", "GET".to_owned()),
            ("namespace", "production".to_owned()),
            ("service", "service-7".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec(),
        samples: vec![(number as f64, NOW.as_ms())],
        ..Series::default()
    };
    // As many at once as Prometheus sends.
    let all: Vec<_> = (0..2_000).map(series).collect();
    let body = match version {
        Version::V1 => messages::v1(&all),
        Version::V2 => messages::v2(&all),
    };
    bencher
        .counter(ItemsCount::new(all.len()))
        .counter(BytesCount::of_slice(&body))
        .bench(|| remote_write::decode(version, &body, NOW));
}

fn json_line(out: &mut String, number: usize) {
    let _ = write!(
        out,
        r#"{{"name":"temperature","labels":{{"site":"oslo","sensor":"s{number}"}},"value":21.5}}"#
    );
}

#[divan::bench]
fn json_lines(bencher: Bencher<'_, '_>) {
    let body = body(json_line);
    bencher
        .counter(ItemsCount::new(LINES))
        .counter(BytesCount::of_str(&body))
        .bench(|| json::decode(Format::Ndjson, body.as_bytes(), NOW));
}

#[divan::bench]
fn json_array(bencher: Bencher<'_, '_>) {
    let items = body(json_line);
    let body = format!("[{}]", items.trim_end().replace('\n', ","));
    bencher
        .counter(ItemsCount::new(LINES))
        .counter(BytesCount::of_str(&body))
        .bench(|| json::decode(Format::Auto, body.as_bytes(), NOW));
}

/// As an exporter of a web server exposes its histograms.
fn exposed() -> String {
    body(|out, n| {
        let _ = write!(
            out,
            "http_request_duration_seconds_bucket{{handler=\"/api/v1/thing/{n}\",method=\"GET\",\
             code=\"200\",le=\"0.25\"}} {n}"
        );
    })
}

/// As a scrape finds its series again: by their text.
#[divan::bench]
fn exposition_text(bencher: Bencher<'_, '_>) {
    let body = exposed();
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::of_str(&body)).bench(|| {
        let mut parser = Parser::new(body.as_bytes(), exposition::Format::Text).expect("UTF-8");
        let mut sum = 0.0;
        while let Ok(Some(exposed)) = parser.read() {
            sum += exposed.value + exposed.series.len() as f64;
        }
        sum
    });
}

/// As the first scrape of a target reads it: all labels are made.
#[divan::bench]
fn exposition_text_new_series(bencher: Bencher<'_, '_>) {
    let body = exposed();
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::of_str(&body)).bench(|| {
        let mut parser = Parser::new(body.as_bytes(), exposition::Format::Text).expect("UTF-8");
        let mut series = Vec::new();
        while let Ok(Some(_)) = parser.read() {
            let pairs: Vec<_> = parser.labels().collect();
            let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
            series.push(Labels::from_pairs(pairs).expect("labels"));
        }
        series
    });
}

/// A scrape like the one before, to samples.
#[divan::bench]
fn scrape_again(bencher: Bencher<'_, '_>) {
    let body = exposed();
    let treatment = Treatment {
        target: Labels::from_pairs([("instance", "h:9100"), ("job", "web")]).expect("labels"),
        conflict: Conflict::TargetWins,
        times: Times::Honored,
        relabel: [].into(),
        limits: SeriesLimits::default(),
    };
    let mut memory = Memory::default();
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::of_str(&body)).bench_local(|| {
        memory.take((body.as_bytes(), exposition::Format::Text), &treatment, NOW).expect("samples")
    });
}
