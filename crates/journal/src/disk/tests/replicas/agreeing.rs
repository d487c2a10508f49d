//! Replicas that apply one order agree in all that they answer and have, whatever becomes of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::PRODUCER_OVERHEAD_BYTES;
use bellwire_model::{Closure, Condition, Entry, Epoch, KeyVersion, Offset, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{killed, options, replica};
use crate::contract::ending::closing;
use crate::contract::fences::{fenced, needed};
use crate::contract::records::texts;
use crate::contract::replicas::{Answers, Commit, living};
use crate::contract::state::{Values, values_after};
use crate::contract::{PLACE_OFFSETS, Rig, Seen, change, filters, keyed, rule, timed};
use crate::disk::bounds::StoreBounds;
use crate::disk::{DiskJournal, DiskOptions, Durability};
use crate::{
    Append, ClockReading, DueKey, Ended, Error, Journal, MemoryJournal, Replica, RetentionRule,
};

const STREAMS: [&str; 3] = ["a", "b", "c/d"];
/// One has the name of a stream.
const STATES: [&str; 2] = ["s", "b"];
const EPOCH: Epoch = Epoch::new(7);
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Few, so that many are forgotten.
const KEYS_MAX: usize = 5;
const PRODUCERS_BYTES: usize = 4 * (PRODUCER_OVERHEAD_BYTES + 3);

/// What a commit has.
#[derive(Clone, Debug)]
struct Step {
    /// Who makes it: the clocks are a minute apart.
    maker: usize,
    passed_ms: u64,
    /// How far it is from the one before.
    places: u64,
    batches: Vec<Vec<Item>>,
    records: Vec<(u8, Option<u8>)>,
}

#[derive(Clone, Debug)]
enum Item {
    Event {
        topic: usize,
        key: Option<u8>,
        rides: bool,
        is_needed: bool,
    },
    Produce {
        topic: usize,
        producer: u8,
        epoch: u64,
        sequence: u64,
        is_needed: bool,
    },
    Put {
        topic: usize,
        key: u8,
        ttl_ms: Option<u64>,
        when: When,
    },
    Delete {
        topic: usize,
        key: u8,
        when: When,
    },
    Renew {
        topic: usize,
        key: u8,
        ttl_ms: u64,
    },
    Turn {
        topic: usize,
        closure: Closure,
    },
    /// Something deletes what was due some time.
    Expire(usize),
}

#[derive(Clone, Debug)]
enum When {
    Always,
    Absent,
    /// It is a version that there is or was.
    At(usize),
}

/// What becomes of a replica.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// So many wait at once.
    Apply(usize),
    /// Retention comes by, where the clock says something else by so much.
    Retain(i64),
    Close,
    /// It is killed, and what comes next is so much that it has already.
    Kill(usize),
}

fn any_item() -> impl Strategy<Value = Item> {
    let when = prop_oneof![
        4 => Just(When::Always),
        1 => Just(When::Absent),
        3 => (0..1_000_usize).prop_map(When::At),
    ];
    let ttl = prop::option::of(0..5_000_u64);
    let closure = prop_oneof![Just(Closure::End), Just(Closure::Reopened), Just(Closure::Reopened)];
    prop_oneof![
        3 => (0..3_usize, prop::option::of(0..8_u8), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(topic, key, rides, is_needed)| Item::Event { topic, key, rides, is_needed }),
        3 => (0..2_usize, 0..6_u8, 0..2_u64, 0..3_u64, prop::bool::weighted(0.1)).prop_map(
            |(topic, producer, epoch, sequence, is_needed)| {
                Item::Produce { topic, producer, epoch, sequence, is_needed }
            }
        ),
        3 => (0..2_usize, 0..3_u8, ttl, when.clone())
            .prop_map(|(topic, key, ttl_ms, when)| Item::Put { topic, key, ttl_ms, when }),
        2 => (0..2_usize, 0..3_u8, when)
            .prop_map(|(topic, key, when)| Item::Delete { topic, key, when }),
        2 => (0..2_usize, 0..3_u8, 0..5_000_u64)
            .prop_map(|(topic, key, ttl_ms)| Item::Renew { topic, key, ttl_ms }),
        1 => (0..5_usize, closure).prop_map(|(topic, closure)| Item::Turn { topic, closure }),
        2 => (0..1_000_usize).prop_map(Item::Expire),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let passed = prop_oneof![
        20 => 0..3_000_u64,
        2 => (DAY_MS - 60_000)..(DAY_MS + 60_000),
        1 => Just(7 * DAY_MS),
    ];
    let batches = prop::collection::vec(prop::collection::vec(any_item(), 0..5), 0..4);
    let records = prop::collection::vec((0..3_u8, prop::option::of(any::<u8>())), 0..2);
    (0..3_usize, passed, 1..4_u64, batches, records).prop_map(
        |(maker, passed_ms, places, batches, records)| Step {
            maker,
            passed_ms,
            places,
            batches,
            records,
        },
    )
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => (1..6_usize).prop_map(Fate::Apply),
        2 => (-10 * DAY_MS as i64..10 * DAY_MS as i64).prop_map(Fate::Retain),
        1 => Just(Fate::Close),
        2 => (0..4_usize).prop_map(Fate::Kill),
    ]
}

