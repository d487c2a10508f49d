//! What whoever follows queries is told, against what the plain evaluator says at every instant.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::{Labels, METRIC_NAME, QueryId, Sample, Scope, Sight, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{QueryBeginning, QueryEnding, StandingQuery};
use crate::evaluation::query;
use crate::{
    Conventions, Engine, Plan, RuleFile, RuleMode, RuleSet, Storage, Value, load, load_in,
};

mod bounds;
mod hostile;

const START_MS: i64 = 1_700_000_000_000;

/// Bounds on the pieces of one errand.
const PIECES_MAX: usize = 100_000;

const EXPRESSIONS: [&str; 22] = [
    "x",
    "x > 2",
    "x offset 3s",
    "sum(x)",
    "sum by (a) (x)",
    "count by (a) (x) - on (a) sum by (a) (y)",
    "max without (b) (x) > bool 2",
    "x + on (a, b) y",
    "x unless y",
    "x or y",
    "topk by (a) (1, x)",
    "quantile(0.5, x)",
    "absent(x)",
    "absent(x{a=\"1\"})",
    "max_over_time(x[4s])",
    "count_over_time(x[4s])",
    "sum by (a) (rate(x[10s]))",
    "time() - x",
    "vector(1) + scalar(sum(x))",
    "r",
    "r * 2",
    "{__name__=~\"x|y|r\",a=~\"1|2\"}",
];

fn rules(text: &str) -> RuleSet {
    load(&[RuleFile { name: "f", text }]).expect("rules")
}

fn rule_sets() -> [RuleSet; 3] {
    [
        RuleSet::default(),
        rules("groups: [{name: g, rules: [{record: r, expr: 'sum by (a) (x)'}]}]"),
        rules(
            "groups: [{name: h, rules: [{alert: A, expr: 'x > 3'}, {record: r, expr: 'y * 2'}]}]",
        ),
    ]
}

fn sights() -> [Sight; 3] {
    let of = |text: &str| {
        let series = Scope::of(vec![text.parse().expect("matchers")]);
        Sight { alerts: Scope::all(), series }
    };
    [Sight::all(), of("a=\"1\""), of("b!=\"2\"")]
}

/// What happens next.
#[derive(Clone, Debug)]
enum Deed {
    Samples { after_ms: u64, samples: Vec<(usize, f64, u64)> },
    Passes { ms: u64 },
    Begins { expression: usize, sight: usize },
    Ends(Index),
    Replaced(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let value = select(vec![0.0, 1.0, 2.0, 3.0, 4.5, f64::NAN, f64::INFINITY]);
    let samples = prop::collection::vec((0..18_usize, value, 0..3_000_u64), 0..6);
    prop_oneof![
        6 => (0..2_500_u64, samples)
            .prop_map(|(after_ms, samples)| Deed::Samples { after_ms, samples }),
        2 => prop_oneof![1..9_000_u64, 290_000..320_000_u64].prop_map(|ms| Deed::Passes { ms }),
        4 => (0..EXPRESSIONS.len(), 0..3_usize)
            .prop_map(|(expression, sight)| Deed::Begins { expression, sight }),
        1 => any::<Index>().prop_map(Deed::Ends),
        1 => (0..3_usize).prop_map(Deed::Replaced),
    ]
}

fn series(number: usize) -> Labels {
    let (metric, a, b) = (["x", "y"][number % 2], number / 2 % 3, number / 6);
    let (a, b) = (a.to_string(), b.to_string());
    Labels::from_pairs([(METRIC_NAME, metric), ("a", &*a), ("b", &*b)]).expect("labels")
}

type Answer = BTreeMap<String, u64>;

/// An engine, its queries, and what whoever follows them has been told.
struct Followed {
    engine: Engine,
    queries: Vec<(QueryId, usize, usize)>,
    told: BTreeMap<QueryId, Answer>,
    now: Timestamp,
}

fn name(labels: &Labels) -> String {
    format!("{:?}", labels.iter().collect::<Vec<_>>())
}

/// NaN is NaN, however it came to be.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

impl Followed {
    fn new() -> Self {
        let now = Timestamp::from_ms(START_MS);
        let mut engine = Engine::new(rule_sets()[1].clone());
        engine.apply(now, &[]);
        Self { engine, queries: Vec::new(), told: BTreeMap::new(), now }
    }

