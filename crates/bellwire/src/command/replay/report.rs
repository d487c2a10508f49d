//! What became of a replay, for programs and for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bellwire_model::Timestamp;
use bellwire_rules::plain_text;
use bellwire_rules::replay::{Compared, Difference, DraftedTest, Episode, Outcome};
use serde::Serialize;

use crate::output::{counted, harmless};

/// The outcome; its JSON is for programs to rely on.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    file: String,
    /// When the rules began to look, and when they ended.
    from: i64,
    to: i64,
    rules: usize,
    samples: u64,
    series: u64,
    /// When nothing was recorded.
    gaps: Vec<Gap>,
    warnings: Vec<String>,
    /// All times that an alert fired, or would have, in their order.
    alerts: Vec<AlertReport>,
    summary: Summary,
    /// The test that was written; `null` where nobody has asked for one.
    test: Option<TestReport>,
}

#[derive(Debug, Serialize)]
struct TestReport {
    file: String,
    /// How far apart its ticks are.
    interval_ms: u64,
    /// How often it compares alerts.
    checks: usize,
    /// What it does not compare, and why.
    left_out: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Gap {
    from: i64,
    to: i64,
}

#[derive(Debug, Serialize)]
struct AlertReport {
    difference: &'static str,
    alert: String,
    /// The alert as it is written in `PromQL`.
    #[serde(skip)]
    text: String,
    labels: BTreeMap<String, String>,
    /// What happened, and what would have; `null` where it did not fire.
    then: Option<EpisodeReport>,
    now: Option<EpisodeReport>,
    /// By how much it would have fired and resolved later; below zero earlier.
    fires_later_ms: Option<i64>,
    resolves_later_ms: Option<i64>,
}

#[derive(Debug, Serialize)]
struct EpisodeReport {
    fired_at: i64,
    /// `null` where it still fired at the end.
    resolved_at: Option<i64>,
    data_lost_at: Option<i64>,
    /// The value with which it fired, as Prometheus writes it.
    value: String,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Summary {
    only_then: usize,
    only_now: usize,
    earlier: usize,
    later: usize,
    shorter: usize,
    longer: usize,
    value: usize,
    same: usize,
}

impl Summary {
    fn count(&mut self, difference: Difference) {
        *match difference {
            Difference::OnlyThen => &mut self.only_then,
            Difference::OnlyNow => &mut self.only_now,
            Difference::Earlier => &mut self.earlier,
            Difference::Later => &mut self.later,
            Difference::Shorter => &mut self.shorter,
            Difference::Longer => &mut self.longer,
            Difference::Value => &mut self.value,
            Difference::Same => &mut self.same,
        } += 1;
    }

    fn text(self) -> String {
        let Self { only_then, only_now, earlier, later, shorter, longer, value, same } = self;
        format!(
            "{only_then} only then, {only_now} only now, {earlier} earlier, {later} later, {shorter} \
             shorter, {longer} longer, {value} of another value, {same} the same"
        )
    }
}

impl Report {
    /// Of a record and so many rules.
    pub(super) fn of(file: &Path, rules: usize, outcome: &Outcome) -> Self {
        let mut summary = Summary::default();
        for alert in &outcome.alerts {
            summary.count(alert.difference);
        }
        let gap = |(from, to): &(Timestamp, Timestamp)| Gap { from: from.as_ms(), to: to.as_ms() };
        Self {
            file: file.display().to_string(),
            from: outcome.began.as_ms(),
            to: outcome.ended.as_ms(),
            rules,
            samples: outcome.samples,
            series: outcome.series,
            gaps: outcome.gaps.iter().map(gap).collect(),
            warnings: warnings(outcome),
            alerts: outcome.alerts.iter().map(AlertReport::of).collect(),
            summary,
            test: None,
        }
    }

    /// A test was written to a file.
    pub(super) fn add_test(&mut self, file: &Path, test: DraftedTest) {
        let DraftedTest { interval, checks, left_out, .. } = test;
        let (file, interval_ms) = (file.display().to_string(), interval.as_millis() as u64);
        self.test = Some(TestReport { file, interval_ms, checks, left_out });
    }

    /// Whether anything would have been otherwise.
    pub(super) fn differs(&self) -> bool {
        self.summary.same < self.alerts.len()
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are JSON")
    }

