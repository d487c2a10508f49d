//! What standing queries have come to, on its way to their topics; and queries on their way in and out
//! of the engine. The evaluator does a piece of it whenever nothing waits for the rules, and where
//! something does in a part of the time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{
    FORWARDED_PER_TURN, LIVE_ANSWERED_BYTES_MAX, LIVE_ANSWERED_MAX, LIVE_PACE, LIVE_TICK,
    STATE_VALUE_BYTES_MAX,
};
use bellwire_model::{Body, Event, Labels, NameMap, QueryId, Sample, Timestamp, Topic};
use bellwire_process::clock;
use bellwire_rules::{Engine, QueryBeginning, QueryEnding, StandingQuery};
use bellwire_wire::json;
use bellwire_wire::problem::Problem;
use tokio::sync::oneshot;

use super::{Change, LiveQuery, Register};
use crate::states::{NotShown, StateTopics};

/// Of the time for which samples wait, queries get one part, and the samples this many.
const PARTS_OF_SAMPLES: u32 = 7;

/// The key of what is said of a query itself. Those of elements have a brace.
const DESCRIPTION: &str = "query";

/// Why a query does not stand of which nothing can be said.
const NO_ROOM: &str = "state topics hold as many keys or bytes as they may: there is no room for its \
                       answer";

/// What is said of a query where there was no room for an element.
const UNTOLD: &str = "the answer is not whole: state topics hold as many keys or bytes as they may, or \
                      a value is too large";

/// A query that comes or goes.
#[derive(Debug)]
enum Errand {
    Begin(Box<QueryBeginning>),
    /// One that nobody is told of, for the sake of its series.
    Hold(Box<QueryBeginning>),
    End(QueryEnding),
}

/// What is to be put on a topic.
type Place = (QueryId, Option<Labels>);

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As samples come.
    Stream,
    /// Every [`LIVE_TICK`].
    Tick,
}

/// What is known of a query that stands.
#[derive(Debug)]
struct Shown {
    topic: Topic,
    mode: Mode,
    /// What was said of it last; nothing where there was no room to say it.
    description: Option<String>,
    /// Elements whose values the state topics had no room for. They are tried again.
    untold: NameMap<Labels, (f64, Timestamp)>,
}

/// What queries have come to.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    errands: VecDeque<Errand>,
    /// Places whose values have changed, in the order of their first change.
    waiting: VecDeque<Place>,
    /// Bytes of their labels.
    waiting_bytes: usize,
    /// The newest value of each; of several that come before one is put the last counts.
    newest: NameMap<Place, (Option<f64>, Timestamp)>,
    /// How many have been put of all that ever waited, and how many there were.
    counts: (u64, u64),
    /// Queries whose first answers are put once so many have been.
    complete: VecDeque<(u64, QueryId)>,
    /// Those who wait until so many have been put.
    waiters: VecDeque<(u64, oneshot::Sender<()>)>,
    shown: HashMap<QueryId, Shown>,
    /// Those that were shown, and begin with another expression.
    replaced: HashSet<QueryId>,
    /// What keeps the series of these meanwhile.
    held: HashSet<QueryId>,
    /// Those of which it was said that they have ended, which is said for a second.
    ended: Vec<QueryId>,
    /// When the last turn ended, and how long it took.
    ended_at: Duration,
    took: Duration,
}

impl Answers {
    /// A query is to stand.
    pub(crate) fn begin(&mut self, beginning: Box<QueryBeginning>) {
        self.errands.push_back(Errand::Begin(beginning));
    }

    /// A query that is shown is to stand for another expression. What is shown of the old one goes,
    /// and what is said of it stays until that of the new one is said. Series that both select would be
    /// forgotten with the old one, so that something else holds them until the new one stands.
    fn replace(&mut self, query: LiveQuery) {
        let id = query.id();
        let query = query.into_standing();
        let stand_in = StandingQuery { id: id.stand_in(), ..query.clone() };
        self.errands.push_back(Errand::Hold(Box::new(QueryBeginning::new(stand_in))));
        self.errands.push_back(Errand::End(QueryEnding::new(id)));
        self.begin(Box::new(QueryBeginning::new(query)));
        self.errands.push_back(Errand::End(QueryEnding::new(id.stand_in())));
        self.newest.remove(&(id, None));
        self.shown.remove(&id);
        self.replaced.insert(id);
        self.held.insert(id.stand_in());
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        let nobody_waits = self.complete.is_empty() && self.waiters.is_empty();
        self.errands.is_empty() && self.waiting.is_empty() && nobody_waits
    }