    fn hear(&mut self) {
        for answered in self.engine.take_answered() {
            let answer = self.told.entry(answered.query).or_default();
            let key = name(&answered.labels);
            if let Some(value) = answered.value {
                answer.insert(key, bits(value));
            } else {
                let before = answer.remove(&key);
                assert!(before.is_some(), "what was never there has gone: {key}");
            }
        }
        assert!(self.engine.take_overgrown(|_| true).is_empty());
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.saturating_add(Duration::from_millis(ms));
    }

    fn begin(&mut self, expression: usize, sight: usize) {
        let (text, sight_of) = (EXPRESSIONS[expression], sights()[sight].clone());
        let (plan, canonical) = Plan::standing(text).expect(text);
        let id = QueryId::of(&canonical, &sight_of);
        if self.queries.iter().any(|(other, ..)| *other == id) {
            return;
        }
        let query = StandingQuery { id, plan, sight: sight_of };
        let mut beginning = QueryBeginning::new(query);
        let begun = (0..PIECES_MAX).find_map(|_| self.engine.begin_query(&mut beginning));
        assert_eq!(begun, Some(Ok(())), "{text}");
        self.queries.push((id, expression, sight));
        self.hear();
    }

    fn end(&mut self, place: usize) {
        let (id, ..) = self.queries.remove(place);
        let mut ending = QueryEnding::new(id);
        assert!((0..PIECES_MAX).any(|_| self.engine.end_query(&mut ending)));
        self.hear();
        let left = self.told.remove(&id).unwrap_or_default();
        assert_eq!(left, Answer::new(), "all of it has gone");
    }

    fn deed(&mut self, deed: Deed) {
        match deed {
            Deed::Samples { after_ms, samples } => {
                self.pass(after_ms);
                let sample = |(number, value, age): (usize, f64, u64)| Sample {
                    series: series(number),
                    value,
                    time: self.now.saturating_sub(Duration::from_millis(age)),
                };
                let samples: Vec<Sample> = samples.into_iter().map(sample).collect();
                self.engine.apply(self.now, &samples);
            }
            Deed::Passes { ms } => {
                self.pass(ms);
                self.engine.advance(self.now);
            }
            Deed::Begins { expression, sight } => self.begin(expression, sight),
            Deed::Ends(index) => {
                if !self.queries.is_empty() {
                    self.end(index.index(self.queries.len()));
                }
            }
            Deed::Replaced(set) => {
                self.engine.replace(self.now, rule_sets()[set].clone());
            }
        }
        self.hear();
    }

    /// What the plain evaluator says, of the series that may be seen.
    fn truth(&self, expression: usize, sight: usize) -> Option<Answer> {
        let (storage, sight) = (self.engine.storage(), &sights()[sight]);
        let mut seen = Storage::new();
        for (_, id) in self.engine.series.from(0) {
            let labels = storage.labels(id);
            if crate::sight::shows(sight, &labels) {
                let id_seen = seen.insert(&labels);
                for point in storage.points(id) {
                    seen.points_mut(id_seen).add(*point);
                }
            }
        }
        let plan = Plan::parse(EXPRESSIONS[expression]).expect("an expression");
        let answer = query(&plan, &seen, &Conventions::default(), self.now).ok()?;
        Some(match answer.value {
            Value::Vector(elements) => {
                elements.iter().map(|it| (name(&it.labels), bits(it.value))).collect()
            }
            Value::Scalar(value) => [(name(&Labels::empty()), bits(value))].into(),
            _ => unreachable!("only vectors and numbers stand"),
        })
    }

