//! State topics of the process: the table, and the way of its changes to the hubs.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellwire_hub::{
    Change, ChangeError, Look, PastCopy, PastPageLimits, PastPlace, Point, Reserved, Start,
    StateError, StateFigures, StateLimits, StateTable, Value,
};
use bellwire_journal::Journal;
use bellwire_model::limits::{PAST_PAGE_BYTES_MAX, STATE_LOOKS_MAX, STATE_READ_BYTES_MAX};
use bellwire_model::{
    Condition, Cursor, Entry, Epoch, Event, Filter, FilterSet, KeyVersion, Labels, Life,
    NameHasher, Offset, Progress, Timestamp, Topic, limits,
};
use bellwire_process::clock::{self, Ticker};
use bellwire_wire::json;
use bellwire_wire::problem::Problem;
use tokio::sync::Notify;

use crate::ends;
use crate::feed::{Batch, Feed};
use crate::frames::{Frames, Stamp};
use crate::pasts::PastRules;
use crate::state_write::StateWrite;

mod beginning;
mod durable_expiry;
mod expiry;
mod filling;
mod settling;

pub(crate) use beginning::KeysBeginning;
pub(crate) use expiry::ROOM_PAUSE;
pub use filling::TableFill;

use durable_expiry::DurableExpiry;

/// Values that are shared of which it is looked, for each that is put, whether anybody has them still,
/// and what they are encoded to: some of them every time, so that all are before there are a fourth
/// more.
const SETTLED_PER_CHANGE: usize = 4;
/// Values that are read before others get their turn at the table.
const READ_AT_ONCE: usize = 16 * STATE_LOOKS_MAX;

/// The state table and whom to tell of its changes.
#[derive(Debug)]
pub struct States {
    epoch: Epoch,
    table: Arc<Mutex<StateTable<Frames>>>,
    feed: Arc<Feed>,
    /// Bytes that all topics but those of alerts may hold.
    bytes_max: usize,
    /// What is remembered of series.
    pasts: PastRules,
    /// What keys go by that have a time to live.
    ticker: Ticker,
    /// The first of them goes sooner than before.
    sooner: Notify,
    /// The same of those that are on the disk.
    durable_expiry: DurableExpiry,
}

/// The table alone, for hubs that start new lanes.
pub type SharedTable = Arc<Mutex<StateTable<Frames>>>;

pub fn new_table(life: Life, name_hasher: NameHasher) -> SharedTable {
    Arc::new(Mutex::new(StateTable::new(life, name_hasher)))
}

/// Takes in a change that the journal has. All hubs are given, or will be with it, what there is of
/// streams up to `offset`.
fn take_durable(
    table: &mut StateTable<Frames>,
    epoch: Epoch,
    (entry, offset): (Entry, Offset),
) -> Arc<Value<Frames>> {
    let Entry { offset: own, event, .. } = entry;
    let (topic, key) = (event.topic.clone(), event.key.clone().unwrap_or_default());
    let (is_deletion, size_bytes) = (event.body.is_none(), payload_bytes(&event));
    let (life, version) = (table.life(), table.version().next());
    let stamp = Stamp { life, offset, version, durable: own };
    let frames = Frames::new(epoch, None, event).stamped(Some(stamp)).on_disk();
    if is_deletion {
        table.delete_durable((&topic, &key), (frames, size_bytes), own)
    } else {
        table.put_durable((&topic, &key), (frames, size_bytes), own)
    }
}

/// What an event is charged with beside its topic and key.
fn payload_bytes(event: &Event) -> usize {
    let key = event.key.as_ref().map_or(0, |key| key.len());
    event.size_bytes() - event.topic.as_str().len() - key
}

/// Bytes that state topics may hold in a process with this budget of memory.
pub fn state_bytes_max(memory_bytes: u64) -> usize {
    let share = memory_bytes / 100 * limits::STATE_SHARE_PERCENT;
    usize::try_from(share).unwrap_or(usize::MAX).min(limits::STATE_BYTES_MAX)
}

impl States {
    pub fn new(
        epoch: Epoch,
        (table, bytes_max): (SharedTable, usize),
        feed: Arc<Feed>,
        pasts: PastRules,
    ) -> Self {
        table.lock().expect("not poisoned").set_shared_bytes_max(bytes_max);
        let (ticker, sooner) = (Ticker::start(), Notify::new());
        let durable_expiry = DurableExpiry::default();
        Self { epoch, table, feed, bytes_max, pasts, ticker, sooner, durable_expiry }
    }

