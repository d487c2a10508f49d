//! What of a rule is evaluated together.

use super::{Rule, RuleMode};
use crate::plan::PartitionKey;

/// What of a rule is evaluated together: the series that know of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// The sample's series alone.
    EachSeries,
    /// The series that agree in these labels.
    By(Box<[Box<str>]>),
    /// The series that agree in all labels but these and the metric name.
    Without(Box<[Box<str>]>),
    /// All series of the rule.
    Whole,
}

impl Parts {
    /// What they are and the labels that tell them apart, the same in every process.
    pub(crate) fn names(&self) -> Vec<&str> {
        let (kind, labels): (_, &[Box<str>]) = match self {
            Self::EachSeries => ("each", &[]),
            Self::By(labels) => ("by", labels),
            Self::Without(labels) => ("without", labels),
            Self::Whole => ("whole", &[]),
        };
        let labels = labels.iter().map(|label| &**label);
        std::iter::once(kind).chain(labels).collect()
    }

    /// The parts that a rule falls into.
    pub(crate) fn of(rule: &Rule) -> Self {
        let plan = &rule.plan;
        match PartitionKey::of(plan) {
            _ if rule.mode.rule_mode() == RuleMode::Tick => Self::Whole,
            key if key.is_whole() => Self::Whole,
            key if key.is_every_series() && plan.selections.len() == 1 => Self::EachSeries,
            PartitionKey::Only(labels) => Self::By(labels.into_iter().collect()),
            PartitionKey::AllBut(labels) => Self::Without(labels.into_iter().collect()),
        }
    }
}
