//! Topics as the configuration and the traffic know them: kinds, rates, subscribers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwire_journal::RetentionRule;
use bellwire_model::limits::{
    self, ALERT_SERIES_RETENTION_BYTES_MAX, AUDIT_RETENTION_AGE, AUDIT_RETENTION_BYTES_MAX,
    NOTIFICATIONS_RETENTION_BYTES_MAX,
};
use bellwire_model::{Filter, FilterSet, NameMap, Topic};
use bellwire_process::clock::Ticker;
use tokio::sync::watch;

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
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::State => "state",
        }
    }
}

/// Where the values of a state topic are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateDurability {
    /// In memory: they go with the process.
    #[default]
    Memory,
    /// In the journal, as events are.
    Disk,
}

impl StateDurability {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
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
    /// Of state topics, where they are kept.
    pub durability: StateDurability,
    /// How long a stream keeps events.
    pub retention_age: Option<Duration>,
    /// How many bytes of events the streams of this rule keep together.
    pub retention_bytes_max: Option<u64>,
    /// How many events the streams of this rule keep together.
    pub retention_events_max: Option<u64>,
}

/// State topics of the server, which are in memory; those that begin with `$` are, too.
const OWN_STATE: [&str; 5] = ["alerts/active", "samples/**", "rules/**", "query/**", "presence/**"];

/// The kinds and retention of all topics: the server's own, then the first match, then a stream.
#[derive(Clone, Debug)]
pub struct TopicRules {
    rules: Vec<TopicRule>,
    retention_age: Duration,
    /// Where the board of alerts is kept.
    board: StateDurability,
}

impl TopicRules {
    pub fn new(rules: Vec<TopicRule>, retention_age: Duration) -> Self {
        Self { rules, retention_age, board: StateDurability::Memory }
    }

    /// The same with the board of alerts in the journal, for nodes that share one: whichever of them
    /// changes it, all have it.
    #[must_use]
    pub fn with_board_on_disk(self) -> Self {
        Self { board: StateDurability::Disk, ..self }
    }