    /// Of those that are not told wholly between two samples, the elements alone.
    fn compare(&self, is_told_wholly: impl Fn(&str) -> bool) {
        for (id, expression, sight) in &self.queries {
            let text = EXPRESSIONS[*expression];
            let truth = self.truth(*expression, *sight).unwrap_or_default();
            let told = self.told.get(id).cloned().unwrap_or_default();
            if is_told_wholly(text) {
                assert_eq!(told, truth, "{text} {sight}");
            } else {
                let keys = |answer: &Answer| answer.keys().cloned().collect::<Vec<_>>();
                assert_eq!(keys(&told), keys(&truth), "{text} {sight}");
            }
        }
    }
}

proptest! {
    // Each deed is compared with the truth, which takes most of the time.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_told_is_what_the_plain_evaluator_says(
        deeds in prop::collection::vec(deed(), 1..60),
    ) {
        let mut followed = Followed::new();
        for deed in deeds {
            followed.deed(deed);
            followed.compare(|text| !text.contains("rate") && !text.contains("time()"));
        }
        // What moves by itself is looked at each second, or when a sample comes.
        followed.pass(1);
        let samples: Vec<Sample> = (0..18)
            .map(|number| Sample { series: series(number), value: 1.0, time: followed.now })
            .collect();
        followed.engine.apply(followed.now, &samples);
        followed.hear();
        followed.compare(|_| true);
        while !followed.queries.is_empty() {
            followed.end(0);
        }
        followed.engine.replace(followed.now, RuleSet::default());
        assert_eq!(followed.engine.storage().len(), 0, "nobody looks at anything");
    }
}

#[test]
fn what_queries_alone_select_does_not_say_that_rules_have_samples() {
    let text = "groups: [{name: g, interval: 1s, rules: [{alert: A, expr: 'y > 3'}]}]";
    let files = [RuleFile { name: "f", text }];
    for mode in RuleMode::ALL {
        let mut followed = Followed::new();
        followed.engine.replace(followed.now, load_in(&files, mode).expect("rules"));
        followed.begin(0, 0);
        let sampled_at = |followed: &Followed| followed.engine.figures().sampled_at;
        for metric in ["x", "x", "y", "x"] {
            followed.pass(100);
            let before = sampled_at(&followed);
            followed.engine.apply(followed.now, &[sample(metric, 1, followed.now)]);
            let expected = if metric == "y" { Some(followed.now) } else { before };
            assert_eq!(sampled_at(&followed), expected, "{metric} {mode:?}");
        }
        // The same of those that wait for their time.
        let ahead = followed.now.saturating_add(Duration::from_millis(50));
        followed.engine.apply(followed.now, &[sample("x", 1, ahead)]);
        let before = sampled_at(&followed);
        followed.pass(50);
        followed.engine.advance(followed.now);
        assert_eq!(sampled_at(&followed), before, "{mode:?}");
    }
}

fn sample(metric: &str, number: usize, time: Timestamp) -> Sample {
    let number = number.to_string();
    let series = Labels::from_pairs([(METRIC_NAME, metric), ("n", &*number)]).expect("labels");
    Sample { series, value: 1.0, time }
}

fn begin(engine: &mut Engine, text: &str) -> QueryId {
    let (plan, canonical) = Plan::standing(text).expect(text);
    let id = QueryId::of(&canonical, &Sight::all());
    let mut beginning = QueryBeginning::new(StandingQuery { id, plan, sight: Sight::all() });
    assert_eq!((0..PIECES_MAX).find_map(|_| engine.begin_query(&mut beginning)), Some(Ok(())));
    id
}

