//! Workload `reactions`: an audience that sends what it taps, and sees what all together tap.
//!
//! ```text
//! who taps ────WebSocket───▶ samples ──▶ a recording rule sums the last 2 s by emoji
//! each viewer ◀────SSE────── at most four times a second, each emoji
//! a probe ─────────────────▶ one more sample ··▶ seen by the first and the last who came: the latency
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::Print;
use crate::histogram::Histogram;
use crate::load::{
    AT_ONCE, EventStream, Opening, Origin, SILENCE_MAX, Subscribers, Talker, provide_for, request,
};
use crate::result::{OutputFlags, Record};
use crate::system::{Durability, Server, ServerFlags};

/// What the server has to run with.
const RULES: &str = "groups:
  - name: audience
    rules:
      - record: audience:reactions:2s
        expr: sum by (emoji) (sum_over_time(audience_reactions[2s]))
";
/// What a viewer follows: every 250 ms at most.
const HEATMAP: &str = "/v1/events?topic=rules/audience:reactions:2s&max_rate=4";
/// Where a viewer sends to.
const TALK: &str = "/v1/events";
const EMOJI: [&str; 6] = ["👏", "❤️", "😂", "🔥", "🤔", "🎉"];

/// How long those who follow look for what has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How often the sender looks whose turn it is.
const TURN: Duration = Duration::from_millis(5);
/// So long the heatmap holds an emoji back behind a change of it; a probe comes anywhere within.
const HELD: Duration = Duration::from_millis(250);
/// Waits between two probes and before them, in turns: primes, so that they fall anywhere.
const PAUSES_MS: [u64; 5] = [31, 97, 151, 199, 241];

/// What a probe taps first, and what the heatmap is watched for.
const ONE: u32 = 1;
const MANY: u32 = 1000;

/// The thread of the rules, as the server calls it.
const ENGINE: &str = "evaluator";

/// What `bench reactions` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Viewers: each follows the heatmap over SSE.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    viewers: usize,
    /// Of them, how many tap: each over a WebSocket of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 5000)]
    tapping: usize,
    /// Emoji that all of them together send in a second.
    #[arg(long, value_name = "REACTIONS", default_value_t = 2000)]
    rate: u64,
    /// Emoji whose way to the heatmap is measured, one after the other.
    #[arg(long, value_name = "COUNT", default_value_t = 60)]
    probes: usize,
    /// Print the rule file that a server given by --server has to run with, and end.
    #[arg(long)]
    print_rules: bool,
    #[command(flatten)]
    server: ServerFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { viewers, tapping, rate, probes, .. } = *arguments;
    if arguments.print_rules {
        return print(RULES.trim_end());
    }
    ensure!(viewers > 0 && tapping > 0, "there is nobody who looks, or nobody who taps");
    ensure!(rate > 0 && probes > 0, "there is nothing to measure");
    provide_for(viewers + tapping)?;
    let server = Server::bellwire(&arguments.server, Durability::Interval, Some(RULES))?;
    Record::new("reactions")
        .parameter("viewers", viewers)
        .parameter("tapping", tapping)
        .parameter("reactions_per_s", rate)
        .parameter("probes", probes)
        .complete(&arguments.output, print, |record| measured(arguments, &server, record))
}

fn measured(arguments: &Arguments, server: &Server, record: Record) -> Result<Record> {
    let Arguments { viewers, tapping, rate, probes, .. } = *arguments;
    let before = server.memory()?;
    let mut first = follow(server)?;
    let opening = Opening::new(request::get(HEATMAP), "event: ready\n");
    let mut followers = Subscribers::new(server.peer(), opening)?.from(Origin::AllHosts);
    followers.open(viewers, AT_ONCE)?;
    let mut last = follow(server)?;
    let mut talkers = open_talkers(server, tapping)?;
    let mut probe = Talker::open(server.peer(), TALK)?;
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopped = &stopped;
        let reading = scope.spawn(move || read_on(followers, stopped));
        let sending = scope.spawn(move || react(&mut talkers, rate, stopped));
        let began = Instant::now();
        let engine_before = server.cpu_time_of_threads(ENGINE)?;
        let watched = server.timed(|| watch(probes, &mut probe, [&mut first, &mut last]));
        let (duration, engine_after) = (began.elapsed(), server.cpu_time_of_threads(ENGINE)?);
        let after = server.memory()?;
        stopped.store(true, Ordering::Release);
        let bytes = reading.join().expect("the reader does not panic")?;
        let (sent, refused) = sending.join().expect("the sender does not panic")?;
        let (latency, cpu) = watched?;

        let seconds = duration.as_secs_f64();
        let percent = |cpu: Duration| 100.0 * cpu.as_secs_f64() / seconds;
        let engine = engine_after.zip(engine_before);
        let engine = engine.map(|(after, before)| percent(after.saturating_sub(before)));
        let growth = after.rss_bytes as f64 - before.rss_bytes as f64;
        Ok(record
            .latency("latency", &latency)
            .figure("sent_reactions_per_s", sent as f64 / seconds)
            .figure("refused_reactions", refused as f64)
            .figure("received_bytes_per_s", bytes as f64 / seconds)
            .maybe_figure("server_busy_percent", cpu.map(percent))
            .maybe_figure("engine_busy_percent", engine)
            .figure("rss_growth_bytes_per_viewer", growth / viewers as f64)
            .figure("rss_after_bytes", after.rss_bytes as f64))
    })
}

