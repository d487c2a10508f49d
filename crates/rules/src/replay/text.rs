//! A test file, written in words that every `promtool` of the last years reads.

use std::fmt::Write as _;
use std::time::Duration;

use bellwire_model::Labels;

use super::ticks::Ticks;
use crate::number::plain_text;
use crate::rule::ALERT_NAME;
use crate::ruletest::Probed;
use crate::series_text::Cell;
use crate::storage::STALE;

/// What stands above the test.
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) rule_files: &'a [String],
    pub(super) ticks: Ticks,
}

pub(super) fn file(head: Head<'_>, series: &[(Labels, Vec<Cell>)], checks: &[Probed]) -> String {
    let Head { name, rule_files, ticks } = head;
    let interval = duration(ticks.interval);
    let mut text = format!(
        "# Made by `bellwire replay` of what happened until {}; the test's time begins at {}.\n\
         rule_files:\n",
        ticks.ends.rfc3339(),
        ticks.zero.rfc3339()
    );
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{line}");
    };
    for file in rule_files {
        line(format_args!("  - {}", quoted(file)));
    }
    line(format_args!("evaluation_interval: {interval}\ntests:"));
    line(format_args!("  - name: {}\n    interval: {interval}\n    input_series:", quoted(name)));
    for (labels, cells) in series {
        line(format_args!("      - series: {}", quoted(&labels.to_string())));
        line(format_args!("        values: {}", quoted(&values(cells))));
    }
    line(format_args!("    alert_rule_test:"));
    for Probed { after, name, by_ticks, .. } in checks {
        let at = ticks.zero.saturating_add(*after).rfc3339();
        line(format_args!("      # {at}\n      - eval_time: {}", duration(*after)));
        line(format_args!("        alertname: {}", quoted(name)));
        if by_ticks.is_empty() {
            line(format_args!("        exp_alerts: []"));
            continue;
        }
        line(format_args!("        exp_alerts:"));
        for (labels, annotations) in by_ticks {
            let labels = labels.filtered(|name| name != ALERT_NAME);
            line(format_args!("          - exp_labels: {}", map(&labels)));
            if !annotations.is_empty() {
                line(format_args!("            exp_annotations: {}", map(annotations)));
            }
        }
    }
    text
}

fn map(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Values, those that are the same beside each other in one word.
pub(super) fn values(cells: &[Cell]) -> String {
    let mut words = Vec::new();
    for run in cells.chunk_by(is_same) {
        let more = run.len() - 1;
        words.push(match (run[0], more) {
            (Cell::Value(value), 0) => number(value),
            // What follows a stale marker or no number is written out.
            (Cell::Value(value), _) if value.is_finite() => format!("{}+0x{more}", number(value)),
            (Cell::Value(value), _) => vec![number(value); run.len()].join(" "),
            (_, 0) => "_".to_owned(),
            (_, _) => format!("_x{}", run.len()),
        });
    }
    words.join(" ")
}

fn is_same(one: &Cell, other: &Cell) -> bool {
    match (one, other) {
        (Cell::Value(one), Cell::Value(other)) => one.to_bits() == other.to_bits(),
        (Cell::Value(_), _) | (_, Cell::Value(_)) => false,
        _ => true,
    }
}

fn number(value: f64) -> String {
    if value.to_bits() == STALE.to_bits() {
        return "stale".to_owned();
    }
    // Go reads `Inf` with a sign or without; what is plain says all digits.
    if value.is_infinite() {
        return if value > 0.0 { "Inf".to_owned() } else { "-Inf".to_owned() };
    }
    plain_text(value)
}

/// A duration as Prometheus writes it.
fn duration(span: Duration) -> String {
    let mut left = span.as_millis();
    let mut text = String::new();
    for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        if left / unit > 0 {
            let _ = write!(text, "{}{name}", left / unit);
            left %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A text in quotes, as YAML and JSON have it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series_text;

    #[test]
    fn values_are_read_as_they_were_written() {
        let (nothing, value) = (Cell::Nothing, Cell::Value);
        let cells = [
            nothing,
            nothing,
            value(1.5),
            value(-2.0),
            value(-2.0),
            value(-2.0),
            nothing,
            value(STALE),
            value(STALE),
            value(f64::INFINITY),
            value(f64::NEG_INFINITY),
            value(1e-7),
            value(1.797e300),
            value(0.1),
        ];
        let text = values(&cells);
        assert!(text.starts_with("_x2 1.5 -2+0x2 _ stale stale Inf -Inf 0.0000001 1797"), "{text}");
        let read = series_text::values(&text).expect("values");
        let bits = |cells: &[Cell]| -> Vec<Option<u64>> {
            let bit = |cell: &Cell| match cell {
                Cell::Value(value) => Some(value.to_bits()),
                _ => None,
            };
            cells.iter().map(bit).collect()
        };
        assert_eq!(bits(&read), bits(&cells));
        assert_eq!(quoted("a\"b\\c\nd\u{7}"), r#""a\"b\\c\nd\u0007""#);
        let spans = [0, 250, 1_000, 75_000, 3_600_000, 86_401_000];
        let told = spans.map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(told, ["0s", "250ms", "1s", "1m15s", "1h", "24h1s"]);
    }
}