    pub fn kind(&self, topic: &Topic) -> Kind {
        let mut segments = topic.segments();
        match (segments.next(), segments.next()) {
            (Some("alerts"), Some("active"))
            | (Some("samples" | "rules" | Topic::QUERIES | Topic::PRESENCE), _) => {
                return Kind::State;
            }
            _ if matches!(topic.as_str(), Topic::OF_AUDIT | Topic::OF_SERIES_OF_ALERTS) => {
                return Kind::Stream;
            }
            (Some(first), _) if first.starts_with('$') => return Kind::State,
            (Some("alerts"), _) => return Kind::Stream,
            _ => {}
        }
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(topic));
        rule.map_or(Kind::Stream, |rule| rule.kind)
    }

    /// Where a state topic is kept. The server's own are in memory, but for the board of alerts where
    /// nodes share it.
    pub fn state_durability(&self, topic: &Topic) -> StateDurability {
        if topic.as_str() == Topic::OF_BOARD {
            return self.board;
        }
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(topic));
        match rule {
            Some(rule) if rule.kind == Kind::State && !topic.is_reserved() => rule.durability,
            _ => StateDurability::Memory,
        }
    }

    /// Whether it is a state topic that is kept in the journal.
    pub fn is_on_disk(&self, topic: &Topic) -> bool {
        self.state_durability(topic) == StateDurability::Disk
    }

    /// The same of all topics, as a text that is another one wherever a topic's place may be.
    pub fn state_places(&self) -> String {
        let is_on_disk =
            |rule: &TopicRule| rule.kind == Kind::State && rule.durability == StateDurability::Disk;
        // Behind the last one that is on the disk none is.
        let rules = self.rules.iter().rposition(is_on_disk).map_or(0, |last| last + 1);
        let line = |rule: &TopicRule| {
            let place = if is_on_disk(rule) { "disk" } else { "elsewhere" };
            format!("{} {place}\n", rule.pattern)
        };
        let board = match self.board {
            StateDurability::Memory => String::new(),
            StateDurability::Disk => format!("{} disk\n", Topic::OF_BOARD),
        };
        board + &self.rules[..rules].iter().map(line).collect::<String>()
    }

    /// Whether all state topics that pass are on the disk, as far as the patterns tell.
    pub fn are_on_disk(&self, filters: &FilterSet) -> bool {
        filters.iter().all(|filter| self.all_on_disk(filter))
    }

    fn all_on_disk(&self, filter: &Filter) -> bool {
        let meets = |own: &&str| {
            let own: Filter = own.parse().expect("a filter");
            own.intersection(filter).is_some()
        };
        let is_in_memory =
            |own: &&&str| **own != Topic::OF_BOARD || self.board == StateDurability::Memory;
        let mut in_memory = OWN_STATE.iter().filter(is_in_memory);
        if filter.as_str().starts_with('$') || in_memory.any(meets) {
            return false;
        }
        for rule in &self.rules {
            if rule.pattern.intersection(filter).is_none() {
                continue;
            }
            if rule.kind == Kind::State && rule.durability == StateDurability::Memory {
                return false;
            }
            if rule.pattern.covers(filter) {
                return true;
            }
        }
        true
    }

    /// The same in the journal's terms. A last rule holds for all topics, but for the audit, which is
    /// kept for longer.
    pub fn retention(&self) -> Vec<RetentionRule> {
        let audit: Topic = Topic::OF_AUDIT.parse().expect("a topic");
        let configured = self.rules.iter().filter(|rule| rule.kind == Kind::Stream);
        let mut rules: Vec<RetentionRule> = configured
            .map(|rule| {
                // Who says how much of the audit is kept has not said how long.
                let is_audit = rule.pattern.matches(&audit);
                let age = if is_audit { AUDIT_RETENTION_AGE } else { self.retention_age };
                RetentionRule {
                    pattern: rule.pattern.clone(),
                    age: Some(rule.retention_age.unwrap_or(age)),
                    bytes_max: rule.retention_bytes_max,
                    events_max: rule.retention_events_max,
                }
            })
            .collect();
        // A wildcard in front does not match it.
        rules.push(RetentionRule {
            pattern: Filter::from(&audit),
            age: Some(AUDIT_RETENTION_AGE),
            bytes_max: Some(AUDIT_RETENTION_BYTES_MAX),
            events_max: None,
        });
        // Nor this one.
        rules.push(RetentionRule {
            pattern: Topic::OF_SERIES_OF_ALERTS.parse().expect("a filter"),
            age: Some(self.retention_age),
            bytes_max: Some(ALERT_SERIES_RETENTION_BYTES_MAX),
            events_max: None,
        });
        // One names all alerts of its group, and comes again with each repetition.
        rules.push(RetentionRule {
            pattern: "alerts/notifications/**".parse().expect("a filter"),
            age: Some(self.retention_age),
            bytes_max: Some(NOTIFICATIONS_RETENTION_BYTES_MAX),
            events_max: None,
        });
        rules.push(RetentionRule {
            pattern: "**".parse().expect("a filter"),
            age: Some(self.retention_age),
            bytes_max: None,
            events_max: None,
        });
        rules
    }
}

/// How many streams follow which filters, over all shards.
#[derive(Debug, Default)]
pub struct Subscriptions {
    by_filters: Mutex<NameMap<FilterSet, usize>>,
    /// What a listing was last told, and when.
    counted: Mutex<Option<(Ticker, Arc<SubscriberCounts>)>>,
    /// Who is told when filters come that nobody followed before, or the last goes who followed some: of those
    /// that reach these topics.
    watches: Mutex<Vec<(FilterSet, watch::Sender<()>)>>,
}

impl Subscriptions {
    pub fn join(&self, filters: &FilterSet) {
        let is_first = {
            let mut counts = self.by_filters.lock().expect("not poisoned");
            let count = counts.entry(filters.clone()).or_default();
            *count += 1;
            *count == 1
        };
        if is_first {
            self.tell(filters);
        }
    }

    pub fn leave(&self, filters: &FilterSet) {
        let is_last = {
            let mut counts = self.by_filters.lock().expect("not poisoned");
            let Some(count) = counts.get_mut(filters) else { return };
            *count -= 1;
            let is_last = *count == 0;
            if is_last {
                counts.remove(filters);
            }
            is_last
        };
        if is_last {
            self.tell(filters);
        }
    }

