//! What a restart brings back: all of it, whenever it comes.

use bellwire_alerts::Desk;
use bellwire_alerts::desk::{Action, Case, Restored};
use bellwire_alerts::inhibition::InhibitionRule;
use bellwire_alerts::silence::{Ending, NewSilence};
use bellwire_model::{NewAcknowledgement, NewAssignment, NewComment};
use proptest::prelude::*;

use crate::script::{Script, fingerprint, silence};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Pass(u16),
    Fires(usize),
    Resolves(usize),
    Posts(usize, Option<i64>),
    Silences(usize, i64, i64, Ending),
    Expires,
    Acknowledges(usize),
    Assigns(usize),
    Comments(usize),
    Restarts,
}

const ALERTS: [&str; 4] = ["A,site=oslo", "A,site=rome", "B,site=oslo", "C"];
const MATCHERS: [&str; 4] = ["alertname=A", "site=oslo", "site!=rome", "alertname=~A|C"];

fn step() -> impl Strategy<Value = Step> {
    let ending = prop_oneof![Just(Ending::Time), Just(Ending::Resolution { has_matched: false })];
    prop_oneof![
        (1..400u16).prop_map(Step::Pass),
        (0..ALERTS.len()).prop_map(Step::Fires),
        (0..ALERTS.len()).prop_map(Step::Resolves),
        (0..ALERTS.len(), proptest::option::of(-10..600i64))
            .prop_map(|(alert, end)| Step::Posts(alert, end)),
        (0..MATCHERS.len(), -5..50i64, 1..500i64, ending).prop_map(
            |(matchers, from, length, ending)| Step::Silences(matchers, from, length, ending)
        ),
        Just(Step::Expires),
        (0..ALERTS.len()).prop_map(Step::Acknowledges),
        (0..ALERTS.len()).prop_map(Step::Assigns),
        (0..ALERTS.len()).prop_map(Step::Comments),
        Just(Step::Restarts),
    ]
}

/// A inhibits others of its site, and C itself and all others without one.
fn inhibition() -> Vec<InhibitionRule> {
    let rule = |sources: &str, targets: &str| InhibitionRule {
        sources: sources.parse().expect("matchers"),
        targets: targets.parse().expect("matchers"),
        equal: vec!["site".into()],
    };
    vec![rule("alertname=A", "alertname!=A"), rule("alertname=~A|C", "alertname=~.*")]
}

/// All that anybody can see.
fn portrait(script: &Script) -> Vec<String> {
    let case = |case: &bellwire_alerts::desk::Case| {
        format!("{:?} {:?} {:?}", case.alert(), case.status(), case.ends_at())
    };
    let mut portrait: Vec<String> = script.desk.cases().map(case).collect();
    portrait.extend(script.desk.silences().map(|silence| format!("{silence:?}")));
    portrait
}

fn run(script: &mut Script, step: Step) {
    let now = script.now().as_ms() / 1000;
    let is_of_rule = |script: &Script, alert: &str| {
        let case = script.desk.case(fingerprint(alert));
        case.is_some_and(|case| case.alert().rule().is_some() && case.is_raised())
    };
    match step {
        Step::Pass(seconds) => script.pass(now + i64::from(seconds)),
        Step::Fires(alert) => script.fires(ALERTS[alert]),
        Step::Resolves(alert) if is_of_rule(script, ALERTS[alert]) => {
            script.resolves(ALERTS[alert]);
        }
        Step::Resolves(_) => {}
        Step::Posts(alert, end) => {
            script.posts(ALERTS[alert], None, end.map(|end| now + end));
        }
        Step::Silences(matchers, from, length, ending) => {
            let new = silence(MATCHERS[matchers], now + from, now + from + length);
            let _ = script.silences(NewSilence { ending, ..new });
        }
        Step::Expires => {
            let first = script.desk.silences().next().map(|silence| silence.id);
            if let Some(id) = first {
                script.expires(id);
            }
        }
        Step::Acknowledges(alert) => {
            let new = NewAcknowledgement { by: "ada".into(), note: "".into() };
            act(script, alert, &Action::Acknowledge(new));
        }
        Step::Assigns(alert) => {
            let new = NewAssignment { to: "bob".into(), by: "ada".into() };
            act(script, alert, &Action::Assign(new));
        }
        Step::Comments(alert) => {
            let text = format!("at {now} s \u{1}").into();
            act(script, alert, &Action::Comment(NewComment { by: "ada".into(), text }));
        }
        Step::Restarts => script.restart(),
    }
}

