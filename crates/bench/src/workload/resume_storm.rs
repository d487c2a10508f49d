//! Workload `resume-storm`: everybody returns at once, and lacks as much; others stayed, and must
//! not notice.
//!
//! ```text
//! 1,000 events ──▶ one topic ────▶ all who return with an old cursor: how long until all have all
//! publisher ─────▶ another topic ▶ those who stayed: the latency of each event, meanwhile
//! ```
//!
//! The two topics are different ones: else those who have returned would get the live events too,
//! and what is measured would be the latency of a very large topic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::Print;
use crate::histogram::Histogram;
use crate::load::{
    AT_ONCE, Delivered, Flow, Heard, Pace, SILENCE_MAX, Subscribers, hurry, provide_for,
};
use crate::result::{OutputFlags, Record};
use crate::system::{Server, SystemFlags};

const TOPIC: &str = "bench/storm";
const LIVE_TOPIC: &str = "bench/live";

/// How long those who stayed are measured before the storm.
const QUIET: Duration = Duration::from_secs(3);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Who has not caught up by then never will, as far as users are concerned.
const TIME_MAX: Duration = Duration::from_mins(2);

/// More than any storm takes; it ends by itself.
const EVENTS_MAX: u64 = 10_000_000;

/// What `bench resume-storm` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers that return at once.
    #[arg(long, value_name = "COUNT", default_value_t = 18_000)]
    connections: usize,
    /// Events that each of them lacks.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    behind: u32,
    /// Subscribers of another topic, who stayed.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    stayed: usize,
    /// Events a second for those who stayed.
    #[arg(long, value_name = "EVENTS", default_value_t = 100.0)]
    rate: f64,
    /// Of those who return, how many have asked and not yet been answered.
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    at_once: usize,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", visible_alias = "size", default_value_t = 128)]
    body_bytes: usize,
    #[command(flatten)]
    system: SystemFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { connections, behind, stayed, rate, at_once, body_bytes, .. } = *arguments;
    ensure!(connections > 0 && stayed > 0 && at_once > 0, "there is nobody to return or to stay");
    ensure!(behind > 0 && rate > 0.0, "there is nothing to deliver");
    provide_for(connections + stayed)?;
    Record::of_system("resume-storm", &arguments.system)
        .parameter("connections", connections)
        .parameter("behind", behind)
        .parameter("stayed", stayed)
        .parameter("rate", rate)
        .parameter("at_once", at_once)
        .parameter("body_bytes", body_bytes)
        .complete(&arguments.output, print, |record| measure(arguments, record))
}

fn measure(arguments: &Arguments, record: Record) -> Result<Record> {
    let Arguments { connections, behind, stayed, rate, body_bytes, .. } = *arguments;
    let server = Server::provide(&arguments.system)?;
    let mut publisher = server.publisher(TOPIC, body_bytes)?;
    // The storm's subscribers have seen this event and nothing after it.
    let seen = publisher.publish()?;
    let returning = server.returning(TOPIC, &seen)?;
    for _ in 0..behind {
        publisher.publish()?;
    }
    let mut subscribers = server.subscribers(LIVE_TOPIC)?;
    subscribers.open(stayed, AT_ONCE)?;
    let publisher = server.publisher(LIVE_TOPIC, body_bytes)?;
    let mut flow = Flow { publishers: vec![publisher], subscribers };
    let events = (QUIET.as_secs_f64() * rate).ceil() as u64;
    let before = flow.run(Pace { events, rate }, &AtomicBool::new(false))?;
    let (Storm { duration, caught_up, received_bytes, meanwhile }, cpu) =
        server.timed(|| storm(arguments, (flow, returning)))?;
    let deliveries = connections as f64 * f64::from(behind);

    Ok(record
        .figure("caught_up_s", duration.as_secs_f64())
        .figure("caught_up_p50_ms", caught_up.quantile_ms(0.5))
        .figure("received_bytes_per_s", received_bytes as f64 / duration.as_secs_f64())
        .cpu("server_cpu_us_per_delivery", cpu, deliveries)
        .latency("live_before", &before.latency)
        .latency("live_meanwhile", &meanwhile.latency))
}

/// What the storm was like.
struct Storm {
    /// From the first connect until the last one had caught up.
    duration: Duration,
    /// The same, for each.
    caught_up: Histogram,
    received_bytes: u64,
    /// What those got who stayed.
    meanwhile: Delivered,
}

fn storm(arguments: &Arguments, (mut flow, mut returning): (Flow, Subscribers)) -> Result<Storm> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let staying = scope.spawn(|| {
            hurry();
            flow.run(Pace { events: EVENTS_MAX, rate: arguments.rate }, &over)
        });
        let returned = all_return(arguments, &mut returning);
        over.store(true, Ordering::Release);
        let meanwhile = staying.join().expect("who stays does not panic");
        let (duration, caught_up) = returned?;
        Ok(Storm {
            duration,
            caught_up,
            received_bytes: returning.received_bytes(),
            meanwhile: meanwhile?,
        })
    })
}

/// Lets all connect and catch up.
fn all_return(arguments: &Arguments, returning: &mut Subscribers) -> Result<(Duration, Histogram)> {
    let Arguments { connections, at_once, behind, .. } = *arguments;
    let began = Instant::now();
    let mut caught_up = Histogram::new();
    let (mut answered, mut heard_at) = (0, began);
    let mut lacking = vec![behind; connections];
    while caught_up.count() < connections as u64 {
        while returning.count() < connections.min(answered + at_once) {
            returning.begin()?;
        }
        let bytes = returning.received_bytes();
        returning.receive(LOOK_INTERVAL, |number, heard| match heard {
            Heard::Live { .. } => answered += 1,
            Heard::Event { .. } => match &mut lacking[number] {
                // Who cannot resume behind an exact event gets the one before, too.
                0 => {}
                rest => {
                    *rest -= 1;
                    if *rest == 0 {
                        caught_up.record(began.elapsed());
                    }
                }
            },
        })?;
        if returning.received_bytes() > bytes {
            heard_at = Instant::now();
        }
        ensure!(
            heard_at.elapsed() < SILENCE_MAX && began.elapsed() < TIME_MAX,
            "only {} of {connections} subscribers caught up within {:.0} s",
            caught_up.count(),
            began.elapsed().as_secs_f64()
        );
    }
    Ok((began.elapsed(), caught_up))
}
