//! Samples a second from the bytes of a request to what the rules make of them, on one core: line
//! protocol with one figure a line, decoded and applied in one loop.
//!
//! The fleet is that of the rules' own bench: 1,000 rules in the proportions of kube-prometheus,
//! 100,000 series whose windows are full, each target's series in one request every 15 s. What it
//! does not show: sockets, and the journal behind the changes.

#[path = "../../rules/benches/support/fleet.rs"]
mod fleet;

use std::fmt::Write as _;

use bellwire_ingest::line_protocol::{Precision, decode};
use bellwire_model::{METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Engine, RuleFile, load};
use divan::Bencher;
use divan::counter::ItemsCount;

use self::fleet::{Batch, Fleet, SERIES, SERVICES};

/// Rounds of 15 s until windows are full.
const ROUNDS_TO_FILL: usize = 22;

fn main() {
    divan::main();
}

/// A request: when it comes, and its body.
type Request = (Timestamp, Vec<u8>);

fn request(batch: &Batch) -> Request {
    let mut body = String::new();
    batch.samples.iter().for_each(|sample| write_line(&mut body, sample));
    (batch.time, body.into_bytes())
}

/// A metric is a measurement and a field, with `_` between them.
fn write_line(body: &mut String, sample: &Sample) {
    let name = sample.series.metric_name().expect("a metric");
    let (measurement, field) = name.rsplit_once('_').expect("two parts");
    body.push_str(measurement);
    for (name, value) in sample.series.iter().filter(|(name, _)| *name != METRIC_NAME) {
        write!(body, ",{name}={value}").expect("text");
    }
    writeln!(body, " {field}={} {}", sample.value, sample.time).expect("text");
}

fn take(engine: &mut Engine, (time, body): &Request) -> usize {
    let precision: Precision = "ms".parse().expect("a precision");
    let decoded = decode(body, precision, *time);
    assert_eq!(decoded.rejected, 0, "{:?}", decoded.rejections.first());
    engine.apply(*time, &decoded.samples).len()
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn decode_and_apply(bencher: Bencher<'_, '_>) {
    let mut fleet = Fleet::new();
    let text = fleet::rules(SERVICES);
    let rules = load(&[RuleFile { name: "fleet", text: &text }]).expect("rules");
    let mut engine = Engine::new(rules);
    for _ in 0..ROUNDS_TO_FILL {
        for batch in fleet.round() {
            take(&mut engine, &request(&batch));
        }
    }
    assert_eq!(engine.figures().failures.count, 0);
    bencher
        .counter(ItemsCount::new(SERIES))
        .with_inputs(|| fleet.round().iter().map(request).collect::<Vec<Request>>())
        .bench_local_refs(|round| {
            round.iter().map(|request| take(&mut engine, request)).sum::<usize>()
        });
}
