//! What an event costs on its way through a hub, and what lanes cost that come and go.

use std::sync::Arc;

use bellwire_hub::{
    Begin, Delivery, Entry, Hub, HubLimits, Next, PastLimits, Point, Start, StateLimits, StateTable,
};
use bellwire_model::{
    Cursor, EffectiveFilter, Epoch, Filter, FilterSet, Life, NameHasher, Offset, Scope, Sight,
    Topic,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

/// Events of one push.
const EVENTS: usize = 2_000;
/// Lanes of those who follow what is theirs.
const LANES: usize = 10_000;

const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };

fn main() {
    divan::main();
}

fn hub() -> Hub<()> {
    let tail = Cursor::new(Epoch::new(7), Offset::ZERO);
    Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]))
}

fn join(hub: &mut Hub<()>, follows: &EffectiveFilter) -> Delivery {
    let begin = Begin { start: Start::Latest, tail: Offset::ZERO, trimmed: Offset::ZERO };
    let mut nothing = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
    hub.join(follows, begin, |_| nothing.snapshot(follows.filters())).expect("room").delivery
}

fn follow(filters: impl IntoIterator<Item = String>) -> EffectiveFilter {
    let filters = filters.into_iter().map(|text| text.parse::<Filter>().expect("a filter"));
    FilterSet::new(filters).expect("filters").into()
}

/// Sixteen subtrees that are one user's.
fn theirs(user: usize) -> EffectiveFilter {
    follow((0..16).map(|part| format!("users/{user}/{part}/**")))
}

fn entries(topic: impl Fn(usize) -> String, after: usize) -> Vec<Arc<Entry<()>>> {
    let entry = |index| {
        let offset = Offset::new((after + index + 1) as u64);
        let topic: Topic = topic(index).parse().expect("a topic");
        Arc::new(Entry { offset, topic, size_bytes: 100, payload: () })
    };
    (0..EVENTS).map(entry).collect()
}

#[inline(never)]
fn push(hub: &mut Hub<()>, entries: &[Arc<Entry<()>>]) -> usize {
    let mut touched = Vec::new();
    hub.push(entries, &mut touched);
    touched.len()
}

/// A dashboard that follows all, and a hundred that follow a sensor each.
#[divan::bench]
fn push_to_few(bencher: Bencher<'_, '_>) {
    let prepare = || {
        let mut hub = hub();
        join(&mut hub, &follow(["**".into()]));
        join(&mut hub, &follow(["alerts/**".into()]));
        for sensor in 0..100 {
            join(&mut hub, &follow([format!("sensors/boiler/{sensor}")]));
        }
        let topic = |index| format!("sensors/boiler/{}", index % 100);
        // What has been heard of before is what matters.
        push(&mut hub, &entries(topic, 0));
        (hub, entries(topic, EVENTS))
    };
    bencher
        .counter(ItemsCount::new(EVENTS))
        .with_inputs(prepare)
        .bench_local_values(|(mut hub, entries)| push(&mut hub, black_box(&entries)));
}

/// Each event is of a topic that nobody has heard of.
#[divan::bench]
fn push_new_topics_beside_many_lanes(bencher: Bencher<'_, '_>) {
    let prepare = || {
        let mut hub = hub();
        for user in 0..LANES {
            join(&mut hub, &theirs(user));
        }
        (hub, entries(|index| format!("users/{index}/3/{index}"), 0))
    };
    bencher.counter(ItemsCount::new(EVENTS)).with_inputs(prepare).bench_local_values(
        |(mut hub, entries)| {
            assert_eq!(push(&mut hub, black_box(&entries)), EVENTS);
            hub
        },
    );
}

#[inline(never)]
fn leave(hub: &mut Hub<()>, deliveries: &[Delivery]) {
    for delivery in deliveries {
        hub.leave(delivery);
    }
}

/// All follow one topic, and each has something of its own.
#[divan::bench]
fn leave_among_many(bencher: Bencher<'_, '_>) {
    let prepare = || {
        let mut hub = hub();
        let mut deliveries = Vec::new();
        for user in 0..LANES {
            let filters = ["news".into(), format!("users/{user}/**")];
            deliveries.push(join(&mut hub, &follow(filters)));
        }
        (hub, deliveries)
    };
    bencher
        .counter(ItemsCount::new(LANES))
        .with_inputs(prepare)
        .bench_local_values(|(mut hub, deliveries)| leave(&mut hub, black_box(&deliveries)));
}

#[inline(never)]
fn deliver(hub: &mut Hub<()>, deliveries: &mut [Delivery], entries: &[Arc<Entry<()>>]) -> usize {
    let mut taken = 0;
    for entry in entries {
        push(hub, std::slice::from_ref(entry));
        for delivery in &mut *deliveries {
            while let Next::Entries(entries) = hub.next(delivery) {
                let offset = entries.inspect(|_| taken += 1).last().map(|entry| entry.offset);
                if let Some(offset) = offset {
                    delivery.took_entry(offset);
                }
            }
        }
    }
    taken
}

/// Ten who follow the same, and take each event as it comes.
#[divan::bench]
fn deliver_to_ten(bencher: Bencher<'_, '_>) {
    let prepare = || {
        let mut hub = hub();
        let deliveries: Vec<_> =
            (0..10).map(|_| join(&mut hub, &follow(["sensors/**".into()]))).collect();
        (hub, deliveries, entries(|index| format!("sensors/boiler/{}", index % 100), 0))
    };
    bencher.counter(ItemsCount::new(EVENTS * 10)).with_inputs(prepare).bench_local_values(
        |(mut hub, mut deliveries, entries)| {
            for delivery in &mut deliveries {
                while let Next::Ready(_) = hub.next(delivery) {
                    delivery.took_ready();
                }
            }
            assert_eq!(deliver(&mut hub, &mut deliveries, black_box(&entries)), EVENTS * 10);
        },
    );
}

