//! Samples and the series that come and go with them.

use std::time::Duration;

use bellwire_model::limits::{
    LIVE_PART_SERIES_MAX, LIVE_SERIES_DIVISOR, SAMPLE_AHEAD_NEAR, SERIES_OF_METRIC_SHARE,
};
use bellwire_model::{Labels, Sample, Timestamp};
use rustc_hash::FxHashSet;

use super::Engine;
use super::figures::{CutFigures, DroppedFigures, RefusedSamples, SampleRefusal};
use super::ids::{PartId, RuleId};
use super::queries::QueryRefusal;
use super::rules::Shape;
use super::series::{Added, Reading};
use super::terms::Settings;
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

/// Samples that were not taken.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    dropped: DroppedFigures,
    /// The metric of the last one for which there was no room.
    metric: Option<Box<str>>,
    /// Those of the batch that was applied last.
    of_batch: RefusedSamples,
    cut: CutFigures,
}

impl Untaken {
    /// A batch begins.
    pub(super) fn begin_batch(&mut self) {
        self.of_batch = RefusedSamples::default();
    }

    /// The sample at this place of the batch does not count.
    pub(super) fn note(&mut self, place: usize, refusal: SampleRefusal, sample: &Sample) {
        self.of_batch.note(place, refusal, &sample.series);
    }

    pub(super) fn take_batch(&mut self) -> RefusedSamples {
        std::mem::take(&mut self.of_batch)
    }

    /// Samples that were dropped, by reason.
    pub(super) fn dropped(&self) -> DroppedFigures {
        self.dropped
    }

    /// Samples that were forgotten although a rule would have looked at them.
    pub(super) fn cut(&self) -> &CutFigures {
        &self.cut
    }

    /// The metric of the last sample for which there was no room.
    pub(super) fn metric(&self) -> Option<&str> {
        self.metric.as_deref()
    }
}

impl Engine {
    /// Takes a sample of a batch, unless it is too late or there is no room for it.
    pub(super) fn take(&mut self, sample: &Sample) -> Result<(), SampleRefusal> {
        let reading = Reading { time: sample.time, value: sample.value };
        let known = self.series.find(&sample.series);
        if self.is_late(sample, known) {
            self.untaken.dropped.late += 1;
            return Err(SampleRefusal::Late);
        }
        let is_ahead = reading.time > self.now;
        if is_ahead && self.series.ahead_len() >= self.ahead_max(reading.time) {
            // Counted only if a rule would have seen it.
            if known.is_some() || !self.rules.select(&sample.series).is_empty() {
                self.untaken.dropped.ahead += 1;
                self.untaken.metric = sample.series.metric_name().map(Box::from);
                return Err(SampleRefusal::Ahead);
            }
            return Ok(());
        }
        let id = match known {
            Some(id) => id,
            None => match self.begin_series(&sample.series, Origin::Sent)? {
                Some(id) => id,
                None => return Ok(()),
            },
        };
        if is_ahead {
            self.log.sample(self.series.number(id), reading);
            self.series.put_ahead(id, reading);
            return Ok(());
        }
        self.add_reading(id, reading)?;
        self.note_sampled(id);
        Ok(())
    }

    /// How many samples may wait so that one of this time may wait, too. Those that are far ahead leave
    /// room for clocks that are hardly so.
    fn ahead_max(&self, time: Timestamp) -> usize {
        let all = self.terms.settings.samples_ahead_max;
        let is_far = time.saturating_since(self.now) > SAMPLE_AHEAD_NEAR;
        if is_far { all.div_ceil(2) } else { all }
    }

    /// Whether no rule looks back as far as a sample. A series that is new, or that was forgotten,
    /// may come with all that its sensor has kept.
    fn is_late(&self, sample: &Sample, known: Option<SeriesId>) -> bool {
        let lookback = self.terms.settings.lookback;
        let is_out_of = |window: Duration| sample.time.saturating_add(window) <= self.now;
        if !is_out_of(lookback) {
            return false;
        }
        is_out_of(match known {
            Some(id) => self.series.keep(id),
            None if is_out_of(self.rules.keep_max()) => return true,
            None => self.keep(&self.rules.select(&sample.series)),
        })
    }

    /// A sample has come that counts. That rules have something to look at, what queries alone select
    /// does not say.
    pub(super) fn note_sampled(&mut self, id: SeriesId) {
        if self.sampled_at != Some(self.now) && self.is_of_rule(id) {
            self.sampled_at = Some(self.now);
        }
    }