/// What all have alike once a commit was applied.
#[derive(Debug, PartialEq)]
struct Sight {
    tail: Offset,
    /// Of keys that are there.
    values: Values,
    records: Vec<(String, String)>,
    ended: Vec<Option<Offset>>,
    due: Vec<String>,
}

impl Sight {
    fn of(replica: &dyn Replica, rig: &Rig, now: ClockReading) -> Self {
        assert_eq!(replica.epoch(), EPOCH);
        replica.health().expect("it is well");
        let mut values = values_after(rig, Offset::ZERO);
        values.retain(|_, (_, text)| text.is_some());
        let ended = STREAMS.iter().chain(&STATES).map(|topic| replica.ended(topic));
        let due = replica.due(now, 100).expect("it tells").keys;
        let mut due: Vec<_> = due.iter().map(|due| format!("{due:?}")).collect();
        due.sort();
        Self {
            tail: replica.bounds().tail,
            values,
            records: texts(replica, ""),
            ended: ended.map(|ended| ended.map(|Ended { at, .. }| at)).collect(),
            due,
        }
    }
}

/// The order, and what becomes of it.
#[derive(Default)]
struct Order {
    commits: Vec<Commit>,
    /// How much had passed at each.
    passed_ms: Vec<u64>,
    answers: Vec<String>,
    sights: Vec<Sight>,
    entries: Vec<Entry>,
}

/// What the clocks say where so much has passed, of somebody whose wall clock is so far off.
fn clocks(passed_ms: u64, ahead_ms: i64) -> ClockReading {
    let wall_ms = 1_000_000 + passed_ms.cast_signed() + ahead_ms;
    let uptime = Duration::from_millis(50_000 + passed_ms);
    ClockReading { wall: Timestamp::from_ms(wall_ms), uptime }
}

fn told((answers, applied): Answers) -> String {
    applied.expect("it is applied");
    format!("{answers:?}")
}

impl Order {
    /// Has a replica in memory say what is right.
    fn make(steps: Vec<Step>) -> Self {
        let seen = Seen::default();
        let bounds = (KEYS_MAX, PRODUCERS_BYTES);
        let oracle = Arc::new(MemoryJournal::small_replica(EPOCH, bounds, Box::new(seen.clone())));
        let journal = Arc::clone(&oracle) as Arc<dyn Journal>;
        let rig = Rig { journal, seen: seen.clone() };
        let (mut order, mut place, mut passed_ms) = (Self::default(), 0, 0);
        let mut dues: Vec<DueKey> = Vec::new();
        for step in steps {
            place += step.places;
            passed_ms += step.passed_ms;
            let made = clocks(passed_ms, (step.maker as i64 - 1) * 60_000);
            let versions: Vec<Offset> = seen.entries().iter().map(|entry| entry.offset).collect();
            let item = |item: &Item| append(item, made.wall, (&versions, &dues));
            let commit = Commit {
                base: place * PLACE_OFFSETS,
                time_ms: made.wall.as_ms(),
                batches: step
                    .batches
                    .iter()
                    .map(|batch| batch.iter().filter_map(item).collect())
                    .collect(),
                records: step
                    .records
                    .iter()
                    .map(|(key, value)| (key.to_string(), value.map(|value| value.to_string())))
                    .collect(),
            };
            let now = clocks(passed_ms, 0);
            order.answers.push(told(commit.apply(&*oracle, now).expect("queued").wait()));
            order.sights.push(Sight::of(&*oracle, &rig, now));
            dues.extend(oracle.due(now, 100).expect("it tells").keys);
            order.commits.push(commit);
            order.passed_ms.push(passed_ms);
        }
        order.entries = seen.entries();
        order
    }
}

