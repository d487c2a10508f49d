//! Alerts that inhibit others.

use bellwire_alerts::inhibition::InhibitionRule;
use bellwire_model::{Fingerprint, TransitionKind};

use crate::script::{Script, fingerprint, post, silence};

fn rules() -> Vec<InhibitionRule> {
    vec![InhibitionRule {
        sources: "alertname=Down".parse().expect("matchers"),
        targets: "alertname!=Down".parse().expect("matchers"),
        equal: vec!["site".into()],
    }]
}

#[test]
fn an_alert_is_inhibited_while_a_source_fires() {
    let mut script = Script::with_inhibition(rules());
    script.fires("Hot,site=oslo");
    script.fires("Hot,site=rome");
    script.rule(TransitionKind::Pending, "Down,site=oslo", 0);
    assert_eq!(script.word("Hot,site=oslo"), "firing");
    script.take_shown();
    script.fires("Down,site=oslo");
    assert_eq!(script.take_shown(), ["Down: firing", "Hot: inhibited"]);
    assert_eq!(script.word("Hot,site=rome"), "firing");
    let case = script.desk.case(fingerprint("Hot,site=oslo")).expect("the alert is there");
    assert_eq!(case.status().inhibited_by, [fingerprint("Down,site=oslo")]);
    // A silenced source inhibits as well.
    script.silences(silence("alertname=Down", 0, 100)).expect("a silence");
    script.fires("Cold,site=oslo");
    assert_eq!(script.word("Cold,site=oslo"), "inhibited");
    script.resolves("Down,site=oslo");
    assert_eq!(script.word("Hot,site=oslo"), "firing");
    script.removed("Down,site=oslo");
    assert_eq!(script.word("Down,site=oslo"), "none");
}

#[test]
fn new_rules_of_inhibition_hold_at_once() {
    let mut script = Script::new();
    script.fires("Hot,site=oslo");
    script.fires("Down,site=oslo");
    assert_eq!(script.word("Hot,site=oslo"), "firing");
    assert_eq!(script.desk.replace_inhibition(&rules()).shown.len(), 1);
    assert_eq!(script.word("Hot,site=oslo"), "inhibited");
    assert_eq!(script.desk.replace_inhibition(&[]).shown.len(), 1);
    assert_eq!(script.word("Hot,site=oslo"), "firing");
}

#[test]
fn sources_that_each_come_before_all_others_are_looked_at_once_together() {
    let mut script = Script::with_inhibition(rules());
    let targets: Vec<_> =
        (0..5_000).map(|n| post(&format!("Hot,site=a,n={n}"), None, None)).collect();
    assert_eq!(script.posts_all(targets), []);
    let mut sources: Vec<_> =
        (0..2_000).map(|n| post(&format!("Down,site=a,n={n}"), None, None)).collect();
    sources.sort_by_key(|post| std::cmp::Reverse(Fingerprint::of(&post.labels)));
    let least = Fingerprint::of(&sources.last().expect("a source").labels);
    script.take_shown();
    assert_eq!(script.posts_all(sources), []);
    let told = script.take_shown();
    assert_eq!(told.iter().filter(|told| *told == "Hot: inhibited").count(), 5_000);
    let case = script.desk.case(fingerprint("Hot,site=a,n=7")).expect("the alert is there");
    assert_eq!(case.status().inhibited_by, [least]);
}
