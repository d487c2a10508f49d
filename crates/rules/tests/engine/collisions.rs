//! Alerts whose labels have the same FNV-1a: somebody has chosen them so.

use bellwire_rules::Engine;

use crate::script::{rules, run, told};

/// Both have 0x4b391493aeab0e76 with `alertname="Hot"`, by which alerts were known once.
const A: &str = r#"team="a",unit="KHDEzVSiJKB""#;
const B: &str = r#"team="b",unit="wsaJ9gQaHxO""#;

#[test]
fn one_teams_alert_neither_hides_anothers_nor_gets_its_values() {
    let filled =
        |script: &str| script.replace("{A", &format!("{{{A}")).replace("{B", &format!("{{{B}"));
    let hot = filled(
        r"
        0 t{B} 99
          > 0 firing {H,B} 99
        1000 t{A} 91
          > 1000 firing {H,A} 91
        2000 t{B} 1
          > 2000 resolved {H,B} 99
        3000 t{A} 1
          > 3000 resolved {H,A} 91
        ",
    );
    let hot = hot.replace("{H,A", &format!(r#"{{alertname="Hot",{A}"#));
    let hot = hot.replace("{H,B", &format!(r#"{{alertname="Hot",{B}"#));
    for expression in ["t > 90", "sum by (team, unit) (t) > 90", "sort(t > 90)"] {
        let mut engine = Engine::new(rules(&format!("  - {{alert: Hot, expr: '{expression}'}}\n")));
        assert_eq!(run(&mut engine, &hot), told(&hot), "{expression}");
    }
}

#[test]
fn a_rule_in_tick_mode_tells_them_apart() {
    let mut engine = Engine::new(rules("  - {alert: Hot, expr: t > 90}\n  mode: tick\n"));
    let script = format!("0 t{{{B}}} 99|t{{{A}}} 91\n60000 t{{{B}}} 99|t{{{A}}} 91\n120000");
    let told = run(&mut engine, &script);
    for (labels, value) in [(A, 91), (B, 99)] {
        let firing = format!(r#"firing {{alertname="Hot",{labels}}} {value}"#);
        assert_eq!(told.matches(&firing).count(), 1, "{told}");
    }
}
