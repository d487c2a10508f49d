//! The end: nothing goes wrong any more, and all of it comes to rest. Then it is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_cluster::{ClusterJournal, Standing};
use bellwire_journal::{Append, Appended, Error, Journal as _, ReadLimit, Record};
use bellwire_model::{Epoch, Event, Filter, FilterSet, Offset};

use super::{Stage, World};
use crate::clients::{TIMED, body, event};
use crate::disk::RETAINED_PREFIX;
use crate::machine::Process;
use crate::publishers::Publisher;
use crate::truth::Breach;

/// How long it takes at most until everybody is answered, and a lease is held.
const ANSWERED_MAX: Duration = Duration::from_mins(3);

/// How long a node stays out before somebody reads why.
const HELPED_AFTER: Duration = Duration::from_secs(90);

/// What one says that cannot go on with its data.
const ASKS: &str = "as a new node with an empty directory";

/// How long it takes at most until all have the same.
const AGREED_MAX: Duration = Duration::from_mins(1);

/// How long it is waited between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// How long values stay at most that go by themselves, however far clocks are apart.
const TIMED_MAX: Duration = Duration::from_mins(3);

/// So many are published once more, with their keys.
const AGAIN_MAX: usize = 12;

/// What an append is answered.
type Answered = Arc<Mutex<Option<Result<Vec<Appended>, Error>>>>;

/// What a node has.
#[derive(Debug, PartialEq)]
struct Held {
    events: Vec<(Offset, Option<String>)>,
    values: BTreeMap<(String, String), (Offset, Option<String>)>,
    records: Vec<Record>,
}

/// Ends trouble, waits until all comes to rest, and looks at it.
pub(crate) fn settle(world: &mut World<'_>) -> Result<(), Breach> {
    world.heal();
    let is_answered = |world: &World<'_>| {
        let waits = world.publishers.iter().any(Publisher::is_waiting);
        let writes = |machine: &crate::machine::Machine| {
            machine.process().is_some_and(|process| process.serves() && process.keeper.writes())
        };
        !waits && world.all_serve() && world.machines.iter().any(writes)
    };
    if world.plan.kind.is_lossy() {
        world.do_as_told(is_answered)?;
    }
    world.wait("everybody is answered", ANSWERED_MAX, is_answered)?;
    world.stage = Stage::Quiet;
    world.wait("all have the same", AGREED_MAX, World::agrees)?;
    let again = world.publish_again();
    let has_gone = |world: &World<'_>| world.agrees() && world.journals().all(|it| timed(it) == 0);
    world.wait("values have gone whose time is over", TIMED_MAX, has_gone)?;
    (0..world.machines.len()).for_each(|index| world.retain(index));
    world.look(again)
}

impl World<'_> {
    fn journals(&self) -> impl Iterator<Item = &Arc<ClusterJournal>> {
        self.machines.iter().filter_map(|machine| Some(machine.process()?.node.journal()))
    }

    fn all_serve(&self) -> bool {
        self.machines.iter().all(|machine| machine.process().is_some_and(Process::serves))
    }

    /// Whether nobody has anything to do, and nodes are at one place.
    fn agrees(&self) -> bool {
        let places: Vec<(Epoch, Offset)> =
            self.journals().map(|journal| (journal.epoch(), journal.bounds().tail)).collect();
        let Some(first) = places.first() else { return false };
        self.all_serve()
            && places.len() == self.machines.len()
            && places.iter().all(|place| place == first)
            && self.journals().all(|journal| journal.is_idle())
            && self
                .followers
                .iter()
                .all(|follower| follower.cursor().is_some_and(|it| (it.epoch, it.offset) == *first))
    }

    /// Somebody does what nodes ask for that stay out, since others live with less than they have and the engine
    /// has gone back: they begin with empty disks.
    fn do_as_told(&mut self, is_answered: impl Fn(&Self) -> bool) -> Result<(), Breach> {
        let until = self.now() + HELPED_AFTER;
        while !is_answered(self) && self.now() < until {
            self.run_until(self.now() + LOOK)?;
        }
        let asks = |machine: &crate::machine::Machine| {
            let standing = machine.process().map(|process| process.node.journal().standing());
            matches!(standing, Some(Standing::Unfit { why }) if why.contains(ASKS))
        };
        for index in 0..self.machines.len() {
            if asks(&self.machines[index]) {
                self.figures.emptied += 1;
                let until = self.now() + LOOK;
                self.kill(index, |machine| machine.lose_disk(until));
            }
        }
        Ok(())
    }

    fn wait(
        &mut self,
        what: &str,
        most: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<(), Breach> {
        let until = self.now() + most;
        while !is_so(self) {
            if self.now() >= until {
                let standings: Vec<String> = self.machines.iter().map(described).collect();
                let what = format!("it does not come to where {what}: {}", standings.join("; "));
                return Err(Breach { what });
            }
            self.run_until(self.now() + LOOK)?;
        }
        Ok(())
    }

    /// What was published with keys before, once more and anywhere.
    fn publish_again(&mut self) -> Vec<(String, Answered)> {
        let mut texts: Vec<String> =
            self.publishers.iter().flat_map(|publisher| publisher.keyed.clone()).collect();
        self.chance.shuffle(&mut texts);
        texts.truncate(AGAIN_MAX);
        let mut again = Vec::new();
        for text in texts {
            let machine = &self.machines[self.chance.usize(..self.machines.len())];
            let Some(process) = machine.process() else { continue };
            let client = text.split(' ').nth(1).unwrap_or_default();
            let topic = format!("keyed/{client}");
            let event = event((&topic, None), &text, machine.clock.now_reading().wall);
            let answered = Answered::default();
            let answer = Arc::clone(&answered);
            let reply = Box::new(move |result| {
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            });
            let append = Append::new(event, Some(text.clone().into()));
            if process.node.journal().append(vec![append], reply).is_ok() {
                again.push((text, answered));
            }
        }
        again
    }

    /// Whether all is as it was promised.
    fn look(&mut self, again: Vec<(String, Answered)>) -> Result<(), Breach> {
        let Some(epoch) = self.journals().map(|journal| journal.epoch()).next() else {
            return Err(Breach { what: "there is no node".into() });
        };
        let mut truth = self.truth.lock();
        truth.settle(epoch);
        self.figures.lost = truth.lost(epoch);
        self.followers.iter().for_each(|follower| follower.check(epoch, &mut truth));
        let held: Vec<Held> = self.journals().map(|journal| held(journal)).collect();
        for (index, other) in held.iter().enumerate().skip(1) {
            if *other != held[0] {
                let what = difference(&held[0], other);
                truth.fail(format!("node {index} has something else than node 0: {what}"));
            }
        }
        if let Some(what) = held.first().and_then(|held| missing(held, truth.events(epoch))) {
            truth.fail(what);
        }
        let places: BTreeMap<String, Offset> =
            truth.acknowledged_in(epoch).map(|(text, offset)| (text.to_owned(), offset)).collect();
        for (text, answered) in again {
            let answered = answered.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(place) = places.get(&text) else { continue };
            let is_right = matches!(&answered, Some(Ok(all)) if matches!(&all[..], [one] if
                one.duplicate && one.offset == *place));
            if !is_right {
                truth.fail(format!("`{text}`, which is at {place}, once more: {answered:?}"));
            }
        }
        truth.breach().map_or(Ok(()), Err)
    }
}