    fn tell(&self, filters: &FilterSet) {
        let watches = self.watches.lock().expect("not poisoned");
        for (topics, changed) in &*watches {
            let reaches = |one: &Filter| topics.iter().any(|of| one.intersection(of).is_some());
            if filters.iter().any(reaches) {
                changed.send_replace(());
            }
        }
    }

    /// Tells whenever other filters are followed than before that reach these topics.
    pub fn changes(&self, topics: &FilterSet) -> watch::Receiver<()> {
        let mut watches = self.watches.lock().expect("not poisoned");
        watches.retain(|(_, changed)| changed.receiver_count() > 0);
        let (sender, changes) = watch::channel(());
        watches.push((topics.clone(), sender));
        changes
    }

    /// What is followed of the topics that pass these: all of them where that takes more filters than so many.
    pub fn within(&self, topics: &FilterSet, filters_max: usize) -> FilterSet {
        // Copied, so that those who come and go wait for the copy alone.
        let sets: Vec<FilterSet> = {
            let by_filters = self.by_filters.lock().expect("not poisoned");
            by_filters.keys().cloned().collect()
        };
        let followed = sets.iter().flat_map(FilterSet::iter);
        let mut found = BTreeSet::new();
        for (one, of) in followed.flat_map(|one| topics.iter().map(move |of| (one, of))) {
            found.extend(one.intersection(of));
            if found.len() > filters_max {
                return topics.clone();
            }
        }
        FilterSet::gathered(found.into_iter().collect())
    }

    /// What there was a moment ago, to look many topics up in without a lock.
    pub fn counts(&self) -> Arc<SubscriberCounts> {
        let mut counted = self.counted.lock().expect("not poisoned");
        if let Some((at, counts)) = &*counted
            && at.elapsed() < limits::SUBSCRIBER_COUNTS_AGE
        {
            return Arc::clone(counts);
        }
        // Copied, so that those who come and go wait for the copy alone.
        let sets: Vec<(FilterSet, usize)> = {
            let by_filters = self.by_filters.lock().expect("not poisoned");
            by_filters.iter().map(|(filters, count)| (filters.clone(), *count)).collect()
        };
        let counts = Arc::new(SubscriberCounts::new(sets));
        *counted = Some((Ticker::start(), Arc::clone(&counts)));
        counts
    }
}

/// Subscribers by what they follow.
#[derive(Debug, Default)]
pub struct SubscriberCounts {
    sets: Vec<(FilterSet, usize)>,
    /// By the part of each filter that is before its first wildcard, and by the whole of one that
    /// has none: which set it is of, and the how manieth of the set.
    by_stem: NameMap<Box<str>, Vec<(usize, usize)>>,
}

impl SubscriberCounts {
    fn new(sets: Vec<(FilterSet, usize)>) -> Self {
        let mut by_stem: NameMap<Box<str>, Vec<(usize, usize)>> = NameMap::default();
        for (set, (filters, _)) in sets.iter().enumerate() {
            for (index, filter) in filters.iter().enumerate() {
                by_stem.entry(stem(filter).into()).or_default().push((set, index));
            }
        }
        Self { sets, by_stem }
    }

    /// How many follow `topic`.
    pub fn of(&self, topic: &Topic) -> usize {
        let name = topic.as_str();
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        let stems = [""].into_iter().chain(ends.map(|end| &name[..end]));
        let found = stems.filter_map(|stem| self.by_stem.get(stem)).flatten();
        let count = |(set, index): &(usize, usize)| {
            let (filters, count) = &self.sets[*set];
            // A set counts once, by the first of its filters that matches.
            let first = filters.iter().position(|filter| filter.matches(topic));
            if first == Some(*index) { *count } else { 0 }
        };
        found.map(count).sum()
    }
}

/// The segments of a filter before its first wildcard.
fn stem(filter: &Filter) -> &str {
    let text = filter.as_str();
    match text.find('*') {
        None => text,
        Some(star) => text[..star].trim_end_matches('/'),
    }
}

/// Events a second of each stream topic, averaged over about ten seconds.
#[derive(Debug)]
pub struct TopicRates {
    ticker: Ticker,
    rates: Mutex<Rates>,
}