fn act(script: &mut Script, alert: usize, action: &Action) {
    if let Ok(plan) = script.desk.plan_action(script.now(), fingerprint(ALERTS[alert]), action) {
        script.take(plan);
    }
}

proptest! {
    #[test]
    fn a_restart_changes_nothing_that_can_be_seen(steps in proptest::collection::vec(step(), 1..40)) {
        let mut script = Script::with_inhibition(inhibition());
        for step in steps {
            run(&mut script, step);
            let before = portrait(&script);
            let records = script.records.clone();
            script.restart();
            prop_assert_eq!(portrait(&script), before);
            prop_assert_eq!(&script.records, &records);
        }
    }
}

#[test]
fn what_waited_for_an_alert_that_is_gone_ends() {
    let mut script = Script::new();
    script.fires("Hot");
    let ending = Ending::Resolution { has_matched: false };
    let new = NewSilence { ending, ..silence("alertname=Hot", 0, 1000) };
    let id = script.silences(new).expect("a silence");
    let new = NewAcknowledgement { by: "ada".into(), note: "".into() };
    let plan = script.desk.plan_acknowledgement(script.now(), fingerprint("Hot"), new);
    script.take(plan.expect("it fires"));
    let mut desk = Desk::new(&[]);
    let records = script.records.iter().map(|(key, value)| (&**key, &**value));
    assert_eq!(desk.restore(script.now(), records), Restored::default());
    // The rules' alerts did not come back.
    let outcome = desk.settle(script.now());
    let keys: Vec<&str> = outcome.records.iter().map(|change| &*change.key).collect();
    let silence = format!("desk/silence/{id}");
    assert_eq!(keys, [format!("desk/acknowledgement/{}", fingerprint("Hot")), silence]);
    assert!(outcome.records[0].value.is_none() && outcome.records[1].value.is_some());
}

#[test]
fn a_record_that_cannot_be_read_is_named_and_harms_no_other() {
    let mut script = Script::new();
    script.silences(silence("a=b", 0, 1000)).expect("a silence");
    let (key, value) = script.records.first_key_value().expect("a record");
    let mut desk = Desk::new(&[]);
    let records = [
        ("desk/silence/x", &**value),
        ("desk/other", b"{}"),
        ("desk/posted/1", b"{"),
        (key, value),
    ];
    let restored = desk.restore(script.now(), records);
    assert_eq!(restored.unreadable, ["desk/silence/x", "desk/other", "desk/posted/1"]);
    assert_eq!(desk.silences().count(), 1);
}

#[test]
fn a_posted_alert_whose_end_passed_during_a_restart_waits_for_its_sender() {
    for (is_sent_again, word) in [(true, "firing"), (false, "resolved")] {
        let mut script = Script::new();
        script.posts("Hot", Some(0), Some(100));
        script.wake_at(200);
        assert_eq!(script.word("Hot"), "firing");
        script.pass(260);
        if is_sent_again {
            script.posts("Hot", Some(0), Some(500));
        }
        script.pass(321);
        assert_eq!(
            (script.word("Hot"), script.announced.len()),
            (word, if is_sent_again { 1 } else { 2 })
        );
    }
}

/// As an earlier build left them, which knew alerts by another kind of fingerprint.
#[test]
fn records_under_other_fingerprints_are_moved_or_forgotten_once() {
    let mut script = Script::new();
    script.posts("Hot", None, Some(5000));
    script.posts("Cold", None, Some(5000));
    script.fires("Warm");
    let new = NewAcknowledgement { by: "ada".into(), note: "".into() };
    let plan = script.desk.plan_acknowledgement(script.now(), fingerprint("Warm"), new);
    script.take(plan.expect("it fires"));
    let right: Vec<String> = script.records.keys().cloned().collect();
    let records = std::mem::take(&mut script.records).into_iter();
    script.records = records
        .zip(1..)
        .map(|((key, value), n)| (format!("{}{n:016x}", &key[..key.len() - 16]), value))
        .collect();
    let mut desk = Desk::new(&[]);
    let records = script.records.iter().map(|(key, value)| (&**key, &**value));
    desk.restore(script.now(), records);
    assert_eq!(desk.attended_waiting(), 1, "nobody comes for it");
    // Meanwhile a rule has begun to raise one of them.
    script.fires("Cold");
    script.restart();
    assert!(script.desk.case(fingerprint("Hot")).is_some_and(Case::is_raised));
    let hot = format!("desk/posted/{}", fingerprint("Hot"));
    assert!(right.contains(&hot));
    assert_eq!(script.records.keys().collect::<Vec<_>>(), [&hot]);
    script.pass(5100);
    script.restart();
    assert_eq!(script.word("Hot"), "resolved");
}