fn described(machine: &crate::machine::Machine) -> String {
    let of = machine.process().map(|process| {
        let journal = process.node.journal();
        format!(
            "{:?}, ready {:?}, idle {}, epoch {}, tail {}, writes {}",
            journal.standing(),
            process.is_ready,
            journal.is_idle(),
            journal.epoch(),
            journal.bounds().tail,
            process.keeper.writes(),
        )
    });
    format!("node {}: {}", machine.index, of.unwrap_or_else(|| "down".into()))
}

fn everything() -> FilterSet {
    let all: Filter = "**".parse().expect("it is a filter");
    FilterSet::new([all]).expect("it is one")
}

/// Values that go by themselves.
fn timed(journal: &ClusterJournal) -> usize {
    held(journal).values.iter().filter(|((topic, _), _)| topic == TIMED).count()
}

fn held(journal: &ClusterJournal) -> Held {
    let (mut events, mut after) = (Vec::new(), Offset::ZERO);
    while let Ok(page) = journal.read(after, &everything(), ReadLimit::PAGE)
        && !page.entries.is_empty()
    {
        events.extend(page.entries.iter().map(|entry| (entry.offset, body(&entry.event))));
        after = page.end;
    }
    let (mut values, mut after) = (BTreeMap::new(), Offset::ZERO);
    while let Ok(page) = journal.state(after, ReadLimit::PAGE)
        && !page.entries.is_empty()
    {
        for entry in &page.entries {
            let key = entry.event.key.as_deref().unwrap_or_default().to_owned();
            let place = (entry.event.topic.as_str().to_owned(), key);
            values.insert(place, (entry.offset, body(&entry.event)));
        }
        after = page.end;
    }
    values.retain(|_, (_, value)| value.is_some());
    let records = journal.records("").unwrap_or_default();
    Held { events, values, records }
}

/// What some node has told of the epoch, and none has in the end though it is to be kept.
fn missing<'a>(held: &Held, told: impl Iterator<Item = (Offset, &'a Event)>) -> Option<String> {
    let kept: BTreeSet<Offset> = held.events.iter().map(|(offset, _)| *offset).collect();
    let mut newest = BTreeMap::new();
    for (offset, event) in told {
        if let Some(key) = &event.key {
            newest.insert((event.topic.as_str(), &**key), (offset, body(event)));
        } else if !kept.contains(&offset) && !event.topic.as_str().starts_with(RETAINED_PREFIX) {
            return Some(format!("{:?} was at {offset}, and is not any more", body(event)));
        }
    }
    newest.retain(|_, (_, value)| value.is_some());
    let values = held.values.iter().map(|((topic, key), value)| ((&**topic, &**key), value));
    let is_same = values.eq(newest.iter().map(|(place, value)| (*place, value)));
    (!is_same).then(|| format!("values are {:?}, and were to be {newest:?}", held.values))
}

fn difference(one: &Held, other: &Held) -> String {
    let event = one.events.iter().zip(&other.events).find(|(one, other)| one != other);
    let value = one.values.iter().find(|(key, value)| other.values.get(*key) != Some(*value));
    format!(
        "{} and {} events, first {event:?}; {} and {} values, first {value:?}; records alike: {}",
        one.events.len(),
        other.events.len(),
        one.values.len(),
        other.values.len(),
        one.records == other.records
    )
}
