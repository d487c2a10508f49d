//! What is made of the labels that a target exposes.

use std::borrow::Cow;
use std::sync::Arc;

use bellwire_model::limits::LABELS_PER_SERIES_MAX;
use bellwire_model::{Labels, LabelsError, METRIC_NAME, Sample, SampleError};
use thiserror::Error;

use crate::decoded::quoted;
use crate::relabel::{self, LabelSet, Rule, Verdict};

/// What the label is called that a target exposes and that is the server's to set.
const EXPORTED_PREFIX: &str = "exported_";

/// Labels that are relabeled: beyond it no rules make a series of them. Each rule looks at all of them.
const LABELS_EXPOSED_MAX: usize = 4 * LABELS_PER_SERIES_MAX;

/// Whose value counts where both the target's configuration and what it exposes have a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// The configuration's; the other one becomes `exported_…`.
    #[default]
    TargetWins,
    /// What is exposed: `honor_labels`.
    ExposedWins,
}

/// What becomes of times that a target exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Times {
    /// They count, and such series are never stale: `honor_timestamps`.
    Honored,
    /// They count, and such series are stale when they are gone: `track_timestamps_staleness`.
    Tracked,
    /// All samples are of the time of the scrape.
    Ignored,
}

/// Limits beyond which a scrape fails; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeriesLimits {
    /// Samples after relabeling.
    pub samples: usize,
    /// Labels of a series, its name included.
    pub labels: usize,
    /// Bytes of a label's name.
    pub label_name_bytes: usize,
    /// Bytes of a label's value.
    pub label_value_bytes: usize,
}

/// What is made of a target's series.
#[derive(Clone, Debug)]
pub struct Treatment {
    /// The target's labels; none of them begins with `__`.
    pub target: Labels,
    /// Whose labels count.
    pub conflict: Conflict,
    /// Whose times count.
    pub times: Times,
    /// `metric_relabel_configs`, shared by all targets of a job.
    pub relabel: Arc<[Rule]>,
    /// How much there may be.
    pub limits: SeriesLimits,
}

/// Why the labels of one series spoil a scrape.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SeriesError {
    /// One label has two values.
    #[error("the label `{0}` stands twice")]
    Twice(Box<str>),
    /// Relabeling has left no name.
    #[error("relabeling leaves no metric name")]
    NoName,
    /// A limit of the configuration.
    #[error("{limit} exceeded: `{name}` has {found}")]
    Limit {
        /// The limit's key.
        limit: &'static str,
        /// How the metric's name begins.
        name: Box<str>,
        /// What was found.
        found: usize,
    },
}

/// What becomes of one series.
pub(super) enum Treated {
    /// These are its labels.
    Kept(Labels),
    /// Relabeling drops it.
    Dropped,
    /// It breaks a bound of this server; the others are taken.
    Refused(SampleError),
}

type Exposed<'a> = (Cow<'a, str>, Cow<'a, str>);

impl Treatment {
    /// The labels of a series that is exposed with these.
    pub(super) fn of(&self, exposed: &[Exposed<'_>]) -> Result<Treated, SeriesError> {
        check_once(exposed)?;
        if exposed.len() > LABELS_EXPOSED_MAX {
            let error = LabelsError::TooMany { labels: exposed.len() };
            return Ok(Treated::Refused(error.into()));
        }
        let pairs = exposed.iter().map(|(name, value)| (&**name, &**value));
        let mut labels = LabelSet::new(pairs);
        match self.conflict {
            Conflict::TargetWins => self.set_over(&mut labels),
            // An exposed label without a value says that there is to be none.
            Conflict::ExposedWins => {
                for (name, value) in self.target.iter() {
                    if !exposed.iter().any(|(other, _)| other == name) {
                        labels.set(name, value);
                    }
                }
            }
        }
        let verdict = relabel::apply(&self.relabel, &mut labels);
        if verdict == Verdict::Dropped || labels.is_empty() {
            return Ok(Treated::Dropped);
        }
        let name = labels.get(METRIC_NAME);
        if name.is_empty() {
            return Err(SeriesError::NoName);
        }
        self.check_limits(&labels)?;
        let within_bounds = Sample::check_name(name);
        let series = within_bounds.and_then(|()| Ok(labels.to_labels()?));
        Ok(series.map_or_else(Treated::Refused, Treated::Kept))
    }

    /// Sets the target's labels, and keeps what they replace under other names.
    fn set_over(&self, labels: &mut LabelSet) {
        let mut replaced = Vec::new();
        for (name, value) in self.target.iter() {
            let exposed = labels.get(name);
            if !exposed.is_empty() {
                replaced.push((name, exposed.to_owned()));
            }
            labels.set(name, value);
        }
        // The shortest first, so that no name depends on the order of the others.
        replaced.sort_by_key(|(name, _)| name.len());
        for (name, value) in replaced {
            let mut name = format!("{EXPORTED_PREFIX}{name}");
            while !labels.get(&name).is_empty() {
                name.insert_str(0, EXPORTED_PREFIX);
            }
            labels.set(&name, &value);
        }
    }

    fn check_limits(&self, labels: &LabelSet) -> Result<(), SeriesError> {
        let SeriesLimits { labels: count, label_name_bytes, label_value_bytes, .. } = self.limits;
        let longest = |length: fn((&str, &str)) -> usize| labels.iter().map(length).max();
        let found = [
            ("label_limit", count, Some(labels.iter().count())),
            ("label_name_length_limit", label_name_bytes, longest(|(name, _)| name.len())),
            ("label_value_length_limit", label_value_bytes, longest(|(_, value)| value.len())),
        ];
        for (limit, max, found) in found {
            let found = found.unwrap_or_default();
            if max > 0 && found > max {
                let name = quoted(labels.get(METRIC_NAME)).into();
                return Err(SeriesError::Limit { limit, name, found });
            }
        }
        Ok(())
    }
}

/// Refuses a name that stands twice.
fn check_once(exposed: &[Exposed<'_>]) -> Result<(), SeriesError> {
    let mut names: Vec<&str> = exposed.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(SeriesError::Twice(quoted(twice[0]).into())),
        None => Ok(()),
    }
}
