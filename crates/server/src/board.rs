//! The state topics, as the alerting shows on them: those of this process, and of several nodes the board of
//! alerts in what they share.

mod leftovers;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_alerting::{ALERTS_ACTIVE, NotShown, StateTopics};
use bellwire_journal::{Append, Journal};
use bellwire_model::limits::{BOARD_VALUES_INTERVAL, SHOWN_AT_ONCE_MAX};
use bellwire_model::{Alert, Event, Filter, FilterSet, Keep, NameMap, NameSet, Timestamp, Topic};
use bellwire_process::clock::Ticker;
use bellwire_shards::States;
use bellwire_wire::json;

pub(crate) use self::leftovers::Leftovers;

/// How often it is looked whether something is to be offered to the journal again.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The state topics of a server that stands alone.
#[derive(Debug)]
pub(crate) struct Board(pub(crate) Arc<States>);

impl StateTopics for Board {
    fn wait_for_room(&self) {
        self.0.wait_for_room();
    }

    fn apply_now(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>> {
        let results = self.0.apply_now(events).into_iter();
        results.map(|result| result.map_err(|_| NotShown)).collect()
    }

    fn apply_measured(&self, events: Vec<(Event, Option<f64>)>) -> Vec<Result<(), NotShown>> {
        let results = self.0.apply_measured(events).into_iter();
        results.map(|result| result.map_err(|_| NotShown)).collect()
    }

    fn past(&self, topic: &Topic, key: &str, points_max: usize) -> Vec<(Timestamp, f64)> {
        let Some(past) = self.0.past(topic, key) else { return Vec::new() };
        let points = past.points().map(|point| (Timestamp::from_ms(point.time_ms), point.value));
        let mut points: Vec<_> = points.collect();
        points.drain(..points.len().saturating_sub(points_max));
        points
    }

    fn forget_pasts(&self, topic: &Topic) {
        self.0.forget_pasts(topic);
    }

    fn time(&self, topic: &Topic, key: &str) -> Option<Timestamp> {
        self.0.time(topic, key)
    }

    fn expire_samples(&self, before: Timestamp) {
        self.0.expire_samples(before);
    }
}

/// The same of the node that evaluates the rules: what it shows on the board of alerts goes into the log
/// that all nodes have. Of each alert the newest waits while something is on its way, so that what waits
/// is bounded by the number of alerts, and nobody waits for the log.
#[derive(Debug)]
pub(crate) struct SharedBoard {
    own: Board,
    /// What another keeper had shown here beside the board.
    leftovers: Arc<Leftovers>,
    journal: Arc<dyn Journal>,
    waiting: Arc<Mutex<Waiting>>,
}

/// What of the board is not in the log yet.
#[derive(Debug, Default)]
struct Waiting {
    /// Keys that there were at the start, and that nobody has shown since.
    unclaimed: NameSet<Box<str>>,
    /// What is to be shown at once.
    changes: NameMap<Box<str>, Event>,
    /// Newer values of what is shown: each would stay in the log.
    values: NameMap<Box<str>, Event>,
    is_under_way: bool,
}

impl SharedBoard {
    /// What was shown before, by whichever node, is there until it is [claimed](Self::settle).
    pub(crate) fn new(
        states: Arc<States>,
        leftovers: Arc<Leftovers>,
        journal: Arc<dyn Journal>,
    ) -> Self {
        let mut unclaimed = NameSet::<Box<str>>::default();
        states.read(&filters(), |value| {
            unclaimed.insert(Box::<str>::from(&*value.key));
            ControlFlow::Continue(())
        });
        let waiting = Arc::new(Mutex::new(Waiting { unclaimed, ..Waiting::default() }));
        Self { own: Board(states), leftovers, journal, waiting }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// The alerts as they are in the log.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.own.0.read(&filters(), |value| {
            let body = value.payload.event().body.as_ref();
            match body.map(|body| json::read_shown_alert(body.bytes())) {
                Some(Ok((alert, _))) => alerts.push(alert),
                Some(Err(error)) => {
                    let key = &*value.key;
                    tracing::warn!(key, %error, "A value of the board is not an alert; it is passed over.");
                }
                None => {}
            }
            ControlFlow::Continue(())
        });
        alerts
    }

    /// All alerts that there are have been shown: what stands for no other goes.
    pub(crate) fn settle(&self, now: Timestamp) {
        let mut waiting = self.waiting();
        let topic: Topic = ALERTS_ACTIVE.parse().expect("a topic");
        for key in std::mem::take(&mut waiting.unclaimed) {
            let (topic, of) = (topic.clone(), Some(key.clone()));
            let gone = Event { topic, key: of, event_type: None, time: now, body: None };
            waiting.changes.insert(key, gone);
        }
        drop(waiting);
        offer(&self.journal, &self.waiting);
    }

    /// Offers again and again what the journal has not taken, and values now and then.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        let mut told = Ticker::start();
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            if told.elapsed() >= BOARD_VALUES_INTERVAL {
                told = Ticker::start();
                let mut waiting = self.waiting();
                let values = std::mem::take(&mut waiting.values);
                waiting.changes.extend(values);
            }
            offer(&self.journal, &self.waiting);
        }
    }

    fn show_own(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>> {
        self.leftovers.replace(events, |event| event, |events| self.own.apply_now(events))
    }

    /// Shows what is of the board by the log, and all else in this process.
    fn show(&self, events: Vec<Event>, urgency: Urgency) -> Vec<Result<(), NotShown>> {
        let is_of_board = |event: &Event| event.topic.as_str() == ALERTS_ACTIVE;
        if !events.iter().any(is_of_board) {
            return self.show_own(events);
        }
        let mut waiting = self.waiting();
        let results = events.into_iter().map(|event| {
            if !is_of_board(&event) {
                return self.show_own(vec![event]).pop().unwrap_or(Ok(()));
            }
            waiting.put(event, urgency);
            Ok(())
        });
        let results = results.collect();
        drop(waiting);
        offer(&self.journal, &self.waiting);
        results
    }
}

