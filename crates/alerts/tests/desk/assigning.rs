//! Who is to see to an alert, and what is said of it: from a firing alert to its resolution.

use bellwire_alerts::Desk;
use bellwire_alerts::desk::{Action, AttendError};
use bellwire_model::limits::{ATTENTION_BYTES_MAX, COMMENTS_MAX};
use bellwire_model::{NewAcknowledgement, NewAssignment, NewComment, TransitionKind};

use crate::script::{Script, fingerprint};

fn assignment(to: &str, by: &str) -> Action {
    Action::Assign(NewAssignment { to: to.into(), by: by.into() })
}

fn comment(by: &str, text: &str) -> Action {
    Action::Comment(NewComment { by: by.into(), text: text.into() })
}

fn act(script: &mut Script, alert: &str, action: &Action) -> Result<(), AttendError> {
    let plan = script.desk.plan_action(script.now(), fingerprint(alert), action)?;
    script.take(plan);
    Ok(())
}

/// `to bob: one, two`.
fn told(script: &Script, alert: &str) -> String {
    let case = script.desk.case(fingerprint(alert)).expect("the alert is there");
    let Some(attention) = &case.status().attention else { return "nothing".to_owned() };
    let to = attention.assigned.as_ref().map_or("nobody", |assigned| &assigned.to);
    let comments: Vec<&str> = attention.comments.iter().map(|comment| &*comment.text).collect();
    format!("to {to}: {}", comments.join(", "))
}

#[test]
fn what_is_said_of_an_alert_lasts_until_it_resolves() {
    let mut script = Script::new();
    script.fires("Hot");
    act(&mut script, "Hot", &assignment("bob", "ada")).expect("it fires");
    act(&mut script, "Hot", &comment("ada", "one")).expect("it fires");
    act(&mut script, "Hot", &comment("bob", "two")).expect("it fires");
    assert_eq!(told(&script, "Hot"), "to bob: one, two");
    assert_eq!(script.word("Hot"), "firing", "nobody has taken it up");
    assert_eq!(script.announced.len(), 3);
    // The same again changes nothing; what was said before the last comment may be said again.
    act(&mut script, "Hot", &assignment("bob", "ada")).expect("it fires");
    act(&mut script, "Hot", &comment("bob", "two")).expect("it fires");
    assert_eq!(script.announced.len(), 3);
    act(&mut script, "Hot", &comment("ada", "one")).expect("it fires");
    let taken = Action::Acknowledge(NewAcknowledgement { by: "bob".into(), note: "".into() });
    act(&mut script, "Hot", &taken).expect("it fires");
    act(&mut script, "Hot", &Action::Unassign).expect("it fires");
    act(&mut script, "Hot", &Action::Unassign).expect("it fires");
    assert_eq!(
        (told(&script, "Hot").as_str(), script.announced.len()),
        ("to nobody: one, two, one", 6)
    );
    script.restart();
    assert_eq!(told(&script, "Hot"), "to nobody: one, two, one");
    assert_eq!(script.word("Hot"), "acknowledged");
    script.resolves("Hot");
    assert_eq!((told(&script, "Hot").as_str(), script.records.len()), ("nothing", 0));
    script.pass(9);
    script.fires("Hot");
    assert_eq!((told(&script, "Hot").as_str(), script.word("Hot")), ("nothing", "firing"));
}

#[test]
fn who_is_to_see_to_it_and_nothing_else_leaves_no_record_when_nobody_is() {
    let mut script = Script::new();
    script.fires("Hot");
    act(&mut script, "Hot", &assignment("bob", "ada")).expect("it fires");
    act(&mut script, "Hot", &assignment("eve", "ada")).expect("somebody else is to");
    assert_eq!((told(&script, "Hot").as_str(), script.records.len()), ("to eve: ", 1));
    act(&mut script, "Hot", &Action::Unassign).expect("it fires");
    assert_eq!((told(&script, "Hot").as_str(), script.records.len()), ("nothing", 0));
}

#[test]
fn of_a_resolved_alert_a_comment_is_announced_and_no_record() {
    let mut script = Script::new();
    script.fires("Hot");
    script.resolves("Hot");
    for text in ["why it was", "what was done"] {
        act(&mut script, "Hot", &comment("ada", text)).expect("it has fired");
    }
    let mut ids = script.announced.clone();
    ids.dedup();
    assert_eq!(ids.len(), 2, "two in one millisecond are two");
    assert_eq!((told(&script, "Hot").as_str(), script.records.len()), ("nothing", 0));
    assert_eq!(act(&mut script, "Hot", &assignment("bob", "ada")), Err(AttendError::NotFiring));
}

