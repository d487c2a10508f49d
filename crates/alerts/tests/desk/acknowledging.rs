//! Acknowledgements: from a firing alert to its resolution.

use bellwire_alerts::Desk;
use bellwire_alerts::desk::AttendError;
use bellwire_model::{NewAcknowledgement, TransitionKind};

use crate::script::{Script, fingerprint, silence};

fn acknowledge(script: &mut Script, alert: &str, by: &str) -> Result<(), AttendError> {
    let new = NewAcknowledgement { by: by.into(), note: "on it".into() };
    let plan = script.desk.plan_acknowledgement(script.now(), fingerprint(alert), new)?;
    script.take(plan);
    Ok(())
}

#[test]
fn an_acknowledgement_lasts_until_the_alert_resolves() {
    let mut script = Script::new();
    script.fires("Hot");
    script.pass(5);
    acknowledge(&mut script, "Hot", "ada").expect("it fires");
    assert_eq!(script.take_shown(), ["Hot: firing", "Hot: acknowledged"]);
    assert_eq!(script.announced, [format!("{}-5000-alert.acknowledged", fingerprint("Hot"))]);
    // The same again changes nothing; somebody else takes over.
    acknowledge(&mut script, "Hot", "ada").expect("it fires");
    assert_eq!((script.announced.len(), script.take_shown().len()), (1, 0));
    acknowledge(&mut script, "Hot", "bob").expect("it fires");
    assert_eq!(script.announced.len(), 2);
    // A silence tells more while it is there.
    let id = script.silences(silence("alertname=Hot", 5, 100)).expect("a silence");
    assert_eq!(script.word("Hot"), "silenced");
    script.expires(id);
    assert_eq!(script.word("Hot"), "acknowledged");
    script.resolves("Hot");
    assert_eq!(script.word("Hot"), "resolved");
    script.pass(9);
    script.fires("Hot");
    assert_eq!(script.word("Hot"), "firing");
    let is_acknowledgement = |key: &String| key.starts_with("desk/acknowledgement/");
    assert!(!script.records.keys().any(is_acknowledgement));
}

#[test]
fn an_acknowledgement_can_be_taken_back() {
    let mut script = Script::new();
    script.fires("Hot");
    acknowledge(&mut script, "Hot", "ada").expect("it fires");
    for announced in [2, 2] {
        let plan = script.desk.plan_unacknowledgement(script.now(), fingerprint("Hot"));
        script.take(plan.expect("the alert is there"));
        assert_eq!((script.word("Hot"), script.announced.len()), ("firing", announced));
    }
    assert_eq!(script.records.len(), 0);
}

#[test]
fn only_a_firing_alert_can_be_acknowledged() {
    let mut script = Script::new();
    script.rule(TransitionKind::Pending, "Slow", 0);
    script.fires("Hot");
    script.fires("Old");
    script.resolves("Old");
    assert_eq!(acknowledge(&mut script, "Gone", "ada"), Err(AttendError::NotFound));
    assert_eq!(acknowledge(&mut script, "Slow", "ada"), Err(AttendError::NotFiring));
    assert_eq!(acknowledge(&mut script, "Old", "ada"), Err(AttendError::NotFiring));
    assert_eq!(acknowledge(&mut script, "Hot", ""), Err(AttendError::Text));
    assert_eq!(acknowledge(&mut script, "Hot", &"x".repeat(256)), Err(AttendError::Text));
    let plan = script.desk.plan_unacknowledgement(script.now(), fingerprint("Gone"));
    assert_eq!(plan.map(|_| ()), Err(AttendError::NotFound));
}

#[test]
fn what_rules_say_between_a_plan_and_its_taking_counts() {
    let new = || NewAcknowledgement { by: "ada".into(), note: "".into() };
    let mut script = Script::new();
    script.fires("Hot");
    let plan = script.desk.plan_acknowledgement(script.now(), fingerprint("Hot"), new());
    script.resolves("Hot");
    script.take(plan.expect("it fired"));
    assert_eq!((script.word("Hot"), script.records.len()), ("resolved", 0));
    // It fires anew, which nobody has acknowledged.
    script.pass(1);
    script.fires("Hot");
    assert_eq!(script.word("Hot"), "firing");
}