fn filters() -> FilterSet {
    ALERTS_ACTIVE.parse::<Filter>().expect("a filter").into()
}

/// When something is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    Now,
    Soon,
}

impl Waiting {
    fn put(&mut self, mut event: Event, urgency: Urgency) {
        let key = event.key.clone().unwrap_or_default();
        self.unclaimed.remove(&key);
        if let Some(before) = self.changes.get_mut(&key) {
            // What it is told as stays, where it is the value alone that is another one.
            if urgency == Urgency::Soon {
                event.event_type = before.event_type.take();
            }
            *before = event;
        } else if urgency == Urgency::Soon {
            self.values.insert(key, event);
        } else {
            self.values.remove(&key);
            self.changes.insert(key, event);
        }
    }

    /// What is to go to the journal next.
    fn take(&mut self) -> Vec<Event> {
        if self.is_under_way || self.changes.is_empty() {
            return Vec::new();
        }
        self.is_under_way = true;
        let keys = self.changes.keys().take(SHOWN_AT_ONCE_MAX).cloned();
        let keys: Vec<Box<str>> = keys.collect();
        keys.iter().filter_map(|key| self.changes.remove(key)).collect()
    }

    /// The journal has not taken this: it is offered again, unless there is something newer.
    fn put_back(&mut self, events: Vec<Event>) {
        for event in events {
            let key = event.key.clone().unwrap_or_default();
            match self.values.remove(&key) {
                // A newer value of the same.
                Some(newer) if event.body.is_some() => {
                    let newer = Event { event_type: event.event_type, ..newer };
                    self.changes.entry(key).or_insert(newer);
                }
                _ => {
                    self.changes.entry(key).or_insert(event);
                }
            }
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Queues what waits, where nothing is on its way; what comes meanwhile goes behind it.
fn offer(journal: &Arc<dyn Journal>, waiting: &Arc<Mutex<Waiting>>) {
    let events = lock(waiting).take();
    if events.is_empty() {
        return;
    }
    let append = |event: &Event| Append { keep: Keep::Newest, ..Append::new(event.clone(), None) };
    let batch = events.iter().map(append).collect();
    let (again, kept, of) = (Arc::clone(waiting), events.clone(), Arc::downgrade(journal));
    let reply = Box::new(move |answer: Result<_, bellwire_journal::Error>| {
        let mut waiting = lock(&again);
        waiting.is_under_way = false;
        match answer.map(|_: Vec<_>| ()) {
            Ok(()) => {
                drop(waiting);
                if let Some(journal) = of.upgrade() {
                    offer(&journal, &again);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "The log does not take the board of alerts yet; trying again.");
                waiting.put_back(kept);
            }
        }
    });
    if let Err(error) = journal.append(batch, reply) {
        tracing::debug!(%error, "The log does not take the board of alerts yet; trying again.");
        let mut waiting = lock(waiting);
        waiting.is_under_way = false;
        waiting.put_back(events);
    }
}

impl StateTopics for SharedBoard {
    fn wait_for_room(&self) {
        self.own.wait_for_room();
    }

    fn apply_now(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>> {
        self.show(events, Urgency::Now)
    }

    fn apply_soon(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>> {
        self.show(events, Urgency::Soon)
    }

    fn apply_measured(&self, events: Vec<(Event, Option<f64>)>) -> Vec<Result<(), NotShown>> {
        self.leftovers.replace(events, |(event, _)| event, |it| self.own.apply_measured(it))
    }

    fn past(&self, topic: &Topic, key: &str, points_max: usize) -> Vec<(Timestamp, f64)> {
        self.own.past(topic, key, points_max)
    }

    fn forget_pasts(&self, topic: &Topic) {
        self.own.forget_pasts(topic);
    }

    fn time(&self, topic: &Topic, key: &str) -> Option<Timestamp> {
        self.own.time(topic, key)
    }

    fn expire_samples(&self, before: Timestamp) {
        self.own.expire_samples(before);
    }
}

/// What a node shows of alerts that does not evaluate the rules: nothing of its own.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl StateTopics for Nowhere {
    fn wait_for_room(&self) {}

    fn apply_now(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>> {
        events.iter().map(|_| Ok(())).collect()
    }

    fn apply_measured(&self, events: Vec<(Event, Option<f64>)>) -> Vec<Result<(), NotShown>> {
        events.iter().map(|_| Ok(())).collect()
    }

    fn past(&self, _: &Topic, _: &str, _: usize) -> Vec<(Timestamp, f64)> {
        Vec::new()
    }

    fn forget_pasts(&self, _: &Topic) {}

    fn time(&self, _: &Topic, _: &str) -> Option<Timestamp> {
        None
    }

    fn expire_samples(&self, _: Timestamp) {}
}

#[cfg(test)]
mod tests;