#[test]
fn what_is_not_there_or_says_nothing_is_refused() {
    let mut script = Script::new();
    script.rule(TransitionKind::Pending, "Slow", 0);
    script.fires("Hot");
    let long = "x".repeat(256);
    let cases = [
        ("Gone", assignment("bob", "ada"), AttendError::NotFound),
        ("Gone", Action::Unassign, AttendError::NotFound),
        ("Gone", comment("ada", "one"), AttendError::NotFound),
        ("Slow", assignment("bob", "ada"), AttendError::NotFiring),
        ("Slow", comment("ada", "one"), AttendError::Pending),
        ("Hot", assignment("", "ada"), AttendError::AssignmentText),
        ("Hot", assignment("bob", ""), AttendError::AssignmentText),
        ("Hot", assignment(&long, "ada"), AttendError::AssignmentText),
        ("Hot", comment("ada", ""), AttendError::CommentText),
        ("Hot", comment("", "one"), AttendError::CommentText),
        ("Hot", comment(&long, "one"), AttendError::CommentText),
        ("Hot", comment("ada", &"x".repeat(4097)), AttendError::CommentText),
    ];
    for (alert, action, error) in cases {
        assert_eq!(act(&mut script, alert, &action), Err(error), "{alert} {action:?}");
    }
}

#[test]
fn what_rules_say_between_a_plan_and_its_taking_counts() {
    let mut script = Script::new();
    script.fires("Hot");
    let plan = script.desk.plan_action(script.now(), fingerprint("Hot"), &comment("ada", "one"));
    script.interrupted(plan.expect("it fires"), |script| script.resolves("Hot"));
    assert_eq!((told(&script, "Hot").as_str(), script.records.len()), ("nothing", 0));
}

#[test]
fn comments_are_bounded_in_number_and_in_bytes_as_they_are_stored() {
    let mut script = Script::new();
    script.fires("Hot");
    script.fires("Long");
    for number in 0..COMMENTS_MAX {
        act(&mut script, "Hot", &comment("ada", &number.to_string())).expect("room");
    }
    assert_eq!(act(&mut script, "Hot", &comment("ada", "x")), Err(AttendError::TooMuchSaid));
    act(&mut script, "Hot", &assignment("bob", "ada")).expect("that is no comment");
    // Each of these bytes is six in the record.
    let escaped = |number: usize| "\u{1}".repeat(3_000) + &number.to_string();
    let taken = (0..COMMENTS_MAX)
        .take_while(|number| act(&mut script, "Long", &comment("ada", &escaped(*number))).is_ok());
    assert_eq!(taken.count(), ATTENTION_BYTES_MAX / (6 * 3_000));
}

#[test]
fn what_is_done_with_many_is_done_with_each_alone_and_within_the_room_of_all() {
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_acknowledgements_bytes_max(10_000);
    let alerts: Vec<String> = (0..9).map(|number| format!("Hot,host={number}")).collect();
    for alert in &alerts[..8] {
        script.fires(alert);
    }
    let note = "x".repeat(1_500).into();
    let action = Action::Acknowledge(NewAcknowledgement { by: "ada".into(), note });
    let mut asked: Vec<_> = alerts.iter().rev().map(|alert| Ok(fingerprint(alert))).collect();
    asked.insert(0, Err(AttendError::NotFound));
    let (plan, results) = script.desk.plan_actions(script.now(), asked, &action);
    assert_eq!(results[..2], [Err(AttendError::NotFound), Err(AttendError::NotFound)]);
    let done = results.iter().filter(|result| result.is_ok()).count();
    assert!((3..7).contains(&done), "{results:?}");
    assert!(matches!(results[9], Err(AttendError::NoRoom { .. } | AttendError::NoRoomOfOne)));
    script.take(plan);
    assert_eq!((script.announced.len(), script.records.len()), (done, done));
    assert_eq!(script.word("Hot,host=7"), "acknowledged");
    let everyone = alerts.iter().map(|alert| Ok(fingerprint(alert)));
    let (plan, results) = script.desk.plan_actions(script.now(), everyone, &Action::Unacknowledge);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 8);
    script.take(plan);
    assert_eq!((script.word("Hot,host=7"), script.records.len()), ("firing", 0));
}
