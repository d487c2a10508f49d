//! Cursors with a state part, told one by one.

use bellwire_hub::{Begin, Delivery, Hub, HubLimits, Joined, Next, Start, StateLimits, StateTable};
use bellwire_model::{
    Cursor, EffectiveFilter, Filter, FilterSet, Life, NameHasher, Offset, Scope, Sight, StateMark,
    Topic, Version,
};

use crate::thing::Thing;
use crate::world::{EPOCH, JoinAt, LIFE, Step, World};

const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };

/// A table with a hub behind it, and a topic.
struct Rig {
    table: StateTable<Thing>,
    hub: Hub<Thing>,
    topic: Topic,
}

impl Rig {
    fn new() -> Self {
        let tail = Cursor::new(EPOCH, Offset::ZERO);
        let hub = Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]));
        Self {
            table: StateTable::new(LIFE, NameHasher::new([1, 2])),
            hub,
            topic: "state/x".parse().expect("a topic"),
        }
    }

    fn put(&mut self, key: &str) {
        let put = self.table.put((&self.topic, key), (Thing::from(1), 8), ROOM);
        self.hub.push_values(&[put.expect("room")], 0, &mut Vec::new());
    }

    fn delete(&mut self, key: &str) {
        let deletion = self.table.delete((&self.topic, key), (Thing::from(0), 0));
        self.hub.push_values(&[deletion.expect("it is there")], 0, &mut Vec::new());
    }

    fn join(&mut self, filter: &str, start: Start) -> Joined {
        self.join_seeing(&follow(filter, &Sight::all()), start)
    }

    fn join_seeing(&mut self, follows: &EffectiveFilter, start: Start) -> Joined {
        let begin = Begin { start, tail: Offset::ZERO, trimmed: Offset::ZERO };
        self.hub.join(follows, begin, |_| self.table.snapshot(follows.filters())).expect("room")
    }

    /// The next value: its key, and whether that is gone.
    fn take(&mut self, delivery: &mut Delivery) -> Option<(String, bool)> {
        let Next::Values(mut values) = self.hub.next(delivery) else { return None };
        let Some((arrival, value)) = values.next() else {
            delivery.took_values(values.end());
            return None;
        };
        delivery.took_value(arrival);
        Some((value.key.to_string(), value.is_deletion))
    }

    fn take_all(&mut self, delivery: &mut Delivery) -> Vec<(String, bool)> {
        std::iter::from_fn(|| self.take(delivery)).collect()
    }
}

fn follow(filter: &str, sight: &Sight) -> EffectiveFilter {
    let filters = FilterSet::from(filter.parse::<Filter>().expect("a filter"));
    EffectiveFilter::from(filters.clone()).within(&filters, sight).expect("few filters")
}

fn named(changes: &[(&str, bool)]) -> Vec<(String, bool)> {
    changes.iter().map(|(key, is_deletion)| ((*key).to_owned(), *is_deletion)).collect()
}

fn after(state: Option<StateMark>) -> Start {
    Start::After(Cursor { state, ..Cursor::new(EPOCH, Offset::ZERO) })
}

#[test]
fn what_is_no_mark_of_this_table_begins_anew() {
    let mut rig = Rig::new();
    for key in ["a", "b", "c"] {
        rig.put(key);
    }
    rig.delete("a");
    let at = |version| StateMark::at(LIFE, Version::new(version));
    let all = named(&[("b", false), ("c", false)]);
    let cases = [
        (None, true, all.clone()),
        (Some(StateMark { life: Life::new(6), ..at(3) }), true, all.clone()),
        (Some(at(5)), true, all.clone()),
        (Some(at(4)), false, Vec::new()),
        (Some(at(3)), false, named(&[("a", true)])),
        (Some(at(1)), false, named(&[("b", false), ("c", false), ("a", true)])),
    ];
    for filter in ["state/x", "**"] {
        for (state, is_reset, expected) in cases.clone() {
            let mut joined = rig.join(filter, after(state));
            assert_eq!(joined.reset.is_some(), is_reset, "{filter}: {state:?}");
            assert_eq!(rig.take_all(&mut joined.delivery), expected, "{filter}: {state:?}");
        }
        for start in [Start::Latest, Start::Earliest] {
            assert!(rig.join(filter, start).reset.is_none(), "who has nothing has nothing to lose");
        }
    }
}

