//! Parts whose outline is known: most evaluations come to numbers, and no label is looked at.
//!
//! An alerting rule whose condition holds for nothing is done with that. One that holds for
//! something is evaluated plainly, so that there are labels to raise an alert with; so is a
//! recording rule that records other series than before. Both are rare.

use super::lifecycle::Finding;
use super::partitions::{Members, Outlined};
use super::series::{Reading, Subscription};
use super::{Change, Engine};
use crate::evaluation::column::Column;
use crate::evaluation::{Evaluation, Span};
use crate::plan::Root;
use crate::rule::RuleKind;
use crate::storage::SeriesId;

impl Engine {
    /// Evaluates a part where numbers say all there is to say of it; otherwise says no.
    pub(super) fn evaluate_numbers(
        &mut self,
        part: Subscription,
        changes: &mut Vec<Change>,
    ) -> bool {
        let entry = self.rules.get(part.rule);
        if entry.rule.settings.limit > 0 || self.lingers(part) {
            return false;
        }
        let partition = entry.partitions.get(part.partition);
        if let (Some(condition), Members::One(id)) = (&entry.condition, &partition.members) {
            let newest = self.newest_visible(*id);
            if newest.is_some_and(|newest| condition.holds(newest.value)) {
                return false;
            }
            self.wake_part(part, None);
            self.come_to_nothing(part, changes);
            return true;
        }
        let Outlined::Known { outline, .. } = &partition.outlined else { return false };
        let Root::Vector(root) = &entry.rule.plan.root else { return false };
        let mut spare = std::mem::take(&mut self.spare);
        let selected = partition.members.selected();
        let time = self.now.saturating_sub(entry.rule.settings.query_offset);
        let storage = self.series.storage();
        let mut evaluation = Evaluation::new(storage, selected, &self.conventions, Span::at(time));
        let column = evaluation.column((root, outline), time.as_ms(), &mut spare);
        let mut is_done = false;
        if let Ok(column) = column {
            let present = column.iter().flatten().count();
            let wake = self.wake_after(entry, &evaluation, present);
            is_done = match entry.rule.kind {
                RuleKind::Alert(_) if present == 0 => {
                    self.wake_part(part, wake);
                    self.come_to_nothing(part, changes);
                    true
                }
                RuleKind::Record(_) if self.records_the_same(part, &column) => {
                    self.wake_part(part, wake);
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

    fn come_to_nothing(&mut self, part: Subscription, changes: &mut Vec<Change>) {
        self.rules.get_mut(part.rule).partitions.count(part.partition, 0, self.now);
        match self.rules.rule(part.rule).kind {
            RuleKind::Alert(_) => self.raise(part, Finding::default(), changes),
            RuleKind::Record(_) => self.record_items(part, Vec::new(), changes),
        }
    }

    /// Whether a part records what it recorded the last time, with other numbers.
    fn records_the_same(&self, part: Subscription, column: &Column) -> bool {
        let partition = self.rules.get(part.rule).partitions.get(part.partition);
        let Outlined::Known { targets, .. } = &partition.outlined else { return false };
        if targets.len() != column.len() {
            return false;
        }
        let mut recorded = partition.recorded.iter();
        let present = column.iter().zip(targets).filter(|(number, _)| number.is_some());
        let mut fits = true;
        for (_, target) in present {
            fits &= target.is_some() && recorded.next() == target.as_ref();
        }
        fits && recorded.next().is_none()
    }

    fn record_numbers(&mut self, part: Subscription, column: &Column, changes: &mut Vec<Change>) {
        let time = self.recording_time(part);
        let recorded = self.recorded_mut(part, std::mem::take);
        let numbers = column.iter().flatten();
        for (id, number) in recorded.iter().zip(numbers) {
            let held = self.series.newest(*id).map(|held| held.value.to_bits());
            if held != Some(number.value.to_bits()) {
                changes.push(self.recorded(part, *id, Some(number.value)));
            }
            self.take_reading(*id, Reading { time, value: number.value });
        }
        let count = recorded.len();
        self.recorded_mut(part, |held| *held = recorded);
        self.rules.get_mut(part.rule).partitions.count(part.partition, count, self.now);
    }

    /// After a plain evaluation: finds the outline of a part whose series have not changed since
    /// the one before, and which series it records.
    pub(super) fn outline_part(&mut self, part: Subscription) {
        let entry = self.rules.get_mut(part.rule);
        let records = matches!(entry.rule.kind, RuleKind::Record(_));
        let outlined = &mut entry.partitions.get_mut(part.partition).outlined;
        match outlined {
            Outlined::Moving => return *outlined = Outlined::Settled,
            Outlined::Refused => return,
            Outlined::Known { .. } if !records => return,
            Outlined::Known { .. } | Outlined::Settled => {}
        }
        let entry = self.rules.get(part.rule);
        let Root::Vector(root) = &entry.rule.plan.root else { return };
        let selected = entry.partitions.get(part.partition).members.selected();
        let span = Span::at(self.now);
        let storage = self.series.storage();
        let outline = Evaluation::new(storage, selected, &self.conventions, span).outline(root);
        let Some((outline, labels)) = outline else {
            let partitions = &mut self.rules.get_mut(part.rule).partitions;
            partitions.get_mut(part.partition).outlined = Outlined::Refused;
            return;
        };
        let mut targets: Box<[Option<SeriesId>]> = Box::default();
        if records {
            let target = |labels| {
                let recorded = entry.rule.recorded_labels(labels).ok()?;
                self.series.find(&recorded)
            };
            targets = labels.iter().map(target).collect();
        }
        let partitions = &mut self.rules.get_mut(part.rule).partitions;
        partitions.set_outline(part.partition, outline, targets);
    }
}
