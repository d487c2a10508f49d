//! Parts of standing queries that come to the same elements with other numbers, as they mostly do: no
//! label is looked at. See [`numbers`](crate::engine::numbers) for those of rules.

use bellwire_model::limits::{LIVE_NUMBERS_LOOKS, LIVE_TICK};
use bellwire_model::{QueryId, Timestamp};

use super::Answered;
use crate::engine::Engine;
use crate::engine::ids::PartId;
use crate::engine::parts::{OutlineState, TellingOutline};
use crate::evaluation::column::Spare;
use crate::evaluation::column::single::keeps;
use crate::evaluation::{Evaluation, Number, Span};
use crate::plan::Root;

/// What a part comes to, where that is numbers.
struct Numbers {
    /// Those of the elements that it gave before; none where it gives nothing any more.
    of_elements: Vec<Number>,
    wake: Option<Timestamp>,
    looks: u64,
}

impl Engine {
    /// Evaluates a part where numbers say all there is to say of it; says how many series it counts
    /// for.
    pub(super) fn evaluate_query_numbers(&mut self, part: PartId, query: QueryId) -> Option<u64> {
        let Numbers { of_elements: numbers, wake, looks } =
            if self.rules.get(part.rule).is_of_one_series {
                self.query_single(part)?
            } else {
                let mut spare = std::mem::take(&mut self.spare);
                let found = self.query_column(part, &mut spare);
                self.spare = spare;
                found?
            };
        self.wake_query(part, wake, &numbers);
        self.parts.of_mut(part.rule).count(part.number, numbers.len(), self.now);
        self.show_numbers(part, query, &numbers);
        Some(LIVE_NUMBERS_LOOKS + looks)
    }

    /// Sets when a part is evaluated although nothing comes: where its numbers move all the time, or it
    /// is evaluated on a tick, a tick later.
    pub(super) fn wake_query<'n>(
        &mut self,
        part: PartId,
        wake: Option<Timestamp>,
        numbers: impl IntoIterator<Item = &'n Number>,
    ) {
        let tick = self.now.saturating_add(LIVE_TICK);
        let is_on_tick = self.rules.rule(part.rule).plan.is_on_tick();
        let moves = is_on_tick || numbers.into_iter().any(|number| number.drift != 0.0);
        let wake = wake.filter(|_| !is_on_tick).into_iter().chain(moves.then_some(tick)).min();
        self.parts.wake(part, wake, self.now);
    }

    /// A part of one series comes to one number at most. Where it came to none before it has to be
    /// found out what that is called.
    fn query_single(&self, part: PartId) -> Option<Numbers> {
        let entry = self.rules.get(part.rule);
        let Root::Vector(root) = &entry.rule.plan.root else { return None };
        let (number, wake, looks) = if entry.is_of_samples {
            let series = self.parts.get(part).members().only()?;
            let newest = self.series.newest_visible(series, self.now);
            let kept = newest.filter(|newest| keeps(root, newest.value));
            (kept.map(|newest| Number::still(newest.value)), None, 1)
        } else {
            let (mut evaluation, time) = self.evaluation(part);
            let number = evaluation.single(root, time.as_ms()).ok()?;
            let wake = self.wake_after(entry, &evaluation, usize::from(number.is_some()));
            (number, wake, evaluation.effort_of_numbers())
        };
        let is_new = number.is_some() && self.parts.get(part).shown().is_empty();
        (!is_new).then(|| Numbers { of_elements: number.into_iter().collect(), wake, looks })
    }

    /// A part with a known outline, where the same of its elements are there as before.
    fn query_column(&self, part: PartId, spare: &mut Spare) -> Option<Numbers> {
        let entry = self.rules.get(part.rule);
        let Root::Vector(root) = &entry.rule.plan.root else { return None };
        let held = self.parts.get(part);
        let OutlineState::Tells(telling) = held.outline() else { return None };
        // One that came to nothing that could be told has shown nothing since.
        if telling.places.len() != held.shown().len() {
            return None;
        }
        let (mut evaluation, time) = self.evaluation(part);
        let column = evaluation.column((root, &telling.outline), time.as_ms(), spare).ok()?;
        let found = telling.places.iter().map(|place| column[*place as usize]);
        let numbers: Option<Vec<Number>> = found.collect();
        let present = column.iter().flatten().count();
        spare.put(column);
        let numbers = numbers.filter(|numbers| numbers.len() == present)?;
        let wake = self.wake_after(entry, &evaluation, present);
        Some(Numbers { of_elements: numbers, wake, looks: evaluation.effort_of_numbers() })
    }

    /// Tells the numbers of the elements that a part gave before, or that they are gone.
    fn show_numbers(&mut self, part: PartId, query: QueryId, numbers: &[Number]) {
        let mut shown = self.parts.get_mut(part).take_shown();
        let time = self.now;
        let answered = &mut self.queries.answered;
        let mut tell = |labels: &bellwire_model::Labels, value: Option<f64>| {
            answered.push(Answered { query, labels: labels.clone(), value, time });
        };
        if numbers.is_empty() {
            shown.drain(..).for_each(|(labels, _)| tell(&labels, None));
        }
        for ((labels, held), number) in shown.iter_mut().zip(numbers) {
            if held.to_bits() != number.value.to_bits() {
                tell(labels, Some(number.value));
                *held = number.value;
            }
        }
        self.parts.get_mut(part).set_shown(shown);
    }

    /// After a plain evaluation: finds the outline of a part whose series have not changed since the
    /// one before, and which of its elements are there. Says how many series it looked at, with their
    /// labels.
    pub(super) fn outline_query(&mut self, part: PartId) -> u64 {
        let entry = self.rules.get(part.rule);
        if entry.is_of_one_series {
            return 0;
        }
        let Root::Vector(root) = &entry.rule.plan.root else { return 0 };
        let held = self.parts.get(part);
        let mut looks = 0;
        let telling = match held.outline() {
            OutlineState::Moving => {
                self.parts.get_mut(part).set_outline(OutlineState::Settled);
                return 0;
            }
            OutlineState::Settled | OutlineState::Stale => {
                let selected = held.members().selected();
                let (conventions, span) = (&self.terms.conventions, Span::at(self.now));
                let storage = self.series.storage();
                let evaluation = Evaluation::new(storage, selected, conventions, span);
                looks = held.series() as u64;
                let outline = evaluation.outline(root);
                outline.and_then(|(outline, labels)| {
                    let outline = self.parts.of_mut(part.rule).shared(outline);
                    TellingOutline::new(outline, &labels)
                })
            }
            OutlineState::Tells(telling) => Some((**telling).clone()),
            _ => return 0,
        };
        let shown = self.parts.get(part).shown();
        let telling = telling.and_then(|telling| telling.with_places(shown));
        let outline = telling.map_or(OutlineState::Refused, |it| OutlineState::Tells(it.into()));
        self.parts.get_mut(part).set_outline(outline);
        looks
    }
}
