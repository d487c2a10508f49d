//! Workload `live-queries`: what alerts notice of queries that are followed, and what followers cost.
//!
//! ```text
//! as `alert`, first alone ───────────────────────────────────────▶ latency, CPU of the rules' thread
//! then one query alone, followed by one, then by very many ──────▶ CPU of that thread for a change
//! last beside queries, each followed by one, 64 of a connection ─▶ as the first
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::alert::{BELOW, FILTER, Field, cross, fill, rule_file, send_background, steady};
use crate::Print;
use crate::histogram::Histogram;
use crate::load::{
    AT_ONCE, Connection, EventStream, Opening, Origin, Subscribers, provide_for, request,
};
use crate::result::{OutputFlags, Record};
use crate::system::{Durability, Server, ServerFlags};

/// Queries that one connection follows, as many as it may.
const QUERIES_PER_CONNECTION: usize = 64;

/// What background samples have in turns, so that answers change.
const VALUES: [f64; 2] = [BELOW, BELOW + 0.75];

/// How long those who follow look for what has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The thread of the rules, as the server calls it.
const ENGINE: &str = "evaluator";

/// What `bench live-queries` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rules, each on a metric of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    rules: usize,
    /// Series, spread evenly over the metrics.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    series: usize,
    /// Queries, which take metrics in turns.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    queries: usize,
    /// Followers of one query, in the end.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    followers: usize,
    /// Changes of that query, a second.
    #[arg(long, value_name = "CHANGES", default_value_t = 5.0)]
    rate: f64,
    /// Changes of it to measure.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    changes: u32,
    /// Alerts to measure, one after the other.
    #[arg(long, value_name = "COUNT", default_value_t = 2000)]
    alerts: usize,
    /// Samples a second that cross nothing, meanwhile.
    #[arg(long, value_name = "SAMPLES", default_value_t = 100_000)]
    background: usize,
    /// When an event is acknowledged.
    #[arg(long, value_enum, conflicts_with = "server", default_value_t = Durability::Interval)]
    durability: Durability,
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
    ensure!(arguments.queries > 0 && arguments.followers > 0, "there is nothing to follow");
    ensure!(arguments.rate > 0.0 && arguments.changes > 0, "there is no change to measure");
    let field = Field::new(arguments.rules, arguments.series)?;
    provide_for(arguments.followers)?;
    let server = Server::bellwire(&arguments.server, arguments.durability, Some(&rules))?;
    Record::new("live-queries")
        .parameter("rules", arguments.rules)
        .parameter("series", arguments.series)
        .parameter("queries", arguments.queries)
        .parameter("followers", arguments.followers)
        .parameter("alerts", arguments.alerts)
        .parameter("background_samples_per_s", arguments.background)
        .parameter("durability", arguments.server.durability_text(arguments.durability))
        .complete(&arguments.output, print, |record| measured(arguments, (&field, &server), record))
}

fn measured(
    arguments: &Arguments,
    (field, server): (&Field, &Server),
    record: Record,
) -> Result<Record> {
    let mut connection = Connection::open(server.peer())?;
    fill(&mut connection, field)?;
    let mut stream = EventStream::open(server.peer(), FILTER)?;
    let mut alerts = || under_load(arguments, (field, server), (&mut connection, &mut stream));
    let alone = alerts()?;
    // Queries are kept for a while once nobody follows them: those that are many come last.
    let single = path(&[query(field, 0)]);
    let one = changes(arguments, (field, server), (&single, 1))?;
    let many = changes(arguments, (field, server), (&single, arguments.followers))?;
    let queries: Vec<String> = (0..arguments.queries).map(|number| query(field, number)).collect();
    let paths: Vec<String> = queries.chunks(QUERIES_PER_CONNECTION).map(path).collect();
    let (beside, received) = while_followed(server, &paths, &mut alerts)?;
    let paced = paced(server, &paths)?;

    let updates = f64::from(arguments.changes);
    let ratio = many.zip(one).map(|(many, one)| many.as_secs_f64() / one.as_secs_f64());
    Ok(record
        .latency("alone", &alone.latency)
        .latency("latency", &beside.latency)
        .figure("background_samples_per_s", beside.samples_per_s)
        .maybe_figure("engine_busy_percent_alone", alone.busy_percent)
        .maybe_figure("engine_busy_percent", beside.busy_percent)
        .figure("queries_paced", paced as f64)
        .figure("received_bytes_per_s", received as f64 / beside.duration.as_secs_f64())
        .cpu("engine_cpu_us_per_update_of_one", one, updates)
        .cpu("engine_cpu_us_per_update_of_many", many, updates)
        .maybe_figure("engine_cpu_ratio_of_followers", ratio))
}

/// What dashboards ask of a metric, in turns; each changes with each round of background samples.
const QUERIES: [&str; 4] = [
    "avg by (site) (METRIC)",
    "max(METRIC) - min(METRIC offset 5s)",
    "sum by (site) (rate(METRIC[1m]))",
    "quantile(0.9, METRIC)",
];

/// A query that no other is, over one metric.
fn query(field: &Field, number: usize) -> String {
    let metric = format!("bench_metric_{}", number % field.metrics);
    let text = QUERIES[number % QUERIES.len()].replace("METRIC", &metric);
    // Of those that would be equal each has another number behind.
    match number / field.metrics {
        0 => text,
        round => format!("{text} + {round}"),
    }
}

