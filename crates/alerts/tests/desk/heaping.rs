//! Many silences of the same alerts: an alert names a few of them, and each is kept in mind.

use std::collections::BTreeMap;

use bellwire_alerts::desk::Restored;
use bellwire_alerts::silence::{Ending, NewSilence, SilenceError, SilenceState, count_matched};
use bellwire_alerts::{Desk, desk::Case};
use bellwire_model::limits::{MATCHING_STEPS_MAX, SILENCES_MAX, SILENCES_NAMED_MAX};
use bellwire_model::{AlertStatus, SilenceId};
use proptest::prelude::*;

use crate::script::{Script, at, fingerprint, silence};

fn status(script: &Script, text: &str) -> AlertStatus {
    script.desk.case(fingerprint(text)).expect("it is there").status().clone()
}

#[test]
fn an_alert_names_a_few_of_the_silences_that_match_it_and_stays_silenced_by_the_others() {
    let mut script = Script::new();
    script.fires("Hot,site=oslo");
    let one = |script: &mut Script| script.silences(silence("site=oslo", 0, 100)).expect("room");
    let mut ids: Vec<SilenceId> = (0..1_000).map(|_| one(&mut script)).collect();
    ids.sort_unstable();
    // One that comes later sees the same.
    script.fires("Cold,site=oslo");
    for text in ["Hot,site=oslo", "Cold,site=oslo"] {
        let status = status(&script, text);
        assert_eq!((&status.silenced_by[..], status.has_more_silences), (&ids[..16], true));
    }
    // Nothing is told of silences that are not named.
    script.take_shown();
    one(&mut script);
    script.expires(ids[500]);
    assert_eq!(script.take_shown(), Vec::<String>::new());
    for id in &ids {
        assert_eq!(script.word("Hot,site=oslo"), "silenced");
        script.expires(*id);
    }
    assert_eq!(status(&script, "Hot,site=oslo").silenced_by.len(), 1);
    script.pass(100);
    assert_eq!(script.word("Hot,site=oslo"), "firing");
}

#[test]
fn as_many_silences_as_there_may_be_end_at_once_and_each_of_many_alerts_is_told_once() {
    let mut script = Script::new();
    for number in 0..2_000 {
        script.fires(&format!("Hot,host={number}"));
    }
    let ending = Ending::Resolution { has_matched: false };
    for number in 0..SILENCES_MAX {
        let of = if number % 2 == 0 { "alertname=Hot" } else { "alertname=Hot,host!=x" };
        let new = silence(of, 10, if number % 3 == 0 { 20 } else { 30 });
        let new = if number % 5 == 0 { NewSilence { ending, ..new } } else { new };
        // Each of somebody else: one alone has no more than leaves room for others.
        script.silences(NewSilence { created_by: number.to_string().into(), ..new }).expect("room");
    }
    assert_eq!(script.silences(silence("alertname=Hot", 0, 20)), Err(SilenceError::TooMany));
    for (seconds, word) in [(10, "silenced"), (30, "firing")] {
        script.take_shown();
        script.pass(seconds);
        assert_eq!(script.word("Hot,host=7"), word);
        let told = script.take_shown().len();
        assert!((2_000..=4_000).contains(&told), "{told} at {seconds}");
    }
}

#[test]
fn silences_are_bounded_in_bytes_and_one_that_is_too_much_says_so() {
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_silences_bytes_max(20_000);
    let long = |length| NewSilence { comment: "x".repeat(length).into(), ..silence("a=b", 0, 10) };
    let mut ids = Vec::new();
    let refused = loop {
        match script.silences(long(3_000)) {
            Ok(id) => ids.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SilenceError::NoRoom { bytes } if bytes > 3_000), "{refused}");
    assert!(refused.to_string().contains("shorten its matchers, comment or annotations"));
    assert!((5..7).contains(&ids.len()), "{}", ids.len());
    // Neither does one grow, but each may shrink, end, or be another one that has room.
    let changed = |length| NewSilence { id: Some(ids[0]), ..long(length) };
    assert!(matches!(script.silences(changed(4_096)), Err(SilenceError::NoRoom { .. })));
    script.silences(changed(3_000)).expect("as long as before");
    script.silences(changed(10)).expect("shorter");
    script.expires(ids[1]);
    script.silences(long(1_000)).expect("room");
}

