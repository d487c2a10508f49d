//! Workload `slow-reader`: some subscribers of a topic stop to read; the others must not notice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::Print;
use crate::load::{AT_ONCE, Delivered, Flow, Pace, Subscribers, provide_for};
use crate::result::{OutputFlags, Record};
use crate::system::{Server, SystemFlags};

const TOPIC: &str = "bench/slow";
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Between two bytes that a slow subscriber reads.
const DRIP_INTERVAL: Duration = Duration::from_secs(1);

/// What `bench slow-reader` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers of the topic.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    subscribers: usize,
    /// Of a hundred, how many become slow: half of these read nothing, half a byte a second.
    #[arg(long, value_name = "PERCENT", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=99))]
    slow_percent: u64,
    /// Events a second.
    #[arg(long, value_name = "EVENTS", default_value_t = 50.0)]
    rate: f64,
    /// How long to measure: once with nobody slow, once with some.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    seconds: u32,
    /// Size of an event's body: so much that sockets fill up soon.
    #[arg(long, value_name = "BYTES", visible_alias = "size", default_value_t = 4096)]
    body_bytes: usize,
    #[command(flatten)]
    system: SystemFlags,
    #[command(flatten)]
    output: OutputFlags,
}

impl Arguments {
    /// How many become slow.
    fn slow(&self) -> usize {
        self.subscribers * self.slow_percent as usize / 100
    }
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { subscribers, slow_percent, rate, seconds, body_bytes, .. } = *arguments;
    ensure!(rate > 0.0 && seconds > 0, "the rate and the time are above 0");
    ensure!(arguments.slow() > 0, "of {subscribers} subscribers {slow_percent} percent are nobody");
    provide_for(subscribers)?;
    Record::of_system("slow-reader", &arguments.system)
        .parameter("subscribers", subscribers)
        .parameter("slow_percent", slow_percent)
        .parameter("rate", rate)
        .parameter("seconds", seconds)
        .parameter("body_bytes", body_bytes)
        .complete(&arguments.output, print, |record| measure(arguments, record))
}

fn measure(arguments: &Arguments, record: Record) -> Result<Record> {
    let Arguments { subscribers, rate, seconds, body_bytes, .. } = *arguments;
    let server = Server::provide(&arguments.system)?;
    let slow = arguments.slow();
    let open = |count| {
        let mut subscribers = server.subscribers(TOPIC)?;
        subscribers.open(count, AT_ONCE)?;
        anyhow::Ok(subscribers)
    };
    let (mut becoming_slow, others) = (open(slow)?, open(subscribers - slow)?);
    let publishers = vec![server.publisher(TOPIC, body_bytes)?];
    let mut flow = Flow { publishers, subscribers: others };
    let pace = Pace { events: (f64::from(seconds) * rate).ceil() as u64, rate };

    // Once for what grows with the first events alone.
    beside(&mut flow, Pace { events: 10, rate }, || read(&mut becoming_slow))?;
    let start = server.memory()?.pss_bytes as f64;
    let all_read = beside(&mut flow, pace, || read(&mut becoming_slow))?;
    let between = server.memory()?.pss_bytes as f64;
    let some_slow = beside(&mut flow, pace, || {
        thread::sleep(DRIP_INTERVAL);
        becoming_slow.drip();
        Ok(())
    })?;
    let end = server.memory()?.pss_bytes as f64;

    let (before, after) = (between - start, end - between);
    Ok(record
        .latency("all_read", &all_read.latency)
        .latency("some_slow", &some_slow.latency)
        .figure("pss_growth_all_read_bytes", before)
        .figure("pss_growth_some_slow_bytes", after)
        .figure("pss_growth_bytes_per_slow_subscriber", (after - before) / slow as f64))
}

/// Lets events flow while others do something else, again and again.
fn beside(
    flow: &mut Flow,
    pace: Pace,
    mut meanwhile: impl FnMut() -> Result<()> + Send,
) -> Result<Delivered> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let aside = scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                meanwhile()?;
            }
            Ok(())
        });
        let delivered = flow.run(pace, &AtomicBool::new(false));
        over.store(true, Ordering::Release);
        let aside: Result<()> = aside.join().expect("who is slow does not panic");
        aside?;
        delivered
    })
}

fn read(subscribers: &mut Subscribers) -> Result<()> {
    subscribers.receive(LOOK_INTERVAL, |_, _| {})
}
