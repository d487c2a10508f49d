//! What standing queries have come to, on its way to their topics; and queries on their way in and out
//! of the engine. The evaluator does a piece of it whenever nothing waits for the rules, and where
//! something does in a part of the time.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use bellwire_model::limits::{FORWARDED_PER_TURN, LIVE_PACE, STATE_VALUE_BYTES_MAX};
use bellwire_model::{Body, Event, Labels, NameMap, QueryId, Sample, Timestamp, Topic};
use bellwire_process::clock;
use bellwire_rules::{Engine, QueryBeginning, QueryEnding};
use bellwire_wire::json;

use super::Register;
use crate::states::StateTopics;

/// Of the time for which samples wait, queries get one part, and the samples this many.
const PARTS_OF_SAMPLES: u32 = 7;

/// The key of what is said of a query itself. Those of elements have a brace.
const DESCRIPTION: &str = "query";

/// A query that comes or goes.
#[derive(Debug)]
enum Errand {
    Begin(Box<QueryBeginning>),
    End(QueryEnding),
}

/// What is to be put on a topic.
type Place = (QueryId, Option<Labels>);

/// What is known of a query that stands.
#[derive(Debug)]
struct Shown {
    topic: Topic,
    /// What was said of it last.
    description: String,
}

/// What queries have come to.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    errands: VecDeque<Errand>,
    /// Places whose values have changed, in the order of their first change.
    waiting: VecDeque<Place>,
    /// The newest value of each; of several that come before one is put the last counts.
    newest: NameMap<Place, (Option<f64>, Timestamp)>,
    /// How many have been put of all that ever waited, and how many there were.
    counts: (u64, u64),
    /// Queries whose first answers are put once so many have been.
    complete: VecDeque<(u64, QueryId)>,
    shown: HashMap<QueryId, Shown>,
    /// When the last turn ended, and how long it took.
    ended_at: Duration,
    took: Duration,
}

impl Answers {
    /// A query is to stand.
    pub(crate) fn begin(&mut self, beginning: Box<QueryBeginning>) {
        self.errands.push_back(Errand::Begin(beginning));
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.errands.is_empty() && self.waiting.is_empty() && self.complete.is_empty()
    }

    /// Whether it is their turn although samples wait; `passed` is the time since some beginning.
    pub(crate) fn is_their_turn(&self, passed: Duration) -> bool {
        let since = passed.saturating_sub(self.ended_at);
        !self.is_empty() && since >= self.took * PARTS_OF_SAMPLES
    }

    /// Takes what queries have come to in a step.
    pub(crate) fn take(&mut self, engine: &mut Engine) {
        for answered in engine.take_answered() {
            let place = (answered.query, Some(answered.labels));
            self.put(place, (answered.value, answered.time));
        }
    }

    fn put(&mut self, place: Place, value: (Option<f64>, Timestamp)) {
        if self.newest.insert(place.clone(), value).is_none() {
            self.waiting.push_back(place);
            self.counts.1 += 1;
        }
    }

    /// Does a piece of what there is to do.
    pub(crate) fn turn(
        &mut self,
        engine: &mut Engine,
        (register, states): (&Register, &dyn StateTopics),
        passed: impl Fn() -> Duration,
    ) {
        let began_at = passed();
        self.go_on(engine, register);
        self.show(register, states);
        self.ended_at = passed();
        self.took = self.ended_at.saturating_sub(began_at);
    }

    /// One errand after the other, so that a query that comes again finds its end behind it.
    fn go_on(&mut self, engine: &mut Engine, register: &Register) {
        let Some(errand) = self.errands.front_mut() else { return };
        let (is_done, begun) = match errand {
            Errand::End(ending) => (engine.end_query(ending), None),
            Errand::Begin(beginning) => {
                let begun = engine.begin_query(beginning).map(|begun| (beginning.id(), begun));
                (begun.is_some(), begun)
            }
        };
        if is_done {
            self.errands.pop_front();
        }
        self.take(engine);
        match begun {
            None => {}
            Some((id, Ok(()))) => {
                self.shown.insert(id, Shown { topic: id.topic(), description: String::new() });
                self.put((id, None), (Some(0.0), Timestamp::MIN));
                self.complete.push_back((self.counts.1, id));
            }
            Some((id, Err(refusal))) => {
                self.errands.push_back(Errand::End(QueryEnding::new(id)));
                register.refuse(id, &super::refusal(&refusal));
            }
        }
    }

