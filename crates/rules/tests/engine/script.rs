//! Scripts for the engine: lines of samples and time, and under them what must come of it.
//!
//! ```text
//! 1000 t{s="a"} 95 @ 900 | t{s="b"} 7     apply at 1000: one batch, a time where it is not now
//! 2000                                    advance to 2000
//!   > 2000 firing {alertname="A",s="a"} 95
//! ```

use std::fmt::Write as _;

use bellwire_model::{Alert, Labels, LabelsBuilder, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Change, Engine, RuleFile, RuleSet, load};

/// The value by which Prometheus says that a series has ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

pub(crate) fn rules(rules: &str) -> RuleSet {
    let text = format!("groups:\n- name: g\n  rules:\n{rules}");
    load(&[RuleFile { name: "f", text: &text }]).expect("rules")
}

pub(crate) fn series(text: &str) -> Labels {
    let (name, labels) = text.split_once('{').unwrap_or((text, "}"));
    let mut builder = LabelsBuilder::default();
    builder.push(METRIC_NAME, name).expect("a name");
    for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').expect("a label");
        builder.push(name, value.trim_matches('"')).expect("a label");
    }
    builder.build().expect("labels")
}

/// A sample `series value [@ time]`.
pub(crate) fn sample(text: &str, now: i64) -> Sample {
    let words: Vec<&str> = text.split_whitespace().collect();
    let value = match words[1] {
        "stale" => STALE,
        value => value.parse().expect("a value"),
    };
    let time = words.get(3).map_or(now, |time| time.parse().expect("a time"));
    Sample { series: series(words[0]), value, time: Timestamp::from_ms(time) }
}

pub(crate) fn describe(change: &Change) -> String {
    match change {
        Change::Transition(transition) => {
            let Alert { labels, value, .. } = &*transition.alert;
            let kind = transition.kind.event_type().trim_start_matches("alert.");
            format!("{} {kind} {labels} {value}", transition.time)
        }
        Change::Removed(_) => "removed".into(),
        Change::Recorded(recorded) => match recorded.value {
            Some(value) => format!("{} recorded {} {value}", recorded.time, recorded.series),
            None => format!("{} ended {}", recorded.time, recorded.series),
        },
    }
}

/// Runs a script; what comes of it is the script with the changes that there were.
pub(crate) fn run(engine: &mut Engine, script: &str) -> String {
    let mut told = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('>') {
            continue;
        }
        writeln!(told, "{line}").expect("text");
        let (now, samples) = line.split_once(' ').unwrap_or((line, ""));
        let ms = now.parse().expect("a time");
        let now = Timestamp::from_ms(ms);
        let changes = if samples.is_empty() {
            engine.advance(now)
        } else {
            let samples: Vec<_> = samples.split('|').map(|text| sample(text, ms)).collect();
            engine.apply(now, &samples)
        };
        for change in &changes {
            writeln!(told, "> {}", describe(change)).expect("text");
        }
    }
    told
}

/// The script as [`run`] tells it.
pub(crate) fn told(script: &str) -> String {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.fold(String::new(), |text, line| text + line + "\n")
}
