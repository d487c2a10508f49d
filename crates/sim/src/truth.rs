//! What was promised, compared with what nodes tell, answer and deliver.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_model::{Closure, Entry, Epoch, Event, Offset, Topic};

use crate::clients::{Text, body};

/// By how much a key may go early, in hundredths of its time: clocks go a little too fast.
const EARLY_PERCENT_MAX: u32 = 12;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

/// Whether the engine may lose what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Losses {
    /// It never does.
    None,
    /// It may.
    Some,
}

/// The truth as all of a world share it.
#[derive(Clone, Debug)]
pub(crate) struct SharedTruth(Arc<Mutex<Truth>>);

impl SharedTruth {
    pub(crate) fn new(losses: Losses) -> Self {
        Self(Arc::new(Mutex::new(Truth::new(losses))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Truth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was told of one epoch.
#[derive(Debug, Default)]
struct OfEpoch {
    events: BTreeMap<Offset, Event>,
    /// Where each text is.
    places: HashMap<String, Offset>,
    /// What was wrong first. Where the engine has lost something that may be so of an epoch that ends.
    wrong: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Truth {
    losses: Losses,
    epochs: BTreeMap<u32, OfEpoch>,
    /// Epochs that replicas have begun anew in.
    begun: BTreeSet<u32>,
    acknowledged: Vec<(String, Epoch, Offset)>,
    /// What was said to be there before it was.
    promised: Vec<String>,
    /// When each key goes at the earliest.
    timed: HashMap<String, Duration>,
    breach: Option<Breach>,
}

/// What one replica has told since it began.
#[derive(Debug)]
pub(crate) struct Life {
    machine: usize,
    epoch: Epoch,
    last: Offset,
    /// Of each producer its epoch, and what it has numbered last.
    producers: HashMap<usize, (u64, u64)>,
    /// The newest count, and where it is.
    count: Option<(u64, Offset)>,
    /// The newest of who holds the lease, and under which generation.
    desk: Option<(u64, u64)>,
    /// Topics that have ended.
    ended: HashSet<Topic>,
    /// All of it: it goes on with that in another epoch.
    had: Vec<(Offset, Event)>,
}

impl Life {
    pub(crate) fn new(machine: usize, epoch: Epoch, base: Offset) -> Self {
        let (producers, ended) = (HashMap::new(), HashSet::new());
        let had = Vec::new();
        Self { machine, epoch, last: base, producers, count: None, desk: None, ended, had }
    }

    pub(crate) fn machine(&self) -> usize {
        self.machine
    }

    /// The newest count, and where it is.
    pub(crate) fn count(&self) -> Option<(u64, Offset)> {
        self.count
    }

    /// What who holds the lease has numbered last.
    pub(crate) fn desk(&self) -> u64 {
        self.desk.map_or(0, |(number, _)| number)
    }

    /// Whether what it tells follows what it has told.
    fn follows(
        &mut self,
        entry: &Entry,
        text: Option<&Text>,
        losses: Losses,
    ) -> Result<(), String> {
        if entry.offset <= self.last {
            return Err(format!("{} comes behind {}", entry.offset, self.last));
        }
        self.last = entry.offset;
        self.had.push((entry.offset, entry.event.clone()));
        if self.ended.contains(&entry.event.topic) {
            return Err(format!(
                "{} has ended, and goes on at {}",
                entry.event.topic, entry.offset
            ));
        }
        if entry.event.closure() == Some(Closure::End) {
            self.ended.insert(entry.event.topic.clone());
        }
        match text {
            Some(Text::Numbered { client, epoch, sequence }) => {
                let before = self.producers.insert(*client, (*epoch, *sequence));
                let is_next = match before {
                    Some((of, last)) if of == *epoch => *sequence == last + 1,
                    Some((of, _)) => of < *epoch && *sequence == 0,
                    None => *sequence == 0,
                };
                if !is_next {
                    return Err(format!("producer {client}: {epoch}:{sequence} behind {before:?}"));
                }
            }
            Some(Text::Count { number, after, .. }) => {
                let before = self.count.replace((*number, entry.offset));
                let place = before.map(|(_, offset)| (self.epoch, offset));
                if *after != place || before.is_some_and(|(last, _)| *number != last + 1) {
                    return Err(format!(
                        "the count {number} has compared {after:?}, and follows {place:?}"
                    ));
                }
            }
            // What was decided in an epoch that is over is void.
            Some(Text::Desk { number, generation, epoch, .. }) if *epoch == self.epoch => {
                let before = self.desk.replace((*number, *generation));
                let is_next = before.is_none_or(|(last, of)| {
                    *number == last + 1 && (of <= *generation || losses == Losses::Some)
                });
                if !is_next {
                    return Err(format!(
                        "{number} of term {generation} follows {before:?}: two hold the lease"
                    ));
                }
            }
            Some(Text::Desk { .. }) => self.desk = None,
            _ => {}
        }
        Ok(())
    }
}

impl Truth {
    fn new(losses: Losses) -> Self {
        Self {
            losses,
            epochs: BTreeMap::new(),
            begun: BTreeSet::new(),
            acknowledged: Vec::new(),
            promised: Vec::new(),
            timed: HashMap::new(),
            breach: None,
        }
    }

    /// What is wrong, if something is.
    pub(crate) fn breach(&self) -> Option<Breach> {
        self.breach.clone()
    }

    /// Something is wrong.
    pub(crate) fn fail(&mut self, what: String) {
        self.breach.get_or_insert(Breach { what });
    }

    /// Something is wrong in an epoch: for good, unless the engine has lost something and the epoch ends.
    pub(crate) fn fail_in(&mut self, epoch: Epoch, what: String) {
        match self.losses {
            Losses::None => self.fail(what),
            Losses::Some => {
                self.epochs.entry(epoch.get()).or_default().wrong.get_or_insert(what);
            }
        }
    }

    /// A key goes at that time at the earliest.
    pub(crate) fn timed(&mut self, key: String, now: Duration, ttl: Duration) {
        self.timed.insert(key, now + ttl * (100 - EARLY_PERCENT_MAX) / 100);
    }

    /// A replica has told of this.
    pub(crate) fn told(&mut self, life: &mut Life, entry: Entry, now: Duration) {
        let (epoch, offset, machine) = (life.epoch, entry.offset, life.machine);
        let text = Text::of(&entry.event);
        if let Err(what) = life.follows(&entry, text.as_ref(), self.losses) {
            self.fail_in(epoch, format!("node {machine}, epoch {epoch}: {what}"));
        }
        let of_epoch = self.epochs.entry(epoch.get()).or_default();
        if let Some(before) = of_epoch.events.get(&offset) {
            if *before != entry.event {
                let what = format!(
                    "node {machine} has {:?} at {offset} of epoch {epoch}, where another has {before:?}",
                    entry.event
                );
                self.fail_in(epoch, what);
            }
            return;
        }
        if let (None, Some(key)) = (&entry.event.body, &entry.event.key)
            && let Some(earliest) = self.timed.get(&**key).filter(|earliest| now < **earliest)
        {
            let what = format!("{key} has gone at {now:?}, and was to stay until {earliest:?}");
            self.fail_in(epoch, what);
        }
        let of_epoch = self.epochs.entry(epoch.get()).or_default();
        let mut wrong = None;
        if let Some(text) = body(&entry.event) {
            let before = of_epoch.places.insert(text.clone(), offset);
            wrong = before.map(|before| format!("`{text}` is twice: at {before} and {offset}"));
        }
        of_epoch.events.insert(offset, entry.event);
        if let Some(what) = wrong {
            self.fail_in(epoch, what);
        }
    }

    /// A replica has begun anew.
    pub(crate) fn begun(&mut self, epoch: Epoch) {
        self.begun.insert(epoch.get());
        if self.losses == Losses::None && self.begun.len() > 1 {
            let what = format!("the epoch was raised, and nothing was lost: {:?}", self.begun);
            self.fail(what);
        }
    }

    /// A replica goes on in another epoch with what it has told, and behind there.
    pub(crate) fn entered(&mut self, life: &mut Life, epoch: Epoch, tail: Offset) {
        self.begun(epoch);
        let of_epoch = self.epochs.entry(epoch.get()).or_default();
        let mut wrong = None;
        for (offset, event) in life.had.iter().cloned() {
            let place = body(&event).and_then(|text| of_epoch.places.insert(text, offset));
            let other = of_epoch.events.insert(offset, event.clone()).filter(|it| *it != event);
            if other.is_some() || place.is_some_and(|place| place != offset) {
                wrong.get_or_insert(format!(
                    "node {} goes on in epoch {epoch} with {event:?} at {offset}: {other:?}, {place:?}",
                    life.machine
                ));
            }
        }
        (life.epoch, life.last) = (epoch, life.last.max(tail));
        if let Some(what) = wrong {
            self.fail_in(epoch, what);
        }
    }

    /// How many epochs ended.
    pub(crate) fn raised(&self) -> u64 {
        self.begun.len().saturating_sub(1) as u64
    }

    /// A publisher was told that this is there.
    pub(crate) fn acknowledged(&mut self, text: &str, epoch: Epoch, offset: Offset) {
        let place = self.epochs.get(&epoch.get()).and_then(|it| it.places.get(text)).copied();
        if place != Some(offset) {
            let what =
                format!("`{text}` was acknowledged at {offset} of {epoch}, and is at {place:?}");
            self.fail_in(epoch, what);
        }
        self.acknowledged.push((text.to_owned(), epoch, offset));
    }

    /// A publisher was told that this is there, or will be.
    pub(crate) fn promised(&mut self, text: &str) {
        self.promised.push(text.to_owned());
    }

    /// How many were.
    pub(crate) fn acknowledged_count(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// Those of this epoch.
    pub(crate) fn acknowledged_in(&self, epoch: Epoch) -> impl Iterator<Item = (&str, Offset)> {
        let of_epoch = self.acknowledged.iter().filter(move |(_, of, _)| *of == epoch);
        of_epoch.map(|(text, _, offset)| (&**text, *offset))
    }

    /// The events of an epoch.
    pub(crate) fn events(&self, epoch: Epoch) -> impl Iterator<Item = (Offset, &Event)> {
        let events = self.epochs.get(&epoch.get()).map(|it| &it.events);
        events.into_iter().flatten().map(|(offset, event)| (*offset, event))
    }

    /// In the end all nodes are in this epoch: what was wrong in it is so for good.
    pub(crate) fn settle(&mut self, epoch: Epoch) {
        let of_epoch = self.epochs.entry(epoch.get()).or_default();
        let mut wrong = of_epoch.wrong.clone();
        if self.losses == Losses::None {
            let missing = self.promised.iter().find(|text| !of_epoch.places.contains_key(*text));
            wrong =
                wrong.or_else(|| Some(format!("`{}` was acknowledged and is nowhere", missing?)));
        }
        if let Some(what) = wrong {
            self.fail(what);
        }
    }
}
