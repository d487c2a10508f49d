//! What one subscriber may cost the others.

use bellwire_hub::{Begin, Delivery, Hub, HubLimits, LaneId, Next, Start, StateLimits, StateTable};
use bellwire_model::{
    Cursor, EffectiveFilter, Filter, FilterSet, MaxRate, NameHasher, Offset, PacedFilter,
    StateMark, Topic, Version,
};

use crate::thing::Thing;
use crate::world::{EPOCH, LIFE};

const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };

/// A table with a hub behind it.
struct Rig {
    table: StateTable<Thing>,
    hub: Hub<Thing>,
    now_ms: u64,
}

impl Rig {
    fn new() -> Self {
        let tail = Cursor::new(EPOCH, Offset::ZERO);
        let hub = Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]));
        Self { table: StateTable::new(LIFE, NameHasher::new([1, 2])), hub, now_ms: 0 }
    }

    fn put(&mut self, topic: &str, key: usize) {
        let topic: Topic = topic.parse().expect("a topic");
        let put = self.table.put((&topic, &key.to_string()), (Thing::from(1), 8), ROOM);
        self.hub.push_values(&[put.expect("room")], self.now_ms, &mut Vec::new());
    }

    fn delete(&mut self, topic: &str, key: usize) {
        let topic: Topic = topic.parse().expect("a topic");
        let deletion = self.table.delete((&topic, &key.to_string()), (Thing::from(0), 0));
        self.hub.push_values(&[deletion.expect("it is there")], self.now_ms, &mut Vec::new());
    }

    fn join(&mut self, follows: &EffectiveFilter, start: Start) -> Delivery {
        let begin = Begin { start, tail: Offset::ZERO, trimmed: Offset::ZERO };
        let table = &mut self.table;
        let snapshot = |_: &mut Hub<Thing>| table.snapshot(follows.filters());
        self.hub.join(follows, begin, snapshot).expect("room").delivery
    }

    /// Takes all there is, and returns how many values that was.
    fn take_all(&mut self, delivery: &mut Delivery) -> usize {
        let mut taken = 0;
        loop {
            match self.hub.next(delivery) {
                Next::Values(mut values) => {
                    for (arrival, _) in values.by_ref() {
                        taken += 1;
                        delivery.took_value(arrival);
                    }
                    delivery.took_values(values.end());
                }
                Next::Ready(_) => delivery.took_ready(),
                Next::Nothing => return taken,
                other => panic!("no streams here: {other:?}"),
            }
        }
    }
}

fn filters(texts: &[&str]) -> EffectiveFilter {
    let filters = texts.iter().map(|text| text.parse::<Filter>().expect("a filter"));
    FilterSet::new(filters).expect("filters").into()
}

fn paced(text: &str, per_second: f64) -> EffectiveFilter {
    let filter: Filter = text.parse().expect("a filter");
    let max_rate = Some(MaxRate::per_second(per_second).expect("a rate"));
    EffectiveFilter::new([PacedFilter { filter, max_rate }]).expect("filters")
}

fn after(version: u64) -> Start {
    let state = Some(StateMark::at(LIFE, Version::new(version)));
    Start::After(Cursor { state, ..Cursor::new(EPOCH, Offset::ZERO) })
}

#[test]
fn who_follows_less_brings_nothing_to_others() {
    let mut rig = Rig::new();
    for key in 0..1_000 {
        rig.put("big", key);
    }
    let mut others = rig.join(&filters(&["big"]), Start::Latest);
    assert_eq!(rig.take_all(&mut others), 1_000);
    // At the beginning of its snapshot, and in the middle.
    for share in [0, 300] {
        let mut one = rig.join(&filters(&["big", "small"]), Start::Latest);
        if let Next::Values(values) = rig.hub.next(&mut one) {
            let arrivals: Vec<_> = values.map(|(arrival, _)| arrival).take(share).collect();
            for arrival in arrivals {
                one.took_value(arrival);
            }
        }
        rig.hub.narrow(&mut one, &filters(&["big"]));
        assert_eq!(one.lane(), others.lane());
        assert_eq!(rig.take_all(&mut others), 0, "they have it all");
        assert_eq!(rig.take_all(&mut one), 1_000 - share);
    }
}

#[test]
fn a_place_is_found_without_a_look_at_each_value() {
    let mut rig = Rig::new();
    for key in 0..1_000 {
        rig.put("big", key);
    }
    let rate = paced("big", 1.0);
    let mut first = rig.join(&rate, Start::Latest);
    rig.take_all(&mut first);
    // Half of them change twice: the second change is held, and comes in behind what is newer.
    for key in (0..500).chain(0..500).chain(500..600) {
        rig.put("big", key);
    }
    rig.now_ms += 1_000;
    rig.hub.release(rig.now_ms, &mut Vec::new());
    for version in [1_000, 1_500, 1_999, 2_050, 2_100] {
        let mut back = rig.join(&rate, after(version));
        let newer = 2_100_usize.saturating_sub(version as usize);
        let taken = rig.take_all(&mut back);
        assert!(newer.min(600) <= taken && taken <= 600, "{taken} after {version}");
    }
    assert_eq!(rig.take_all(&mut first), 600);
}

#[test]
fn very_many_keys_that_are_gone_are_passed_over_by_and_by() {
    let mut rig = Rig::new();
    let all = 30_000;
    for key in 0..all {
        rig.put("big", key);
    }
    for key in 0..all / 2 {
        rig.delete("big", key);
    }
    let follows = filters(&["big"]);
    let mut holder = rig.join(&follows, Start::Latest);
    let lane: LaneId = holder.lane();
    rig.hub.compact(lane, holder.deletions_seen());
    assert_eq!(rig.take_all(&mut holder), all / 2);
    let mut newcomer = rig.join(&follows, Start::Latest);
    let looks_max = HubLimits::default().ring_looks_max as u64;
    let mut looks = 0;
    let mut taken = 0;
    loop {
        let before = rig.hub.looks();
        match rig.hub.next(&mut newcomer) {
            Next::Values(mut values) => {
                for (arrival, _) in values.by_ref() {
                    taken += 1;
                    newcomer.took_value(arrival);
                }
                newcomer.took_values(values.end());
            }
            _ => break,
        }
        let looked = rig.hub.looks() - before;
        assert!(looked <= looks_max, "{looked} at once");
        looks += looked;
    }
    assert_eq!(taken, all / 2);
    assert!(looks >= all as u64 / 2, "what is passed over is counted: {looks}");
}