    /// What there may be for a key of a topic to be put. Alerts always have room, and however many
    /// series there are, they leave some for what users publish.
    fn room(topic: &Topic, bytes_max: usize) -> StateLimits {
        let keys_max = limits::STATE_KEYS_MAX - limits::STATE_KEYS_RESERVED;
        match topic.segments().next() {
            Some("alerts") => StateLimits {
                keys_max: limits::STATE_KEYS_MAX,
                bytes_max: bytes_max.saturating_add(limits::STATE_BYTES_RESERVED),
            },
            Some("samples" | "rules" | Topic::QUERIES | Topic::PRESENCE) => {
                let part = |of_all: usize| of_all / 100 * limits::STATE_SERIES_PERCENT;
                StateLimits { keys_max: part(keys_max), bytes_max: part(bytes_max) }
            }
            _ => StateLimits { keys_max, bytes_max },
        }
    }

    /// Waits until the hubs have room.
    pub fn wait_for_room(&self) {
        self.feed.wait_for_room();
    }

    /// [`apply_now`](Self::apply_now), once the hubs have room. Blocks until then.
    pub fn apply(&self, events: Vec<Event>) -> Vec<Result<(), StateError>> {
        self.feed.wait_for_room();
        self.apply_now(events)
    }

    /// Puts each event's body under its topic and key, or deletes the key where it has no body;
    /// tells all hubs at once. What one call changes, subscribers see together. One result each.
    ///
    /// Never blocks: threads that must not wait for a shard look at [`has_room`](Self::has_room)
    /// first, so that inboxes go over their bound by no more than the number of such threads.
    pub fn apply_now(&self, events: Vec<Event>) -> Vec<Result<(), StateError>> {
        self.apply_measured(events.into_iter().map(|event| (event, None)).collect())
    }

    /// [`apply_now`](Self::apply_now) of events with the numbers that they tell of, where those are to
    /// be remembered.
    pub fn apply_measured(&self, events: Vec<(Event, Option<f64>)>) -> Vec<Result<(), StateError>> {
        if events.is_empty() {
            return Vec::new();
        }
        let mut memory = self.pasts.memory(clock::now());
        let mut changing = self.change();
        let make = |(event, number): (Event, Option<f64>)| {
            let point = number.map(|value| Point { time_ms: event.time.as_ms(), value });
            let of = point.and_then(|point| Some((event.topic.clone(), event.key.clone()?, point)));
            changing.make(event)?;
            if let Some((topic, key, point)) = of {
                memory.take(&mut changing.table, (&topic, &key), point);
            }
            Ok(())
        };
        let results = events.into_iter().map(make).collect();
        changing.tell();
        results
    }

    /// The same of what clients write: each where the key is as it has to be. One result each: the
    /// version that the key has now.
    pub(crate) fn write_now(
        &self,
        journal: &dyn Journal,
        writes: Vec<StateWrite>,
    ) -> Vec<Result<KeyVersion, Problem>> {
        if writes.is_empty() {
            return Vec::new();
        }
        let mut changing = self.change();
        let write = |write: StateWrite| {
            ends::check_open(journal, &write.event.topic)?;
            changing.write(write)
        };
        let results = writes.into_iter().map(write).collect();
        changing.tell();
        results
    }