    /// Whether a rule selects a series.
    fn is_of_rule(&self, id: SeriesId) -> bool {
        let is_rule = |rule: RuleId| self.rules.get(rule).query.is_none();
        if self.series.parts(id).iter().any(|part| is_rule(part.rule)) {
            return true;
        }
        // Those in tick mode find their series when they tick: they are asked for it here.
        self.rules.have_ticked()
            && self.rules.select(&self.series.labels(id)).iter().any(|(rule, _)| is_rule(*rule))
    }

    /// Takes a reading that is not ahead of the time, and that nobody waits to hear of.
    pub(super) fn take_reading(&mut self, id: SeriesId, reading: Reading) {
        // It is counted where it is too late.
        let _ = self.add_reading(id, reading);
    }

    /// Takes a reading that is not ahead of the time, unless it is too late.
    fn add_reading(&mut self, id: SeriesId, reading: Reading) -> Result<(), SampleRefusal> {
        match self.series.add(id, reading) {
            Added::Taken => {}
            Added::InPlaceOf(samples) => self.note_cut(id, samples),
            Added::Late => {
                self.untaken.dropped.late += 1;
                return Err(SampleRefusal::Late);
            }
        }
        self.log.sample(self.series.number(id), reading);
        self.series.watch(id, reading.time);
        self.touch_series(id);
        Ok(())
    }

    /// Puts the samples in their places that came late.
    pub(super) fn settle(&mut self) {
        if self.series.is_unsettled() {
            for (id, samples) in self.series.settle() {
                self.note_cut(id, samples);
            }
        }
    }

    /// The window of a series was cut: the rule that looks back furthest sees less than it asks for.
    pub(super) fn note_cut(&mut self, id: SeriesId, samples: usize) {
        let series = self.series.labels(id);
        let selectors = self.rules.select(&series);
        let furthest = selectors.iter().max_by_key(|id| self.rules.keep(**id));
        let rule = furthest.map(|(rule, _)| self.rules.rule(*rule).name.clone());
        self.untaken.cut.samples += samples as u64;
        self.untaken.cut.last = rule.map(|rule| (rule, series));
    }

    fn touch_series(&mut self, id: SeriesId) {
        for part in self.series.parts(id) {
            self.parts.of_mut(part.rule).note_sample(self.now);
            self.parts.touch(*part, self.now);
        }
    }

    /// Remembers a series that is new, and tells the parts of rules that select it; nothing where
    /// it need not be remembered.
    pub(super) fn begin_series(
        &mut self,
        labels: &Labels,
        origin: Origin,
    ) -> Result<Option<SeriesId>, SampleRefusal> {
        let selectors = self.rules.select(labels);
        self.mind_slow();
        if selectors.is_empty() && origin != Origin::Recorded {
            return Ok(None);
        }
        if origin != Origin::Recorded && !self.has_room_for_queries(&selectors) {
            return Ok(None);
        }
        self.check_room(labels, origin).inspect_err(|_| {
            self.untaken.dropped.series += 1;
            self.untaken.metric = labels.metric_name().map(Box::from);
        })?;
        self.mind_reach(&selectors, Duration::ZERO);
        let id = self.series.insert(labels, self.keep(&selectors));
        self.log.series(self.series.number(id), labels);
        let parts = self.join((id, labels), selectors);
        self.series.set_parts(id, parts);
        Ok(Some(id))
    }

