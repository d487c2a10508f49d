//! The run: who publishes, who follows, and who breaks the network, each on a thread of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwire_model::limits::KEEP_ALIVE_TIMEOUT;

use super::clock::Clock;
use super::fault::{FaultKind, Schedule};
use super::feed::{self, Transport};
use super::follower::{BACKOFF_MAX_FACTOR, Follower, Patience};
use super::ledger::{Healed, Ledger, Tally};
use super::network::Network;
use super::outcome::{Memories, Outcome, Side};
use crate::load::{Connection, request};
use crate::process;
use crate::system::Server;

const TOPIC: &str = "bench/soak";

/// How many of the server's heartbeats a follower waits for, as our clients do.
const HEARTBEATS_MISSED: f64 = 2.5;

/// How long followers have to catch up once the last event is published and the network is whole, beside
/// the longest of their waits.
const CATCH_UP_MAX: Duration = Duration::from_mins(1);

/// How often it is told how it goes.
const TELL_INTERVAL: Duration = Duration::from_secs(10);

/// How many signs of the server a follower that has all events listens on for: one that comes twice
/// comes behind the last.
const LINGER_HEARTBEATS: u32 = 2;

/// A publisher that has nothing to say for longer connects anew: the server closes what is idle.
const PUBLISHER_IDLE_MAX: Duration = Duration::from_secs(30);
const _: () = assert!(PUBLISHER_IDLE_MAX.as_secs() < KEEP_ALIVE_TIMEOUT.as_secs());

/// How many times the time that is planned a run takes at most, as far as its figures have room.
const TIMES_PLANNED_MAX: u32 = 10;

/// Of the run, what has passed until memory is looked at first: until then all of it is new.
const WARM_UP_SHARE: f64 = 0.1;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// On each transport.
    pub(crate) followers: usize,
    /// Events a second.
    pub(crate) rate: f64,
    pub(crate) body_bytes: usize,
    pub(crate) time: Duration,
    /// Between two faults, on average.
    pub(crate) fault_interval: Duration,
    /// What the first wait of a follower is drawn below.
    pub(crate) backoff: Duration,
    /// How often the server gives a sign.
    pub(crate) heartbeat: Duration,
    pub(crate) seed: u64,
}

impl Plan {
    /// How many events there are.
    fn events(&self) -> u64 {
        (self.time.as_secs_f64() * self.rate).ceil() as u64
    }

    /// Fails where it cannot be done.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.rate > 0.0 && self.rate.is_finite(), "the rate is above 0");
        let (last, end) = (self.events(), self.time * TIMES_PLANNED_MAX);
        ensure!(last > 0, "there is nothing to publish");
        feed::body(last, end, self.body_bytes).map(drop)
    }

    /// How long a follower takes to come back, once it can, and to get what it lacks.
    fn patience(&self) -> Duration {
        CATCH_UP_MAX + self.backoff * BACKOFF_MAX_FACTOR
    }
}

/// Up to which event all should have come, while more are published and the network breaks.
struct Awaited {
    patience: Duration,
    /// Which was the newest when, as it was looked at.
    published: VecDeque<(Duration, u64)>,
    last: u64,
}

impl Awaited {
    fn new(plan: &Plan) -> Self {
        // A fault may last for most of the interval.
        let patience = plan.patience() + plan.fault_interval;
        Self { patience, published: VecDeque::new(), last: 0 }
    }

    /// What is under way is not missed; what was published long ago is.
    fn at(&mut self, now: Duration, published: u64) -> u64 {
        self.published.push_back((now, published));
        let is_due = |(at, _): &mut (Duration, u64)| *at + self.patience <= now;
        while let Some((_, number)) = self.published.pop_front_if(is_due) {
            self.last = number;
        }
        self.last
    }
}

/// Followers of one transport.
type Ledgers = Vec<(Transport, Vec<Arc<Mutex<Ledger>>>)>;