#[test]
fn a_snapshot_that_is_cut_goes_on_where_it_was() {
    let mut rig = Rig::new();
    for key in ["a", "b", "c", "d"] {
        rig.put(key);
    }
    rig.delete("a");
    let mut delivery = rig.join("state/x", Start::Latest).delivery;
    assert_eq!(rig.take(&mut delivery), Some(("b".into(), false)));
    assert!(delivery.is_in_snapshot());
    let cursor = rig.hub.full_cursor(&delivery);
    assert_eq!(cursor.to_string(), "e7-0.s5-2-5");
    for key in ["b", "c"] {
        rig.delete(key);
    }
    let resumed = rig.join("state/x", Start::After(cursor));
    assert_eq!(resumed.reset, None);
    // Of the first nothing is told: it was gone before any of this was.
    let mut resumed = resumed.delivery;
    assert_eq!(rig.take_all(&mut resumed), named(&[("d", false), ("b", true), ("c", true)]));
    assert_eq!(rig.hub.full_cursor(&resumed).to_string(), "e7-0.s5-7");
}

#[test]
fn what_is_remembered_holds_nobody_up() {
    let mut rig = Rig::new();
    let mut delivery = rig.join("state/x", Start::Latest).delivery;
    for key in 0..100 {
        rig.put(&key.to_string());
        rig.delete(&key.to_string());
    }
    let (lane, seen) = (delivery.lane(), delivery.deletions_seen());
    assert_eq!(rig.hub.compact(lane, seen), 100, "it is yet to see them");
    rig.take_all(&mut delivery);
    assert_eq!(rig.hub.compact(lane, delivery.deletions_seen()), 0);
    let newcomer = rig.join("state/x", Start::Latest).delivery;
    assert_eq!(
        rig.hub.compact(lane, newcomer.deletions_seen()),
        0,
        "they are none of its business"
    );
    let first = StateMark::at(LIFE, Version::new(1));
    let mut resumed = rig.join("state/x", after(Some(first))).delivery;
    assert_eq!(rig.take_all(&mut resumed).len(), 100, "they are still there");
}

/// Somebody who may not see all alerts follows everything, and then what everybody sees alike.
#[test]
fn a_lane_made_of_one_with_a_screen_knows_which_ends_it_lacks() {
    let (all, scoped) = (Sight::all(), Scope::of(vec!["team=a".parse().expect("matchers")]));
    let sights = [
        Sight { alerts: scoped.clone(), ..all.clone() },
        Sight { alerts: scoped.clone(), series: scoped },
    ];
    for (sight, deleted, is_reset) in [
        (&sights[0], "state/x", true),
        (&sights[1], "state/x", true),
        // Nobody comes back to a lane that follows this.
        (&sights[0], "alerts/active", false),
        (&sights[1], "alerts/active", false),
    ] {
        let mut rig = Rig::new();
        for topic in [deleted, "state/x"] {
            rig.topic = topic.parse().expect("a topic");
            rig.put("a");
            rig.put("b");
        }
        let mut first = rig.join("state/x", Start::Latest).delivery;
        rig.take_all(&mut first);
        let before = rig.hub.full_cursor(&first).state;
        rig.hub.leave(&first);
        rig.topic = deleted.parse().expect("a topic");
        rig.delete("a");
        let mut other = rig.join_seeing(&follow("**", sight), Start::Latest).delivery;
        rig.take_all(&mut other);
        rig.hub.narrow(&mut other, &follow("state/x", &all));
        let after_it = rig.hub.full_cursor(&other).state;
        assert!(rig.join("state/x", after(after_it)).reset.is_none(), "it lacks nothing");
        let resumed = rig.join("state/x", after(before));
        assert_eq!(resumed.reset.is_some(), is_reset, "{deleted}: {sight:?}");
    }
}

/// What the laws have found.
#[test]
fn nobody_misses_the_end_of_a_key_because_of_who_was_there_before() {
    let put = Step::Put { topic: 3, key: 0, team: 0, is_tight: false };
    let delete = Step::Delete { topic: 3, key: 0 };
    let join = |followed, sight| Step::Join { followed, start: JoinAt::Latest, sight };
    let take = Step::Take { subscriber: 0, place: 0, count: 1 };
    let narrow = |subscriber, followed| Step::Narrow { subscriber, followed };
    let (note, leave) = (Step::Note { subscriber: 0 }, Step::Leave { subscriber: 0 });
    let come_back = |followed: usize, make_lane: Step| {
        let left = [put.clone(), join(followed, 0), take.clone(), note.clone(), leave.clone()];
        let made = [delete.clone(), join(2, 1), make_lane, Step::Resume { note: 0 }];
        left.into_iter().chain(made).collect::<Vec<_>>()
    };
    let cases = [
        come_back(14, narrow(0, 14)),
        come_back(5, Step::Lose { subscriber: 0, followed: 14 }),
        // Somebody who is behind goes on in such a lane.
        vec![
            put.clone(),
            join(8, 0),
            take.clone(),
            delete.clone(),
            join(2, 1),
            narrow(1, 5),
            narrow(0, 5),
        ],
    ];
    for steps in cases {
        let mut world = World::new(0);
        for step in &steps {
            world.run(step);
        }
        world.judge();
    }
}