    /// Puts some of what waits, and says which first answers are complete.
    fn show(&mut self, register: &Register, states: &dyn StateTopics) {
        let count = self.waiting.len().min(FORWARDED_PER_TURN);
        let mut events = Vec::with_capacity(count);
        for place in self.waiting.drain(..count) {
            let Some(value) = self.newest.remove(&place) else { continue };
            let (query, labels) = place;
            let shown = self.shown.get(&query);
            // One that has ended is shown no more, but what is left of it goes.
            let topic = shown.map_or_else(|| query.topic(), |shown| shown.topic.clone());
            events.extend(if let Some(labels) = labels {
                element(topic, labels, value)
            } else {
                let text = register.text(query);
                let body = shown.zip(text).map(|(shown, text)| shown.describe(&text));
                Some(description(topic, body))
            });
        }
        self.counts.0 += count as u64;
        // What is refused is counted where all values are.
        let _ = states.apply(events);
        while self.complete.front().is_some_and(|(until, _)| *until <= self.counts.0) {
            let Some((_, id)) = self.complete.pop_front() else { break };
            register.stand(id);
        }
    }

    /// Once a second: ends queries that nobody has followed for long, and says of the others how they
    /// are evaluated where that is otherwise than before.
    pub(crate) fn look_after(
        &mut self,
        engine: &mut Engine,
        (register, now): (&Register, Timestamp),
    ) {
        for id in register.take_left() {
            self.end(id);
        }
        for id in engine.take_overgrown() {
            if self.shown.contains_key(&id) {
                register.refuse(id, &super::refusal(&bellwire_rules::QueryRefusal::TooManySeries));
                self.end(id);
            }
        }
        let paced = engine.take_paced();
        let mut changed = Vec::new();
        for (id, shown) in &mut self.shown {
            let description = about(engine, *id, &paced);
            if shown.description != description {
                shown.description = description;
                changed.push(*id);
            }
        }
        for id in changed {
            self.put((id, None), (Some(0.0), now));
        }
    }

    fn end(&mut self, id: QueryId) {
        self.errands.push_back(Errand::End(QueryEnding::new(id)));
        self.shown.remove(&id);
        self.put((id, None), (None, Timestamp::MIN));
    }
}

/// What is said of how a query is evaluated.
fn about(engine: &Engine, id: QueryId, paced: &[QueryId]) -> String {
    let mut text = String::new();
    if paced.contains(&id) {
        let _ = write!(text, ",\"evaluated_every_ms\":{}", LIVE_PACE.as_millis());
    }
    if let Some(error) = engine.query_health(id).and_then(|health| health.last_error) {
        text.push_str(",\"error\":");
        text.push_str(&json::text(&error));
    }
    text
}

fn element(topic: Topic, labels: Labels, (value, time): (Option<f64>, Timestamp)) -> Option<Event> {
    let key = json::element_key(&labels);
    let body = value.map(|value| json::sample(&Sample { series: labels, value, time }));
    if body.as_ref().is_some_and(|body| body.len() > STATE_VALUE_BYTES_MAX) {
        return None;
    }
    let body = body.map(|body| Body::Json(body.into()));
    Some(Event { topic, key: Some(key.into()), event_type: None, time, body })
}

impl Shown {
    /// `{"query":…,"mode":"stream",…}`.
    fn describe(&self, text: &str) -> String {
        format!("{{\"query\":{},\"mode\":\"stream\"{}}}", json::text(text), self.description)
    }
}

fn description(topic: Topic, body: Option<String>) -> Event {
    let body = body.map(|body| Body::Json(body.into()));
    let (key, time) = (Some(DESCRIPTION.into()), clock::now());
    Event { topic, key, event_type: None, time, body }
}