    /// Whether there is room for one more series. What is sent under one name leaves some for other
    /// names, and all that is sent leaves some for what rules themselves give.
    fn check_room(&self, labels: &Labels, origin: Origin) -> Result<(), SampleRefusal> {
        let Settings { series_max, series_reserved, .. } = self.terms.settings;
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

    /// A query whose selectors take too long ends.
    pub(super) fn mind_slow(&mut self) {
        if let Some(query) = self.rules.take_slow() {
            self.queries.overgrow(query, QueryRefusal::TooMuchEffort);
        }
    }

    /// Notes the queries that look back further at a series than it is kept for, and than rules do.
    pub(super) fn mind_reach(&mut self, selectors: &[(RuleId, SelectorId)], kept: Duration) {
        let query =
            |(rule, _): &(RuleId, SelectorId)| Some(self.rules.get(*rule).query.as_ref()?.id);
        let of_rules = selectors.iter().filter(|id| query(id).is_none());
        let kept = of_rules.map(|id| self.rules.keep(*id)).fold(kept, Duration::max);
        for id in selectors {
            if let Some(query) = query(id)
                && self.rules.keep(*id) > kept
            {
                self.queries.reaches(query, self.rules.keep(*id));
            }
        }
    }

    /// Whether a rule selects a series, or there is room for one that queries alone do. They are
    /// refused where there is none: nobody who sends is.
    fn has_room_for_queries(&mut self, selectors: &[(RuleId, SelectorId)]) -> bool {
        if self.series.len() < self.terms.settings.series_max / LIVE_SERIES_DIVISOR {
            return true;
        }
        let query =
            |(rule, _): &(RuleId, SelectorId)| Some(self.rules.get(*rule).query.as_ref()?.id);
        let Some(queries) = selectors.iter().map(query).collect::<Option<Vec<_>>>() else {
            return true;
        };
        for query in queries {
            self.queries.overgrow(query, QueryRefusal::NoRoom);
        }
        false
    }

    /// How long samples of a series are kept behind the newest one.
    pub(super) fn keep(&self, selectors: &[(RuleId, SelectorId)]) -> Duration {
        selectors.iter().map(|id| self.rules.keep(*id)).max().unwrap_or_default()
    }

    /// Adds a series to the parts that it belongs to, and says which they are.
    pub(super) fn join(
        &mut self,
        (id, labels): (SeriesId, &Labels),
        selectors: Vec<(RuleId, SelectorId)>,
    ) -> Vec<PartId> {
        let mut joined: Vec<PartId> = Vec::with_capacity(selectors.len());
        let terms = &self.terms.settings;
        for (rule, selector) in selectors {
            let entry = self.rules.get(rule);
            let parts = self.parts.of_mut(rule);
            let pairs = self.series.storage_mut().pairs_mut();
            let count = entry.rule.plan.selections.len();
            if let Some(query) = &entry.query
                && let Err(refusal) = self.queries.check_join(query, parts.series(), terms)
            {
                self.queries.overgrow(query.id, refusal);
                continue;
            }
            let number = match &entry.shape {
                // It finds its series when it ticks.
                Shape::Ticked => continue,
                Shape::EachSeries => parts.insert_single(id),
                Shape::Keyed(key) => parts.find_or_insert(&key.part(labels), count, pairs),
                Shape::Whole => parts.whole(count),
            };
            if let Some(query) = &entry.query {
                if parts.get(number).series() >= LIVE_PART_SERIES_MAX {
                    self.queries.overgrow(query.id, QueryRefusal::PartTooLarge);
                    continue;
                }
                self.queries.count_join();
            }
            parts.join(number, selector, id);
            joined.push(PartId { rule, number });
        }
        joined.dedup();
        joined
    }

    /// Touches the series that leave the lookback now, and finds those that nothing looks at.
    pub(super) fn expire(&mut self) -> Vec<SeriesId> {
        let expired = self.series.expire(self.now);
        for id in expired.left {
            self.touch_series(id);
        }
        expired.silent
    }

    /// Forgets series that have been silent for long enough, unless samples of them are still to
    /// come or alerts of them go on.
    pub(super) fn forget(&mut self, silent: Vec<SeriesId>) {
        let mut left: Vec<(PartId, SeriesId)> = Vec::new();
        for id in silent {
            // What a rule recorded in this very step may have ended the silence.
            if self.is_spoken_for(id) || self.series.newest_visible(id, self.now).is_some() {
                self.series.postpone(id, self.now);
                continue;
            }
            left.extend(self.series.parts(id).iter().map(|part| (*part, id)));
            self.remove_series(id);
        }
        left.sort_unstable();
        for of_part in left.chunk_by(|(one, _), (other, _)| one == other) {
            let gone: FxHashSet<SeriesId> = of_part.iter().map(|(_, id)| *id).collect();
            self.leave(of_part[0].0, &gone);
        }
    }

    /// Forgets a series that no part has any more, or that its parts are told of.
    pub(super) fn remove_series(&mut self, id: SeriesId) {
        self.log.gone(self.series.number(id));
        self.series.remove(id);
    }

    fn is_spoken_for(&self, id: SeriesId) -> bool {
        let speaks = |part: &PartId| {
            let is_own = self.rules.get(part.rule).shape == Shape::EachSeries;
            is_own && !self.parts.get(*part).raised().is_empty()
        };
        self.series.is_awaited(id)
            || self.series.is_recorded(id)
            || self.series.parts(id).iter().any(speaks)
    }

    /// Takes series from a part, which goes where it has nothing left to do.
    fn leave(&mut self, part: PartId, gone: &FxHashSet<SeriesId>) {
        self.parts.of_mut(part.rule).leave(part.number, gone);
        let goes = match self.rules.get(part.rule).shape {
            Shape::EachSeries => true,
            Shape::Keyed(_) => self.parts.get(part).is_idle(),
            Shape::Whole | Shape::Ticked => false,
        };
        if goes {
            self.show_no_more(part);
            self.parts.remove(part, self.series.storage_mut().pairs_mut());
        }
    }

    /// The time at which the time of the engine is a moment later.
    pub(super) fn soon(&self) -> Timestamp {
        Timestamp::from_ms(self.now.as_ms().saturating_add(1))
    }
}
