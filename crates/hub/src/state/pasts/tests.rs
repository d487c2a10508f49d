//! The pasts of the table against plain lists of points.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_model::limits::PAST_WINDOW;
use bellwire_model::{Life, NameHasher};
use proptest::prelude::*;

use super::super::StateLimits;
use super::*;

const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
const LIMITS: PastLimits =
    PastLimits { window_ms: PAST_WINDOW.as_millis() as u32, points_max: 1_024 };
const TOPICS: [&str; 6] = ["a", "samples", "samples/a", "samples/a/b", "samples/b", "zoo"];
const FILTERS: [&[&str]; 7] = [
    &["samples/**"],
    &["samples/a"],
    &["samples/a", "samples/*"],
    &["*"],
    &["**"],
    &["samples/*/b", "zoo", "a"],
    &["nothing/**", "zoo/**"],
];

fn topic(index: usize) -> Topic {
    TOPICS[index].parse().expect("a topic")
}

fn table() -> StateTable<()> {
    StateTable::new(Life::new(5), NameHasher::new([1, 2]))
}

fn filters(index: usize) -> FilterSet {
    let filters = FILTERS[index].iter().map(|filter| filter.parse().expect("a filter"));
    FilterSet::new(filters).expect("few")
}

#[derive(Clone, Debug)]
enum Step {
    Put { topic: usize, key: usize, after_ms: i64 },
    Delete { topic: usize, key: usize },
    Read { filters: usize, limits: PastPageLimits },
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..TOPICS.len(), 0..5usize);
    prop_oneof![
        12 => (place(), 0..2_000i64)
            .prop_map(|((topic, key), after_ms)| Step::Put { topic, key, after_ms }),
        3 => place().prop_map(|(topic, key)| Step::Delete { topic, key }),
        2 => (0..FILTERS.len(), 0..100usize, 0..50usize, 1..20usize).prop_map(
            |(filters, bytes_max, points_max, looks_max)| {
                let limits = PastPageLimits { bytes_max, points_max, looks_max };
                Step::Read { filters, limits }
            }
        ),
    ]
}

proptest! {
    /// However small the pages are: a reader gets the past of each key that matches and is there, once.
    #[test]
    fn pages_have_the_past_of_each_key_that_is_there(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (mut table, mut now_ms) = (table(), 0);
        let mut expected: BTreeMap<(usize, String), Vec<i64>> = BTreeMap::new();
        let mut live = BTreeSet::new();
        for step in steps {
            match step {
                Step::Put { topic: number, key, after_ms } => {
                    now_ms += after_ms;
                    let (topic, key) = (topic(number), key.to_string());
                    table.put((&topic, &key), ((), 1), ROOM).expect("room");
                    let point = Point { time_ms: now_ms, value: 1.0 };
                    let has_room =
                        table.remember((&topic, &key), (point, now_ms), (LIMITS, usize::MAX));
                    prop_assert!(has_room);
                    expected.entry((number, key.clone())).or_default().push(now_ms);
                    live.insert((number, key));
                }
                Step::Delete { topic: number, key } => {
                    table.delete((&topic(number), &key.to_string()), ((), 1));
                    live.remove(&(number, key.to_string()));
                }
                Step::Read { filters: number, limits } => {
                    let filters = filters(number);
                    let (mut from, mut got) = (Some(PastPlace::default()), Vec::new());
                    let looks_max = limits.looks_max + filters.iter().count();
                    let limits = PastPageLimits { looks_max, ..limits };
                    while let Some(place) = from {
                        let page = table.past_page(&filters, place.clone(), limits);
                        let points = page.series.iter().rev().skip(1).map(|(_, copy, _)| copy.len());
                        prop_assert!(points.sum::<usize>() < limits.points_max.max(1));
                        prop_assert!(page.next.as_ref() != Some(&place), "it gets on");
                        prop_assert!(page.looks <= looks_max + filters.iter().count() + 1);
                        for (value, copy, _) in page.series {
                            let times: Vec<i64> = copy.points().map(|it| it.time_ms).collect();
                            got.push(((value.topic.to_string(), value.key.to_string()), times));
                        }
                        from = page.next;
                    }
                    got.sort();
                    let wanted = expected.iter().filter(|(key, _)| {
                        live.contains(key) && filters.matches(&topic(key.0))
                    });
                    let wanted: Vec<_> = wanted
                        .map(|((topic, key), times)| {
                            // Few enough to be kept whole.
                            let from = times.len().saturating_sub(33);
                            ((TOPICS[*topic].to_owned(), key.clone()), times[from..].to_vec())
                        })
                        .collect();
                    let got: Vec<_> = got
                        .into_iter()
                        .map(|(key, times)| {
                            let from = times.len().saturating_sub(33);
                            (key, times[from..].to_vec())
                        })
                        .collect();
                    prop_assert_eq!(got, wanted);
                }
            }
        }
    }
}