    /// A table of what differs, and a line for all.
    pub(super) fn text(&self) -> String {
        let Self { file, from, to, rules, samples, series, .. } = self;
        let mut text = format!(
            "{}: {} to {}, {} of {} series, {}\n",
            harmless(file),
            told(*from),
            told(*to),
            counted(*samples, "sample"),
            series,
            counted(*rules as u64, "rule")
        );
        for Gap { from, to } in &self.gaps {
            let _ = writeln!(
                text,
                "gap      nothing is recorded from {} to {}",
                told(*from),
                told(*to)
            );
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning  {}", harmless(warning));
        }
        let differing = self.alerts.iter().filter(|alert| alert.difference != "same");
        let mut rows: Vec<[String; 4]> = differing.map(AlertReport::row).collect();
        if !rows.is_empty() {
            rows.insert(0, ["difference", "alert", "then", "now"].map(str::to_owned));
        }
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        for [difference, alert, then, now] in &rows {
            let [first, second, third] = widths;
            let row = format!("{difference:first$}  {alert:second$}  {then:third$}  {now}");
            let _ = writeln!(text, "{}", row.trim_end());
        }
        if let Some(TestReport { file, interval_ms, checks, left_out }) = &self.test {
            for reason in left_out {
                let _ = writeln!(text, "left out {}", harmless(reason));
            }
            let checks = counted(*checks as u64, "check");
            let interval = span(*interval_ms as i64);
            let _ = writeln!(text, "test     {}: {checks} at ticks of {interval}", harmless(file));
        }
        text + &self.summary.text()
    }
}

impl AlertReport {
    fn of(compared: &Compared) -> Self {
        let Compared { labels, difference, then, now, .. } = compared;
        Self {
            difference: match difference {
                Difference::OnlyThen => "only_then",
                Difference::OnlyNow => "only_now",
                Difference::Earlier => "earlier",
                Difference::Later => "later",
                Difference::Shorter => "shorter",
                Difference::Longer => "longer",
                Difference::Value => "value",
                Difference::Same => "same",
            },
            alert: labels.get("alertname").unwrap_or_default().to_owned(),
            text: name(labels),
            labels: labels
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            then: then.as_ref().map(EpisodeReport::of),
            now: now.as_ref().map(EpisodeReport::of),
            fires_later_ms: compared.fires_later_ms(),
            resolves_later_ms: compared.resolves_later_ms(),
        }
    }

    fn row(&self) -> [String; 4] {
        let by = |ms: Option<i64>| ms.map_or_else(|| "?".to_owned(), span);
        let difference = match self.difference {
            "only_then" => "only then".to_owned(),
            "only_now" => "only now".to_owned(),
            "earlier" | "later" => format!("{} {}", by(self.fires_later_ms), self.difference),
            "value" => "another value".to_owned(),
            other => match self.resolves_later_ms {
                Some(ms) => format!("{} {other}", span(ms)),
                None => other.to_owned(),
            },
        };
        let side = |episode: &Option<EpisodeReport>| {
            episode.as_ref().map_or_else(|| "-".to_owned(), EpisodeReport::text)
        };
        [difference, harmless(&self.text), side(&self.then), side(&self.now)]
    }
}

impl EpisodeReport {
    fn of(Episode { fired_at, resolved_at, data_lost_at, value }: &Episode) -> Self {
        Self {
            fired_at: fired_at.as_ms(),
            resolved_at: resolved_at.map(Timestamp::as_ms),
            data_lost_at: data_lost_at.map(Timestamp::as_ms),
            value: plain_text(*value),
        }
    }

    fn text(&self) -> String {
        let Self { fired_at, resolved_at, value, .. } = self;
        let lasted = match resolved_at {
            Some(ended) => format!("for {}", span(ended - fired_at)),
            None => "to the end".to_owned(),
        };
        format!("{} {lasted}, {value}", told(*fired_at))
    }
}

/// An alert as `PromQL` writes a series.
fn name(labels: &bellwire_model::Labels) -> String {
    let alert = labels.get("alertname").unwrap_or_default();
    let others = labels.filtered(|name| name != "alertname");
    if others.is_empty() { alert.to_owned() } else { format!("{alert}{others}") }
}

fn warnings(outcome: &Outcome) -> Vec<String> {
    let Outcome { unseen, failures, gaps_left_out, set_back, .. } = outcome;
    let mut warnings = Vec::new();
    for (from, to) in set_back {
        warnings.push(format!(
            "the server's clock was ahead, and was set back from {} to {}: rules go on there from what it \
             knew then",
            from.rfc3339(),
            to.rfc3339()
        ));
    }
    for (rule, metric) in unseen {
        warnings.push(format!(
            "rule {} looks at `{metric}`, of which nothing is recorded: no rule looked at it then",
            rule.alert
        ));
    }
    if let Some((rule, reason)) = &failures.last {
        let times = counted(failures.count, "evaluation");
        warnings.push(format!("{times} failed, the last of rule {}: {reason}", rule.alert));
    }
    if *gaps_left_out > 0 {
        warnings.push(format!("{} more are not listed", counted(*gaps_left_out, "gap")));
    }
    warnings
}

fn told(ms: i64) -> String {
    Timestamp::from_ms(ms).rfc3339().to_string()
}

/// How long something is, in the two largest units: `1h30m`, `5m48s`, `250ms`.
fn span(ms: i64) -> String {
    let mut left = ms.unsigned_abs();
    if left < 1_000 {
        return format!("{left}ms");
    }
    let mut text = String::new();
    let mut units = 0;
    for (unit, name) in
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")]
    {
        let count = left / unit;
        left %= unit;
        if count > 0 {
            let _ = write!(text, "{count}{name}");
            units += 1;
        }
        if units == 2 {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_two_units() {
        for (ms, text) in [
            (0, "0ms"),
            (-250, "250ms"),
            (1_000, "1s"),
            (61_500, "1m1s"),
            (5_400_000, "1h30m"),
            (90_061_001, "1d1h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
