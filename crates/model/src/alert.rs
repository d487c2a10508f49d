//! Alerts and their transitions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::identity_hash::IdentityHash;
use crate::labels::Labels;
use crate::sample::Sample;
use crate::time::Timestamp;

/// Identifies an alert by its labels, the same on every node and after every restart.
/// Text form: 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a label set: an [`IdentityHash`] of its names and values. Whoever chooses
    /// labels cannot choose it: to find others with the same fingerprint as given ones takes some
    /// 2^64 attempts.
    pub fn of(labels: &Labels) -> Self {
        let mut hash = IdentityHash::new("bellwire labels 1");
        for (name, value) in labels.iter() {
            hash.write_text(name);
            hash.write_text(value);
        }
        Self(hash.finish())
    }

    /// The fingerprint with that number behind it.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number behind it.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// Where a rule stands: its group, its name, and its file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleName {
    /// The rule file's path as given.
    pub file: Arc<str>,
    /// The group's name.
    pub group: Arc<str>,
    /// The alert's name.
    pub alert: Arc<str>,
}

/// Who raised an alert.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AlertSource {
    /// A rule of this server.
    Rule(Arc<RuleName>),
    /// A client that posted it, as Prometheus does to an Alertmanager.
    Posted {
        /// The page that tells more of it.
        generator_url: Option<Arc<str>>,
    },
}

/// What an alert is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// Its condition holds, but not yet for as long as `for` asks.
    Pending,
    /// Its condition has held for long enough.
    Firing,
    /// It fired, and its series have fallen silent: nobody knows whether its condition holds.
    DataLost,
    /// It fired, and its condition no longer holds.
    Resolved,
}

impl AlertState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Firing, Self::DataLost, Self::Resolved];

    /// The state with this text.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The state as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::DataLost => "data_lost",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert as it is at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Identity: the fingerprint of `labels`.
    pub fingerprint: Fingerprint,
    /// Who raised it.
    pub source: AlertSource,
    /// What it is doing.
    pub state: AlertState,
    /// The series' labels, the rule's labels and `alertname`.
    pub labels: Labels,
    /// The rule's annotations, filled in.
    pub annotations: Labels,
    /// The value that the condition saw last; 0 where the alert was posted, and has none.
    pub value: f64,
    /// When the condition began to hold.
    pub active_at: Timestamp,
    /// When it began to fire.
    pub fired_at: Option<Timestamp>,
    /// When it resolved.
    pub resolved_at: Option<Timestamp>,
    /// The time of the sample that `value` comes from; of a posted alert, when it was posted last.
    pub sample_time: Timestamp,
}

impl Alert {
    /// The alert's name: its label `alertname`; empty where it was posted without one.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").unwrap_or_default()
    }

    /// The rule that raised it, unless it was posted.
    pub fn rule(&self) -> Option<&Arc<RuleName>> {
        match &self.source {
            AlertSource::Rule(name) => Some(name),
            AlertSource::Posted { .. } => None,
        }
    }

    /// The alert's severity: its label of that name, or `none`.
    pub fn severity(&self) -> &str {
        self.labels.get("severity").unwrap_or("none")
    }
}

/// How an alert changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransitionKind {
    /// Its condition began to hold; it fires when `for` has passed.
    Pending,
    /// Its condition no longer held before `for` had passed.
    Inactive,
    /// It began to fire, or its samples have come back and it fires on.
    Firing,
    /// Its series fell silent while it fired.
    DataLost,
    /// It stopped firing.
    Resolved,
}

impl TransitionKind {
    /// The type of the event that announces it. Firing, data lost and resolved are announced on
    /// `alerts/events/…`; the others show on `alerts/active` alone.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Pending => "alert.pending",
            Self::Inactive => "alert.inactive",
            Self::Firing => "alert.firing",
            Self::DataLost => "alert.data_lost",
            Self::Resolved => "alert.resolved",
        }
    }

    /// Whether this becomes an event that every subscriber of the alert must see.
    pub const fn is_announced(self) -> bool {
        matches!(self, Self::Firing | Self::DataLost | Self::Resolved)
    }
}

/// A change of one alert, with the alert as it is after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// How it changed.
    pub kind: TransitionKind,
    /// When: the time the rules were evaluated at.
    pub time: Timestamp,
    /// The alert afterwards.
    pub alert: Arc<Alert>,
    /// The expression of the rule that raised it, as it was then; nothing where that is not known, or
    /// nobody is told of it.
    pub expression: Option<Arc<str>>,
    /// The newest sample of the series that it is of; nothing where it is of several, where that is not
    /// known, or nobody is told of it.
    pub sample: Option<Arc<Sample>>,
}

impl Transition {
    /// The same for the same rules, samples and times, whoever computes it: what makes an append
    /// of the transition idempotent. `<fingerprint>-<active_at>-<type>`, and `-<time>` behind it
    /// where the alert may change so again: when its data is lost, and when it fires on after that.
    pub fn id(&self) -> String {
        let Self { kind, time, alert, .. } = self;
        let id = format!("{}-{}-{}", alert.fingerprint, alert.active_at, kind.event_type());
        let fires_on = *kind == TransitionKind::Firing && alert.fired_at != Some(*time);
        if fires_on || *kind == TransitionKind::DataLost { format!("{id}-{time}") } else { id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(pairs: &[(&str, &str)]) -> Fingerprint {
        Fingerprint::of(&Labels::from_pairs(pairs.iter().copied()).expect("labels"))
    }

    #[test]
    fn a_fingerprint_is_stable() {
        let fingerprint = fingerprint(&[("alertname", "BoilerHot"), ("site", "oslo")]);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        // As `printf` and `sha256sum` have it of what the words say.
        assert_eq!(fingerprint.to_string(), "a0fe3988bec7f5ae");
        assert_eq!(Fingerprint::of(&Labels::empty()).to_string(), "e7de1d2461dc2c9b");
    }

    #[test]
    fn where_a_text_ends_counts() {
        assert_ne!(fingerprint(&[("a", "bc")]), fingerprint(&[("ab", "c")]));
        assert_ne!(fingerprint(&[("a", "b"), ("c", "d")]), fingerprint(&[("a", "b\0c\0d")]));
    }
}