#[test]
fn pasts_go_with_their_windows_and_take_no_more_than_they_may() {
    let mut table = table();
    let topic = topic(2);
    let mut put = |key: usize, now_ms: i64, bytes_max: usize| {
        let key = key.to_string();
        table.put((&topic, &key), ((), 1), ROOM).expect("room");
        let point = Point { time_ms: now_ms, value: now_ms as f64 / 7.0 };
        let had_room = table.remember((&topic, &key), (point, now_ms), (LIMITS, bytes_max));
        (had_room, table.pasts())
    };
    let bytes_max = 40_000;
    let mut refused = 0;
    for round in 0..40i64 {
        for key in 0..200 {
            let (had_room, (keys, bytes)) = put(key, round * 1_000, bytes_max);
            refused += usize::from(!had_room);
            assert!(bytes < bytes_max + 600, "{bytes} bytes of {keys} keys");
        }
    }
    assert!(refused > 0);
    let (_, (keys, _)) = put(0, 40_000, bytes_max);
    assert!(keys > 100, "{keys}");
    // An hour later one key alone is left.
    for second in 0..keys as i64 {
        put(0, 3_600_000 + second * 1_000, bytes_max);
    }
    assert_eq!(put(0, 3_800_000, bytes_max).1.0, 1);
    let off = PastLimits { window_ms: 0, points_max: 0 };
    let point = Point { time_ms: 3_800_000, value: 1.0 };
    assert!(table.remember((&topic, "0"), (point, 3_800_000), (off, bytes_max)));
    assert_eq!(table.pasts(), (0, 0));
}

#[test]
fn the_pasts_of_one_topic_are_forgotten_by_themselves() {
    let mut table = table();
    for number in [2, 3] {
        for key in ["x", "y"] {
            let topic = topic(number);
            table.put((&topic, key), ((), 1), ROOM).expect("room");
            let point = Point { time_ms: 1, value: 1.0 };
            assert!(table.remember((&topic, key), (point, 1), (LIMITS, usize::MAX)));
        }
    }
    let (_, before) = table.pasts();
    table.forget_pasts(&topic(2));
    assert!(table.past(&topic(2), "x").is_none() && table.past(&topic(3), "y").is_some());
    assert_eq!(table.pasts(), (2, before / 2));
    table.forget_pasts(&topic(5));
    assert_eq!(table.pasts().0, 2);
}

#[test]
fn what_was_before_stands_before_what_there_is_and_nothing_twice() {
    let mut table = table();
    let topic = topic(2);
    let point = |time_ms| Point { time_ms, value: time_ms as f64 };
    let earlier: Vec<Point> = (1..=20).map(|number| point(number * 10)).collect();
    table.put((&topic, "x"), ((), 1), ROOM).expect("room");
    // Of what is not remembered nothing was before.
    assert!(table.remember_before((&topic, "x"), &earlier, (LIMITS, usize::MAX)));
    assert!(table.past(&topic, "x").is_none());
    for time_ms in [155, 160, 300] {
        assert!(table.remember((&topic, "x"), (point(time_ms), time_ms), (LIMITS, usize::MAX)));
    }
    assert!(!table.remember_before((&topic, "x"), &earlier, (LIMITS, 10)));
    assert!(table.remember_before((&topic, "x"), &earlier, (LIMITS, usize::MAX)));
    let times = |table: &StateTable<()>| -> Vec<i64> {
        let past = table.past(&topic, "x").expect("it is remembered");
        past.points().map(|point| point.time_ms).collect()
    };
    let whole: Vec<i64> = (1..=15).map(|number| number * 10).chain([155, 160, 300]).collect();
    assert_eq!(times(&table), whole);
    // Once more there is nothing that is older.
    assert!(table.remember_before((&topic, "x"), &earlier, (LIMITS, usize::MAX)));
    assert_eq!(times(&table), whole);
    let (_, bytes) = table.pasts();
    table.forget_pasts(&topic);
    assert!(bytes > 0 && table.pasts() == (0, 0));
}

#[test]
fn the_past_of_what_is_long_gone_is_forgotten_also_that_of_the_first_of_all_keys() {
    let (mut table, topic) = (table(), topic(0));
    let window = PAST_WINDOW.as_millis() as i64;
    for key in ["x", "y"] {
        table.put((&topic, key), ((), 0), ROOM).expect("room");
    }
    let mut remember = |key: &str, time_ms: i64| {
        let point = Point { time_ms, value: 1.0 };
        assert!(table.remember((&topic, key), (point, time_ms), (LIMITS, usize::MAX)));
    };
    remember("x", 0);
    for after_ms in 1..=4 {
        remember("y", window + after_ms);
    }
    assert!(table.past(&topic, "x").is_none() && table.past(&topic, "y").is_some());
}
