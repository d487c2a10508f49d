//! Silences: when they hold, and what may be changed of them.

use bellwire_alerts::silence::{Ending, NewSilence, SilenceError, SilenceState};
use bellwire_model::{SilenceId, TransitionKind};

use crate::script::{Script, at, silence};

#[test]
fn a_silence_holds_from_its_start_to_its_end() {
    let mut script = Script::new();
    script.fires("Hot,site=oslo");
    script.fires("Hot,site=rome");
    script.rule(TransitionKind::Pending, "Slow,site=oslo", 0);
    let id = script.silences(silence("site=~os.*", 10, 20)).expect("a silence");
    script.take_shown();
    for (seconds, oslo, expected) in [
        (9, "firing", vec![]),
        (10, "silenced", vec!["Hot: silenced", "Slow: pending"]),
        (19, "silenced", vec![]),
        (20, "firing", vec!["Hot: firing", "Slow: pending"]),
    ] {
        script.pass(seconds);
        assert_eq!(script.word("Hot,site=oslo"), oslo, "at {seconds}");
        assert_eq!(script.word("Hot,site=rome"), "firing", "at {seconds}");
        let mut shown = script.take_shown();
        shown.sort();
        assert_eq!(shown, expected, "at {seconds}");
    }
    // It is remembered for five days, and then forgotten.
    script.pass(20 + 120 * 3600 - 1);
    assert!(script.desk.silence(id).is_some());
    script.pass(20 + 120 * 3600);
    assert!(script.desk.silence(id).is_none());
    assert_eq!(script.records.len(), 0);
}

#[test]
fn an_alert_that_begins_to_fire_is_silenced_at_once() {
    let mut script = Script::new();
    let by_name = script.silences(silence("alertname=Hot", 0, 100)).expect("a silence");
    let by_site = script.silences(silence("site!=rome", 0, 100)).expect("a silence");
    script.fires("Hot,site=oslo");
    script.fires("Slow,site=oslo");
    script.fires("Slow,site=rome");
    assert_eq!(script.take_shown(), ["Hot: silenced", "Slow: silenced", "Slow: firing"]);
    script.expires(by_site);
    assert_eq!(script.word("Hot,site=oslo"), "silenced");
    assert_eq!(script.word("Slow,site=oslo"), "firing");
    script.expires(by_name);
    assert_eq!(script.word("Hot,site=oslo"), "firing");
    // Ended once, it stays as it is.
    let before = script.desk.silence(by_name).cloned();
    script.pass(5);
    script.expires(by_name);
    assert_eq!(script.desk.silence(by_name).cloned(), before);
}

/// What is changed at what time, and whether the silence stays the same one.
type Row = (&'static str, i64, fn(&mut NewSilence), bool);

#[test]
fn changes_that_alter_the_past_make_a_new_silence() {
    let changed = |id, change: fn(&mut NewSilence)| {
        let mut new = NewSilence { id: Some(id), ..silence("site=oslo", 10, 100) };
        change(&mut new);
        new
    };
    let table: [Row; 6] = [
        ("a later end", 50, |new| new.ends_at = at(200), true),
        ("another comment", 50, |new| new.comment = "longer".into(), true),
        ("other matchers", 50, |new| new.matchers = "site=rome".parse().expect("matchers"), false),
        ("another start of one in force", 50, |new| new.starts_at = at(20), false),
        ("another start of one to come", 5, |new| new.starts_at = at(20), true),
        ("one that has ended", 150, |new| new.ends_at = at(200), false),
    ];
    for (name, now, change, is_same) in table {
        let mut script = Script::new();
        let id = script.silences(silence("site=oslo", 10, 100)).expect("a silence");
        script.pass(now);
        let new_id = script.silences(changed(id, change)).expect(name);
        assert_eq!(new_id == id, is_same, "{name}");
        let states = [id, new_id].map(|id| script.desk.silence(id).map(|s| s.state(at(now))));
        if !is_same {
            assert_eq!(states, [Some(SilenceState::Expired), Some(SilenceState::Active)], "{name}");
        }
    }
}

#[test]
fn what_could_be_no_silence_is_refused() {
    let mut script = Script::new();
    script.pass(50);
    let unknown = Some(SilenceId::from_random(9));
    let table = [
        (silence("a=b", 60, 60), SilenceError::EndNotAfterStart),
        (silence("a=b", 10, 49), SilenceError::EndInPast),
        (silence("{}", 50, 60), SilenceError::NoMatchers),
        (silence("a=~.*,b=", 50, 60), SilenceError::MatchesEmpty),
        (
            NewSilence { comment: "x".repeat(5000).into(), ..silence("a=b", 50, 60) },
            SilenceError::TextTooLong,
        ),
        (NewSilence { id: unknown, ..silence("a=b", 50, 60) }, SilenceError::NotFound),
    ];
    for (new, expected) in table {
        assert_eq!(script.silences(new), Err(expected));
    }
    // As in Alertmanager, a negative test alone is enough.
    assert!(script.silences(silence("a!=b", 10, 60)).is_ok());
    assert_eq!(script.records.len(), 1);
}

#[test]
fn a_silence_until_resolution_ends_with_the_last_alert_that_it_matches() {
    let mut script = Script::new();
    let ending = Ending::Resolution { has_matched: false };
    let until_resolved = |matchers| NewSilence { ending, ..silence(matchers, 0, 1000) };
    script.fires("Hot,site=oslo");
    script.fires("Hot,site=rome");
    let id = script.silences(until_resolved("alertname=Hot")).expect("a silence");
    let early = script.silences(until_resolved("alertname=Late")).expect("a silence");
    let state = |script: &Script, id| script.desk.silence(id).map(|s| s.state(script.now()));
    script.pass(10);
    script.resolves("Hot,site=oslo");
    assert_eq!(state(&script, id), Some(SilenceState::Active));
    script.pass(20);
    script.resolves("Hot,site=rome");
    assert_eq!(state(&script, id), Some(SilenceState::Expired));
    // What has matched nothing yet waits.
    assert_eq!(state(&script, early), Some(SilenceState::Active));
    script.fires("Late");
    assert_eq!(script.word("Late"), "silenced");
    script.resolves("Late");
    assert_eq!(state(&script, early), Some(SilenceState::Expired));
    script.fires("Late");
    assert_eq!(script.word("Late"), "firing");
}

#[test]
fn a_silence_stays_as_it_was_planned_whatever_alerts_write_of_it_meanwhile() {
    let mut script = Script::new();
    let ending = Ending::Resolution { has_matched: false };
    let new = NewSilence { ending, ..silence("alertname=Hot", 0, 100) };
    let id = script.silences(new.clone()).expect("a silence");
    let longer = NewSilence { id: Some(id), ends_at: at(200), ending: Ending::Time, ..new };
    let (_, plan) = script.desk.plan_silence(script.now(), longer, id).expect("a plan");
    script.interrupted(plan, |script| script.fires("Hot"));
    script.restart();
    assert_eq!(script.desk.silence(id).map(|silence| silence.ends_at), Some(at(200)));

    let new = NewSilence { ending, ..silence("alertname=Cold", 0, 100) };
    let id = script.silences(new).expect("a silence");
    let plan = script.desk.plan_expiry(script.now(), id).expect("a plan");
    script.interrupted(plan, |script| script.fires("Cold"));
    script.restart();
    let state = script.desk.silence(id).map(|silence| silence.state(script.now()));
    assert_eq!(state, Some(SilenceState::Expired));
}