/// A viewer that is read event by event.
fn follow(server: &Server) -> Result<EventStream> {
    let (stream, _) = EventStream::begin(server.peer(), &request::get(HEATMAP))?;
    Ok(stream)
}

fn open_talkers(server: &Server, count: usize) -> Result<Vec<Talker>> {
    (0..count)
        .map(|number| {
            let opened = Talker::open(server.peer(), TALK);
            opened.with_context(|| format!("the WebSocket of viewer {number}"))
        })
        .collect()
}

/// Reads all that comes until it is stopped; returns how many bytes that were.
fn read_on(mut followers: Subscribers, stopped: &AtomicBool) -> Result<u64> {
    let before = followers.received_bytes();
    while !stopped.load(Ordering::Acquire) {
        followers.receive(LOOK_INTERVAL, |_, _| {})?;
    }
    Ok(followers.received_bytes() - before)
}

/// Has viewers tap in turns, so many times a second, until it is stopped. Returns how often they have,
/// and how often the server was too busy to take it.
fn react(talkers: &mut [Talker], rate: u64, stopped: &AtomicBool) -> Result<(u64, u64)> {
    let (began, mut sent, mut refused) = (Instant::now(), 0, 0);
    while !stopped.load(Ordering::Acquire) {
        let due = began.elapsed().as_micros() as u64 * rate / 1_000_000;
        while sent < due {
            let viewer = sent as usize % talkers.len();
            // Neighbours tap different ones, and each another one the next time round.
            let round = sent as usize / talkers.len();
            let emoji = EMOJI[(viewer + round) % EMOJI.len()];
            talkers[viewer].say(&tap(emoji, &viewer.to_string(), ONE, None))?;
            sent += 1;
        }
        thread::sleep(TURN);
    }
    for (viewer, talker) in talkers.iter_mut().enumerate() {
        refused += talker.ask(&tap(EMOJI[0], &viewer.to_string(), ONE, Some(1)), 1)?;
    }
    Ok((sent, refused))
}

/// A request with one tap, or several. Without an id only a refusal is answered.
fn tap(emoji: &str, from: &str, taps: u32, id: Option<u32>) -> String {
    let sample = json!({
        "name": "audience_reactions",
        "labels": { "emoji": emoji, "from": from },
        "value": taps,
    });
    let mut request = json!({ "request": "samples", "samples": [sample] });
    if let Some(id) = id {
        request["id"] = id.into();
    }
    request.to_string()
}

/// Taps an emoji that nobody else taps, and many times a while later, when what is shown of it is held
/// back as that of any other; measures until both viewers see the many.
fn watch(
    probes: usize,
    probe: &mut Talker,
    mut viewers: [&mut EventStream; 2],
) -> Result<Histogram> {
    let mut latency = Histogram::new();
    for (number, pause) in (0..probes).zip(PAUSES_MS.into_iter().cycle()) {
        let emoji = format!("probe {number}");
        probe.say(&tap(&emoji, "probe", ONE, None))?;
        for viewer in &mut viewers {
            see(viewer, &emoji, ONE)?;
        }
        thread::sleep(Duration::from_millis(pause));
        let began = Instant::now();
        probe.say(&tap(&emoji, "probe", MANY, None))?;
        for viewer in &mut viewers {
            see(viewer, &emoji, MANY)?;
        }
        latency.record(began.elapsed());
        thread::sleep(HELD.saturating_sub(Duration::from_millis(pause)));
    }
    Ok(latency)
}

/// Reads until so many taps of this emoji are shown, or one more: that of before may still count.
fn see(viewer: &mut EventStream, emoji: &str, taps: u32) -> Result<()> {
    let (label, began) = (json!(emoji).to_string(), Instant::now());
    let values = [taps, taps + 1].map(|taps| format!("\"value\":{taps},"));
    while began.elapsed() < SILENCE_MAX {
        let event = viewer.next()?;
        if event.contains(&label) && values.iter().any(|value| event.contains(value)) {
            return Ok(());
        }
    }
    bail!("the heatmap has not shown `{emoji}` in {} s", SILENCE_MAX.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_is_a_request_of_one_sample() {
        let text = tap("🔥", "7", ONE, Some(3));
        let request: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(request["id"], 3);
        assert_eq!(request["samples"][0]["labels"]["emoji"], "🔥");
        assert!(!tap("🔥", "7", ONE, None).contains("\"id\""));
    }

    #[test]
    fn what_a_viewer_follows_is_what_the_rule_records() {
        let name = RULES.lines().find_map(|line| line.split_once("record: ")).expect("a rule").1;
        assert!(HEATMAP.contains(&format!("topic=rules/{name}&")), "{HEATMAP}");
    }
}
