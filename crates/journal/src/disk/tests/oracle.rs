//! The engine against the plainest model of a journal there is: a list.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::{Closure, Entry, Event, Keep, Offset, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{killed, open, options};
use crate::contract::ending::closing;
use crate::contract::expiring::expire;
use crate::contract::fences::fenced;
use crate::contract::state::{Values, values_after};
use crate::contract::{Rig, change, filters, rule, text, timed};
use crate::disk::{DiskOptions, Durability};
use crate::{Append, Appended, Bounds, ClockReading, Ended, Fenced, ReadLimit, RetentionRule};

const TOPICS: [&str; 5] = ["a/x", "a/y", "b", "c/d/e", "$sys/f"];
/// One has the name of a stream.
const STATES: [&str; 3] = ["s", "a/x", "c/s"];
/// Those that end.
const ENDING: [&str; 4] = ["a/x", "b", "s", "c/s"];
const KEYS: usize = 5;
const FILTERS: [&[&str]; 6] = [&["**"], &["a/*"], &["b"], &["c/**", "a/y"], &["$sys/*"], &["z"]];

/// What happens to a journal.
#[derive(Clone, Debug)]
enum Step {
    /// A batch on some topics, each event so many milliseconds after or before the last one.
    Append(Vec<(usize, i64)>),
    /// A topic ends, or is reopened.
    Turn(usize, Closure),
    /// A batch of producers, each event of one of them on a topic that may be a state topic, in the
    /// epoch before, the same or the next, and so much further than what comes next.
    Produce(Vec<(usize, usize, i64, i64)>),
    /// Many events, to fill blocks.
    Fill(usize),
    /// Changes of state topics, each of a key, behind an event of a stream.
    Change(Vec<(usize, usize, Write)>),
    /// A key is to go after so many milliseconds.
    Renew(usize, usize, u64),
    /// So many pass, and keys go.
    Pass(u64),
    /// Many changes of a few keys.
    Churn(usize),
    Retain,
    Close,
    Kill,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug)]
enum Write {
    Delete,
    Put,
    /// It is to go after so many milliseconds.
    PutFor(u64),
}

const TTL_MS: std::ops::Range<u64> = 1..100;

fn any_write() -> impl Strategy<Value = Write> {
    prop_oneof![Just(Write::Delete), Just(Write::Put), TTL_MS.prop_map(Write::PutFor)]
}

fn any_step() -> impl Strategy<Value = Step> {
    let event = (0..TOPICS.len(), -5_i64..20);
    let change = (0..STATES.len(), 0..KEYS, any_write());
    let produced = (0..TOPICS.len() + STATES.len(), 0..2_usize, -1_i64..2, -2_i64..2);
    prop_oneof![
        4 => prop::collection::vec(produced, 0..8).prop_map(Step::Produce),
        2 => (0..STATES.len(), 0..KEYS, TTL_MS)
            .prop_map(|(topic, key, ttl_ms)| Step::Renew(topic, key, ttl_ms)),
        3 => (0_u64..60).prop_map(Step::Pass),
        4 => prop::collection::vec(change, 0..8).prop_map(Step::Change),
        2 => (1_usize..3000).prop_map(Step::Churn),
        6 => prop::collection::vec(event, 0..8).prop_map(Step::Append),
        2 => (0..ENDING.len(), prop::sample::select(vec![Closure::End, Closure::Reopened]))
            .prop_map(|(topic, closure)| Step::Turn(topic, closure)),
        3 => (1_usize..1500).prop_map(Step::Fill),
        3 => Just(Step::Retain),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
    ]
}