    /// The same of what is to be written as a whole: where something of it cannot be, nothing is, and
    /// the error says which that is.
    pub(crate) fn write_all_now(
        &self,
        journal: &dyn Journal,
        writes: Vec<StateWrite>,
    ) -> Result<Vec<KeyVersion>, (usize, Problem)> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut changing = self.change();
        for (index, write) in writes.iter().enumerate() {
            ends::check_open(journal, &write.event.topic).map_err(|error| (index, error))?;
        }
        let change = |write| Self::asked(write, self.bytes_max);
        let changes: Vec<Change<'_>> = writes.iter().map(change).collect();
        let checked = changing.table.check_all(&changes);
        checked.map_err(|(index, error)| (index, writes[index].refusal(error)))?;
        let made = |StateWrite { event, terms }: StateWrite| {
            let version = changing.make(event).expect(CHECKED).expect(CHECKED);
            changing.limit(terms.ttl);
            version
        };
        let versions = writes.into_iter().map(made).collect();
        changing.tell();
        Ok(versions)
    }

    fn asked(write: &StateWrite, bytes_max: usize) -> Change<'_> {
        let (StateWrite { event, terms }, (topic, key)) = (write, write.name());
        let size_bytes = event.body.as_ref().map(|_| payload_bytes(event));
        let (condition, room) = (terms.condition, Self::room(topic, bytes_max));
        Change { topic, key, condition, size_bytes, expires: terms.ttl.is_some(), room }
    }

    fn change(&self) -> Changing<'_> {
        let table = self.table.lock().expect("not poisoned");
        Changing { states: self, offset: self.feed.offset(), table, changes: Vec::new() }
    }

    /// Deletes the values of samples that are older than `before`: their series are gone. Others
    /// get their turn at the table in between.
    pub fn expire_samples(&self, before: Timestamp) {
        let is_old = |look: &Look<'_, Frames>| {
            look.topic.segments().next() == Some("samples")
                && Frames::time_of(&look.payload) < before
        };
        let deletion = |look: Look<'_, Frames>| Event {
            topic: look.topic.clone(),
            key: Some(look.key.into()),
            event_type: None,
            time: before,
            body: None,
        };
        let mut place = Some(0);
        while let Some(from) = place {
            let table = self.table.lock().expect("not poisoned");
            let (looks, next) = table.look_at(from, STATE_LOOKS_MAX);
            let deletions: Vec<Event> = looks.filter(is_old).map(deletion).collect();
            drop(table);
            place = next;
            // Waits until the hubs have room, piece by piece: very many may expire at once.
            self.apply(deletions);
        }
    }

    /// Takes in changes that the journal has made durable, in its order, and tells all hubs. Whoever
    /// calls has waited for room, and no other does.
    pub(crate) fn take_durable(&self, entries: Vec<Entry>) {
        let Some(newest) = entries.last().map(|entry| entry.offset) else { return };
        let mut table = self.table.lock().expect("not poisoned");
        let take = |entry| take_durable(&mut table, self.epoch, (entry, newest));
        let changes: Vec<Arc<Value<Frames>>> = entries.into_iter().map(take).collect();
        table.make_room(self.bytes_max);
        table.settle(changes.len() * SETTLED_PER_CHANGE, Frames::encoded_bytes);
        // Still under the lock, as for all changes.
        self.feed.push(&Batch::Values(changes.into()));
    }

    /// Tells all hubs of entries of which one says that a state topic ends: behind every value of it.
    pub(crate) fn push_behind_values(&self, entries: &Batch) {
        // Whoever changes the table has it until all hubs are told.
        let _changed = self.table.lock().expect("not poisoned");
        self.feed.push(entries);
    }

    /// Whether somebody who comes back has what there is of these state topics, as far as its cursor
    /// tells: one that says nothing of them was given out behind their values.
    pub(crate) fn has_all(&self, epoch: Epoch, filters: &FilterSet, start: Start) -> bool {
        let Start::After(Cursor { state: Some(mark), epoch: of, .. }) = start else { return true };
        let table = self.table.lock().expect("not poisoned");
        let upto = mark.durable.filter(|_| of == epoch).map(|(upto, _)| upto);
        let is_there = |newest: Progress| {
            (mark.life == table.life() && newest.version <= mark.version)
                || upto.is_some_and(|upto| newest.durable <= upto)
        };
        let newest = |topic: Topic| table.newest_of(&topic);
        filters.iter().filter_map(Filter::topic).filter_map(newest).all(is_there)
    }

    /// Sets room aside for what the journal is to be given, until it has taken that.
    pub(crate) fn reserve_room<'a>(
        &self,
        events: impl Iterator<Item = &'a Event>,
    ) -> Result<SetAside, ChangeError> {
        let change = |event: &'a Event| Change {
            topic: &event.topic,
            key: event.key.as_deref().unwrap_or_default(),
            condition: Condition::Always,
            size_bytes: Some(payload_bytes(event)),
            expires: false,
            room: Self::room(&event.topic, self.bytes_max),
        };
        // What is deleted besides makes room, and is not counted on.
        let puts = events.filter(|event| event.body.is_some());
        let changes: Vec<Change<'_>> = puts.map(change).collect();
        let mut held = SetAside { table: Arc::clone(&self.table), reserved: Reserved::default() };
        if !changes.is_empty() {
            let mut table = self.table.lock().expect("not poisoned");
            held.reserved = table.reserve(&changes).map_err(|(_, error)| error)?;
        }
        Ok(held)
    }

    /// Whether what an event puts under its key is there already.
    pub fn shows(&self, event: &Event) -> bool {
        let table = self.table.lock().expect("not poisoned");
        let value = table.get(&event.topic, event.key.as_deref().unwrap_or_default());
        value.is_some_and(|value| {
            let Event { event_type, time, body, .. } = value.payload.event();
            (event_type, time, body) == (&event.event_type, &event.time, &event.body)
        })
    }

    /// Waits until the hubs have room, and blocks nobody.
    pub async fn until_room(&self) {
        while !self.has_room() {
            tokio::time::sleep(ROOM_PAUSE).await;
        }
    }

    /// Whether the hubs take another change without a wait.
    pub fn has_room(&self) -> bool {
        self.feed.has_room()
    }

    /// Hands on the current values that match, oldest change first, until it is told to stop. Returns
    /// how many there are. Of very many some are read at a time, so that others get their turn at the
    /// table; a key that changes meanwhile comes as it is then, one that goes not at all.
    pub fn read(
        &self,
        filters: &FilterSet,
        mut take: impl FnMut(Arc<Value<Frames>>) -> ControlFlow<()>,
    ) -> usize {
        let table = self.table.lock().expect("not poisoned");
        let places = table.places(filters);
        let (mut free, mut left) = (Some(table), &*places);
        while !left.is_empty() {
            let table = free.take();
            let table = table.unwrap_or_else(|| self.table.lock().expect("not poisoned"));
            let some = &left[..left.len().min(READ_AT_ONCE)];
            let (values, looked) = table.values_at(some, filters, STATE_READ_BYTES_MAX);
            drop(table);
            if values.into_iter().try_for_each(&mut take).is_break() {
                break;
            }
            left = &left[looked..];
        }
        places.len()
    }

    /// The pasts of values.
    pub fn pasts(&self, values: &[Arc<Value<Frames>>]) -> Vec<Option<PastCopy>> {
        let table = self.table.lock().expect("not poisoned");
        values.iter().map(|value| table.past(&value.topic, &value.key)).collect()
    }

    /// The past of one.
    pub fn past(&self, topic: &Topic, key: &str) -> Option<PastCopy> {
        self.table.lock().expect("not poisoned").past(topic, key)
    }

    /// How far back series on a topic are remembered; zero where they are not.
    pub fn past_window(&self, topic: &Topic) -> Duration {
        if self.pasts.bytes_max() == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.pasts.limits(topic).window_ms.into())
    }

    /// The pasts of all series on topics that match, with their labels; nothing where there are more
    /// than so many. Others get their turn at the table in between.
    pub fn series_pasts(
        &self,
        filters: &FilterSet,
        series_max: usize,
    ) -> Option<Vec<(Labels, PastCopy)>> {
        let mut all = Vec::new();
        let mut place = Some(PastPlace::default());
        while let Some(from) = place {
            let limits = PastPageLimits {
                bytes_max: PAST_PAGE_BYTES_MAX,
                points_max: usize::MAX,
                looks_max: STATE_LOOKS_MAX,
            };
            let page = self.table.lock().expect("not poisoned").past_page(filters, from, limits);
            place = page.next;
            if all.len() + page.series.len() > series_max {
                return None;
            }
            let labels = |value: &Value<Frames>| {
                json::labels_of_series(value.payload.event().body.as_ref()?.bytes())
            };
            let pasts = page.series.into_iter();
            all.extend(pasts.filter_map(|(value, past, _)| Some((labels(&value)?, past))));
        }
        Some(all)
    }

    /// Puts points before what is remembered of keys of a topic, as far as there is room and they are
    /// still wanted; one after the other, so that others get their turn at the table in between.
    ///
    /// They are not wanted any more before they are [forgotten](Self::forget_pasts): it is asked while
    /// nobody else has the table, so that none is put behind that.
    pub fn remember_before(
        &self,
        topic: &Topic,
        pasts: &[(String, Vec<Point>)],
        is_wanted: impl Fn() -> bool,
    ) {
        let limits = (self.pasts.limits(topic), self.pasts.bytes_max());
        for (key, points) in pasts {
            let mut table = self.table.lock().expect("not poisoned");
            if !is_wanted() || !table.remember_before((topic, key), points, limits) {
                return;
            }
        }
    }

    /// Forgets the past of all on a topic.
    pub fn forget_pasts(&self, topic: &Topic) {
        self.table.lock().expect("not poisoned").forget_pasts(topic);
    }

    /// The number of series whose past is remembered, and the bytes that these take.
    pub fn remembered(&self) -> (usize, usize) {
        self.table.lock().expect("not poisoned").pasts()
    }

    /// Whether `key` exists.
    pub fn contains(&self, topic: &Topic, key: &str) -> bool {
        self.table.lock().expect("not poisoned").look(topic, key).is_some()
    }

    /// When the current value of `key` was measured or published.
    pub fn time(&self, topic: &Topic, key: &str) -> Option<Timestamp> {
        let table = self.table.lock().expect("not poisoned");
        table.look(topic, key).map(|kept| Frames::time_of(&kept))
    }

    /// Up to `limit` state topics that have keys, sorted by name: those that begin with `prefix`, come
    /// after `after` and are wanted.
    pub fn topics(
        &self,
        (prefix, after): (&str, &str),
        limit: usize,
        is_wanted: impl Fn(&Topic) -> bool,
    ) -> Vec<(Topic, StateFigures)> {
        let table = self.table.lock().expect("not poisoned");
        let topics = table.topics(prefix, after).filter(|(topic, _)| is_wanted(topic));
        topics.take(limit).map(|(topic, figures)| (topic.clone(), figures)).collect()
    }

    /// Bytes that all state topics are charged with.
    pub fn size_bytes(&self) -> usize {
        self.table.lock().expect("not poisoned").size_bytes()
    }

    /// The number of keys in all state topics.
    pub fn keys(&self) -> usize {
        self.table.lock().expect("not poisoned").keys()
    }
}

