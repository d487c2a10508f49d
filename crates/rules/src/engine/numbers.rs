//! Parts that come to numbers: in most evaluations no label is looked at. Either their outline is
//! known, or they are of one series.
//!
//! An alerting rule whose condition holds for nothing is done with that. One that holds for
//! something is evaluated plainly, so that there are labels to raise an alert with; so is a
//! recording rule that records other series than before. Both are rare.

use bellwire_model::limits::PART_LABELS_WEIGHT;

use super::Engine;
use super::alerts::Finding;
use super::change::Change;
use super::ids::PartId;
use super::parts::OutlineState;
use super::series::Reading;
use crate::evaluation::column::single::keeps;
use crate::evaluation::column::{Column, Spare};
use crate::evaluation::{Evaluation, Number, Span};
use crate::plan::Root;
use crate::rule::RuleKind;

impl Engine {
    /// Evaluates a part where numbers say all there is to say of it; otherwise says no.
    pub(super) fn evaluate_numbers(&mut self, part: PartId, changes: &mut Vec<Change>) -> bool {
        let entry = self.rules.get(part.rule);
        if entry.rule.settings.limit > 0 || self.lingers(part) {
            return false;
        }
        if entry.is_of_one_series {
            return self.evaluate_single(part, changes);
        }
        let is_stale = matches!(self.parts.get(part).outline(), OutlineState::Stale);
        if is_stale {
            self.outline_part(part);
        }
        let mut spare = std::mem::take(&mut self.spare);
        let is_done = self.evaluate_column(part, &mut spare, changes);
        self.spare = spare;
        if let (Some(work), true) = (is_done, is_stale) {
            self.rest(part, work.saturating_mul(PART_LABELS_WEIGHT));
        }
        is_done.is_some()
    }

    /// Says how many series were looked at, where that was all.
    fn evaluate_column(
        &mut self,
        part: PartId,
        spare: &mut Spare,
        changes: &mut Vec<Change>,
    ) -> Option<u64> {
        let entry = self.rules.get(part.rule);
        let outline = self.parts.get(part).outline().outline()?;
        let Root::Vector(root) = &entry.rule.plan.root else { return None };
        let (mut evaluation, time) = self.evaluation(part);
        let column = evaluation.column((root, outline), time.as_ms(), spare).ok()?;
        let present = column.iter().flatten().count();
        let is_all = match entry.rule.kind {
            RuleKind::Alert(_) => present == 0,
            RuleKind::Record(_) => self.records_the_same(part, &column),
        };
        let work = evaluation.work();
        if is_all {
            let wake = self.wake_after(entry, &evaluation, present);
            self.parts.wake(part, wake, self.now);
            self.rest(part, work);
            self.parts.of_mut(part.rule).look(work);
            self.take_numbers(part, column.iter().flatten().copied(), changes);
        }
        spare.put(column);
        is_all.then_some(work)
    }

    /// A part of one series comes to one number at most, and needs no outline to know of what.
    fn evaluate_single(&mut self, part: PartId, changes: &mut Vec<Change>) -> bool {
        let entry = self.rules.get(part.rule);
        let Root::Vector(root) = &entry.rule.plan.root else { return false };
        let (number, wake) = if entry.is_of_samples {
            let series = self.parts.get(part).members().only();
            let newest = series.and_then(|id| self.series.newest_visible(id, self.now));
            let kept = newest.filter(|newest| keeps(root, newest.value));
            let wake = self.refresh(&entry.rule, usize::from(kept.is_some()));
            (kept.map(|newest| Number::still(newest.value)), wake)
        } else {
            let (mut evaluation, time) = self.evaluation(part);
            let Ok(number) = evaluation.single(root, time.as_ms()) else { return false };
            let wake = self.wake_after(entry, &evaluation, usize::from(number.is_some()));
            (number, wake)
        };
        let is_all = match entry.rule.kind {
            RuleKind::Alert(_) => number.is_none(),
            // What it is recorded as follows from its series.
            RuleKind::Record(_) => {
                self.parts.get(part).recorded().len() == usize::from(number.is_some())
            }
        };
        if is_all {
            self.parts.wake(part, wake, self.now);
            self.parts.of_mut(part.rule).look(1);
            self.take_numbers(part, number.into_iter(), changes);
        }
        is_all
    }

    /// What follows of the numbers that a part comes to: none for its alerts, or those of the series
    /// that it has recorded before.
    fn take_numbers(
        &mut self,
        part: PartId,
        numbers: impl Iterator<Item = Number>,
        changes: &mut Vec<Change>,
    ) {
        match self.rules.rule(part.rule).kind {
            RuleKind::Alert(_) => {
                self.parts.of_mut(part.rule).count(part.number, 0, self.now);
                self.raise(part, Finding::default(), changes);
            }
            RuleKind::Record(_) => self.record_numbers(part, numbers, changes),
        }
    }

    /// Whether a part records what it recorded the last time, with other numbers.
    fn records_the_same(&self, part: PartId, column: &Column) -> bool {
        let part = self.parts.get(part);
        let Some(targets) = part.outline().targets() else { return false };
        if targets.len() != column.len() {
            return false;
        }
        let mut recorded = part.recorded().iter();
        let present = column.iter().zip(targets).filter(|(number, _)| number.is_some());
        let mut fits = true;
        for (_, target) in present {
            fits &= target.is_some() && recorded.next() == target.as_ref();
        }
        fits && recorded.next().is_none()
    }

    fn record_numbers(
        &mut self,
        part: PartId,
        numbers: impl Iterator<Item = Number>,
        changes: &mut Vec<Change>,
    ) {
        let time = self.recording_time(part);
        let recorded = self.parts.get_mut(part).take_recorded();
        for (id, number) in recorded.iter().zip(numbers) {
            let held = self.series.newest(*id).map(|held| held.value.to_bits());
            if held != Some(number.value.to_bits()) {
                changes.push(self.recorded(part, *id, Some(number.value)));
            }
            self.take_reading(*id, Reading { time, value: number.value });
        }
        let count = recorded.len();
        self.parts.get_mut(part).set_recorded(recorded);
        self.parts.of_mut(part.rule).count(part.number, count, self.now);
    }

    /// After a plain evaluation: finds the outline of a part whose series have not changed since
    /// the one before, and which series it records.
    pub(super) fn outline_part(&mut self, part: PartId) {
        let rule = self.rules.rule(part.rule);
        if self.rules.get(part.rule).is_of_one_series {
            return;
        }
        let records = matches!(rule.kind, RuleKind::Record(_));
        match self.parts.get(part).outline() {
            OutlineState::Moving => {
                return self.parts.get_mut(part).set_outline(OutlineState::Settled);
            }
            OutlineState::Refused | OutlineState::Alerts(_) | OutlineState::Tells(_) => return,
            OutlineState::Records(_) | OutlineState::Settled | OutlineState::Stale => {}
        }
        let Root::Vector(root) = &rule.plan.root else { return };
        let storage = self.series.storage();
        let selected = self.parts.get(part).members().selected();
        let (conventions, span) = (&self.terms.conventions, Span::at(self.now));
        let outline = Evaluation::new(storage, selected, conventions, span).outline(root);
        let Some((outline, labels)) = outline else {
            return self.parts.get_mut(part).set_outline(OutlineState::Refused);
        };
        let target = |labels| {
            let recorded = rule.recorded_labels(labels).ok()?;
            self.series.find(&recorded)
        };
        let targets = records.then(|| labels.iter().map(target).collect());
        self.parts.of_mut(part.rule).set_outline(part.number, outline, targets);
    }
}
