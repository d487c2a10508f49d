//! Series that come and go, and the parts of rules that they belong to.

use std::time::Duration;

use bellwire_model::limits::SERIES_OF_METRIC_SHARE;
use bellwire_model::{Labels, Timestamp};
use rustc_hash::FxHashSet;

use super::partitions::PartitionId;
use super::rules::{RuleId, Shape};
use super::series::Subscription;
use super::{Engine, SampleRefusal, Settings};
use crate::plan::SelectorId;
use crate::storage::SeriesId;

/// Where a new series comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Somebody sends it. It is remembered where a rule selects it and others have room beside it.
    Sent,
    /// It tells of alerts, or was there before. It is remembered where a rule selects it.
    Own,
    /// A rule records it. It is remembered though no rule selects it.
    Recorded,
}

impl Engine {
    /// Remembers a series that is new, and tells the parts of rules that select it; nothing where
    /// it need not be remembered.
    pub(super) fn begin_series(
        &mut self,
        labels: &Labels,
        origin: Origin,
    ) -> Result<Option<SeriesId>, SampleRefusal> {
        let selectors = self.rules.select(labels);
        if selectors.is_empty() && origin != Origin::Recorded {
            return Ok(None);
        }
        self.check_room(labels, origin).inspect_err(|_| {
            self.dropped.series += 1;
            self.refusals.metric = labels.metric_name().map(Box::from);
        })?;
        let id = self.series.insert(labels, self.keep(&selectors));
        self.log_series(id);
        self.series.state_mut(id).subscriptions = self.join(id, selectors).into();
        Ok(Some(id))
    }

    /// Whether there is room for one more series. What is sent under one name leaves some for other
    /// names, and all that is sent leaves some for what rules themselves give.
    fn check_room(&self, labels: &Labels, origin: Origin) -> Result<(), SampleRefusal> {
        let Settings { series_max, series_reserved, .. } = self.settings;
        let len = self.series.len();
        if origin != Origin::Sent {
            let has_room = len < series_max.saturating_add(series_reserved);
            return if has_room { Ok(()) } else { Err(SampleRefusal::Series) };
        }
        let free = series_max.saturating_sub(len);
        if free == 0 {
            return Err(SampleRefusal::Series);
        }
        let of_metric = self.storage().len_of(labels.metric_name().unwrap_or_default());
        if of_metric >= free.saturating_mul(SERIES_OF_METRIC_SHARE) {
            return Err(SampleRefusal::SeriesOfMetric);
        }
        Ok(())
    }

    /// How long samples of a series are kept behind the newest one.
    pub(super) fn keep(&self, selectors: &[(RuleId, SelectorId)]) -> Duration {
        selectors.iter().map(|id| self.rules.keep(*id)).max().unwrap_or_default()
    }

    /// Adds a series to the parts that it belongs to, and says which they are.
    pub(super) fn join(
        &mut self,
        id: SeriesId,
        selectors: Vec<(RuleId, SelectorId)>,
    ) -> Vec<Subscription> {
        let labels = self.series.labels(id);
        let mut subscriptions: Vec<Subscription> = Vec::with_capacity(selectors.len());
        for (rule, selector) in selectors {
            let entry = self.rules.get_mut(rule);
            let count = entry.rule.plan.selections.len();
            let partition = match &entry.shape {
                // It finds its series when it ticks.
                Shape::Ticked => continue,
                Shape::EachSeries => entry.partitions.insert_single(id),
                Shape::Keyed(key) => {
                    let key = key.part(&labels);
                    entry.partitions.find_or_insert(key, count)
                }
                Shape::Whole => entry.partitions.find_or_insert(Labels::empty(), count),
            };
            entry.partitions.join(partition, selector, id);
            subscriptions.push(Subscription { rule, partition });
        }
        subscriptions.dedup();
        subscriptions
    }

    /// Touches the series that leave the lookback now, and finds those that nothing looks at.
    pub(super) fn expire(&mut self) -> Vec<SeriesId> {
        let mut silent = Vec::new();
        for (due, id) in self.timers.series.take_due(self.now) {
            let timer = &mut self.series.state_mut(id).timer;
            if timer.take_if(|timer| *timer == due).is_none() {
                continue;
            }
            let newest = self.series.newest(id).expect("a series with a timer has a sample");
            let newest = Timestamp::from_ms(newest.time);
            let lookback = self.settings.lookback;
            let leaves_lookback = newest.saturating_add(lookback);
            let keep = self.series.state(id).keep;
            let leaves = newest.saturating_add(keep.max(lookback));
            let next = if leaves_lookback > self.now { leaves_lookback } else { leaves };
            if leaves_lookback <= self.now {
                self.touch_series(id);
            }
            if next > self.now {
                self.arm_series(id, next);
            } else {
                silent.push(id);
            }
        }
        silent
    }

    /// Forgets series that have been silent for long enough, unless samples of them are still to
    /// come or alerts of them go on.
    pub(super) fn forget(&mut self, silent: Vec<SeriesId>) {
        let mut left: Vec<(Subscription, SeriesId)> = Vec::new();
        for id in silent {
            // What a rule recorded in this very step may have ended the silence.
            if self.is_spoken_for(id) || self.newest_visible(id).is_some() {
                // It is looked at again by and by.
                let due = self.now.saturating_add(self.settings.lookback);
                let timer = self.series.state(id).timer;
                self.arm_series(id, timer.map_or(due, |timer| timer.min(due)));
                continue;
            }
            if self.series.state(id).timer.is_some() {
                self.timers.series.cancel();
            }
            left.extend(self.series.state(id).subscriptions.iter().map(|part| (*part, id)));
            self.log_gone(id);
            self.series.remove(id);
        }
        left.sort_unstable();
        for of_part in left.chunk_by(|(one, _), (other, _)| one == other) {
            let part = of_part[0].0;
            let gone: FxHashSet<SeriesId> = of_part.iter().map(|(_, id)| *id).collect();
            self.leave(part, &gone);
        }
    }

    fn is_spoken_for(&self, id: SeriesId) -> bool {
        let speaks = |part: &Subscription| {
            let entry = self.rules.get(part.rule);
            let raises = !entry.partitions.get(part.partition).raised.is_empty();
            entry.shape == Shape::EachSeries && raises
        };
        let state = self.series.state(id);
        self.series.is_awaited(id) || state.recorders > 0 || state.subscriptions.iter().any(speaks)
    }

    /// Takes series from a part, which goes where it has nothing left to do.
    fn leave(&mut self, part: Subscription, gone: &FxHashSet<SeriesId>) {
        let Subscription { rule, partition } = part;
        let entry = self.rules.get_mut(rule);
        entry.partitions.leave(partition, gone);
        let goes = match entry.shape {
            Shape::EachSeries => true,
            Shape::Keyed(_) => entry.partitions.is_idle(partition),
            Shape::Whole | Shape::Ticked => false,
        };
        if goes {
            self.remove_part(rule, partition);
        }
    }

    pub(super) fn remove_part(&mut self, rule: RuleId, partition: PartitionId) {
        let removed = self.rules.get_mut(rule).partitions.remove(partition);
        if removed.wake.is_some() {
            self.timers.partitions.cancel();
        }
    }
}
