//! Workload `fairness`: a topic with few subscribers beside one with very many.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, ensure};

use crate::Print;
use crate::load::{AT_ONCE, Delivered, Flow, Pace, hurry, provide_for};
use crate::result::{OutputFlags, Record};
use crate::system::{Server, SystemFlags};

const LARGE: &str = "bench/large";
const SMALL: &str = "bench/small";

/// More than any run takes; the small topic ends it.
const EVENTS_MAX: u64 = 10_000_000;

/// What `bench fairness` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers of the large topic.
    #[arg(long, value_name = "COUNT", default_value_t = 18_000)]
    subscribers: usize,
    /// Events a second on the large topic.
    #[arg(long, value_name = "EVENTS", default_value_t = 2.0)]
    rate: f64,
    /// Subscribers of the small topic.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    small_subscribers: usize,
    /// Events a second on the small topic.
    #[arg(long, value_name = "EVENTS", default_value_t = 100.0)]
    small_rate: f64,
    /// How long to measure the small topic: once with the large one silent, once with it busy.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u32,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", visible_alias = "size", default_value_t = 128)]
    body_bytes: usize,
    #[command(flatten)]
    system: SystemFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { subscribers, rate, small_subscribers, small_rate, .. } = *arguments;
    ensure!(subscribers > 0 && small_subscribers > 0, "there is nobody to deliver to");
    ensure!(rate > 0.0 && small_rate > 0.0, "the rates are above 0");
    ensure!(arguments.seconds > 0, "it takes a second at least");
    provide_for(subscribers + small_subscribers)?;
    Record::of_system("fairness", &arguments.system)
        .parameter("subscribers", subscribers)
        .parameter("rate", rate)
        .parameter("small_subscribers", small_subscribers)
        .parameter("small_rate", small_rate)
        .parameter("seconds", arguments.seconds)
        .parameter("body_bytes", arguments.body_bytes)
        .complete(&arguments.output, print, |record| measure(arguments, record))
}

fn measure(arguments: &Arguments, record: Record) -> Result<Record> {
    let Arguments { subscribers, rate, small_subscribers, small_rate, .. } = *arguments;
    let server = Server::provide(&arguments.system)?;
    let flow = |topic: &str, count: usize| {
        let mut subscribers = server.subscribers(topic)?;
        subscribers.open(count, AT_ONCE)?;
        let publisher = server.publisher(topic, arguments.body_bytes)?;
        anyhow::Ok(Flow { publishers: vec![publisher], subscribers })
    };
    let (mut large, mut small) = (flow(LARGE, subscribers)?, flow(SMALL, small_subscribers)?);
    let events = (f64::from(arguments.seconds) * small_rate).ceil() as u64;
    let pace = Pace { events, rate: small_rate };
    let quiet = small.run(pace, &AtomicBool::new(false))?;
    let busy = beside(&mut small, pace, (&mut large, rate))?;

    let delay = |share| busy.latency.quantile_ms(share) - quiet.latency.quantile_ms(share);
    Ok(record
        .latency("small_quiet", &quiet.latency)
        .latency("small_busy", &busy.latency)
        .figure("small_delay_p50_ms", delay(0.5))
        .figure("small_delay_p99_ms", delay(0.99))
        .figure("small_delay_max_ms", delay(1.0)))
}

/// What the small topic's subscribers get while the large one is busy.
fn beside(small: &mut Flow, pace: Pace, (large, rate): (&mut Flow, f64)) -> Result<Delivered> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let crowd = scope.spawn(|| large.run(Pace { events: EVENTS_MAX, rate }, &over));
        let measuring = scope.spawn(|| {
            hurry();
            small.run(pace, &AtomicBool::new(false))
        });
        let measured = measuring.join().expect("the small topic does not panic");
        over.store(true, Ordering::Release);
        crowd.join().expect("the large topic does not panic")?;
        measured
    })
}
