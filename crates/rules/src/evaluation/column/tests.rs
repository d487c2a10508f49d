//! Columns against the plain evaluator, over random samples.

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};

use super::*;
use crate::evaluation::{Conventions, Item, Selected, Span, selected};
use crate::plan::{Plan, Root};
use crate::storage::{STALE, Storage};

/// Each with an outline, in any storage of the test.
const EXPRESSIONS: [&str; 43] = [
    "a > 1",
    "-a + 2 * b{n=\"1\"} ^ 2",
    "abs(a - 2) >= bool 1",
    "clamp(a, 1, 3) + on (n) round(b{le=\"1\"}, 0.5)",
    "clamp(a, 3, 1)",
    "a * on (n) b{le=\"1\"} > 2",
    "a * on (n) group_left (le) b{le=\"1\"}",
    "b / ignoring (le) group_left sum without (le) (b)",
    "sum(a)",
    "sum by (n) (b)",
    "avg without (le) (b) - min by (n) (b)",
    "max(sum by (n) (rate(b[20s])))",
    "sum(avg by (n) (b > 1))",
    "count by (n) (sum by (n, le) (b))",
    "stddev(b) + stdvar(b)",
    "group by (le) (b)",
    "quantile by (n) (0.4, b)",
    "topk by (n) (1, b)",
    "count by (n) (bottomk by (le) (2, b))",
    "absent(a) or absent_over_time(b{n=\"3\"}[10s])",
    "absent(a{n=\"1\"} > 2)",
    "a and on (n) b > 2",
    "a unless on (n) (b > 2)",
    "a or b",
    "sum(a or b)",
    "histogram_quantile(0.9, sum by (le) (rate(b[30s])))",
    "histogram_quantile(0.5, b)",
    "rate(a[20s]) / increase(a[35s])",
    "delta(a[20s] offset 3s) < 1",
    "deriv(b[20s]) > predict_linear(b[20s], 5)",
    "max_over_time(a[20s]) - min_over_time(a[20s])",
    "avg_over_time(a[20s]) + sum_over_time(a[10s])",
    "quantile_over_time(0.3, a[30s])",
    "changes(a[20s]) + resets(a[20s])",
    "irate(a[20s]) + idelta(a[20s])",
    "last_over_time(a[7s]) == a",
    "time() - timestamp(a) > 4",
    "timestamp(a + 1)",
    "hour(a * 3600) + minute()",
    "vector(3) + on () group_right a",
    "label_replace(b, \"m\", \"x$1\", \"n\", \"(.*)\")",
    "sum by (m) (label_join(b, \"m\", \"-\", \"n\", \"le\"))",
    "a offset 5s > a",
];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn storage(random: &mut Random) -> Storage {
    let mut storage = Storage::new();
    for time in (0..60_000).step_by(2_500) {
        for series in 0..7_u64 {
            let (metric, n) = if series < 3 { ("a", series) } else { ("b", series / 2) };
            let le = ["1", "+Inf"][series as usize % 2];
            let pairs = [
                (METRIC_NAME, metric),
                ("n", &*n.to_string()),
                ("le", if series < 3 { "" } else { le }),
            ];
            let value = match random.below(12) {
                0 => STALE,
                1 => f64::NAN,
                number => number as f64 / 3.0 + series as f64,
            };
            // Some do not come.
            if time == 0 || random.below(3) > 0 {
                let series = Labels::from_pairs(pairs).expect("labels");
                let time = Timestamp::from_ms(time + random.below(2_000) as i64);
                storage.add(&Sample { series, value, time });
            }
        }
    }
    storage
}

/// What there is, with the bits of its number, in one order: that of groups is that of what is
/// there.
fn told<'l>(elements: impl Iterator<Item = (&'l Labels, Number)>) -> Vec<(&'l Labels, [u64; 2])> {
    let bits = |number: Number| [number.value.to_bits(), number.drift.to_bits()];
    let mut told: Vec<_> = elements.map(|(labels, number)| (labels, bits(number))).collect();
    told.sort_unstable();
    told
}

