//! The series `ALERTS` and `ALERTS_FOR_STATE`, which rules may select.

#[path = "engine/script.rs"]
mod script;

use bellwire_model::Timestamp;
use bellwire_rules::{Conventions, Engine, Plan, Value, query};
use script::{rules, run, told};

fn check(set: &str, script: &str) {
    let mut engine = Engine::new(rules(set));
    assert_eq!(run(&mut engine, script), told(script), "{set}");
}

/// What an expression comes to now.
fn found(engine: &Engine, expression: &str, ms: i64) -> String {
    let plan = Plan::parse(expression).expect(expression);
    let conventions = Conventions::default();
    let answer = query(&plan, engine.storage(), &conventions, Timestamp::from_ms(ms));
    let Value::Vector(elements) = answer.expect("a value").value else { panic!("no vector") };
    let elements = elements.iter().map(|element| format!("{} {}", element.labels, element.value));
    elements.collect::<Vec<_>>().join(", ")
}

#[test]
fn rules_see_alerts_at_the_instant_at_which_they_change() {
    check(
        "  - {alert: Many, expr: 'count(ALERTS{alertname=\"Hot\",alertstate=\"firing\"}) > 1'}\n  \
         - {alert: Hot, expr: t > 90, for: 10s}\n",
        r#"
        0 t{s="a"} 91
          > 0 pending {alertname="Hot",s="a"} 91
        1000 t{s="b"} 91
          > 1000 pending {alertname="Hot",s="b"} 91
        10000
          > 10000 firing {alertname="Hot",s="a"} 91
        11000
          > 11000 firing {alertname="Hot",s="b"} 91
          > 11000 firing {alertname="Many"} 2
        12000 t{s="b"} 1
          > 12000 resolved {alertname="Hot",s="b"} 91
          > 12000 resolved {alertname="Many"} 2
        "#,
    );
}

#[test]
fn series_of_alerts_stay_for_as_long_as_the_alerts_do() {
    let set = "  - {alert: Hot, expr: t > 90, for: 10s, keep_firing_for: 20m}\n  \
               - {alert: Old, expr: 'ALERTS_FOR_STATE{alertname=\"Hot\"} < time() - 900'}\n";
    check(
        set,
        r#"
        5000 t{s="a"} 91
          > 5000 pending {alertname="Hot",s="a"} 91
        20000 t{s="a"} 1
          > 15000 firing {alertname="Hot",s="a"} 91
        905000
        905001
          > 905001 firing {alertname="Old",s="a"} 5
        1219999
        1220000
          > 1220000 resolved {alertname="Hot",s="a"} 91
          > 1220000 resolved {alertname="Old",s="a"} 5
        "#,
    );
}

#[test]
fn queries_see_them_where_a_rule_does() {
    let hot = "  - {alert: Hot, expr: t > 90, for: 10s}\n";
    let mut engine = Engine::new(rules(hot));
    run(&mut engine, "5000 t 91");
    assert_eq!(found(&engine, "ALERTS", 6000), "");
    assert_eq!(engine.figures().series, 1);
    // A rule that looks at them makes them come, and go again with it.
    let both = format!("{hot}  - {{record: r, expr: count(ALERTS)}}\n");
    engine.replace(Timestamp::from_ms(6000), rules(&both));
    let pending = r#"ALERTS{alertname="Hot",alertstate="pending"} 1"#;
    assert_eq!(found(&engine, "ALERTS", 6000), pending);
    assert_eq!(found(&engine, "r", 6000), "r 1");
    run(&mut engine, "15000");
    let firing = r#"ALERTS{alertname="Hot",alertstate="firing"} 1"#;
    assert_eq!(found(&engine, "ALERTS", 15_000), firing);
    engine.replace(Timestamp::from_ms(16_000), rules(hot));
    assert_eq!(found(&engine, "ALERTS", 16_000), "");
    assert_eq!(engine.figures().series, 1);
}
