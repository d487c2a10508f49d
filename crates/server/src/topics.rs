//! Topics as the configuration and the traffic know them: kinds, rates, subscribers.

use std::sync::Mutex;
use std::time::Duration;

use bellwire_journal::RetentionRule;
use bellwire_model::{Filter, FilterSet, Topic, limits};
use rustc_hash::FxHashMap;

use crate::clock::Ticker;

/// Whether a topic keeps every event or the newest value of each key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Every event, in order, in the journal.
    #[default]
    Stream,
    /// The newest value of each key, in memory.
    State,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::State => "state",
        }
    }
}

/// What the configuration says of the topics that match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRule {
    /// The topics.
    pub pattern: Filter,
    /// Their kind.
    pub kind: Kind,
    /// How long a stream keeps events.
    pub retention_age: Option<Duration>,
    /// How many bytes of events the streams of this rule keep together.
    pub retention_bytes_max: Option<u64>,
    /// How many events the streams of this rule keep together.
    pub retention_events_max: Option<u64>,
}

/// The kinds and retention of all topics: the server's own, then the first match, then a stream.
#[derive(Clone, Debug)]
pub(crate) struct TopicRules {
    rules: Vec<TopicRule>,
    retention_age: Duration,
}

impl TopicRules {
    pub(crate) fn new(rules: Vec<TopicRule>, retention_age: Duration) -> Self {
        Self { rules, retention_age }
    }

    pub(crate) fn kind(&self, topic: &Topic) -> Kind {
        let mut segments = topic.segments();
        match (segments.next(), segments.next()) {
            (Some("alerts"), Some("active")) | (Some("samples" | "rules"), _) => {
                return Kind::State;
            }
            (Some(first), _) if first.starts_with('$') => return Kind::State,
            (Some("alerts"), _) => return Kind::Stream,
            _ => {}
        }
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(topic));
        rule.map_or(Kind::Stream, |rule| rule.kind)
    }

    /// The same in the journal's terms. A last rule holds for all topics.
    pub(crate) fn retention(&self) -> Vec<RetentionRule> {
        let rest = |pattern: &str| RetentionRule {
            pattern: pattern.parse().expect("a filter"),
            age: Some(self.retention_age),
            bytes_max: None,
            events_max: None,
        };
        let configured = self.rules.iter().filter(|rule| rule.kind == Kind::Stream);
        let mut rules: Vec<RetentionRule> = configured
            .map(|rule| RetentionRule {
                pattern: rule.pattern.clone(),
                age: Some(rule.retention_age.unwrap_or(self.retention_age)),
                bytes_max: rule.retention_bytes_max,
                events_max: rule.retention_events_max,
            })
            .collect();
        rules.extend([rest("**")]);
        rules
    }
}

/// How many streams follow which filters, over all shards.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Mutex<FxHashMap<FilterSet, usize>>);

impl Subscriptions {
    pub(crate) fn join(&self, filters: &FilterSet) {
        *self.0.lock().expect("not poisoned").entry(filters.clone()).or_default() += 1;
    }

    pub(crate) fn leave(&self, filters: &FilterSet) {
        let mut counts = self.0.lock().expect("not poisoned");
        if let Some(count) = counts.get_mut(filters) {
            *count -= 1;
            if *count == 0 {
                counts.remove(filters);
            }
        }
    }

    /// A copy, to look many topics up in without a lock.
    pub(crate) fn counts(&self) -> SubscriberCounts {
        let mut counts = SubscriberCounts::default();
        for (filters, count) in self.0.lock().expect("not poisoned").iter() {
            if filters.iter().all(Filter::is_exact) {
                for filter in filters.iter() {
                    *counts.exact.entry(filter.as_str().into()).or_default() += count;
                }
            } else {
                counts.patterns.push((filters.clone(), *count));
            }
        }
        counts
    }
}

/// Subscribers by what they follow.
#[derive(Debug, Default)]
pub(crate) struct SubscriberCounts {
    exact: FxHashMap<Box<str>, usize>,
    patterns: Vec<(FilterSet, usize)>,
}

impl SubscriberCounts {
    /// How many follow `topic`.
    pub(crate) fn of(&self, topic: &Topic) -> usize {
        let exact = self.exact.get(topic.as_str()).copied().unwrap_or_default();
        let patterns = self.patterns.iter().filter(|(filters, _)| filters.matches(topic));
        exact + patterns.map(|(_, count)| count).sum::<usize>()
    }
}

/// Events a second of each stream topic, averaged over about ten seconds.
#[derive(Debug)]
pub(crate) struct TopicRates {
    ticker: Ticker,
    rates: Mutex<FxHashMap<Topic, Rate>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    per_second: f64,
    as_of_seconds: f64,
}

/// The time in which a rate falls to a third when nothing comes.
const RATE_WINDOW_SECONDS: f64 = 10.0;

impl Rate {
    fn at(self, now_seconds: f64) -> f64 {
        self.per_second * (-(now_seconds - self.as_of_seconds) / RATE_WINDOW_SECONDS).exp()
    }
}

impl TopicRates {
    pub(crate) fn new() -> Self {
        Self { ticker: Ticker::start(), rates: Mutex::new(FxHashMap::default()) }
    }

    pub(crate) fn count<'a>(&self, topics: impl Iterator<Item = &'a Topic>) {
        let now_seconds = self.ticker.elapsed().as_secs_f64();
        let mut rates = self.rates.lock().expect("not poisoned");
        for topic in topics {
            if let Some(rate) = rates.get_mut(topic) {
                let per_second = rate.at(now_seconds) + 1.0 / RATE_WINDOW_SECONDS;
                *rate = Rate { per_second, as_of_seconds: now_seconds };
            } else if rates.len() < limits::TOPICS_MAX {
                let per_second = 1.0 / RATE_WINDOW_SECONDS;
                rates.insert(topic.clone(), Rate { per_second, as_of_seconds: now_seconds });
            }
        }
    }

    pub(crate) fn of(&self, topic: &Topic) -> f64 {
        let now_seconds = self.ticker.elapsed().as_secs_f64();
        let rates = self.rates.lock().expect("not poisoned");
        rates.get(topic).map_or(0.0, |rate| rate.at(now_seconds))
    }
}