fn any_rule() -> impl Strategy<Value = RetentionRule> {
    let pattern = prop::sample::select(vec!["**", "a/*", "a/x", "b", "$sys/**"]);
    let age = prop::option::of(0_u64..100).prop_map(|age| age.map(Duration::from_millis));
    let (bytes_max, events_max) = (prop::option::of(0_u64..20_000), prop::option::of(0_u64..2000));
    (pattern, age, bytes_max, events_max).prop_map(|(pattern, age, bytes_max, events_max)| {
        RetentionRule { age, bytes_max, events_max, ..rule(pattern) }
    })
}

/// A list of what there is, and of what was removed.
#[derive(Default)]
struct Model {
    kept: Vec<Entry>,
    removed: Vec<Entry>,
    /// The newest change of each key.
    values: Values,
    /// When keys go.
    due: BTreeMap<(String, String), u64>,
    uptime_ms: u64,
    /// Where topics have ended.
    ended: BTreeMap<&'static str, Offset>,
    /// Of a topic and a producer its epoch, and the sequence that comes next.
    produced: BTreeMap<(&'static str, usize), (u64, u64)>,
    tail: Offset,
    time_ms: i64,
}

impl Model {
    fn batch(&mut self, events: &[(usize, i64)]) -> Vec<Append> {
        let mut append = |(topic, step_ms): &(usize, i64)| {
            self.time_ms += step_ms;
            timed(TOPICS[*topic], &format!("at {}", self.time_ms), self.time_ms)
        };
        events.iter().map(&mut append).collect()
    }

    fn add(&mut self, offset: Offset, event: Event) {
        assert!(offset > self.tail);
        self.tail = offset;
        self.kept.push(Entry::of_stream(offset, event));
    }

    /// Rule by rule, by the book: the too old go, then the oldest while there are too many.
    fn retain(&mut self, rules: &[RetentionRule]) {
        let now = Timestamp::from_ms(self.time_ms);
        for (index, rule) in rules.iter().enumerate() {
            let holds = |entry: &Entry| {
                let first = rules.iter().position(|rule| rule.pattern.matches(&entry.event.topic));
                first == Some(index)
            };
            let own: Vec<Entry> = self.kept.iter().filter(|entry| holds(entry)).cloned().collect();
            let mut events = own.len() as u64;
            let mut bytes: u64 = own.iter().map(|entry| entry.event.size_bytes() as u64).sum();
            for entry in own {
                let too_old =
                    rule.age.is_some_and(|age| entry.event.time < now.saturating_sub(age));
                let too_many = rule.events_max.is_some_and(|max| events > max);
                let too_large = rule.bytes_max.is_some_and(|max| bytes > max);
                if too_old || too_many || too_large {
                    events -= 1;
                    bytes -= entry.event.size_bytes() as u64;
                    self.kept.retain(|kept| kept.offset != entry.offset);
                    self.removed.push(entry);
                }
            }
        }
    }

    fn trimmed(&self, texts: &[&str]) -> Offset {
        let filters = filters(texts);
        let matching = self.removed.iter().filter(|entry| filters.matches(&entry.event.topic));
        matching.map(|entry| entry.offset).max().unwrap_or_default()
    }