/// A batch that touches more than queries may look at in a step is whole a second later, and says so.
#[test]
fn what_there_is_no_time_for_comes_a_second_later() {
    let start = Timestamp::from_ms(START_MS);
    let mut engine = Engine::new(RuleSet::default());
    let id = begin(&mut engine, "x");
    let samples = |time| (0..5_000).map(|number| sample("x", number, time)).collect::<Vec<_>>();
    engine.apply(start, &samples(start));
    let first = engine.take_answered().len();
    assert!((1..5_000).contains(&first), "{first}");
    assert_eq!(engine.take_paced(), [id]);
    let mut told = first;
    for ms in 0..60_000 {
        if told == 5_000 {
            assert!(ms >= 1_000, "{ms}");
            return;
        }
        engine.advance(start.saturating_add(Duration::from_millis(ms)));
        told += engine.take_answered().len();
    }
    panic!("{told} of 5000 were told");
}

/// What cannot be followed sample by sample is looked at each second, whatever comes in between.
#[test]
fn what_is_evaluated_on_a_tick_is_what_there_is_then() {
    let at = |ms| Timestamp::from_ms(START_MS).saturating_add(Duration::from_millis(ms));
    let mut engine = Engine::new(rule_sets()[1].clone());
    engine.apply(at(0), &[sample("x", 1, at(0))]);
    let texts =
        ["sum(x @ end())", "limitk(2, x)", "x offset -1s", "sum_over_time(x[5s] offset -2s)"];
    let queries = texts.map(|text| (text, begin(&mut engine, text)));
    let mut told: BTreeMap<QueryId, Answer> = BTreeMap::new();
    let mut changes: BTreeMap<QueryId, usize> = BTreeMap::new();
    for ms in (100..=20_000).step_by(100) {
        let mut sample = sample("x", (ms / 700 % 4) as usize, at(ms));
        sample.value = ms as f64;
        engine.apply(at(ms), &[sample]);
        if ms == 9_500 {
            engine.replace(at(ms), rule_sets()[2].clone());
        }
        for answered in engine.take_answered() {
            *changes.entry(answered.query).or_default() += 1;
            let (answer, key) = (told.entry(answered.query).or_default(), name(&answered.labels));
            match answered.value {
                Some(value) => _ = answer.insert(key, bits(value)),
                None => _ = answer.remove(&key),
            }
        }
        for (text, id) in queries.iter().filter(|_| ms % 1_000 == 0) {
            let plan = Plan::parse(text).expect(text);
            let truth =
                query(&plan, engine.storage(), &Conventions::default(), at(ms)).expect(text);
            let Value::Vector(elements) = truth.value else { panic!("{text} is a vector") };
            let truth: Answer =
                elements.iter().map(|it| (name(&it.labels), bits(it.value))).collect();
            assert_eq!(told.get(id).cloned().unwrap_or_default(), truth, "{text} {ms}");
        }
    }
    let of_sum = changes[&queries[0].1];
    assert!((15..=21).contains(&of_sum), "{of_sum} in twenty seconds");
}

#[test]
fn expressions_that_say_the_same_are_one() {
    let canonical = |text: &str| Plan::standing(text).expect(text).1;
    let same = [("sum by (a) (x)", "sum(x) by(a)"), ("x{a=\"1\"}", " x { a = '1' , } ")];
    for (one, other) in same {
        assert_eq!(canonical(one), canonical(other), "{one}");
    }
    let different = [
        "x",
        "x > 1",
        "x > bool 1",
        "x offset 1m",
        "x offset 2m",
        "rate(x[1m])",
        "rate(x[2m])",
        "max_over_time(x[1m:10s])",
        "max_over_time(x[1m:20s])",
        "max_over_time(x[1m:])",
        "x * on (a) group_left y",
        "x * on (a) group_left (b) y",
        "x * ignoring (a) group_left y",
        "sum(x)",
        "sum by (a) (x)",
        "sum without (a) (x)",
        "topk(1, x)",
        "topk(2, x)",
        "x{a=\"1\"}",
        "x{a=\"2\"}",
        "x{a=~\"1\"}",
        "x{a!=\"1\"}",
        "x and y",
        "x and on (a) y",
        "-x",
    ];
    for (place, one) in different.iter().enumerate() {
        for other in &different[place + 1..] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }
}