/// Runs it, and says now and then what there is so far.
pub(crate) fn run(
    server: &Server,
    plan: &Plan,
    mut tell: impl FnMut(&Outcome) -> Result<()>,
) -> Result<Outcome> {
    let network = Network::start(server.peer().address)?;
    let clock = Arc::new(Clock::new(plan.heartbeat * LINGER_HEARTBEATS));
    let (ledgers, followers) = start_followers(plan, &network, &clock)?;
    let published = AtomicU64::new(0);
    let faults = Mutex::new(BTreeMap::new());
    let (peace, over) = sync_channel::<()>(0);
    let mut memory_at_begin = None;
    let outcome = |memory_at_begin, awaited| Outcome {
        sides: sides(&ledgers, awaited),
        published: published.load(Ordering::Acquire),
        faults: faults.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        memory_at_begin,
        memory_at_end: memories(server).ok(),
    };
    let done = thread::scope(|scope| {
        let (ledgers, network, published, faults, clock) =
            (&ledgers, &network, &published, &faults, &clock);
        scope.spawn(move || {
            let schedule = Schedule::new(plan.seed, plan.fault_interval);
            break_network(network, schedule, &over, |kind| {
                *faults.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_insert(0) +=
                    1;
                let first = published.load(Ordering::Acquire) + 1;
                let healed = Healed { kind, at: clock.now(), first };
                for ledger in ledgers.iter().flat_map(|(_, ledgers)| ledgers) {
                    ledger.lock().unwrap_or_else(PoisonError::into_inner).heal(healed);
                }
            });
        });
        let (mut told_at, mut awaited) = (Instant::now(), Awaited::new(plan));
        let published = publish(server, plan, clock, published, |passed| {
            if memory_at_begin.is_none() && passed >= plan.time.mul_f64(WARM_UP_SHARE) {
                memory_at_begin = memories(server).ok();
            }
            if told_at.elapsed() < TELL_INTERVAL {
                return Ok(());
            }
            told_at = Instant::now();
            let last = awaited.at(clock.now(), published.load(Ordering::Acquire));
            tell(&outcome(memory_at_begin, last))
        });
        drop(peace);
        published
    });
    let patience = if done.is_ok() { plan.patience() } else { Duration::ZERO };
    clock.end(published.load(Ordering::Acquire), patience);
    for follower in followers {
        follower.join().expect("a follower does not panic");
    }
    done?;
    Ok(outcome(memory_at_begin, published.load(Ordering::Acquire)))
}

fn start_followers(
    plan: &Plan,
    network: &Network,
    clock: &Arc<Clock>,
) -> Result<(Ledgers, Vec<JoinHandle<()>>)> {
    let patience = Patience {
        silence: plan.heartbeat.mul_f64(HEARTBEATS_MISSED),
        poll: plan.heartbeat,
        backoff: plan.backoff,
    };
    let (mut all, mut threads) = (Ledgers::new(), Vec::new());
    let mut random = fastrand::Rng::with_seed(plan.seed);
    for transport in Transport::ALL {
        let mut ledgers = Vec::new();
        for _ in 0..plan.followers {
            let ledger = Arc::new(Mutex::new(Ledger::new()));
            ledgers.push(Arc::clone(&ledger));
            let follower = Follower {
                transport,
                topic: TOPIC,
                server: network.address(),
                patience,
                clock: Arc::clone(clock),
                ledger,
                random: random.fork(),
            };
            let builder = thread::Builder::new().name(transport.as_str().into());
            threads.push(builder.spawn(|| follower.follow()).context("cannot start a thread")?);
        }
        all.push((transport, ledgers));
    }
    Ok((all, threads))
}

/// Publishes one event after the other, straight to the server: the last is acknowledged at the end.
fn publish(
    server: &Server,
    plan: &Plan,
    clock: &Clock,
    published: &AtomicU64,
    mut meanwhile: impl FnMut(Duration) -> Result<()>,
) -> Result<()> {
    let mut connection = Connection::open(server.peer())?;
    let begin = Instant::now();
    let mut used = begin;
    for number in 1..=plan.events() {
        let due = Duration::from_secs_f64(number as f64 / plan.rate);
        for piece in pieces(due.saturating_sub(begin.elapsed())) {
            thread::sleep(piece);
            meanwhile(begin.elapsed())?;
        }
        if used.elapsed() >= PUBLISHER_IDLE_MAX {
            connection = Connection::open(server.peer())?;
        }
        used = Instant::now();
        published.store(number, Ordering::Release);
        let body = feed::body(number, clock.now(), plan.body_bytes)?;
        let path = format!("/v1/topics/{TOPIC}");
        connection.ask(&request::post(&path, "application/json", body.as_bytes()))?;
        meanwhile(begin.elapsed())?;
    }
    Ok(())
}