#[derive(Debug, Default)]
struct Rates {
    of: NameMap<Topic, Rate>,
    /// When those that are idle were last forgotten, where they ever were.
    swept_at_seconds: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    per_second: f64,
    as_of_seconds: f64,
}

/// What has come of a stream topic lately.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lately {
    /// Events a second.
    pub per_second: f64,
    /// How long ago the last one came.
    pub ago: Duration,
}

/// The time in which a rate falls to a third when nothing comes.
const RATE_WINDOW_SECONDS: f64 = 10.0;

/// Topics to which nothing has come for so long are forgotten where there is no room for others.
const RATE_IDLE_SECONDS: f64 = 3_600.0;

/// That looks at all of them, and whoever publishes waits meanwhile: no more often than this.
const RATE_SWEEP_SECONDS: f64 = 600.0;

impl Rates {
    /// Counts an event of a topic that came so long after the process began.
    fn count(&mut self, topic: &Topic, now_seconds: f64, topics_max: usize) {
        if let Some(rate) = self.of.get_mut(topic) {
            let per_second = rate.at(now_seconds) + 1.0 / RATE_WINDOW_SECONDS;
            *rate = Rate { per_second, as_of_seconds: now_seconds };
            return;
        }
        if self.of.len() >= topics_max {
            self.forget_idle(now_seconds);
        }
        if self.of.len() < topics_max {
            let per_second = 1.0 / RATE_WINDOW_SECONDS;
            self.of.insert(topic.clone(), Rate { per_second, as_of_seconds: now_seconds });
        }
    }

    fn forget_idle(&mut self, now_seconds: f64) {
        if self.swept_at_seconds.is_some_and(|at| now_seconds - at < RATE_SWEEP_SECONDS) {
            return;
        }
        self.swept_at_seconds = Some(now_seconds);
        self.of.retain(|_, rate| now_seconds - rate.as_of_seconds < RATE_IDLE_SECONDS);
    }
}

impl Rate {
    fn at(self, now_seconds: f64) -> f64 {
        self.per_second * (-(now_seconds - self.as_of_seconds) / RATE_WINDOW_SECONDS).exp()
    }
}

impl Default for TopicRates {
    fn default() -> Self {
        Self { ticker: Ticker::start(), rates: Mutex::default() }
    }
}

