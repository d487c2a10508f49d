//! Workload `alert`: from the sample that crosses a threshold to the alert at the subscriber.
//!
//! ```text
//! background ──▶ POST /v1/samples ──▶ all series but some, at a steady rate
//! this thread ─▶ POST /v1/samples ──▶ one series crosses ··▶ alert.firing on its stream: the latency
//!                                     and comes back ······▶ alert.resolved
//! ```
//!
//! Of samples of one series with the same millisecond the last counts, and nobody knows which that
//! is of two requests. So series that cross have no background, and come back after a pause.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::Print;
use crate::histogram::Histogram;
use crate::load::{Connection, EventStream, SILENCE_MAX, request};
use crate::result::{OutputFlags, Record};
use crate::system::{Durability, Server, ServerFlags};

/// The topics of transitions.
pub(super) const FILTER: &str = "alerts/events/**";
const SAMPLES_PATH: &str = "/v1/samples";

/// Of this many series of a metric, one crosses.
const CROSSING_SHARE: usize = 10;

/// Between two samples of one series.
const PAUSE: Duration = Duration::from_millis(2);

/// What crosses nothing.
pub(super) const BELOW: f64 = 21.5;
const ABOVE: f64 = 150.25;

/// What `bench alert` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rules, each on a metric of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    rules: usize,
    /// Series, spread evenly over the metrics.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    series: usize,
    /// Alerts to measure, one after the other.
    #[arg(long, value_name = "COUNT", default_value_t = 2000)]
    alerts: usize,
    /// Samples a second that cross nothing, meanwhile.
    #[arg(long, value_name = "SAMPLES", default_value_t = 10_000)]
    background: usize,
    /// When an event is acknowledged; one run for each.
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with = "server",
          default_values_t = [Durability::Interval, Durability::Sync])]
    durability: Vec<Durability>,
    /// Print the rule file that a server given by --server has to run with, and end.
    #[arg(long)]
    print_rules: bool,
    #[command(flatten)]
    server: ServerFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let rules = rule_file(arguments.rules);
    if arguments.print_rules {
        return print(rules.trim_end());
    }
    ensure!(arguments.alerts > 0, "there is no alert to measure");
    let field = Field::new(arguments.rules, arguments.series)?;
    // A server that runs already has one durability.
    let runs = if arguments.server.is_given() { 1 } else { arguments.durability.len() };
    for durability in arguments.durability.iter().take(runs) {
        let server = Server::bellwire(&arguments.server, *durability, Some(&rules))?;
        let measured = measure(arguments, &field, &server)?;
        let Measured { latency, background_samples, duration } = measured;
        Record::new("alert")
            .parameter("rules", arguments.rules)
            .parameter("series", arguments.series)
            .parameter("alerts", arguments.alerts)
            .parameter("background_samples_per_s", arguments.background)
            .parameter("durability", arguments.server.durability_text(*durability))
            .latency("latency", &latency)
            .figure("background_samples_per_s", background_samples as f64 / duration.as_secs_f64())
            .publish(&arguments.output, print)?;
    }
    Ok(())
}

/// What rules ask of their metric, in turns; each holds as soon as one sample is high.
const CONDITIONS: [&str; 4] = [
    "METRIC > 100",
    "avg by (sensor, site) (METRIC) > 100",
    "METRIC > 100 and on (sensor) max_over_time(METRIC[1m]) > 0",
    "METRIC / on (sensor, site) max_over_time(METRIC[5m]) * METRIC > 100",
];

/// One group, one rule for each metric, no `for`.
pub(super) fn rule_file(rules: usize) -> String {
    let mut text = "groups:\n  - name: bench\n    rules:\n".to_owned();
    for rule in 0..rules {
        let condition = CONDITIONS[rule % CONDITIONS.len()];
        let condition = condition.replace("METRIC", &format!("bench_metric_{rule}"));
        // A text takes all that is written to it.
        let _ = write!(
            text,
            "      - alert: BenchHigh{rule}\n        expr: {condition}\n        \
             labels:\n          severity: critical\n        annotations:\n          \
             summary: \"{{{{ $labels.sensor }}}} is at {{{{ $value }}}}\"\n"
        );
    }
    text
}

/// All series: some of each metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) metrics: usize,
    pub(super) series_per_metric: usize,
}

impl Field {
    pub(super) fn new(metrics: usize, series: usize) -> Result<Self> {
        ensure!(metrics > 0 && series.is_multiple_of(metrics), "--series is a multiple of --rules");
        let series_per_metric = series / metrics;
        ensure!(series_per_metric >= CROSSING_SHARE, "a rule has at least {CROSSING_SHARE} series");
        Ok(Self { metrics, series_per_metric })
    }

    /// Sensors of each metric that cross; the first ones.
    fn crossing(&self) -> usize {
        self.series_per_metric / CROSSING_SHARE
    }

    /// The series of the alert with this number: metrics take turns.
    fn series_of_alert(&self, alert: usize) -> (usize, usize) {
        (alert % self.metrics, alert / self.metrics % self.crossing())
    }
}

fn sensor(metric: usize, number: usize) -> String {
    format!("m{metric}-s{number}")
}

