//! What one subscriber may cost the others.

use std::sync::Arc;

use bellwire_hub::{
    Begin, Delivery, Entry, Hub, HubLimits, LaneId, Next, Start, StateLimits, StateTable,
};
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

    /// A topic ends at an offset.
    fn end(&mut self, topic: &Topic, offset: u64) -> Offset {
        let (offset, payload) = (Offset::new(offset), Thing::from(Thing::END));
        let entry = Arc::new(Entry { offset, topic: topic.clone(), size_bytes: 1, payload });
        self.hub.push(&[entry], &mut Vec::new());
        offset
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

#[test]
fn topics_that_end_cost_nothing_for_what_others_hold_back() {
    const TOPICS: usize = 5_000;
    let mut rig = Rig::new();
    let mut delivery = rig.join(&paced("jobs/*", 1.0), Start::Latest);
    for _ in 0..2 {
        // The second value of each is held back.
        (0..TOPICS).for_each(|number| rig.put(&format!("jobs/{number}"), 1));
    }
    assert_eq!(rig.take_all(&mut delivery), TOPICS);
    for number in 0..TOPICS {
        let topic: Topic = format!("jobs/{number}").parse().expect("a topic");
        let offset = rig.end(&topic, number as u64 + 1);
        let Next::Values(mut values) = rig.hub.next(&mut delivery) else { panic!("a value comes") };
        let came: Vec<Topic> = values
            .by_ref()
            .map(|(arrival, value)| {
                delivery.took_value(arrival);
                value.topic.clone()
            })
            .collect();
        delivery.took_values(values.end());
        assert_eq!(came, [topic], "what was held back of it, and of no other");
        let Next::Entries(mut entries) = rig.hub.next(&mut delivery) else { panic!("its end") };
        let end = entries.next().expect("the end").offset;
        assert_eq!(end, offset);
        delivery.took_entry(end);
    }
}

#[test]
fn a_topic_that_ends_is_told_once_in_each_of_very_many_lanes() {
    const LANES: usize = 2_000;
    const ENDS: u64 = 500;
    let mut rig = Rig::new();
    // Each has a lane of its own, which the topic reaches by two filters.
    let mut deliveries: Vec<_> = (0..LANES)
        .map(|number| rig.join(&filters(&["jobs/*", "jobs/1", &number.to_string()]), Start::Latest))
        .collect();
    let topic: Topic = "jobs/1".parse().expect("a topic");
    for number in 1..=ENDS {
        rig.end(&topic, number);
    }
    for delivery in &mut deliveries {
        for number in 1..=ENDS {
            let Next::Entries(mut entries) = rig.hub.next(delivery) else { panic!("an end") };
            let offset = entries.next().expect("an end").offset;
            assert_eq!(offset, Offset::new(number));
            delivery.took_entry(offset);
        }
    }
}

#[test]
fn a_cursor_is_old_once_half_of_the_ring_has_passed_it_by_number_or_by_bytes() {
    const STEP: u64 = 16_384;
    let half = |(ring_events_max, ring_bytes_max): (usize, usize), count: u64| {
        let limits = HubLimits { ring_events_max, ring_bytes_max, ..HubLimits::default() };
        let tail = Cursor::new(EPOCH, Offset::ZERO);
        let mut hub: Hub<Thing> = Hub::new(tail, limits, NameHasher::new([1, 2]));
        for number in 1..=count {
            let (offset, topic) = (Offset::new(number * STEP), "a".parse().expect("a topic"));
            let entry = Arc::new(Entry { offset, topic, size_bytes: 10, payload: Thing::from(1) });
            hub.push(&[entry], &mut Vec::new());
        }
        hub.half_ring().get()
    };
    assert_eq!(half((8, 1_000), 3), 0, "whoever has nothing from the begin on lacks three");
    assert_eq!(half((8, 1_000), 4), STEP, "whoever lacks the first of four");
    assert_eq!(half((8, 1_000), 20), 17 * STEP);
    // The ring has no room for more than eight.
    assert_eq!(half((100, 80), 4), 0);
    assert_eq!(half((100, 80), 5), 3 * STEP);
    assert_eq!(half((100, 80), 20), 17 * STEP);
}