/// Principals of whom each has rights of their own.
const PRINCIPALS: usize = 100_000;
/// Topics that a hundred of them follow each.
const TOPICS: usize = 1_000;

/// What somebody follows of the news where they may follow that and what is theirs, and see alerts
/// of teams that are many or one.
fn permitted(person: usize) -> EffectiveFilter {
    let topics = [format!("devices/{person}/**"), "news/**".into()];
    let topics = topics.map(|text| text.parse::<Filter>().expect("a filter"));
    let scope = Scope::of(vec![format!("team=\"{person}\"").parse().expect("matchers")]);
    let sight = Sight { alerts: scope.clone(), series: scope };
    let follows = follow([format!("news/{}", person % TOPICS)]);
    follows.within(&FilterSet::new(topics).expect("a set"), &sight).expect("few filters")
}

fn deliver_news(bencher: Bencher<'_, '_>, follows: impl Fn(usize) -> EffectiveFilter) {
    let prepare = || {
        let mut hub = hub();
        let mut by_topic: Vec<Vec<Delivery>> = vec![Vec::new(); TOPICS];
        for person in 0..PRINCIPALS {
            let mut delivery = join(&mut hub, &follows(person));
            while let Next::Ready(_) = hub.next(&mut delivery) {
                delivery.took_ready();
            }
            by_topic[person % TOPICS].push(delivery);
        }
        (hub, by_topic, entries(|index| format!("news/{}", index % TOPICS), 0))
    };
    let count = ItemsCount::new(EVENTS * PRINCIPALS / TOPICS);
    bencher.counter(count).with_inputs(prepare).bench_local_values(
        |(mut hub, mut by_topic, entries)| {
            let mut taken = 0;
            for (index, entry) in black_box(&entries).iter().enumerate() {
                let deliveries = &mut by_topic[index % TOPICS];
                taken += deliver(&mut hub, deliveries, std::slice::from_ref(entry));
            }
            assert_eq!(taken, EVENTS * PRINCIPALS / TOPICS);
            hub
        },
    );
}

/// All may see everything.
#[divan::bench(sample_count = 5)]
fn deliver_news_to_one_right(bencher: Bencher<'_, '_>) {
    deliver_news(bencher, |person| follow([format!("news/{}", person % TOPICS)]));
}

/// Each has rights of their own, which come to the same.
#[divan::bench(sample_count = 5)]
fn deliver_news_to_many_rights(bencher: Bencher<'_, '_>) {
    deliver_news(bencher, permitted);
}

#[inline(never)]
fn change(hub: &mut Hub<()>, table: &mut StateTable<()>, topics: &[Topic], keys: &[String]) {
    for topic in topics {
        let put = |key: &String| table.put((topic, key), ((), 100), ROOM).expect("room");
        let values: Vec<_> = keys.iter().map(put).collect();
        hub.push_values(&values, 0, &mut Vec::new());
    }
}

/// A hundred keys of each of twenty topics, all of them known.
#[divan::bench]
fn change_values(bencher: Bencher<'_, '_>) {
    let topics: Vec<Topic> =
        (0..20).map(|index| format!("samples/metric_{index}").parse().expect("a topic")).collect();
    let keys: Vec<String> = (0..100).map(|index| format!("{{sensor=\"{index}\"}}")).collect();
    let prepare = || {
        let (mut hub, mut table) = (hub(), StateTable::new(Life::new(5), NameHasher::new([1, 2])));
        join(&mut hub, &follow(["samples/**".into()]));
        change(&mut hub, &mut table, &topics, &keys);
        (hub, table)
    };
    bencher
        .counter(ItemsCount::new(EVENTS))
        .with_inputs(prepare)
        .bench_local_values(|(mut hub, mut table)| change(&mut hub, &mut table, &topics, &keys));
}

/// What it costs to remember a point of a series, of a hundred thousand that send one each ten
/// seconds; the bytes that they come to are printed.
#[divan::bench(args = ["decimals", "floats"])]
fn remember(bencher: Bencher<'_, '_>, values: &str) {
    const SERIES: usize = 100_000;
    let topic: Topic = "samples/temperature".parse().expect("a topic");
    let keys: Vec<String> = (0..SERIES).map(|key| format!("{{sensor=\"{key}\"}}")).collect();
    let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
    let limits = (PastLimits { window_ms: 900_000, points_max: 1_024 }, usize::MAX);
    let mut random = 1u64;
    let mut walks = vec![2_000i64; SERIES];
    let mut remember = |table: &mut StateTable<()>, time_ms: i64| {
        for (key, walk) in keys.iter().zip(&mut walks) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *walk += (random >> 33) as i64 % 21 - 10;
            let value = match values {
                "decimals" => *walk as f64 / 100.0,
                _ => (random >> 11) as f64 / 1e9,
            };
            let point = Point { time_ms: time_ms + (random >> 60) as i64, value };
            table.remember((&topic, key), (point, time_ms), limits);
        }
    };
    for key in &keys {
        table.put((&topic, key), ((), 0), ROOM).expect("room");
    }
    for round in 0..90 {
        remember(&mut table, round * 10_000);
    }
    let (series, bytes) = table.pasts();
    eprintln!("{series} series of {values}: {bytes} bytes, {} each", bytes / series);
    let mut now_ms = 900_000;
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        remember(&mut table, now_ms);
        now_ms += 10_000;
    });
    let (series, bytes) = table.pasts();
    eprintln!("{series} series of {values}: {bytes} bytes, {} each", bytes / series);
}
