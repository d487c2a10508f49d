//! What an engine holds and has done, as numbers.

use std::sync::Arc;

use bellwire_model::limits::REJECTIONS_REPORTED_MAX;
use bellwire_model::{Labels, RuleName, Timestamp};
use thiserror::Error;

use crate::rule::Rule;

/// What an engine holds and has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rules.
    pub rules: usize,
    /// Rules of which an evaluation fails now, or that give more than their group allows.
    pub rules_failing: usize,
    /// Rules in stream mode that select series of which there are none now.
    pub rules_without_series: usize,
    /// When a sample last came that a rule selects; what queries alone select does not count.
    pub sampled_at: Option<Timestamp>,
    /// Series that are remembered now.
    pub series: usize,
    /// Samples that wait for their time now.
    pub samples_ahead: usize,
    /// Pending, firing and resolved alerts now.
    pub alerts: AlertFigures,
    /// Samples that were dropped.
    pub dropped: DroppedFigures,
    /// Bytes of the samples that are kept because rules look back.
    pub samples_kept_bytes: usize,
    /// Samples that were forgotten although a rule looks back as far.
    pub cut: CutFigures,
    /// Evaluations that were put off because their part looks at so many series that it would take
    /// too much of the time.
    pub evaluations_spaced: u64,
    /// The metric of the series, or of the sample ahead of the time, that was refused last because
    /// there were too many.
    pub refused_metric: Option<Box<str>>,
    /// Evaluations that raised no alert because another one has the same labels.
    pub alerts_duplicate: u64,
    /// Evaluations that raised no alert because its labels break a bound.
    pub alerts_invalid: u64,
    /// Evaluations that raised no alert because there are too many.
    pub alerts_refused: u64,
    /// The rule whose alert was refused last because there were too many.
    pub refused_rule: Option<Arc<RuleName>>,
    /// Evaluations that came to nothing, and why the last one did.
    pub failures: Failures,
}

/// Samples that were forgotten although a rule looks back as far, because the samples that are kept
/// take as much memory as they may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutFigures {
    /// How many there were.
    pub samples: u64,
    /// The rule that looks back furthest at the series that lost the last ones, and the series.
    pub last: Option<(Arc<RuleName>, Labels)>,
}

/// Samples of one batch that do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedSamples {
    /// How many there were, by why.
    counts: [usize; SampleRefusal::ALL.len()],
    /// The first [`REJECTIONS_REPORTED_MAX`] of those for which there was no room.
    pub first: Vec<RefusedSample>,
    /// The first [`REJECTIONS_REPORTED_MAX`] of those that came too late.
    pub first_late: Vec<RefusedSample>,
}

/// A sample that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedSample {
    /// Its place in the batch, from 0.
    pub place: usize,
    /// Why it does not count.
    pub refusal: SampleRefusal,
    /// Its series.
    pub series: Labels,
}

impl RefusedSamples {
    pub(super) fn note(&mut self, place: usize, refusal: SampleRefusal, series: &Labels) {
        self.counts[refusal as usize] += 1;
        let first = match refusal {
            SampleRefusal::Late => &mut self.first_late,
            _ => &mut self.first,
        };
        if first.len() < REJECTIONS_REPORTED_MAX {
            first.push(RefusedSample { place, refusal, series: series.clone() });
        }
    }

    /// What is of each part, where a batch was several of these lengths. Of those that are not among
    /// the first only the number is known: they count for parts that have so many samples.
    #[must_use]
    pub fn apart(self, lengths: &[usize]) -> Vec<Self> {
        let mut parts = vec![Self::default(); lengths.len()];
        let mut rest = self.counts;
        for sample in self.first.into_iter().chain(self.first_late) {
            let (mut part, mut place) = (0, sample.place);
            while place >= lengths[part] {
                place -= lengths[part];
                part += 1;
            }
            parts[part].note(place, sample.refusal, &sample.series);
            rest[sample.refusal as usize] -= 1;
        }
        for (part, length) in parts.iter_mut().zip(lengths) {
            let mut room = length.saturating_sub(part.counts.iter().sum());
            for (count, rest) in part.counts.iter_mut().zip(&mut rest) {
                let taken = room.min(*rest);
                *count += taken;
                *rest -= taken;
                room -= taken;
            }
        }
        parts
    }

    /// How many there was no room for.
    pub fn without_room(&self) -> usize {
        self.counts.iter().sum::<usize>() - self.late()
    }

    /// How many came too late for any rule.
    pub fn late(&self) -> usize {
        self.counts[SampleRefusal::Late as usize]
    }

    /// Says of those that came too late that they did not.
    pub fn forget_late(&mut self) {
        self.counts[SampleRefusal::Late as usize] = 0;
        self.first_late.clear();
    }

    /// How many there were of each reason.
    pub fn counts(&self) -> impl Iterator<Item = (SampleRefusal, usize)> {
        SampleRefusal::ALL.iter().map(|refusal| (*refusal, self.counts[*refusal as usize]))
    }
}

/// Why a sample does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SampleRefusal {
    /// Its series is new, and there are as many as there may be.
    #[error(
        "the series is new, and rules remember as many as they may: send fewer different labels, \
         or wait until others have been silent for long enough"
    )]
    Series,
    /// Its series is new, and its metric has its share of them.
    #[error(
        "the series is new, and so many of this metric are there that what room is left is for \
         others: send fewer different labels"
    )]
    SeriesOfMetric,
    /// It is ahead of the time, and too many others are.
    #[error("the sample is ahead of the server's clock, and so are too many others")]
    Ahead,
    /// It is older than what its series has, and no rule looks back as far.
    #[error("the sample is older than what its series has, and no rule looks back as far")]
    Late,
}

impl SampleRefusal {
    /// All of them, in their order.
    const ALL: [Self; 4] = [Self::Series, Self::SeriesOfMetric, Self::Ahead, Self::Late];

    /// Its stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Series => "series_limit",
            Self::SeriesOfMetric => "metric_series_limit",
            Self::Ahead => "samples_ahead_limit",
            Self::Late => "sample_late",
        }
    }
}

/// Evaluations that came to nothing: two elements matched where one may, or a rule gave more than
/// its group allows. What the rule gave before stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many there were.
    pub count: u64,
    /// The rule that failed last, and why.
    pub last: Option<(Arc<RuleName>, Box<str>)>,
}

impl Failures {
    pub(super) fn note(&mut self, rule: &Rule, reason: String) {
        self.count += 1;
        self.last = Some((rule.name.clone(), reason.into()));
    }
}

/// Alerts by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertFigures {
    /// Their condition holds, but not long enough yet.
    pub pending: usize,
    /// They fire.
    pub firing: usize,
    /// They fired, and their series have fallen silent.
    pub data_lost: usize,
    /// They fired, and are still kept.
    pub resolved: usize,
}

/// Samples that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedFigures {
    /// Older than the newest sample of their series, or than the lookback.
    pub late: u64,
    /// Ahead of the time when too many others were.
    pub ahead: u64,
    /// Of a new series when there were too many.
    pub series: u64,
}