/// Compares both at one time; says whether numbers were enough.
fn compare((text, seed): (&str, u64), storage: &Storage, time: i64, spare: &mut Spare) -> bool {
    let lookback = std::time::Duration::from_secs(9);
    let conventions = Conventions { lookback, ..Conventions::default() };
    let plan = Plan::parse(text).expect(text);
    let Root::Vector(root) = &plan.root else { panic!("{text} is no vector") };
    let selected = selected(&plan, storage);
    let evaluation = || {
        let span = Span::at(Timestamp::from_ms(time));
        Evaluation::new(storage, Selected::Each(&selected), &conventions, span)
    };
    let (outline, labels) = evaluation().outline(root).expect(text);
    let mut by_column = evaluation();
    let Ok(column) = by_column.column((root, &outline), time, spare) else { return false };
    let mut by_items = evaluation();
    let items = by_items.items(&plan.root, time).expect(text);
    let expected = items.iter().map(|Item { labels, number, .. }| (labels, *number));
    let present =
        labels.iter().zip(&column).filter_map(|(labels, number)| Some((labels, (*number)?)));
    assert_eq!(told(present), told(expected), "{text} at {time} ms, seed {seed}");
    assert_eq!(by_column.next_wake(), by_items.next_wake(), "{text} at {time} ms, seed {seed}");
    assert_eq!(by_column.is_restless(), by_items.is_restless(), "{text} at {time} ms, seed {seed}");
    true
}

#[test]
fn columns_are_what_the_plain_evaluator_says_to_the_last_bit() {
    let mut spare = Spare::default();
    let mut computed = 0;
    for seed in 1..=60 {
        let mut random = Random(seed);
        let storage = storage(&mut random);
        for text in EXPRESSIONS {
            let time = random.below(70_000) as i64;
            computed += usize::from(compare((text, seed), &storage, time, &mut spare));
        }
    }
    // Of few the order of groups was not known.
    assert!(computed > 60 * EXPRESSIONS.len() * 9 / 10, "{computed}");
}

/// Expressions of one series, over each series of `b` alone.
#[test]
fn one_series_comes_to_what_the_plain_evaluator_says_to_the_last_bit() {
    let expressions = [
        "b",
        "b > 1",
        "1 < b != 3",
        "-b % 2",
        "b offset 4s > 1",
        "b > bool 1",
        "rate(b[20s]) > 0.1",
        "clamp(b, 1, 3)",
        "clamp(b, 3, 1)",
        "round(abs(b - 2), 0.5)",
        "time() - timestamp(b) > 4",
        "timestamp(-b)",
        "day_of_week(b * 86400)",
        "predict_linear(b[20s], 5) < 1",
        "increase(b[20s] offset 3s)",
        "quantile_over_time(0.3, b[30s])",
        "last_over_time(b[7s])",
        "abs(delta(b[15s])) > 1",
        "minute(timestamp(b) * 60) > 5",
    ];
    let conventions =
        Conventions { lookback: std::time::Duration::from_secs(9), ..Conventions::default() };
    let mut present = 0;
    for seed in 1..=60 {
        let mut random = Random(seed);
        let storage = storage(&mut random);
        for text in expressions {
            let plan = Plan::parse(text).expect(text);
            let Root::Vector(root) = &plan.root else { panic!("{text} is no vector") };
            assert!(plan.is_of_one_series(), "{text}");
            let time = random.below(70_000) as i64;
            for id in selected(&plan, &storage)[0].iter() {
                let evaluation = || {
                    let span = Span::at(Timestamp::from_ms(time));
                    let selected = Selected::Only(std::slice::from_ref(id));
                    Evaluation::new(&storage, selected, &conventions, span)
                };
                let mut by_number = evaluation();
                let number = by_number.single(root, time).expect(text);
                if plan.is_of_samples() {
                    let samples = Plan::parse("b").expect("b");
                    let Root::Vector(samples) = &samples.root else { panic!("b is no vector") };
                    let sample = evaluation().single(samples, time).expect("b");
                    let sample = sample.map(|sample| sample.value);
                    let kept = sample.filter(|value| single::keeps(root, *value));
                    let kept = kept.map(f64::to_bits);
                    assert_eq!(kept, number.map(|number| number.value.to_bits()), "{text}");
                }
                let mut by_items = evaluation();
                let items = by_items.items(&plan.root, time).expect(text);
                let bits = |number: Number| [number.value.to_bits(), number.drift.to_bits()];
                let expected: Vec<_> = items.iter().map(|item| bits(item.number)).collect();
                assert_eq!(number.into_iter().map(bits).collect::<Vec<_>>(), expected, "{text}");
                assert_eq!(by_number.next_wake(), by_items.next_wake(), "{text}, seed {seed}");
                assert_eq!(by_number.is_restless(), by_items.is_restless(), "{text}");
                present += expected.len();
            }
        }
    }
    assert!(present > 1_000, "{present}");
}