/// Room in the table for changes that are under way, until it is dropped. Whoever does that holds no
/// lock.
#[derive(Debug)]
pub(crate) struct SetAside {
    table: SharedTable,
    reserved: Reserved,
}

impl Drop for SetAside {
    fn drop(&mut self) {
        // What only replaces values needs none.
        if !self.reserved.is_nothing()
            && let Ok(mut table) = self.table.lock()
        {
            table.release(std::mem::take(&mut self.reserved));
        }
    }
}

const CHECKED: &str = "it was looked at whether it can be made, under the same lock";

/// The table while it is changed.
struct Changing<'a> {
    states: &'a States,
    table: MutexGuard<'a, StateTable<Frames>>,
    /// The newest event of streams that all hubs were given.
    offset: Offset,
    changes: Vec<Arc<Value<Frames>>>,
}

impl Changing<'_> {
    /// Writes what a client asks for, and says which version the key has then.
    fn write(&mut self, write: StateWrite) -> Result<KeyVersion, Problem> {
        let change = States::asked(&write, self.states.bytes_max);
        let checked = self.table.check_all(&[change]).map_err(|(_, error)| error);
        checked.map_err(|error| write.refusal(error))?;
        let made = self.make(write.event).expect(CHECKED).expect(CHECKED);
        self.limit(write.terms.ttl);
        Ok(made)
    }

    /// Has the key that was changed last go by itself after a time.
    fn limit(&mut self, ttl: Option<Duration>) {
        if let Some(ttl) = ttl {
            let value = Arc::clone(self.changes.last().expect("one was changed"));
            self.states.limit(&mut self.table, (&value.topic, &value.key), ttl);
        }
    }

    /// Puts a value, or deletes a key. `None`: it was not there.
    fn make(&mut self, event: Event) -> Result<Option<KeyVersion>, StateError> {
        let (topic, key) = (event.topic.clone(), event.key.clone().unwrap_or_default());
        let (is_deletion, size_bytes) = (event.body.is_none(), payload_bytes(&event));
        // If it changes anything, it is the next change.
        let (life, version) = (self.table.life(), self.table.version().next());
        let durable = self.table.durable();
        let stamp = Stamp { life, offset: self.offset, version, durable };
        let frames = Frames::new(self.states.epoch, None, event).stamped(Some(stamp));
        let payload = (frames, size_bytes);
        let made = if is_deletion {
            self.table.delete((&topic, &key), payload)
        } else {
            let room = States::room(&topic, self.states.bytes_max);
            Some(self.table.put((&topic, &key), payload, room)?)
        };
        let is_made = made.is_some();
        self.changes.extend(made);
        Ok(is_made.then_some(KeyVersion::Table { life, version }))
    }

    /// Tells all hubs.
    fn tell(mut self) {
        if !self.changes.is_empty() {
            let looks = self.changes.len() * SETTLED_PER_CHANGE;
            self.table.settle(looks, Frames::encoded_bytes);
            // Still under the lock: hubs must get changes in the order of their versions.
            self.states.feed.push(&Batch::Values(self.changes.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_leave_room_to_users_and_everybody_leaves_room_to_alerts() {
        let room = |topic: &str| States::room(&topic.parse().expect("a topic"), 1_000);
        let (series, users, alerts) = (room("samples/t"), room("lab/a"), room("alerts/active"));
        assert_eq!((room("rules/t"), room("query/t")), (series, series));
        assert_eq!((series.keys_max, series.bytes_max), (7_537_500, 750));
        assert_eq!((users.keys_max, users.bytes_max), (10_050_000, 1_000));
        let alerts_bytes = 1_000 + limits::STATE_BYTES_RESERVED;
        assert_eq!((alerts.keys_max, alerts.bytes_max), (10_200_000, alerts_bytes));
    }
}