fn append(
    item: &Item,
    time: Timestamp,
    (versions, dues): (&[Offset], &[DueKey]),
) -> Option<Append> {
    let condition = |when: &When| match when {
        When::Always => Condition::Always,
        When::Absent => Condition::Absent,
        When::At(which) => {
            let newest = versions.len().saturating_sub(6);
            let offset = versions.get(newest + which % 6).copied().unwrap_or_default();
            Condition::At(KeyVersion::Journal { epoch: EPOCH, offset })
        }
    };
    Some(match item {
        Item::Event { topic, key, rides, is_needed } => {
            let append = match key {
                Some(key) => keyed(STREAMS[*topic], &key.to_string(), time.as_ms()),
                None => timed(STREAMS[*topic], "x", time.as_ms()),
            };
            Append { rides: *rides, must_be_made: *is_needed, ..append }
        }
        Item::Produce { topic, producer, epoch, sequence, is_needed } => {
            let append = if *topic == 0 {
                timed("a", "produced", time.as_ms())
            } else {
                change("s", "0", Some("produced"))
            };
            let append = fenced(append, (&format!("p{producer}"), *epoch, *sequence));
            if *is_needed { needed(append) } else { append }
        }
        Item::Put { topic, key, ttl_ms, when } => {
            let put = change(STATES[*topic], &key.to_string(), Some("value"));
            let put = Append { condition: condition(when), ..put };
            ttl_ms.map_or_else(|| put.clone(), |ttl_ms| living(put.clone(), ttl_ms))
        }
        Item::Delete { topic, key, when } => {
            let delete = change(STATES[*topic], &key.to_string(), None);
            Append { condition: condition(when), ..delete }
        }
        Item::Renew { topic, key, ttl_ms } => {
            living(change(STATES[*topic], &key.to_string(), None), *ttl_ms)
        }
        Item::Turn { topic, closure } => {
            let topic = STREAMS.iter().chain(&STATES).nth(*topic).expect("one of them");
            closing(topic, *closure, time.as_ms())
        }
        Item::Expire(which) => {
            let newest = dues.len().saturating_sub(4);
            dues.get(newest + which % 4)?.clone().deletion(time)
        }
    })
}

/// A replica that somebody kills and starts.
struct Mortal {
    folder: TempDir,
    durability: Durability,
    retention: Vec<RetentionRule>,
    ahead_ms: i64,
    alive: (Arc<DiskJournal>, Rig),
    /// The next commit.
    next: usize,
    /// The furthest that there was: time does not go back with whoever was killed.
    furthest: usize,
}

impl Mortal {
    fn new(durability: Durability, retention: Vec<RetentionRule>, ahead_ms: i64) -> Self {
        let folder = TempDir::new().unwrap();
        let alive = replica(Self::options(&folder, durability, (&retention, clocks(0, ahead_ms))));
        Self { folder, durability, retention, ahead_ms, alive, next: 0, furthest: 0 }
    }

    fn options(
        folder: &TempDir,
        durability: Durability,
        (retention, now): (&[RetentionRule], ClockReading),
    ) -> DiskOptions {
        let bounds = StoreBounds {
            keys: KEYS_MAX,
            producers_bytes: PRODUCERS_BYTES,
            ..StoreBounds::default()
        };
        let (retention, boot_id) = (retention.to_vec(), Some("boot".into()));
        DiskOptions { durability, retention, boot_id, now, bounds, ..options(folder.path()) }
    }

    fn now(&self, order: &Order) -> ClockReading {
        let passed_ms = self.furthest.checked_sub(1).map_or(0, |last| order.passed_ms[last]);
        clocks(passed_ms, self.ahead_ms)
    }

