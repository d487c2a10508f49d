//! Evaluating the parts of standing queries.

use bellwire_model::limits::{
    LIVE_ELEMENTS_MAX, LIVE_EVALUATION_LOOKS, LIVE_PACE, LIVE_TICK, PART_LABELS_WEIGHT,
};
use bellwire_model::{Labels, NameMap, QueryId};

use super::{Answered, QueryRefusal};
use crate::engine::Engine;
use crate::engine::evaluation::Outcome;
use crate::engine::ids::PartId;
use crate::evaluation::{EvaluationError, Item};

impl Engine {
    /// Evaluates what has been touched of standing queries, those first that are late, as long as
    /// there is time for them. They give nothing to anybody else.
    pub(in crate::engine) fn evaluate_queries(&mut self) {
        let level = self.parts.query_level();
        let touched = self.parts.begin_level(level);
        if touched.is_empty() && self.queries.late.is_empty() {
            return self.parts.end_level(level, touched);
        }
        self.queries.refill(self.now);
        let now = self.now;
        while let Some((_, part)) =
            self.queries.late.front().copied().filter(|(due, _)| *due <= now)
        {
            if !self.queries.has_time() && self.parts.awaits(part) {
                break;
            }
            self.queries.late.pop_front();
            self.take_turn(part);
        }
        for part in &touched {
            if self.queries.has_time() {
                self.take_turn(*part);
                continue;
            }
            self.queries.late.push_back((self.now.saturating_add(LIVE_PACE), *part));
            let query = self.rules.get(part.rule).query.as_ref();
            self.queries.paced.extend(query.map(|query| query.id));
        }
        self.parts.end_level(level, touched);
    }

    /// One that is gone, or whose place another has, may not be touched.
    fn take_turn(&mut self, part: PartId) {
        if !self.parts.awaits(part) {
            return;
        }
        let looks = self.evaluate_query(part);
        self.queries.spend(looks);
        let shape = &self.rules.get(part.rule).shape;
        self.parts.end_evaluation(part, shape, self.series.storage_mut().pairs_mut());
    }

    /// Evaluates a part of a standing query; says how many series it counts for that it has looked
    /// at.
    pub(super) fn evaluate_query(&mut self, part: PartId) -> u64 {
        let Some(query) = self.rules.get(part.rule).query.as_ref().map(|query| query.id) else {
            return 0;
        };
        if let Some(looks) = self.evaluate_query_numbers(part, query) {
            return looks;
        }
        let Outcome { finding, wake, effort, .. } = self.outcome(part);
        let looks = LIVE_EVALUATION_LOOKS + effort;
        let items = match finding {
            Ok(finding) => finding.items,
            Err(error) => {
                if error == EvaluationError::TooMuchEffort {
                    self.queries.overgrow(query, QueryRefusal::TooMuchEffort);
                }
                self.fail_query(part, query, &error.to_string());
                return looks;
            }
        };
        self.wake_query(part, wake, items.iter().map(|item| &item.number));
        let others = self.parts.of(part.rule).elements() - self.parts.get(part).elements();
        if others + items.len() > LIVE_ELEMENTS_MAX {
            let text = format!("the answer has more than {LIVE_ELEMENTS_MAX} elements");
            self.fail_query(part, query, &text);
            return looks;
        }
        self.parts.of_mut(part.rule).count(part.number, items.len(), self.now);
        self.show(part, query, items);
        looks + self.outline_query(part).saturating_mul(PART_LABELS_WEIGHT)
    }

    /// Nobody can be told what such a part comes to: it gives nothing until it comes to something
    /// again.
    fn fail_query(&mut self, part: PartId, query: QueryId, reason: &str) {
        self.parts.of_mut(part.rule).fail(part.number, reason, self.now);
        self.parts.wake(part, Some(self.now.saturating_add(LIVE_TICK)), self.now);
        self.show(part, query, Vec::new());
    }

    /// A part is about to go: what it has given is gone.
    pub(in crate::engine) fn show_no_more(&mut self, part: PartId) {
        if let Some(query) = self.rules.get(part.rule).query.as_ref().map(|query| query.id) {
            self.show(part, query, Vec::new());
        }
    }

    /// Tells in what the elements of a part differ from those before.
    fn show(&mut self, part: PartId, query: QueryId, items: Vec<Item>) {
        let before = self.parts.get_mut(part).take_shown();
        let time = self.now;
        let answered = &mut self.queries.answered;
        let mut tell = |labels: &Labels, value: Option<f64>| {
            answered.push(Answered { query, labels: labels.clone(), value, time });
        };
        let is_alike = before.len() == items.len()
            && before.iter().zip(&items).all(|((labels, _), item)| *labels == item.labels);
        if is_alike {
            for ((labels, held), item) in before.iter().zip(&items) {
                if held.to_bits() != item.value().to_bits() {
                    tell(labels, Some(item.value()));
                }
            }
        } else {
            let mut left: NameMap<&Labels, f64> =
                before.iter().map(|(labels, value)| (labels, *value)).collect();
            for item in &items {
                let held = left.remove(&item.labels).map(f64::to_bits);
                if held != Some(item.value().to_bits()) {
                    tell(&item.labels, Some(item.value()));
                }
            }
            // In the order in which they were given, whatever the order of the map.
            for (labels, _) in before.iter().filter(|(labels, _)| left.contains_key(labels)) {
                tell(labels, None);
            }
        }
        let value = |item: Item| {
            let value = item.value();
            (item.labels, value)
        };
        self.parts.get_mut(part).set_shown(items.into_iter().map(value).collect());
    }
}
