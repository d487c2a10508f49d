//! The laws of delivery, against a naive model: whatever the interleaving of publishing, trimming,
//! retention, joining and slow reading, a subscriber sees the same events, none twice, none out of
//! order, and none missing without a gap that covers it; and of every state key the newest value.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_hub::{
    Begin, Delivery, Entries, Entry, GapReason, HistoryPage, Hub, HubLimits, LaneEnd, Next, Start,
    StateTable, Value,
};
use bellwire_model::{Cursor, Epoch, Filter, FilterSet, Offset, Topic};
use proptest::prelude::*;

const EPOCH: Epoch = Epoch::new(7);
const TOPICS: [&str; 4] = ["a/1", "a/2", "b", "state/x"];
const FILTERS: [&[&str]; 6] =
    [&["a/1"], &["a/*"], &["**"], &["a/1", "b"], &["state/x"], &["state/**", "*/2"]];

#[derive(Clone, Debug)]
enum Step {
    Publish { topic: usize },
    Put { key: u8 },
    Delete { key: u8 },
    Feed,
    Trim { topic: usize, count: usize },
    Join { filters: usize, start: JoinAt },
    Take { subscriber: usize, count: usize },
    Leave { subscriber: usize },
    Compact,
}

#[derive(Clone, Debug)]
enum JoinAt {
    Latest,
    Earliest,
    Back(u64),
    OtherEpoch,
    Future,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let join_at = prop_oneof![
        Just(JoinAt::Latest),
        Just(JoinAt::Earliest),
        (0..40u64).prop_map(JoinAt::Back),
        Just(JoinAt::OtherEpoch),
        Just(JoinAt::Future),
    ];
    let step = prop_oneof![
        8 => (0..3usize).prop_map(|topic| Step::Publish { topic }),
        2 => (0..4u8).prop_map(|key| Step::Put { key }),
        2 => (0..4u8).prop_map(|key| Step::Delete { key }),
        4 => Just(Step::Feed),
        1 => (0..3usize, 1..6usize).prop_map(|(topic, count)| Step::Trim { topic, count }),
        3 => (0..FILTERS.len(), join_at).prop_map(|(filters, start)| Step::Join { filters, start }),
        8 => (any::<usize>(), 1..9usize).prop_map(|(subscriber, count)| Step::Take { subscriber, count }),
        1 => any::<usize>().prop_map(|subscriber| Step::Leave { subscriber }),
        1 => Just(Step::Compact),
    ];
    prop::collection::vec(step, 1..150)
}

/// What a subscriber has been told.
struct Subscriber {
    filters: FilterSet,
    delivery: Delivery,
    /// Where it began; events up to here are none of its business.
    began_after: Offset,
    seen: Vec<Offset>,
    /// Ranges `(from, to]` that a gap covers.
    gaps: Vec<(Offset, Offset)>,
    ready_at: Option<usize>,
    board: BTreeMap<Box<str>, u64>,
}

/// The journal, the state table, one hub and its subscribers, in the plainest form.
struct World {
    /// Every event ever, with whether retention removed it.
    journal: Vec<(Offset, Topic, bool)>,
    fed: usize,
    table: StateTable<u64>,
    unfed_values: Vec<Arc<Value<u64>>>,
    hub: Hub<u64>,
    subscribers: Vec<Subscriber>,
}

/// An event of the journal as the hub takes it.
fn hub_entry((offset, topic, _): &(Offset, Topic, bool)) -> Arc<Entry<u64>> {
    Arc::new(Entry { offset: *offset, topic: topic.clone(), size_bytes: 10, payload: offset.get() })
}

impl World {
    fn new() -> Self {
        let limits = HubLimits { ring_events_max: 8, ring_bytes_max: 1_000 };
        Self {
            journal: Vec::new(),
            fed: 0,
            table: StateTable::new(),
            unfed_values: Vec::new(),
            hub: Hub::new(EPOCH, Offset::ZERO, limits),
            subscribers: Vec::new(),
        }
    }