/// A wait in pieces, between which it can be told how it goes.
fn pieces(wait: Duration) -> impl Iterator<Item = Duration> {
    let mut left = wait;
    std::iter::from_fn(move || {
        let piece = left.min(TELL_INTERVAL);
        left -= piece;
        (!piece.is_zero()).then_some(piece)
    })
}

/// One fault after the other, until it is over; the last is let end by itself.
fn break_network(
    network: &Network,
    schedule: Schedule,
    over: &Receiver<()>,
    mut healed: impl FnMut(FaultKind),
) {
    for (peace, fault) in schedule {
        if over.recv_timeout(peace) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        network.suffer(fault);
        thread::sleep(fault.lasts);
        healed(fault.kind);
    }
}

/// What there is, where all events up to the last one should have come.
fn sides(ledgers: &Ledgers, last: u64) -> Vec<Side> {
    let side = |(transport, ledgers): &(Transport, Vec<Arc<Mutex<Ledger>>>)| {
        let mut tally = Tally::new();
        for ledger in ledgers {
            tally.add(&ledger.lock().unwrap_or_else(PoisonError::into_inner).tally_at(last));
        }
        Side { transport: *transport, tally }
    };
    ledgers.iter().map(side).collect()
}

fn memories(server: &Server) -> Result<Memories> {
    let generator = process::memory(std::process::id())?;
    Ok(Memories { server: server.memory()?, generator })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn plan() -> Plan {
        Plan {
            followers: 1,
            rate: 20.0,
            body_bytes: 128,
            time: Duration::from_mins(10),
            fault_interval: Duration::from_secs(20),
            backoff: Duration::from_secs(1),
            heartbeat: Duration::from_secs(1),
            seed: 1,
        }
    }

    #[test]
    fn a_body_that_the_last_event_does_not_fit_in_is_refused_before_the_first() {
        assert!(plan().check().is_ok());
        for body_bytes in 40..=50 {
            let plan = Plan { body_bytes, ..plan() };
            let fits = plan.check().is_ok();
            let latest = plan.time * TIMES_PLANNED_MAX;
            assert_eq!(fits, feed::body(plan.events(), latest, body_bytes).is_ok(), "{body_bytes}");
            assert!(!fits || feed::body(1, Duration::ZERO, body_bytes).is_ok(), "{body_bytes}");
        }
        assert!(Plan { body_bytes: 47, ..plan() }.check().is_err());
        assert!(Plan { rate: 0.0, ..plan() }.check().is_err());
    }

    #[test]
    fn who_waits_for_long_between_two_connections_is_waited_for() {
        for backoff in [Duration::from_secs(1), Duration::from_secs(30)] {
            let plan = Plan { backoff, ..plan() };
            assert!(plan.patience() >= backoff * BACKOFF_MAX_FACTOR + MINUTE, "{backoff:?}");
        }
    }

    #[test]
    fn what_was_published_long_ago_is_awaited_and_what_is_under_way_is_not() {
        let plan = plan();
        let mut awaited = Awaited::new(&plan);
        let patience = plan.patience() + plan.fault_interval;
        assert_eq!(awaited.at(MINUTE, 10), 0);
        assert_eq!(awaited.at(MINUTE * 2, 20), 0);
        assert_eq!(awaited.at(MINUTE + patience, 30), 10);
        assert_eq!(awaited.at(MINUTE * 2 + patience, 40), 20);
        assert_eq!(awaited.at(MINUTE * 60, 50), 40);
        assert_eq!(awaited.published.len(), 1, "what is past is forgotten");
    }

    #[test]
    fn a_long_wait_is_told_of() {
        let of = |seconds| pieces(Duration::from_secs(seconds)).map(|piece| piece.as_secs());
        assert_eq!(of(100).count(), 10);
        assert_eq!(of(25).collect::<Vec<_>>(), [10, 10, 5]);
        assert_eq!(of(0).count(), 0);
    }
}
