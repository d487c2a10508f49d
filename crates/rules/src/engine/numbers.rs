//! Parts whose outline is known: most evaluations come to numbers, and no label is looked at.
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
use crate::evaluation::column::Column;
use crate::evaluation::{Evaluation, Span};
use crate::plan::Root;
use crate::rule::RuleKind;

impl Engine {
    /// Evaluates a part where numbers say all there is to say of it; otherwise says no.
    pub(super) fn evaluate_numbers(&mut self, part: PartId, changes: &mut Vec<Change>) -> bool {
        let entry = self.rules.get(part.rule);
        if entry.rule.settings.limit > 0 || self.lingers(part) {
            return false;
        }
        let is_stale = matches!(self.parts.get(part).outline(), OutlineState::Stale);
        if is_stale {
            self.outline_part(part);
        }
        let entry = self.rules.get(part.rule);
        let members = self.parts.get(part).members();
        if let (Some(condition), Some(id)) = (&entry.condition, members.only()) {
            let newest = self.series.newest_visible(id, self.now);
            if newest.is_some_and(|newest| condition.holds(newest.value)) {
                return false;
            }
            self.parts.wake(part, None, self.now);
            self.come_to_nothing(part, changes);
            return true;
        }
        let Some(outline) = self.parts.get(part).outline().outline() else { return false };
        let Root::Vector(root) = &entry.rule.plan.root else { return false };
        let mut spare = std::mem::take(&mut self.spare);
        let time = self.now.saturating_sub(entry.rule.settings.query_offset);
        let storage = self.series.storage();
        let (selected, conventions) = (members.selected(), &self.terms.conventions);
        let mut evaluation = Evaluation::new(storage, selected, conventions, Span::at(time));
        let column = evaluation.column((root, outline), time.as_ms(), &mut spare);
        let mut is_done = false;
        if let Ok(column) = column {
            let present = column.iter().flatten().count();
            let wake = self.wake_after(entry, &evaluation, present);
            let labels = if is_stale { PART_LABELS_WEIGHT } else { 1 };
            let work = evaluation.work() * labels;
            is_done = match entry.rule.kind {
                RuleKind::Alert(_) if present == 0 => {
                    self.parts.wake(part, wake, self.now);
                    self.rest(part, work);
                    self.come_to_nothing(part, changes);
                    true
                }
                RuleKind::Record(_) if self.records_the_same(part, &column) => {
                    self.parts.wake(part, wake, self.now);
                    self.rest(part, work);
                    self.record_numbers(part, &column, changes);
                    true
                }
                _ => false,
            };
            spare.put(column);
        }
        self.spare = spare;
        is_done
    }

    fn come_to_nothing(&mut self, part: PartId, changes: &mut Vec<Change>) {
        self.parts.of_mut(part.rule).count(part.number, 0, self.now);
        match self.rules.rule(part.rule).kind {
            RuleKind::Alert(_) => self.raise(part, Finding::default(), changes),
            RuleKind::Record(_) => self.record_items(part, Vec::new(), changes),
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

    fn record_numbers(&mut self, part: PartId, column: &Column, changes: &mut Vec<Change>) {
        let time = self.recording_time(part);
        let recorded = self.parts.get_mut(part).take_recorded();
        let numbers = column.iter().flatten();
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
        let records = matches!(rule.kind, RuleKind::Record(_));
        match self.parts.get(part).outline() {
            OutlineState::Moving => {
                return self.parts.get_mut(part).set_outline(OutlineState::Settled);
            }
            OutlineState::Refused | OutlineState::Alerts(_) => return,
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