fn sample(metric: usize, number: usize, value: f64) -> String {
    let sensor = sensor(metric, number);
    format!(
        r#"{{"name":"bench_metric_{metric}","labels":{{"sensor":"{sensor}","site":"oslo"}},"value":{value}}}"#
    )
}

fn post(samples: &[String]) -> Vec<u8> {
    let body = format!("[{}]", samples.join(","));
    request::post(SAMPLES_PATH, "application/json", body.as_bytes())
}

struct Measured {
    latency: Histogram,
    background_samples: u64,
    duration: Duration,
}

fn measure(arguments: &Arguments, field: &Field, server: &Server) -> Result<Measured> {
    let mut connection = Connection::open(server.peer())?;
    fill(&mut connection, field)?;
    let mut stream = EventStream::open(server.peer(), FILTER)?;
    let background = Connection::open(server.peer())?;
    let stopped = AtomicBool::new(false);
    let began = Instant::now();
    thread::scope(|scope| {
        let (load, stopped) = ((arguments.background, &[BELOW][..]), &stopped);
        let sending = scope.spawn(move || send_background(background, field, load, stopped));
        let latency = cross(arguments.alerts, field, (&mut connection, &mut stream));
        let duration = began.elapsed();
        stopped.store(true, Ordering::Release);
        let background_samples = sending.join().expect("the sender does not panic")?;
        Ok(Measured { latency: latency?, background_samples, duration })
    })
}

/// Sends every series once, so that all are there before anything is measured.
pub(super) fn fill(connection: &mut Connection, field: &Field) -> Result<()> {
    for metric in 0..field.metrics {
        let all = (0..field.series_per_metric).map(|number| sample(metric, number, BELOW));
        connection.ask(&post(&all.collect::<Vec<_>>()))?;
    }
    Ok(())
}

/// A request with a sample of each series of a metric that never crosses.
pub(super) fn steady(field: &Field, metric: usize, value: f64) -> Vec<u8> {
    let steady = field.crossing()..field.series_per_metric;
    post(&steady.map(|number| sample(metric, number, value)).collect::<Vec<_>>())
}

/// Sends all other series round and round, one metric a request, and with each round the next of
/// these values. Returns how many samples it sent.
pub(super) fn send_background(
    mut connection: Connection,
    field: &Field,
    (samples_per_s, values): (usize, &[f64]),
    stopped: &AtomicBool,
) -> Result<u64> {
    if samples_per_s == 0 {
        return Ok(0);
    }
    let round = |value: &f64| {
        (0..field.metrics).map(|metric| steady(field, metric, *value)).collect::<Vec<_>>()
    };
    let requests: Vec<_> = values.iter().flat_map(round).collect();
    let samples = (field.series_per_metric - field.crossing()) as u64;
    let interval = Duration::from_secs_f64(samples as f64 / samples_per_s as f64);
    let mut due = Instant::now();
    let mut sent = 0;
    for request in requests.iter().cycle() {
        if stopped.load(Ordering::Acquire) {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.ask(request)?;
        sent += samples;
        // Whoever is late does not catch up with a burst.
        due = (due + interval).max(Instant::now());
    }
    Ok(sent)
}

/// Lets one series after the other cross the threshold and come back.
pub(super) fn cross(
    alerts: usize,
    field: &Field,
    (connection, stream): (&mut Connection, &mut EventStream),
) -> Result<Histogram> {
    let mut latency = Histogram::new();
    for alert in 0..alerts {
        let (metric, number) = field.series_of_alert(alert);
        let label = format!(r#""sensor":"{}""#, sensor(metric, number));
        let request = post(&[sample(metric, number, ABOVE)]);
        let began = Instant::now();
        connection.send(&request)?;
        wait_for(stream, "event: alert.firing\n", &label)?;
        latency.record(began.elapsed());
        connection.answer()?;

        thread::sleep(PAUSE);
        connection.send(&post(&[sample(metric, number, BELOW)]))?;
        wait_for(stream, "event: alert.resolved\n", &label)?;
        connection.answer()?;
    }
    Ok(latency)
}

fn wait_for(stream: &mut EventStream, event_type: &str, label: &str) -> Result<()> {
    let deadline = Instant::now() + SILENCE_MAX;
    loop {
        let event = stream.next().with_context(|| format!("no {} came", event_type.trim()))?;
        if event.contains(event_type) && event.contains(label) {
            return Ok(());
        }
        let is_late = Instant::now() > deadline;
        ensure!(!is_late, "{} of {label} did not come; but {event}", event_type.trim());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_crossing_series_has_its_turn_before_one_comes_again() {
        let field = Field::new(100, 10_000).expect("divides");
        let turns: BTreeSet<_> = (0..1000).map(|alert| field.series_of_alert(alert)).collect();
        assert_eq!(turns.len(), 1000);
        assert_eq!(field.series_of_alert(1000), field.series_of_alert(0));
    }

    #[test]
    fn the_rule_file_is_valid() {
        let text = rule_file(3);
        let file = bellwire_rules::RuleFile { name: "bench.yml", text: &text };
        assert_eq!(bellwire_rules::load(&[file]).expect("valid").len(), 3);
    }
}