    fn check(&self, rig: &Rig) {
        let all = self.removed.iter().map(|entry| entry.offset).max().unwrap_or_default();
        assert_eq!(rig.journal.bounds(), Bounds { trimmed: all, tail: self.tail });
        assert_eq!(values_after(rig, Offset::ZERO), self.values);
        for texts in FILTERS {
            let filters = filters(texts);
            assert_eq!(rig.journal.trimmed(&filters), self.trimmed(texts), "{filters}");
            let limit = ReadLimit { events: 300, bytes: 1 << 20 };
            let (mut after, mut found) = (Offset::ZERO, Vec::new());
            while after < self.tail {
                let page = rig.journal.read(after, &filters, limit).expect("a page");
                found.extend(page.entries);
                after = page.end;
            }
            let matching = self.kept.iter().filter(|entry| filters.matches(&entry.event.topic));
            assert!(matching.eq(&found), "{filters}");
        }
        for topic in ENDING {
            let ended = self.ended.get(topic).map(|at| {
                let is_kept = self.kept.iter().any(|entry| entry.offset == *at);
                Ended { at: *at, is_kept }
            });
            assert_eq!(rig.journal.ended(topic), ended, "{topic}");
        }
        for figures in rig.journal.topics() {
            assert_eq!(figures.has_ended, self.ended.contains_key(figures.topic.as_str()));
            let own = self.kept.iter().filter(|entry| entry.event.topic == figures.topic);
            let sizes: Vec<u64> = own.map(|entry| entry.event.size_bytes() as u64).collect();
            assert_eq!((figures.events, figures.bytes), (sizes.len() as u64, sizes.iter().sum()));
            let ever = self.kept.iter().chain(&self.removed);
            let last =
                ever.filter(|entry| entry.event.topic == figures.topic).map(|e| e.offset).max();
            assert_eq!(Some(figures.last), last);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_is_a_list_that_outlives_its_process(
        rules in prop::collection::vec(any_rule(), 0..4),
        steps in prop::collection::vec(any_step(), 1..20),
    ) {
        let mut folder = TempDir::new().unwrap();
        let with = |folder: &TempDir| DiskOptions {
            retention: rules.clone(),
            durability: Durability::Interval,
            boot_id: Some("the same".into()),
            // As late as nobody comes to: a system's uptime never goes back.
            now: ClockReading {
                wall: Timestamp::from_ms(1 << 40),
                uptime: Duration::from_millis(1 << 40),
            },
            ..options(folder.path())
        };
        let mut model = Model::default();
        let mut rig = open(with(&folder));
        for step in steps {
            match step {
                Step::Append(events) => append(&rig, &mut model, &events),
                Step::Turn(topic, closure) => turn(&rig, &mut model, ENDING[topic], closure),
                Step::Produce(events) => produce(&rig, &mut model, &events),
                Step::Fill(events) => {
                    let events: Vec<_> = (0..events).map(|n| (n * n % TOPICS.len(), 0)).collect();
                    append(&rig, &mut model, &events);
                }
                Step::Change(changes) => change_values(&rig, &mut model, &changes),
                Step::Churn(changes) => {
                    let changes: Vec<_> = (0..changes)
                        .map(|n| (n % STATES.len(), n * n % KEYS, WRITES[n % WRITES.len()]))
                        .collect();
                    change_values(&rig, &mut model, &changes);
                }
                Step::Renew(topic, key, ttl_ms) => renew(&rig, &mut model, (topic, key), ttl_ms),
                Step::Pass(passed_ms) => pass(&rig, &mut model, passed_ms),
                Step::Retain => {
                    rig.retain(model.time_ms);
                    model.retain(&rules);
                }
                Step::Close => {
                    rig.journal.close().unwrap();
                    drop(rig);
                    rig = open(with(&folder));
                }
                Step::Kill => {
                    let copy = killed(&folder);
                    drop(rig);
                    folder = copy;
                    rig = open(with(&folder));
                }
            }
            model.check(&rig);
        }
    }
}

const WRITES: [Write; 5] =
    [Write::Put, Write::PutFor(70), Write::Put, Write::Delete, Write::PutFor(30)];

fn named(topic: usize, key: usize) -> (String, String) {
    (STATES[topic].into(), key.to_string())
}

fn change_values(rig: &Rig, model: &mut Model, changes: &[(usize, usize, Write)]) {
    let event = model.batch(&[(0, 1)]).remove(0);
    let until = |write| match write {
        Write::PutFor(ttl_ms) => Some(model.uptime_ms + ttl_ms),
        Write::Put | Write::Delete => None,
    };
    let append = |(number, (topic, key, write)): (usize, &(usize, usize, Write))| {
        let ((topic, key), text) = (named(*topic, *key), format!("change {number}"));
        let is_put = !matches!(write, Write::Delete);
        let expires_at = until(*write).map(Duration::from_millis);
        Append { expires_at, ..change(&topic, &key, is_put.then_some(&text)) }
    };
    let appends = changes.iter().enumerate().map(append);
    let batch: Vec<_> = std::iter::once(event.clone()).chain(appends).collect();
    let due: Vec<_> = changes.iter().map(|(_, _, write)| until(*write)).collect();
    let appended = rig.append(batch.clone()).expect("the batch is appended");
    note(model, appended[0], event.event);
    let results = batch[1..].iter().zip(&appended[1..]).zip(due);
    for ((topic, key, write), ((append, appended), due)) in changes.iter().zip(results) {
        let (name, is_put) = (named(*topic, *key), !matches!(write, Write::Delete));
        if let Some(end) = model.ended.get(STATES[*topic]) {
            assert_eq!(*appended, Appended::refused(*end));
            continue;
        }
        let before = model.values.get(&name).cloned();
        if !is_put && before.as_ref().is_none_or(|(_, text)| text.is_none()) {
            let gone = before.map_or(model.tail, |(offset, _)| offset);
            assert_eq!(*appended, Appended::again(gone));
            continue;
        }
        assert!(appended.offset > model.tail && !appended.duplicate);
        model.tail = appended.offset;
        model.due.remove(&name);
        model.due.extend(due.map(|due| (name.clone(), due)));
        model.values.insert(name, (appended.offset, is_put.then(|| text(&append.event))));
    }
}

fn renew(rig: &Rig, model: &mut Model, (topic, key): (usize, usize), ttl_ms: u64) {
    let (name, due) = (named(topic, key), model.uptime_ms + ttl_ms);
    let deletion = change(&name.0, &name.1, None).event;
    let appended = rig.append_one(Append::renewal(deletion, Duration::from_millis(due)));
    if let Some(end) = model.ended.get(STATES[topic]) {
        assert_eq!(appended, Appended::refused(*end));
        return;
    }
    match model.values.get(&name) {
        Some((offset, Some(_))) => {
            assert_eq!(appended, Appended::new(*offset));
            model.due.insert(name, due);
        }
        Some((gone, None)) => assert_eq!(appended, Appended::again(*gone)),
        None => assert_eq!(appended, Appended::again(model.tail)),
    }
}

fn pass(rig: &Rig, model: &mut Model, passed_ms: u64) {
    model.uptime_ms += passed_ms;
    let Model { due, ended, uptime_ms, .. } = &*model;
    // Those of topics that have ended stay.
    let rests = |name: &(String, String)| ended.contains_key(name.0.as_str());
    let (over, later): (Vec<_>, Vec<_>) = due.iter().partition(|(_, due)| **due <= *uptime_ms);
    let next = later.iter().map(|(_, due)| **due).min();
    let over = over.into_iter().filter(|(name, _)| !rests(name));
    let over = over.map(|(name, due)| (*due, model.values[name].0, name.clone()));
    let mut expected: Vec<(u64, Offset, _)> = over.collect();
    expected.sort();
    for (_, _, name) in &expected {
        model.due.remove(name);
    }
    assert_eq!(expire(rig, model.uptime_ms), next);
    let mut gone: Vec<_> = values_after(rig, model.tail).into_iter().collect();
    gone.sort_by_key(|(_, (offset, _))| *offset);
    let names = expected.iter().map(|(_, _, name)| name);
    assert!(names.eq(gone.iter().map(|(name, _)| name)), "{expected:?} {gone:?}");
    for (name, value) in gone {
        assert_eq!(value.1, None);
        model.tail = value.0;
        model.values.insert(name, value);
    }
}

fn produce(rig: &Rig, model: &mut Model, events: &[(usize, usize, i64, i64)]) {
    let (mut batch, mut expected) = (Vec::new(), Vec::new());
    let mut ahead = model.produced.clone();
    for (topic, producer, epoch_step, step) in events {
        let state = topic.checked_sub(TOPICS.len()).map(|state| STATES[state]);
        let topic = state.unwrap_or_else(|| TOPICS[*topic]);
        // A stream and a state topic of one name are one topic to a producer.
        let known = ahead.get(&(topic, *producer)).copied();
        let (epoch, next) = known.unwrap_or_default();
        let epoch_asked = epoch.saturating_add_signed(*epoch_step);
        let sequence =
            if epoch_asked > epoch && *step < 1 { 0 } else { next.saturating_add_signed(*step) };
        let has_ended = model.ended.contains_key(topic);
        let verdict = match (known, epoch_asked, sequence) {
            (None, _, 0) => None,
            (None, _, received) => Some(Fenced::Gap { expected: 0, received }),
            (Some((epoch, _)), asked, _) if asked < epoch => Some(Fenced::Zombie { epoch }),
            (Some((epoch, _)), asked, 0) if asked > epoch => None,
            (Some((epoch, _)), asked, _) if asked > epoch => Some(Fenced::Beginning),
            (Some((_, next)), _, asked) if asked < next => {
                Some(Fenced::Known { epoch: epoch_asked, sequence: next - 1 })
            }
            (Some((_, next)), _, received) if received > next => {
                Some(Fenced::Gap { expected: next, received })
            }
            _ => None,
        };
        if verdict.is_none() && !has_ended {
            ahead.insert((topic, *producer), (epoch_asked, sequence + 1));
        }
        model.time_ms += 1;
        let text = format!("{epoch_asked}-{sequence}");
        let append = match state {
            Some(topic) => change(topic, "key", Some(&text)),
            None => timed(topic, &text, model.time_ms),
        };
        let name = if *producer == 0 { "p" } else { "q" };
        batch.push(fenced(append, (name, epoch_asked, sequence)));
        expected.push((verdict, has_ended));
    }
    let appended = rig.append(batch.clone()).expect("the batch is appended");
    for ((appended, append), (verdict, has_ended)) in appended.into_iter().zip(batch).zip(expected)
    {
        assert_eq!(appended.fenced, verdict, "{append:?}");
        if verdict.is_some() {
            continue;
        }
        assert_eq!(appended.has_ended, has_ended);
        if append.keep == Keep::Every || has_ended {
            note(model, appended, append.event);
            continue;
        }
        assert!(appended.offset > model.tail && !appended.duplicate);
        model.tail = appended.offset;
        let named = (append.event.topic.to_string(), "key".to_owned());
        model.values.insert(named, (appended.offset, Some(text(&append.event))));
    }
    model.produced = ahead;
}

fn append(rig: &Rig, model: &mut Model, events: &[(usize, i64)]) {
    let batch = model.batch(events);
    let appended = rig.append(batch.clone()).expect("the batch is appended");
    for (appended, append) in appended.into_iter().zip(batch) {
        note(model, appended, append.event);
    }
}

/// An event was appended, unless its topic has ended.
fn note(model: &mut Model, appended: Appended, event: Event) {
    let end = model.ended.get(event.topic.as_str());
    assert_eq!(appended.has_ended, end.is_some());
    match end {
        Some(end) => assert_eq!(appended.offset, *end),
        None => model.add(appended.offset, event),
    }
}

fn turn(rig: &Rig, model: &mut Model, topic: &'static str, closure: Closure) {
    let append = closing(topic, closure, model.time_ms);
    let appended = rig.append_one(append.clone());
    let adds = model.ended.contains_key(topic) == (closure == Closure::Reopened);
    assert_eq!((appended.duplicate, appended.has_ended), (!adds, false));
    if !adds {
        return;
    }
    model.add(appended.offset, append.event);
    match closure {
        Closure::End => drop(model.ended.insert(topic, appended.offset)),
        Closure::Reopened => drop(model.ended.remove(topic)),
    }
}