/// Where some queries are followed.
fn path(queries: &[String]) -> String {
    let asked = queries.iter().map(|query| utf8_percent_encode(query, NON_ALPHANUMERIC));
    let asked: Vec<String> = asked.map(|query| format!("query={query}")).collect();
    format!("/v1/events?{}", asked.join("&"))
}

/// What alerts and the rules' thread came to under load.
struct Loaded {
    latency: Histogram,
    samples_per_s: f64,
    duration: Duration,
    /// Of a core, where the server's threads are known.
    busy_percent: Option<f64>,
}

/// Lets alerts cross beside background samples.
fn under_load(
    arguments: &Arguments,
    (field, server): (&Field, &Server),
    (connection, stream): (&mut Connection, &mut EventStream),
) -> Result<Loaded> {
    let background = Connection::open(server.peer())?;
    let stopped = AtomicBool::new(false);
    let (began, before) = (Instant::now(), server.cpu_time_of_threads(ENGINE)?);
    thread::scope(|scope| {
        let (load, stopped) = ((arguments.background, &VALUES[..]), &stopped);
        let sending = scope.spawn(move || send_background(background, field, load, stopped));
        let latency = cross(arguments.alerts, field, (connection, stream));
        let duration = began.elapsed();
        let after = server.cpu_time_of_threads(ENGINE)?;
        stopped.store(true, Ordering::Release);
        let samples = sending.join().expect("the sender does not panic")?;
        let seconds = duration.as_secs_f64();
        let busy =
            after.zip(before).map(|(after, before)| after.saturating_sub(before).as_secs_f64());
        Ok(Loaded {
            latency: latency?,
            samples_per_s: samples as f64 / seconds,
            duration,
            busy_percent: busy.map(|busy| 100.0 * busy / seconds),
        })
    })
}

/// Does something while all of these are followed, each path on a connection of its own. Says how many
/// bytes came meanwhile, too.
fn while_followed<T>(
    server: &Server,
    paths: &[String],
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, u64)> {
    let mut followers = Vec::new();
    for path in paths {
        let opening = Opening::new(request::get(path), "event: ready\n");
        let mut follower = Subscribers::new(server.peer(), opening)?.from(Origin::AllHosts);
        follower.open(1, AT_ONCE).with_context(|| format!("cannot follow {path}"))?;
        followers.push(follower);
    }
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopped = &stopped;
        let reading: Vec<_> = followers
            .into_iter()
            .map(|follower| scope.spawn(move || read_on(follower, stopped)))
            .collect();
        let worked = work();
        stopped.store(true, Ordering::Release);
        let mut bytes = 0;
        for reading in reading {
            bytes += reading.join().expect("the reader does not panic")?;
        }
        Ok((worked?, bytes))
    })
}

/// Reads all that comes until it is stopped; returns how many bytes that were.
fn read_on(mut followers: Subscribers, stopped: &AtomicBool) -> Result<u64> {
    let before = followers.received_bytes();
    while !stopped.load(Ordering::Acquire) {
        followers.receive(LOOK_INTERVAL, |_, _| {})?;
    }
    Ok(followers.received_bytes() - before)
}

/// Of how many of these queries it is said that they are evaluated later than their samples come.
fn paced(server: &Server, paths: &[String]) -> Result<usize> {
    let mut paced = 0;
    for path in paths {
        let (_stream, before) = EventStream::begin(server.peer(), &request::get(path))?;
        let is_paced = |event: &&String| event.contains("\"evaluated_every_ms\":");
        paced += before.iter().filter(is_paced).count();
    }
    Ok(paced)
}

/// Has a query change so often while so many follow it; says what that takes of the rules' thread.
fn changes(
    arguments: &Arguments,
    (field, server): (&Field, &Server),
    (path, count): (&str, usize),
) -> Result<Option<Duration>> {
    let opening = Opening::new(request::get(path), "event: ready\n");
    let mut followers = Subscribers::new(server.peer(), opening)?.from(Origin::AllHosts);
    followers.open(count, AT_ONCE)?;
    let requests = VALUES.map(|value| steady(field, 0, value));
    let mut connection = Connection::open(server.peer())?;
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopped = &stopped;
        let reading = scope.spawn(move || read_on(followers, stopped));
        let mut changed = || -> Result<Option<Duration>> {
            let (began, before) = (Instant::now(), server.cpu_time_of_threads(ENGINE)?);
            for (number, request) in (0..arguments.changes).zip(requests.iter().cycle()) {
                let due = began + Duration::from_secs_f64(f64::from(number) / arguments.rate);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                connection.ask(request)?;
            }
            let after = server.cpu_time_of_threads(ENGINE)?;
            Ok(after.zip(before).map(|(after, before)| after.saturating_sub(before)))
        };
        let changed = changed();
        stopped.store(true, Ordering::Release);
        let bytes = reading.join().expect("the reader does not panic")?;
        ensure!(bytes > 0, "nobody was told of any change");
        changed
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_query_is_another_one_and_may_be_followed() {
        let field = Field::new(10, 1000).expect("divides");
        let queries: BTreeSet<String> = (0..100).map(|number| query(&field, number)).collect();
        assert_eq!(queries.len(), 100);
        for query in queries {
            bellwire_rules::Cost::of_followed(&query).expect(&query);
        }
    }
}