    /// Tells somebody once all is on its topics that there is now.
    pub(crate) fn tell_once_shown(&mut self, waiter: oneshot::Sender<()>) {
        self.waiters.push_back((self.counts.1, waiter));
    }

    /// Whether it is their turn although samples wait; `passed` is the time since some beginning.
    pub(crate) fn is_their_turn(&self, passed: Duration) -> bool {
        let since = passed.saturating_sub(self.ended_at);
        !self.is_empty() && since >= self.took * PARTS_OF_SAMPLES
    }

    /// Takes what queries have come to in a step.
    pub(crate) fn take(&mut self, engine: &mut Engine) {
        for answered in engine.take_answered() {
            if self.held.contains(&answered.query) {
                continue;
            }
            let place = (answered.query, Some(answered.labels));
            self.put(place, (answered.value, answered.time));
        }
        self.hold(engine);
    }

    fn hold(&self, engine: &mut Engine) {
        if self.is_full() { engine.hold_queries() } else { engine.release_queries() }
    }

    /// Whether more waits than should: elements that come and go faster than they can be shown.
    fn is_full(&self) -> bool {
        self.waiting.len() >= LIVE_ANSWERED_MAX || self.waiting_bytes >= LIVE_ANSWERED_BYTES_MAX
    }

    fn put(&mut self, place: Place, value: (Option<f64>, Timestamp)) {
        if self.newest.insert(place.clone(), value).is_none() {
            self.waiting_bytes += bytes(&place);
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
        if !self.is_full() {
            self.go_on(engine, (register, states));
        }
        self.show(register, states);
        self.hold(engine);
        self.complete(register);
        self.ended_at = passed();
        self.took = self.ended_at.saturating_sub(began_at);
    }

    /// One errand after the other, so that a query that comes again finds its end behind it.
    fn go_on(&mut self, engine: &mut Engine, (register, states): (&Register, &dyn StateTopics)) {
        let Some(errand) = self.errands.front_mut() else { return };
        let mut selects = None;
        let (is_done, begun) = match errand {
            Errand::End(ending) => (engine.end_query(ending), None),
            // Where it is refused, so is what it is for.
            Errand::Hold(beginning) => (engine.begin_query(beginning).is_some(), None),
            // Who asks and goes, again and again, must not make others wait.
            Errand::Begin(beginning) if register.take_abandoned(beginning.id()) => {
                let id = beginning.id();
                *errand = Errand::End(QueryEnding::new(id));
                if self.replaced.remove(&id) {
                    self.put((id, None), (None, Timestamp::MIN));
                }
                return;
            }
            Errand::Begin(beginning) => {
                let id = beginning.id();
                if beginning.is_new() && register.text(id).is_some_and(|(_, name)| name.is_some()) {
                    // Under the same keys another expression may have come to something else: also
                    // one that ended before the name came to stand for this one.
                    states.forget_pasts(&id.topic());
                }
                let begun = engine.begin_query(beginning);
                selects = Some(beginning.selects());
                let mode = if beginning.is_on_tick() { Mode::Tick } else { Mode::Stream };
                let begun = begun.map(|begun| (id, begun.map(|()| mode)));
                (begun.is_some(), begun)
            }
        };
        let done = if is_done { self.errands.pop_front() } else { None };
        self.take(engine);
        if let Some(Errand::End(ending)) = done {
            self.held.remove(&ending.id());
        }
        match begun {
            None => {}
            Some((id, Ok(mode))) => {
                self.replaced.remove(&id);
                self.shown.insert(id, Shown::of(id, mode));
                self.put((id, None), (Some(0.0), Timestamp::MIN));
                self.complete.push_back((self.counts.1, id));
            }
            Some((id, Err(refusal))) => {
                let problem = super::refusal(refusal, selects);
                if self.replaced.remove(&id) {
                    return self.end_told(id, (problem.detail(), &problem), (register, states));
                }
                self.errands.push_back(Errand::End(QueryEnding::new(id)));
                register.refuse(id, &problem);
            }
        }
    }

    /// Puts some of what waits.
    fn show(&mut self, register: &Register, states: &dyn StateTopics) {
        let count = self.waiting.len().min(FORWARDED_PER_TURN);
        let mut events = Vec::with_capacity(count);
        let mut places = Vec::with_capacity(count);
        for place in self.waiting.drain(..count).collect::<Vec<_>>() {
            self.waiting_bytes -= bytes(&place);
            let Some(value) = self.newest.remove(&place) else { continue };
            let shown = self.shown.get(&place.0);
            // One that has ended is shown no more, but what is left of it goes.
            let topic = shown.map_or_else(|| place.0.topic(), |shown| shown.topic.clone());
            let event = if let Some(labels) = &place.1 {
                element(topic, labels, value).map(|event| (event, value.0))
            } else {
                let text = register.text(place.0);
                let body = shown.zip(text).map(|(shown, text)| shown.describe(text));
                Some((description(topic, body), None))
            };
            match event {
                Some(event) => {
                    events.push(event);
                    places.push((place, value));
                }
                None => self.note(place, value, Err(NotShown)),
            }
        }
        self.counts.0 += count as u64;
        states.wait_for_room();
        let results = states.apply_measured(events);
        for ((place, value), result) in places.into_iter().zip(results) {
            self.note(place, value, result);
        }
    }

    /// Notes whether something was put on its topic.
    fn note(
        &mut self,
        (query, labels): Place,
        (value, time): (Option<f64>, Timestamp),
        put: Result<(), NotShown>,
    ) {
        let Some(shown) = self.shown.get_mut(&query) else { return };
        match (labels, value, put) {
            (Some(labels), Some(value), Err(NotShown)) => {
                shown.untold.insert(labels, (value, time));
            }
            (Some(labels), ..) => _ = shown.untold.remove(&labels),
            (None, _, Ok(())) => {}
            (None, _, Err(NotShown)) => shown.description = None,
        }
    }

    /// Tries some elements again for which there was no room.
    fn retry(&mut self) {
        let untold = self.shown.iter().flat_map(|(id, shown)| {
            shown.untold.iter().map(|(labels, told)| ((*id, Some(labels.clone())), *told))
        });
        let again: Vec<_> = untold.take(FORWARDED_PER_TURN).collect();
        for (place, (value, time)) in again {
            // What has changed meanwhile is on its way.
            if !self.newest.contains_key(&place) {
                self.put(place, (Some(value), time));
            }
        }
    }

    /// Says which first answers are complete. Nobody could be told what one has come to of which
    /// not even that could be said: it ends.
    fn complete(&mut self, register: &Register) {
        while let Some((_, waiter)) =
            self.waiters.pop_front_if(|(until, _)| *until <= self.counts.0)
        {
            // Who has waited may be gone.
            let _ = waiter.send(());
        }
        while self.complete.front().is_some_and(|(until, _)| *until <= self.counts.0) {
            let Some((_, id)) = self.complete.pop_front() else { break };
            match self.shown.get(&id) {
                Some(shown) if shown.description.is_none() => {
                    register.refuse(id, &super::exhausted(NO_ROOM.into()));
                    self.end(id);
                }
                _ => register.stand(id),
            }
        }
    }

    /// Once a second: ends queries that nobody has followed for long, and says of the others how they
    /// are evaluated where that is otherwise than before.
    pub(crate) fn look_after(
        &mut self,
        engine: &mut Engine,
        (register, states): (&Register, &dyn StateTopics),
        now: Timestamp,
    ) {
        for id in std::mem::take(&mut self.ended) {
            if !self.shown.contains_key(&id) {
                self.put((id, None), (None, Timestamp::MIN));
            }
        }
        for id in register.take_left() {
            self.end(id);
        }
        for (id, refusal) in engine.take_overgrown(|id| self.shown.contains_key(id)) {
            let problem = super::refusal(refusal, None);
            self.end_told(id, (&refusal.to_string(), &problem), (register, states));
        }
        for (id, change) in register.take_changed() {
            match change {
                Change::Replaced(query) => self.replace(*query),
                Change::Ended(problem) => {
                    self.end_told(id, (problem.detail(), &problem), (register, states));
                }
            }
        }
        let ids = self.shown.keys();
        register.set_series(ids.filter_map(|id| Some((*id, engine.query_series(*id)?))));
        self.retry();
        let paced = engine.take_paced();
        let mut changed = Vec::new();
        for (id, shown) in &mut self.shown {
            let description = about(engine, (*id, &*shown), &paced);
            if shown.description.as_ref() != Some(&description) {
                shown.description = Some(description);
                changed.push(*id);
            }
        }
        for id in changed {
            self.put((id, None), (Some(0.0), now));
        }
    }

    /// Ends a query that is shown; the last that is said of it is why.
    fn end_told(
        &mut self,
        id: QueryId,
        (why, problem): (&str, &Problem),
        (register, states): (&Register, &dyn StateTopics),
    ) {
        if let Some(text) = register.text(id) {
            let shown = self.shown.remove(&id);
            let mut shown = shown.unwrap_or_else(|| Shown::of(id, Mode::Stream));
            shown.description = Some(error_member(&format!("it has ended: {why}")));
            let body = shown.describe(text);
            // Where there is no room to say it, that its elements have gone says enough.
            let _ = states.apply(vec![description(shown.topic.clone(), Some(body))]);
        }
        self.newest.remove(&(id, None));
        register.refuse(id, problem);
        self.errands.push_back(Errand::End(QueryEnding::new(id)));
        self.ended.push(id);
    }

    fn end(&mut self, id: QueryId) {
        self.errands.push_back(Errand::End(QueryEnding::new(id)));
        self.shown.remove(&id);
        self.put((id, None), (None, Timestamp::MIN));
    }
}

fn bytes((_, labels): &Place) -> usize {
    labels.as_ref().map_or(0, Labels::size_bytes)
}

/// What is said of how a query is evaluated.
fn about(engine: &Engine, (id, shown): (QueryId, &Shown), paced: &[QueryId]) -> String {
    let mut text = String::new();
    let every = match shown.mode {
        _ if paced.contains(&id) => Some(LIVE_PACE),
        Mode::Tick => Some(LIVE_TICK),
        Mode::Stream => None,
    };
    text.extend(every.map(every_member));
    let untold = (!shown.untold.is_empty()).then_some(UNTOLD);
    let failure = engine.query_health(id).and_then(|health| health.last_error);
    if let Some(error) = failure.as_deref().or(untold) {
        text.push_str(&error_member(error));
    }
    text
}

fn every_member(every: Duration) -> String {
    format!(",\"evaluated_every_ms\":{}", every.as_millis())
}

fn error_member(error: &str) -> String {
    format!(",\"error\":{}", json::text(error))
}

fn element(
    topic: Topic,
    labels: &Labels,
    (value, time): (Option<f64>, Timestamp),
) -> Option<Event> {
    let key = json::element_key(labels);
    let body = value.map(|value| json::sample(&Sample { series: labels.clone(), value, time }));
    if body.as_ref().is_some_and(|body| body.len() > STATE_VALUE_BYTES_MAX) {
        return None;
    }
    let body = body.map(|body| Body::Json(body.into()));
    Some(Event { topic, key: Some(key.into()), event_type: None, time, body })
}

impl Shown {
    /// A query of which nothing has been said.
    fn of(id: QueryId, mode: Mode) -> Self {
        let description = match mode {
            Mode::Stream => String::new(),
            Mode::Tick => every_member(LIVE_TICK),
        };
        let untold = NameMap::default();
        Self { topic: id.topic(), mode, description: Some(description), untold }
    }

    /// `{"query":…,"mode":"stream",…}`, with `"name":…` where it is recorded.
    fn describe(&self, (text, name): (Arc<str>, Option<Arc<str>>)) -> String {
        let about = self.description.as_deref().unwrap_or_default();
        let mode = match self.mode {
            Mode::Stream => "stream",
            Mode::Tick => "tick",
        };
        let name = name.map_or_else(String::new, |name| format!(",\"name\":{}", json::text(&name)));
        format!("{{\"query\":{},\"mode\":\"{mode}\"{about}{name}}}", json::text(&text))
    }
}

fn description(topic: Topic, body: Option<String>) -> Event {
    let body = body.map(|body| Body::Json(body.into()));
    let (key, time) = (Some(DESCRIPTION.into()), clock::now());
    Event { topic, key, event_type: None, time, body }
}

#[cfg(test)]
mod tests;
