//! Acknowledgements: from a firing alert to its resolution.

use bellwire_alerts::desk::AcknowledgeError;
use bellwire_model::{NewAcknowledgement, TransitionKind};

use crate::script::{Script, fingerprint, silence};

fn acknowledge(script: &mut Script, alert: &str, by: &str) -> Result<(), AcknowledgeError> {
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
    assert_eq!(acknowledge(&mut script, "Gone", "ada"), Err(AcknowledgeError::NotFound));
    assert_eq!(acknowledge(&mut script, "Slow", "ada"), Err(AcknowledgeError::NotFiring));
    assert_eq!(acknowledge(&mut script, "Old", "ada"), Err(AcknowledgeError::NotFiring));
    assert_eq!(acknowledge(&mut script, "Hot", ""), Err(AcknowledgeError::Text));
    assert_eq!(acknowledge(&mut script, "Hot", &"x".repeat(256)), Err(AcknowledgeError::Text));
    let plan = script.desk.plan_unacknowledgement(script.now(), fingerprint("Gone"));
    assert_eq!(plan.map(|_| ()), Err(AcknowledgeError::NotFound));
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