impl TopicRates {
    pub fn count<'a>(&self, topics: impl Iterator<Item = &'a Topic>) {
        let now_seconds = self.ticker.elapsed().as_secs_f64();
        let mut rates = self.rates.lock().expect("not poisoned");
        for topic in topics {
            rates.count(topic, now_seconds, limits::TOPICS_MAX);
        }
    }

    /// What has come of a topic lately; nothing where none has since the process began, or for an hour
    /// while there were very many others.
    pub fn of(&self, topic: &Topic) -> Option<Lately> {
        let now_seconds = self.ticker.elapsed().as_secs_f64();
        let rates = self.rates.lock().expect("not poisoned");
        let rate = rates.of.get(topic)?;
        let ago = Duration::try_from_secs_f64(now_seconds - rate.as_of_seconds);
        Some(Lately { per_second: rate.at(now_seconds), ago: ago.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_topics_that_are_idle_make_room_for_others() {
        let topic = |name: &str| -> Topic { name.parse().expect("a topic") };
        let mut rates = Rates::default();
        let has = |rates: &Rates, name: &str| rates.of.contains_key(&topic(name));
        rates.count(&topic("a"), 0.0, 2);
        rates.count(&topic("b"), 100.0, 2);
        rates.count(&topic("c"), RATE_IDLE_SECONDS - 1.0, 2);
        assert!(has(&rates, "a") && has(&rates, "b") && !has(&rates, "c"), "none is idle");
        rates.count(&topic("c"), RATE_IDLE_SECONDS + 1.0, 2);
        assert!(!has(&rates, "c"), "it was looked a moment ago");
        rates.count(&topic("b"), RATE_IDLE_SECONDS + 2.0, 2);
        rates.count(&topic("c"), RATE_IDLE_SECONDS + RATE_SWEEP_SECONDS, 2);
        assert!(!has(&rates, "a") && has(&rates, "b") && has(&rates, "c"));
    }

    #[test]
    fn the_audit_is_a_stream_that_is_kept_for_longer_unless_its_own_rule_says_otherwise() {
        let audit: Topic = Topic::OF_AUDIT.parse().expect("a topic");
        let kept = |configured: &[(&str, Option<Duration>)]| {
            let rule = |(pattern, age): &(&str, Option<Duration>)| TopicRule {
                pattern: pattern.parse().expect("a filter"),
                kind: Kind::Stream,
                durability: StateDurability::Memory,
                retention_age: *age,
                retention_bytes_max: None,
                retention_events_max: None,
            };
            let rules = configured.iter().map(rule).collect();
            let rules = TopicRules::new(rules, Duration::from_hours(24));
            assert_eq!(rules.kind(&audit), Kind::Stream);
            assert_eq!(rules.kind(&"$sys/server".parse().expect("a topic")), Kind::State);
            let found = rules.retention().into_iter().find(|rule| rule.pattern.matches(&audit));
            let found = found.expect("it is not kept for ever");
            (found.age.expect("an age"), found.bytes_max)
        };
        let default = (AUDIT_RETENTION_AGE, Some(AUDIT_RETENTION_BYTES_MAX));
        assert_eq!(kept(&[]), default);
        assert_eq!(kept(&[("**", Some(Duration::from_hours(1)))]), default);
        let day = Duration::from_hours(24);
        assert_eq!(kept(&[("$sys/audit", Some(day))]), (day, None));
        assert_eq!(kept(&[("$sys/**", None)]), (AUDIT_RETENTION_AGE, None));
    }

    #[test]
    fn the_streams_of_alerts_are_streams_and_two_of_them_are_bounded_in_bytes() {
        let rules = |configured: &[&str]| {
            let rule = |pattern: &&str| TopicRule {
                pattern: pattern.parse().expect("a filter"),
                kind: Kind::Stream,
                durability: StateDurability::Memory,
                retention_age: None,
                retention_bytes_max: Some(7),
                retention_events_max: None,
            };
            TopicRules::new(configured.iter().map(rule).collect(), Duration::from_hours(24))
        };
        let bytes_max = |configured: &[&str], topic: &str| {
            let topic: Topic = topic.parse().expect("a topic");
            let rules = rules(configured);
            assert_eq!(rules.kind(&topic), Kind::Stream, "{topic}");
            let found = rules.retention().into_iter().find(|rule| rule.pattern.matches(&topic));
            let found = found.expect("it is not kept for ever");
            assert_eq!(found.age, Some(Duration::from_hours(24)), "{topic}");
            found.bytes_max
        };
        let (series, told) = (Topic::OF_SERIES_OF_ALERTS, "alerts/notifications/pager");
        let notified = Some(NOTIFICATIONS_RETENTION_BYTES_MAX);
        assert_eq!(bytes_max(&[], series), Some(ALERT_SERIES_RETENTION_BYTES_MAX));
        assert_eq!(bytes_max(&[], told), notified);
        assert_eq!(bytes_max(&[], Topic::OF_NOTIFICATIONS_WITHOUT), notified);
        assert_eq!(bytes_max(&[], "alerts/events/none/Hot"), None);
        assert_eq!(bytes_max(&["$alerts/series", "alerts/notifications/*"], series), Some(7));
        assert_eq!(bytes_max(&["$alerts/series", "alerts/notifications/*"], told), Some(7));
    }

    #[test]
    fn what_is_on_the_disk_is_known_of_filters_whose_topics_all_are() {
        let rule = |pattern: &str, kind, durability| TopicRule {
            pattern: pattern.parse().expect("a filter"),
            kind,
            durability,
            retention_age: None,
            retention_bytes_max: None,
            retention_events_max: None,
        };
        let rules = TopicRules::new(
            vec![
                rule("jobs/tmp/*", Kind::State, StateDurability::Memory),
                rule("jobs/**", Kind::State, StateDurability::Disk),
                rule("jobs/never", Kind::State, StateDurability::Memory),
                rule("tickers/*", Kind::State, StateDurability::Memory),
            ],
            Duration::from_hours(1),
        );
        let table: [(&[&str], bool); 12] = [
            (&["jobs/x"], true),
            (&["jobs/*"], true),
            (&["jobs/never"], true),
            (&["jobs/**"], false),
            (&["jobs/*/a"], false),
            (&["log/**", "jobs/x"], true),
            (&["tickers/a", "jobs/x"], false),
            (&["*/x"], false),
            (&["**"], false),
            (&["alerts/**"], false),
            (&["alerts/events/**"], true),
            (&["$sys/**"], false),
        ];
        for (filters, expected) in table {
            let filters = filters.iter().map(|filter| filter.parse().expect("a filter"));
            let filters = FilterSet::new(filters).expect("a set");
            assert_eq!(rules.are_on_disk(&filters), expected, "{filters}");
        }
    }

    #[test]
    fn the_board_of_alerts_is_on_the_disk_where_nodes_share_it() {
        let board: Topic = Topic::OF_BOARD.parse().expect("a topic");
        let alone = TopicRules::new(Vec::new(), Duration::from_hours(1));
        let shared = alone.clone().with_board_on_disk();
        assert_ne!(alone.state_places(), shared.state_places());
        for (rules, is_on_disk) in [(alone, false), (shared, true)] {
            assert_eq!((rules.kind(&board), rules.is_on_disk(&board)), (Kind::State, is_on_disk));
            let all = |filter: &str| {
                rules.are_on_disk(&filter.parse::<Filter>().expect("a filter").into())
            };
            assert_eq!((all("alerts/active"), all("alerts/**")), (is_on_disk, is_on_disk));
            assert!(!all("**") && !all("rules/x"));
        }
    }

    #[test]
    fn whoever_looks_what_is_followed_is_told_when_that_is_something_else() {
        let set = |filter: &str| FilterSet::from(filter.parse::<Filter>().expect("a filter"));
        let subscriptions = Subscriptions::default();
        let mut changes = subscriptions.changes(&set("*"));
        let mut is_told = || {
            let told = changes.has_changed().expect("its sender is there");
            changes.mark_unchanged();
            told
        };
        for (filter, is_joined, expected) in [
            ("a", true, true),
            ("a", true, false),
            ("b", true, true),
            ("c/d", true, false),
            ("**", true, true),
            ("a", false, false),
            ("a", false, true),
            ("c/d", false, false),
        ] {
            if is_joined {
                subscriptions.join(&set(filter));
            } else {
                subscriptions.leave(&set(filter));
            }
            assert_eq!(is_told(), expected, "{filter} {is_joined}");
        }
    }

    #[test]
    fn a_topic_has_the_subscribers_whose_filters_match_it() {
        let sets: [&[&str]; 7] = [
            &["a/b"],
            &["a/*"],
            &["a/**"],
            &["**"],
            &["a/b", "a/*/c", "b/**"],
            &["a/b", "a/**"],
            &["c/*/d"],
        ];
        let filters = |set: &[&str]| {
            let filters = set.iter().map(|filter| filter.parse().expect("a filter"));
            FilterSet::new(filters).expect("a set")
        };
        let subscriptions = Subscriptions::default();
        let sets = sets.map(filters);
        for set in &sets {
            subscriptions.join(set);
        }
        for (topics, filters_max, expected) in [
            (&["a/b/**", "$sys/**"][..], 9, &["a/b/**"][..]),
            (&["c/**"], 9, &["c/**"]),
            (&["b/x"], 9, &["b/x"]),
            (&["a/b/c/**"], 9, &["a/b/c/**"]),
            (&["a/**", "$sys/**"], 3, &["a/**", "$sys/**"]),
        ] {
            let topics = filters(topics);
            assert_eq!(subscriptions.within(&topics, filters_max), filters(expected), "{topics}");
        }
        assert_eq!(subscriptions.within(&filters(&["$sys/**"]), 9), FilterSet::none());
        let counts = subscriptions.counts();
        for topic in ["a", "a/b", "a/x/c", "a/b/c/d", "b", "b/c", "c/x/d", "c", "$sys/a"] {
            let topic: Topic = topic.parse().expect("a topic");
            let expected = sets.iter().filter(|set| set.matches(&topic)).count();
            assert_eq!(counts.of(&topic), expected, "{topic}");
        }
    }
}
