//! Which events retention keeps. Decides only; the engines remove.

use std::sync::Arc;

use bellwire_model::{Timestamp, Topic};

use crate::RetentionRule;

/// One of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleIndex(usize);

/// Events and bytes that one rule keeps at the moment.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    events: u64,
    bytes: u64,
}

/// The rules, and how much each of them keeps. A clone tries a removal out.
#[derive(Clone, Debug)]
pub(crate) struct Retention {
    rules: Arc<[RetentionRule]>,
    kept: Vec<Kept>,
}

impl Retention {
    /// Rules that keep nothing yet.
    pub(crate) fn new(rules: Vec<RetentionRule>) -> Self {
        Self { kept: vec![Kept::default(); rules.len()], rules: rules.into() }
    }

    /// Nothing is kept any more.
    pub(crate) fn forget_all(&mut self) {
        self.kept.fill(Kept::default());
    }

    /// The rule that holds for `topic`; without one its events are kept for ever.
    pub(crate) fn rule_of(&self, topic: &Topic) -> Option<RuleIndex> {
        self.rules.iter().position(|rule| rule.pattern.matches(topic)).map(RuleIndex)
    }

    /// Counts events in.
    pub(crate) fn add(&mut self, rule: Option<RuleIndex>, events: u64, bytes: u64) {
        if let Some(RuleIndex(index)) = rule {
            self.kept[index].events += events;
            self.kept[index].bytes += bytes;
        }
    }

    /// Counts events out. A damaged one may have more bytes than were counted in.
    pub(crate) fn remove(&mut self, rule: Option<RuleIndex>, events: u64, bytes: u64) {
        if let Some(RuleIndex(index)) = rule {
            let kept = &mut self.kept[index];
            kept.events = kept.events.saturating_sub(events);
            kept.bytes = kept.bytes.saturating_sub(bytes);
        }
    }

    /// Whether an event of `time` goes, given that all older ones of its rule are judged.
    pub(crate) fn drops(&self, rule: Option<RuleIndex>, time: Timestamp, now: Timestamp) -> bool {
        rule.is_some_and(|rule| self.is_over(rule) || self.is_too_old(rule, time, now))
    }

    /// No event later than this goes, whatever its topic: a quick look before a close one.
    pub(crate) fn horizon(&self, now: Timestamp) -> Timestamp {
        let of_rule = |index: usize| {
            let age = self.rules[index].age.map(|age| now.saturating_sub(age));
            if self.is_over(RuleIndex(index)) { Some(Timestamp::MAX) } else { age }
        };
        (0..self.rules.len()).filter_map(of_rule).max().unwrap_or(Timestamp::MIN)
    }

    fn is_over(&self, RuleIndex(index): RuleIndex) -> bool {
        let (rule, kept) = (&self.rules[index], self.kept[index]);
        rule.events_max.is_some_and(|max| kept.events > max)
            || rule.bytes_max.is_some_and(|max| kept.bytes > max)
    }

    fn is_too_old(&self, RuleIndex(index): RuleIndex, time: Timestamp, now: Timestamp) -> bool {
        self.rules[index].age.is_some_and(|age| time < now.saturating_sub(age))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rule(pattern: &str) -> RetentionRule {
        let pattern = pattern.parse().expect(pattern);
        RetentionRule { pattern, age: None, bytes_max: None, events_max: None }
    }

    fn topic(name: &str) -> Topic {
        name.parse().expect(name)
    }

    #[test]
    fn the_first_matching_rule_holds() {
        let retention = Retention::new(vec![rule("a/b"), rule("a/**"), rule("**")]);
        let cases = [("a/b", Some(0)), ("a/c", Some(1)), ("b", Some(2)), ("$sys/x", None)];
        for (name, expected) in cases {
            assert_eq!(retention.rule_of(&topic(name)), expected.map(RuleIndex), "{name}");
        }
    }

    #[test]
    fn an_event_goes_when_it_is_older_than_the_age() {
        let age = Some(Duration::from_millis(10));
        let retention = Retention::new(vec![RetentionRule { age, ..rule("**") }]);
        let rule = retention.rule_of(&topic("a"));
        for (time_ms, goes) in [(89, true), (90, false), (100, false), (200, false)] {
            let (time, now) = (Timestamp::from_ms(time_ms), Timestamp::from_ms(100));
            assert_eq!(retention.drops(rule, time, now), goes, "{time_ms}");
        }
    }

    #[test]
    fn events_go_until_a_rule_is_within_its_limits() {
        let limited = RetentionRule { events_max: Some(2), bytes_max: Some(50), ..rule("**") };
        let mut retention = Retention::new(vec![limited]);
        let rule = retention.rule_of(&topic("a"));
        let mut dropped = Vec::new();
        retention.add(rule, 4, 70);
        for bytes in [10, 5, 20, 35] {
            let goes = retention.drops(rule, Timestamp::MAX, Timestamp::MIN);
            if goes {
                retention.remove(rule, 1, bytes);
            }
            dropped.push(goes);
        }
        assert_eq!(dropped, [true, true, true, false]);
    }
}