#[test]
fn who_heaps_up_silences_leaves_room_for_those_of_others() {
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_silences_bytes_max(100_000);
    let long = |by: &str| NewSilence {
        created_by: by.into(),
        comment: "x".repeat(1_000).into(),
        ..silence("a=b", 0, 10)
    };
    let refused = (0..100).find_map(|_| script.silences(long("greedy")).err());
    assert_eq!(refused, Some(SilenceError::NoRoomOfMaker));
    for _ in 0..5 {
        script.silences(long("modest")).expect("room");
    }
    assert_eq!(script.silences(long("greedy")), Err(SilenceError::NoRoomOfMaker));
    // Neither has somebody else room for their expressions.
    let mut script = Script::new();
    let large = silence(r#"a=~"[^x]{900}""#, 0, 10);
    let by = |by: &str| NewSilence { created_by: by.into(), ..large.clone() };
    let refused = (0..1_000).find_map(|_| script.silences(by("greedy")).err());
    assert_eq!(refused, Some(SilenceError::NoRoomOfMaker));
    script.silences(by("modest")).expect("room");
}

#[test]
fn no_alert_waits_long_for_the_expressions_of_silences() {
    let mut script = Script::new();
    let long = "ababx".repeat(800);
    script.fires(&format!("Slow,path={long}"));
    let slow = script.silences(silence(r#"path=~"(?:(?:.?){900}x)+""#, 0, 10)).expect("a silence");
    assert_eq!(
        script.word(&format!("Slow,path={long}")),
        "firing",
        "nobody knows whether it matches"
    );
    script.fires("Quick,path=x");
    assert_eq!(script.word("Quick,path=x"), "silenced");
    let count = |steps_max| {
        let labels = script.desk.cases().map(|case| &case.alert().labels);
        count_matched(script.desk.silences(), labels, steps_max)
    };
    assert_eq!(count(usize::MAX), Some([(slow, 1)].into_iter().collect()));
    assert_eq!(count(MATCHING_STEPS_MAX), None, "there are two alerts");
    script.expires(slow);
    assert_eq!(script.word("Quick,path=x"), "firing");
}

#[test]
fn of_more_than_there_is_room_for_a_start_forgets_those_that_ended_first_and_none_in_force() {
    let mut script = Script::new();
    script.fires("Hot");
    let long = |from, to| NewSilence {
        comment: "x".repeat(3_000).into(),
        ..silence("alertname=Hot", from, to)
    };
    let early = script.silences(long(0, 10)).expect("room");
    let late = script.silences(long(0, 20)).expect("room");
    let left: Vec<_> = (0..3).map(|_| script.silences(long(0, 90)).expect("room")).collect();
    script.pass(50);
    for (bytes_max, has_late, excess) in [(14_000, true, false), (8_000, false, true)] {
        let mut desk = Desk::new(&[]).with_silences_bytes_max(bytes_max);
        let records = script.records.iter().map(|(key, value)| (&**key, &**value));
        let restored = desk.restore(script.now(), records);
        assert_eq!(restored.silences_without_room, if has_late { 1 } else { 2 });
        assert_eq!(restored.silences_excess_bytes > 0, excess);
        assert!(left.iter().all(|id| desk.silence(*id).is_some()));
        assert_eq!((desk.silence(early), desk.silence(late).is_some()), (None, has_late));
        // Their records go with the first that is written.
        let gone = desk.settle(script.now()).records;
        assert!(gone.iter().all(|change| change.value.is_none()));
        assert_eq!(gone.len(), restored.silences_without_room);
    }
    let mut desk = Desk::new(&[]);
    let records = script.records.iter().map(|(key, value)| (&**key, &**value));
    assert_eq!(desk.restore(script.now(), records), Restored::default());
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Pass(i64),
    Fires(usize),
    Resolves(usize),
    Removed(usize),
    Silences(usize, i64, i64, Ending),
    Changes(usize, i64, Ending),
    Expires(usize),
    SetsBack,
    Restarts,
}

const ALERTS: [&str; 4] = ["Hot,site=oslo", "Hot,site=rome", "Cold,site=oslo", "Cold"];
const MATCHERS: [&str; 8] = [
    "site=oslo",
    "alertname=Hot",
    "alertname=Hot,site=oslo",
    "alertname=~Hot|Cold,site=oslo",
    "site!=oslo",
    "alertname=~.*o.*",
    "site=~oslo|rome",
    "site=~|oslo,alertname=~.+",
];

fn step() -> impl Strategy<Value = Step> {
    let ending = prop_oneof![
        2 => Just(Ending::Time),
        1 => Just(Ending::Resolution { has_matched: false }),
    ];
    let alert = 0..ALERTS.len();
    prop_oneof![
        3 => (1i64..30).prop_map(Step::Pass),
        3 => alert.clone().prop_map(Step::Fires),
        2 => alert.clone().prop_map(Step::Resolves),
        1 => alert.prop_map(Step::Removed),
        12 => (0..MATCHERS.len(), 0i64..20, 1i64..200, ending.clone())
            .prop_map(|(of, from, to, ending)| Step::Silences(of, from, to, ending)),
        2 => (0usize..60, 1i64..200, ending).prop_map(|(of, to, ending)| Step::Changes(of, to, ending)),
        4 => (0usize..60).prop_map(Step::Expires),
        1 => Just(Step::SetsBack),
        1 => Just(Step::Restarts),
    ]
}

fn take(script: &mut Script, ids: &mut Vec<SilenceId>, step: &Step) {
    let seconds = script.now().as_ms() / 1000;
    let is_there = |script: &Script, index: usize| {
        script.desk.case(fingerprint(ALERTS[index])).is_some_and(Case::is_raised)
    };
    match step {
        Step::Pass(more) => script.pass(seconds + more),
        Step::Fires(index) if !is_there(script, *index) => script.fires(ALERTS[*index]),
        Step::Resolves(index) if is_there(script, *index) => script.resolves(ALERTS[*index]),
        Step::Fires(_) | Step::Resolves(_) => {}
        Step::Removed(index) => script.removed(ALERTS[*index]),
        Step::Silences(of, from, to, ending) => {
            let (from, to) = (seconds + from, seconds + from + to);
            let new = NewSilence { ending: *ending, ..silence(MATCHERS[*of], from, to) };
            ids.push(script.silences(new).expect("room"));
        }
        Step::Changes(of, to, ending) => {
            let Some(old) = ids.get(*of).and_then(|id| script.desk.silence(*id)).cloned() else {
                return;
            };
            let new = NewSilence {
                id: Some(old.id),
                matchers: old.matchers,
                starts_at: old.starts_at,
                ends_at: at((seconds + to).max(old.starts_at.as_ms() / 1000 + 1)),
                ending: *ending,
                ..silence("a=b", 0, 1)
            };
            ids.push(script.silences(new).expect("room"));
        }
        Step::Expires(of) => {
            if let Some(id) = ids.get(*of) {
                script.expires(*id);
            }
        }
        Step::SetsBack => script.steps(-5),
        Step::Restarts => {
            script.restart();
            script.board = script
                .desk
                .cases()
                .map(|case| (case.alert().fingerprint, case.status().clone()))
                .collect();
        }
    }
}

/// What the silences say of an alert, found by asking each.
fn expected(script: &Script, case: &Case) -> Vec<SilenceId> {
    let is_in_force = |state| state == SilenceState::Active;
    let silences = script.desk.silences();
    let matching = silences.filter(|silence| {
        is_in_force(silence.state(script.now())) && silence.matchers.matches(&case.alert().labels)
    });
    matching.map(|silence| silence.id).collect()
}

fn check(script: &Script) {
    let mut counts: BTreeMap<SilenceId, u64> = BTreeMap::new();
    for case in script.desk.cases() {
        let (expected, status) = (expected(script, case), case.status());
        let named = &expected[..expected.len().min(SILENCES_NAMED_MAX)];
        assert_eq!(status.silenced_by, named);
        assert_eq!(status.has_more_silences, expected.len() > named.len());
        assert_eq!(script.board.get(&case.alert().fingerprint), Some(status));
        for id in expected {
            *counts.entry(id).or_default() += 1;
        }
    }
    let in_force: Vec<_> = script
        .desk
        .silences()
        .filter(|silence| silence.state(script.now()) == SilenceState::Active)
        .collect();
    let labels = script.desk.cases().map(|case| &case.alert().labels);
    assert_eq!(
        count_matched(in_force.iter().copied(), labels, usize::MAX)
            .expect("steps enough")
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        counts
    );
    for silence in in_force {
        let fires =
            |case: &Case| case.is_raised() && silence.matchers.matches(&case.alert().labels);
        if let Ending::Resolution { has_matched } = silence.ending {
            assert_eq!(has_matched, script.desk.cases().any(fires), "{silence:?}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_each_alert_is_silenced_by_those_that_match_it(
        steps in prop::collection::vec(step(), 0..80)
    ) {
        let (mut script, mut ids) = (Script::new(), Vec::new());
        for step in &steps {
            take(&mut script, &mut ids, step);
            check(&script);
        }
    }
}