    fn tail(&self) -> Offset {
        self.journal.last().map_or(Offset::ZERO, |(offset, ..)| *offset)
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        let removed =
            |(_, topic, removed): &&(Offset, Topic, bool)| *removed && filters.matches(topic);
        self.journal.iter().rev().find(removed).map_or(Offset::ZERO, |(offset, ..)| *offset)
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Publish { topic } => {
                // Offsets have holes.
                let offset = Offset::new(self.tail().get() + 1 + (*topic as u64 % 2));
                self.journal.push((offset, TOPICS[*topic].parse().expect("a topic"), false));
            }
            Step::Put { key } => self.put(*key),
            Step::Delete { key } => self.delete(*key),
            Step::Feed => self.feed(),
            Step::Trim { topic, count } => {
                let kept = self
                    .journal
                    .iter_mut()
                    .filter(|(_, t, gone)| t.as_str() == TOPICS[*topic] && !gone);
                kept.take(*count).for_each(|(_, _, gone)| *gone = true);
            }
            Step::Join { filters, start } => self.join(FILTERS[*filters], start),
            Step::Take { subscriber, count } if !self.subscribers.is_empty() => {
                let index = subscriber % self.subscribers.len();
                self.take(index, *count);
            }
            Step::Leave { subscriber } if !self.subscribers.is_empty() => {
                let index = subscriber % self.subscribers.len();
                let gone = self.subscribers.swap_remove(index);
                let others = self.subscribers.iter().any(|other| other.filters == gone.filters);
                assert_eq!(self.hub.leave(&gone.delivery) == LaneEnd::Stays, others);
            }
            Step::Compact => self.compact(),
            Step::Take { .. } | Step::Leave { .. } => {}
        }
    }

    fn put(&mut self, key: u8) {
        let topic: Topic = TOPICS[3].parse().expect("a topic");
        let number = self.unfed_values.len() as u64 + 1;
        let value = self.table.put((&topic, &format!("k{key}")), number, 100);
        self.unfed_values.push(value.expect("room"));
    }

    fn delete(&mut self, key: u8) {
        let topic: Topic = TOPICS[3].parse().expect("a topic");
        self.unfed_values.extend(self.table.delete(&topic, &format!("k{key}"), 0));
    }

    fn feed(&mut self) {
        let entries: Vec<_> = self.journal[self.fed..].iter().map(hub_entry).collect();
        self.fed = self.journal.len();
        self.hub.push(&entries, &mut Vec::new());
        self.hub.push_values(&std::mem::take(&mut self.unfed_values), &mut Vec::new());
    }

    fn join(&mut self, filters: &[&str], start: &JoinAt) {
        let parsed = filters.iter().map(|text| text.parse::<Filter>().expect("a filter"));
        let filters = FilterSet::new(parsed).expect("a set");
        let tail = self.tail();
        let start = match start {
            JoinAt::Latest => Start::Latest,
            JoinAt::Earliest => Start::Earliest,
            JoinAt::Back(back) => Start::After(Cursor {
                epoch: EPOCH,
                offset: Offset::new(tail.get().saturating_sub(*back)),
            }),
            JoinAt::OtherEpoch => {
                Start::After(Cursor { epoch: Epoch::new(6), offset: Offset::new(3) })
            }
            JoinAt::Future => {
                Start::After(Cursor { epoch: EPOCH, offset: Offset::new(tail.get() + 5) })
            }
        };
        let begin = Begin { start, tail, trimmed: self.trimmed(&filters) };
        let table = &self.table;
        let (delivery, gap) = self.hub.join(&filters, begin, |filters| table.snapshot(filters));
        assert_eq!(gap.is_some_and(|gap| gap.reason == GapReason::Epoch), gap.is_some());
        let began_after = match (start, gap) {
            (Start::Latest, _) => self.hub.tail().offset,
            (Start::After(cursor), None) => cursor.offset,
            (Start::Earliest, _) | (_, Some(_)) => begin.trimmed,
        };
        self.subscribers.push(Subscriber {
            filters,
            delivery,
            began_after,
            seen: Vec::new(),
            gaps: Vec::new(),
            ready_at: None,
            board: BTreeMap::new(),
        });
    }

    fn compact(&mut self) {
        for subscriber in &self.subscribers {
            let lane = subscriber.delivery.lane();
            let versions = self.subscribers.iter().filter(|other| other.delivery.lane() == lane);
            let seen = versions.map(|other| other.delivery.version()).min().expect("itself");
            self.hub.compact(lane, seen);
        }
    }

    /// Lets a subscriber take up to `count` things; returns whether it has all there is.
    fn take(&mut self, index: usize, count: usize) -> bool {
        for _ in 0..count {
            let subscriber = &mut self.subscribers[index];
            let delivery = &mut subscriber.delivery;
            match self.hub.next(delivery) {
                Next::Nothing => return true,
                Next::Ready(cursor) => {
                    assert!(cursor.offset >= delivery.offset());
                    delivery.took_ready();
                    assert_eq!(
                        subscriber.ready_at.replace(subscriber.seen.len()),
                        None,
                        "one ready"
                    );
                }
                Next::Gap(gap) => {
                    assert_eq!(gap.reason, GapReason::Expired);
                    assert_eq!(gap.from.offset, delivery.offset());
                    subscriber.gaps.push((gap.from.offset, gap.to.offset));
                    delivery.took_gap(&gap);
                }
                Next::Values(mut values) => {
                    let as_of = values.as_of();
                    let value = values.next().expect("never empty").clone();
                    if !delivery.skips(&value, as_of) {
                        if value.is_deletion {
                            subscriber.board.remove(&value.key);
                        } else {
                            subscriber.board.insert(value.key.clone(), value.payload);
                        }
                    }
                    delivery.took_value(value.version);
                }
                Next::Entries(mut entries) => {
                    if let Some(entry) = entries.next() {
                        subscriber.seen.push(entry.offset);
                        delivery.took_entry(entry.offset);
                    } else if let Entries::Page(_, end) = entries {
                        delivery.took_page(end);
                    } else {
                        // The lane was filled from the ring, which held nothing that matches.
                    }
                }
                Next::History(after) => {
                    let lane = delivery.lane();
                    let page = self.page(lane, after);
                    self.hub.push_history(page);
                }
            }
        }
        false
    }

    fn page(&self, lane: bellwire_hub::LaneId, after: Offset) -> HistoryPage<u64> {
        let filters = self.hub.filters(lane);
        let kept = |(offset, topic, removed): &&(Offset, Topic, bool)| {
            *offset > after && !removed && filters.matches(topic)
        };
        let entries: Vec<_> = self.journal.iter().filter(kept).take(4).collect();
        let end = if entries.len() == 4 { entries[3].0 } else { self.tail() };
        let entries = entries.into_iter().map(hub_entry).collect();
        HistoryPage { lane, after, end, trimmed: self.trimmed(filters), entries }
    }

    /// Lets everybody have everything, and holds each against the laws.
    fn judge(&mut self) {
        self.feed();
        for index in 0..self.subscribers.len() {
            assert!(self.take(index, 10_000), "every subscriber makes progress");
            let subscriber = &self.subscribers[index];
            assert!(subscriber.ready_at.is_some());
            assert!(subscriber.seen.is_sorted_by(|a, b| a < b), "order kept, nothing twice");
            for (offset, topic, removed) in &self.journal {
                let seen = subscriber.seen.binary_search(offset).is_ok();
                if !subscriber.filters.matches(topic) {
                    assert!(!seen, "{offset} on {topic} is not followed");
                    continue;
                }
                let covered =
                    subscriber.gaps.iter().any(|(from, to)| from < offset && offset <= to);
                if *offset > subscriber.began_after && !seen {
                    assert!(*removed && covered, "{offset} is missing without a gap");
                }
            }
            let topic: Topic = TOPICS[3].parse().expect("a topic");
            let expected: BTreeMap<_, _> = if subscriber.filters.matches(&topic) {
                let keys = (0..4).map(|key| format!("k{key}"));
                keys.filter_map(|key| {
                    self.table.get(&topic, &key).map(|v| (v.key.clone(), v.payload))
                })
                .collect()
            } else {
                BTreeMap::new()
            };
            assert_eq!(subscriber.board, expected, "the newest value of each key");
            assert!(self.hub.cursor(&subscriber.delivery).offset >= self.tail());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn every_subscriber_gets_it_all_or_a_gap(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.judge();
    }
}