    fn meet(&mut self, fate: Fate, order: &Order) {
        match fate {
            Fate::Apply(count) => self.apply(count, order),
            Fate::Retain(ahead_ms) => {
                let wall = clocks(0, ahead_ms).wall;
                let now = ClockReading { wall, ..self.now(order) };
                self.alive.0.apply_retention(now).expect("it is applied");
            }
            Fate::Close => {
                self.alive.0.close().expect("it closes");
                self.begin(None, order);
            }
            Fate::Kill(again) => {
                self.begin(Some(killed(&self.folder)), order);
                self.next -= again.min(self.next);
            }
        }
    }

    fn begin(&mut self, copy: Option<TempDir>, order: &Order) {
        let now = self.now(order);
        // The old one has to let go first.
        let nobody = Arc::new(MemoryJournal::new(EPOCH, Vec::new(), Box::new(Seen::default())));
        self.alive.1 = Rig { journal: nobody, seen: Seen::default() };
        let elsewhere = TempDir::new().unwrap();
        let aside = replica(options(elsewhere.path()));
        drop(std::mem::replace(&mut self.alive, aside));
        if let Some(copy) = copy {
            self.folder = copy;
        }
        let options = Self::options(&self.folder, self.durability, (&self.retention, now));
        self.alive = replica(options);
    }

    fn apply(&mut self, count: usize, order: &Order) {
        let (journal, rig) = &self.alive;
        let count = count.min(order.commits.len() - self.next);
        let commits = self.next..self.next + count;
        let queue = |index: usize| {
            let before = journal.bounds().tail.get() >= order.commits[index].base;
            let now = clocks(order.passed_ms[index], self.ahead_ms);
            (index, before, order.commits[index].apply(&**journal, now).expect("queued"))
        };
        let pending: Vec<_> = commits.map(queue).collect();
        for (index, before, pending) in pending {
            let answers = pending.wait();
            if before {
                assert!(answers.0.iter().all(|it| matches!(it, Err(Error::Applied))));
                continue;
            }
            assert_eq!(told(answers), order.answers[index], "commit {index}");
        }
        self.next += count;
        self.furthest = self.furthest.max(self.next);
        if let Some(last) = self.next.checked_sub(1)
            && order.commits[last].base <= journal.bounds().tail.get()
            && order.commits.get(self.next).is_none_or(|it| it.base > journal.bounds().tail.get())
        {
            let sight = Sight::of(&**journal, rig, self.now(order));
            assert_eq!(sight, order.sights[last], "after commit {last}");
            self.check_events(order);
        }
    }

    fn check_events(&self, order: &Order) {
        let (journal, rig) = &self.alive;
        let tail = journal.bounds().tail;
        for topic in STREAMS {
            let of_topic = |entry: &&Entry| {
                entry.keep == bellwire_model::Keep::Every
                    && entry.event.topic.as_str() == topic
                    && entry.offset <= tail
            };
            let all: BTreeMap<Offset, &Entry> =
                order.entries.iter().filter(of_topic).map(|entry| (entry.offset, entry)).collect();
            let found = rig.read_all(topic);
            assert!(found.iter().all(|entry| all.get(&entry.offset) == Some(&entry)));
            let trimmed = journal.trimmed(&filters(&[topic]));
            let behind: Vec<_> = found.iter().filter(|entry| entry.offset > trimmed).collect();
            let expected = all.range(Offset::new(trimmed.get() + 1)..).map(|(_, entry)| *entry);
            assert!(expected.eq(behind.iter().copied()), "{topic} behind {trimmed}");
            if self.retention.is_empty() {
                assert_eq!((found.len(), trimmed), (all.len(), Offset::ZERO));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn replicas_that_apply_one_order_agree_in_all(
        steps in prop::collection::vec(any_step(), 1..40),
        fates in prop::collection::vec(any_fate(), 0..30),
        more_fates in prop::collection::vec(any_fate(), 0..30),
    ) {
        let order = Order::make(steps);
        let few = RetentionRule { events_max: Some(3), ..rule("a") };
        let young = RetentionRule { age: Some(Duration::from_secs(2)), ..rule("**") };
        let kept = [
            (Durability::Sync, Vec::new(), 0, fates),
            (Durability::Interval, vec![few, young], 90_000, more_fates),
        ];
        for (durability, retention, ahead_ms, fates) in kept {
            let mut mortal = Mortal::new(durability, retention, ahead_ms);
            for fate in fates {
                mortal.meet(fate, &order);
            }
            mortal.apply(order.commits.len(), &order);
            prop_assert_eq!(mortal.next, order.commits.len());
        }
    }
}
