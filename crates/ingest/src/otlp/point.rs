//! What both encodings are read to: metrics and their points, borrowed from the body where it can be.

use std::borrow::Cow;

use bellwire_model::limits::OTLP_POINT_BYTES_MAX;

use super::labels::Attribute;
use super::translation::Kind;
use crate::decoded::Refusal;

/// The bit of a point's flags that says that there is no value.
const NO_RECORDED_VALUE: u32 = 1;

/// How a sum's or a histogram's points count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Temporality {
    #[default]
    Unspecified,
    /// From one point to the next.
    Delta,
    /// From the start on.
    Cumulative,
}

impl Temporality {
    /// By its number in the protocol.
    pub(super) const fn of(number: u64) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

/// What a metric's points have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) unit: Cow<'a, str>,
    pub(super) kind: Kind,
    pub(super) temporality: Temporality,
}

/// What points of all kinds have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Point<'a> {
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) start_ns: u64,
    pub(super) time_ns: u64,
    pub(super) flags: u32,
}

/// What a point of a histogram counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) bounds: Vec<f64>,
    pub(super) counts: Vec<u64>,
}

/// What a point of a summary tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Each quantile with its value.
    pub(super) quantiles: Vec<(f64, f64)>,
}

impl Point<'_> {
    /// Whether the sender says that there is no value any more.
    pub(super) const fn is_stale(&self) -> bool {
        self.flags & NO_RECORDED_VALUE != 0
    }

    /// Forgets what it holds, and keeps its room for the next one.
    pub(super) fn clear(&mut self) {
        self.attributes.clear();
        (self.start_ns, self.time_ns, self.flags) = (0, 0, 0);
    }
}

impl Histogram {
    /// Forgets what it holds, and keeps its room for the next one.
    pub(super) fn clear(&mut self) {
        self.bounds.clear();
        self.counts.clear();
        (self.count, self.sum) = (0, None);
    }

    /// Whether the buckets are such that they can be counted from the lowest up.
    pub(super) fn has_whole_buckets(&self) -> bool {
        let Self { bounds, counts, .. } = self;
        let has_bounds =
            counts.len() == bounds.len() + 1 || (counts.is_empty() && bounds.is_empty());
        has_bounds
            && bounds.is_sorted_by(|one, next| one < next)
            && !bounds.iter().any(|bound| bound.is_nan())
    }
}

impl Summary {
    /// Forgets what it holds, and keeps its room for the next one.
    pub(super) fn clear(&mut self) {
        self.quantiles.clear();
        (self.count, self.sum) = (0, 0.0);
    }
}

/// Refuses what is larger than anything that could be taken, before it is looked into.
pub(super) fn too_large(what: &str) -> Refusal {
    let detail = format!("a {what} has at most {OTLP_POINT_BYTES_MAX} bytes");
    Refusal::new("point_too_large", detail)
}
