//! A topic with its publishers and many subscribers, while events flow.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::peer::SILENCE_MAX;
use super::publisher::Publisher;
use super::subscriber::Heard;
use super::subscribers::Subscribers;
use crate::histogram::Histogram;

/// How long the receiving side waits before it looks whether all has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Events that are taken and not yet with all subscribers, at most: fewer than any system that is
/// compared keeps for them.
const AHEAD_EVENTS_MAX: u64 = 500;
const AHEAD_LOOK_INTERVAL: Duration = Duration::from_micros(100);

/// How much is published, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) events: u64,
    /// Events a second; 0: each as soon as the one before is acknowledged.
    pub(crate) rate: f64,
}

/// The two ends of a topic.
#[derive(Debug)]
pub(crate) struct Flow {
    /// One that waits for each answer bounds the rate; several share the events in turns.
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) subscribers: Subscribers,
}

/// What came.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// From sending an event to its arrival, for each subscriber.
    pub(crate) latency: Histogram,
    /// From the first publish to the last delivery.
    pub(crate) duration: Duration,
    pub(crate) events: u64,
    /// Bytes that subscribers got and sent meanwhile, heads included.
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
}

/// How far each of the two sides is, for the other.
#[derive(Debug, Default)]
struct Progress {
    acknowledged: AtomicU64,
    deliveries: AtomicU64,
    /// Publishers that have not ended.
    publishing: AtomicUsize,
    /// Set by the last publisher that ends, by the first that fails, or by who receives.
    ended: AtomicBool,
}

impl Flow {
    /// Each publisher publishes in a thread of its own until all is published or `stop` is set, and receives
    /// until every subscriber has every event.
    pub(crate) fn run(&mut self, pace: Pace, stop: &AtomicBool) -> Result<Delivered> {
        let Self { publishers, subscribers } = self;
        let before = (subscribers.received_bytes(), subscribers.sent_bytes());
        let (begin, progress) = (Instant::now(), Progress::default());
        let count = publishers.len();
        progress.publishing.store(count, Ordering::Release);
        let subscriber_count = subscribers.count() as u64;
        let metronome = Metronome { pace, begin, subscriber_count, stop, progress: &progress };
        thread::scope(|scope| {
            let (metronome, progress) = (&metronome, &progress);
            let start = |(index, publisher)| {
                scope.spawn(move || {
                    let result = publish(publisher, metronome, (index, count));
                    let is_last = progress.publishing.fetch_sub(1, Ordering::AcqRel) == 1;
                    if is_last || result.is_err() {
                        progress.ended.store(true, Ordering::Release);
                    }
                    result
                })
            };
            let publishing: Vec<_> = publishers.iter_mut().enumerate().map(start).collect();
            let received = receive(subscribers, begin, progress);
            progress.ended.store(true, Ordering::Release);
            for publisher in publishing {
                publisher.join().expect("a publisher does not panic")?;
            }
            let received = received?;
            let received_bytes = subscribers.received_bytes() - before.0;
            let sent_bytes = subscribers.sent_bytes() - before.1;
            Ok(Delivered { received_bytes, sent_bytes, ..received })
        })
    }
}

/// Publishes the share of one of so many publishers.
fn publish(
    publisher: &mut Publisher,
    metronome: &Metronome<'_>,
    (index, count): (usize, usize),
) -> Result<()> {
    for number in (index as u64..metronome.pace.events).step_by(count) {
        if !metronome.wait(number) {
            break;
        }
        publisher.publish()?;
        metronome.progress.acknowledged.fetch_add(1, Ordering::Release);
    }
    Ok(())
}

/// When the publisher sends what.
struct Metronome<'a> {
    pace: Pace,
    begin: Instant,
    subscriber_count: u64,
    stop: &'a AtomicBool,
    progress: &'a Progress,
}

impl Metronome<'_> {
    /// Waits until an event may be sent. Returns whether it still is to be.
    fn wait(&self, number: u64) -> bool {
        if self.pace.rate > 0.0 {
            let due = self.begin + Duration::from_secs_f64(number as f64 / self.pace.rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        while self.is_ahead(number) && !self.has_ended() {
            thread::sleep(AHEAD_LOOK_INTERVAL);
        }
        !self.has_ended()
    }

    fn is_ahead(&self, number: u64) -> bool {
        let deliveries = self.progress.deliveries.load(Ordering::Acquire);
        number > deliveries / self.subscriber_count + AHEAD_EVENTS_MAX
    }

    fn has_ended(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.progress.ended.load(Ordering::Acquire)
    }
}

fn receive(
    subscribers: &mut Subscribers,
    begin: Instant,
    progress: &Progress,
) -> Result<Delivered> {
    let mut latency = Histogram::new();
    let mut last = begin;
    loop {
        let before = latency.count();
        subscribers.receive(LOOK_INTERVAL, |_, heard| {
            if let Heard::Event { after } = heard {
                latency.record(after);
            }
        })?;
        let deliveries = latency.count();
        if deliveries > before {
            last = Instant::now();
            progress.deliveries.store(deliveries, Ordering::Release);
        }
        // In this order: what is acknowledged before the end is all.
        let has_ended = progress.ended.load(Ordering::Acquire);
        let events = progress.acknowledged.load(Ordering::Acquire);
        let expected = events * subscribers.count() as u64;
        if has_ended && deliveries >= expected {
            ensure!(deliveries == expected, "more events came than were published");
            let duration = last.saturating_duration_since(begin);
            return Some(Delivered { latency, duration, events, received_bytes: 0, sent_bytes: 0 })
                .filter(|delivered| !delivered.duration.is_zero())
                .context("nothing was delivered");
        }
        if last.elapsed() > SILENCE_MAX {
            bail!("{deliveries} of {expected} deliveries came");
        }
    }
}