#[test]
fn a_posted_alert_stays_acknowledged_where_another_sender_says_that_it_began_earlier() {
    let mut script = Script::new();
    script.pass(10);
    script.posts("Hot", Some(10), None);
    acknowledge(&mut script, "Hot", "ada").expect("it fires");
    script.posts("Hot", Some(8), None);
    assert_eq!(script.word("Hot"), "acknowledged");
    script.restart();
    assert_eq!(script.word("Hot"), "acknowledged");
    // It fires anew with the same start, and its record says of which time it was.
    let stale = script.records.clone();
    script.pass(400);
    script.posts("Hot", Some(8), None);
    let is_acknowledgement = |(key, _): &(&String, &Vec<u8>)| key.contains("/acknowledgement/");
    script.records.extend(
        stale.iter().filter(is_acknowledgement).map(|(key, value)| (key.clone(), value.clone())),
    );
    script.restart();
    assert_eq!(script.word("Hot"), "firing");
    assert!(!script.records.keys().any(|key| key.contains("/acknowledgement/")));
}

#[test]
fn an_acknowledgement_that_an_earlier_version_wrote_is_found_again() {
    let mut script = Script::new();
    script.pass(5);
    script.fires("Hot");
    script.posts("Posted", Some(3), None);
    for alert in ["Hot", "Posted"] {
        acknowledge(&mut script, alert, "ada").expect("it fires");
        let seconds = if alert == "Hot" { 5 } else { 3 };
        let text = format!(r#"{{"by":"ada","note":"","at":1,"fired_at":{seconds}000}}"#);
        let key = format!("desk/acknowledgement/{}", fingerprint(alert));
        assert!(script.records.insert(key, text.into_bytes()).is_some());
    }
    script.restart();
    assert_eq!((script.word("Hot"), script.word("Posted")), ("acknowledged", "acknowledged"));
}

#[test]
fn acknowledgements_are_bounded_in_bytes_and_what_goes_makes_room() {
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_acknowledgements_bytes_max(10_000);
    let alerts: Vec<String> = (0..9).map(|number| format!("Hot,host={number}")).collect();
    for alert in &alerts {
        script.fires(alert);
    }
    let long = |script: &mut Script, alert: &str, character: &str, length: usize| {
        let note = character.repeat(length).into();
        let new = NewAcknowledgement { by: "ada".into(), note };
        script.desk.plan_acknowledgement(script.now(), fingerprint(alert), new).map(|plan| {
            script.take(plan);
        })
    };
    let taken = alerts.iter().take_while(|alert| long(&mut script, alert, "x", 3_000).is_ok());
    assert_eq!(taken.count(), 3);
    // What a record escapes counts as the record has it.
    let refused = long(&mut script, &alerts[3], "\u{1}", 300).expect_err("no room");
    assert!(matches!(refused, AttendError::NoRoom { bytes } if bytes > 1_800), "{refused}");
    long(&mut script, &alerts[0], "y", 3_000).expect("as long as before");
    long(&mut script, &alerts[1], "x", 4_000).expect_err("longer");
    long(&mut script, &alerts[1], "x", 100).expect("shorter");
    // A restart counts them again, and whatever ends one makes room.
    let kept = script.records.len();
    script.restart();
    assert_eq!(script.records.len(), kept);
    script.resolves(&alerts[0]);
    script.removed(&alerts[2]);
    let plan = script.desk.plan_unacknowledgement(script.now(), fingerprint(&alerts[1]));
    script.take(plan.expect("it is there"));
    script.desk = Desk::new(&[]).with_acknowledgements_bytes_max(10_000);
    for alert in &alerts {
        script.fires(alert);
    }
    for _ in 0..20 {
        for alert in &alerts[..3] {
            long(&mut script, alert, "x", 3_000).expect("room");
            script.resolves(alert);
            script.fires(alert);
        }
    }
}

#[test]
fn who_acknowledges_without_end_leaves_room_for_others() {
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_acknowledgements_bytes_max(10_000);
    let alerts: Vec<String> = (0..100).map(|number| format!("Hot,host={number}")).collect();
    for alert in &alerts {
        script.fires(alert);
    }
    let refused = alerts.iter().find_map(|alert| acknowledge(&mut script, alert, "flood").err());
    assert_eq!(refused, Some(AttendError::NoRoomOfOne));
    acknowledge(&mut script, &alerts[99], "ada").expect("there is room for others");
    acknowledge(&mut script, &alerts[0], "flood").expect("it says the same again");
    script.resolves(&alerts[0]);
    script.resolves(&alerts[1]);
    acknowledge(&mut script, &alerts[98], "flood").expect("what is over makes room");
}
