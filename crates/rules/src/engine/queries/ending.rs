//! How a query ends: its series leave it, in pieces between the steps, and are forgotten where nobody
//! else looks at them.

use bellwire_model::QueryId;
use bellwire_model::limits::READING_PIECE_SERIES;
use rustc_hash::FxHashSet;

use crate::engine::Engine;
use crate::engine::ids::{PartId, RuleId};
use crate::evaluation::Selected;
use crate::storage::SeriesId;

/// A query that ends, piece by piece.
#[derive(Debug)]
pub struct QueryEnding {
    query: QueryId,
    stage: Stage,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    New,
    /// These series are yet to leave the query at a place, then its parts.
    Leave {
        rule: RuleId,
        series: Vec<SeriesId>,
        /// Where rules have changed since, they have all left.
        generation: u64,
    },
}

impl QueryEnding {
    /// One that has not begun.
    pub fn new(query: QueryId) -> Self {
        Self { query, stage: Stage::New }
    }

    /// What tells it from others.
    pub fn id(&self) -> QueryId {
        self.query
    }
}

impl Engine {
    /// Goes on with the end of a query; says whether it is complete. That its elements are gone is
    /// among what has been [answered](Self::take_answered).
    pub fn end_query(&mut self, ending: &mut QueryEnding) -> bool {
        match &mut ending.stage {
            Stage::New => {
                let Some(rule) = self.rules.find_query(ending.query) else { return true };
                self.rules.end_query(rule);
                self.queries.overgrown.remove(&ending.query);
                self.queries.reaching.remove(&ending.query);
                self.parts.set_query(&self.rules, rule);
                let (series, generation) = (self.series_of(rule), self.queries.generation);
                ending.stage = Stage::Leave { rule, series, generation };
                false
            }
            Stage::Leave { generation, .. } if *generation != self.queries.generation => true,
            Stage::Leave { rule, series, .. } if !series.is_empty() => {
                let piece = series.split_off(series.len().saturating_sub(READING_PIECE_SERIES));
                self.leave_query(*rule, piece);
                false
            }
            Stage::Leave { rule, .. } => {
                let mut parts = self.parts.ids(*rule);
                let is_last = parts.len() <= READING_PIECE_SERIES;
                parts.truncate(READING_PIECE_SERIES);
                for part in parts {
                    self.end_part(ending.query, part);
                }
                if is_last {
                    self.rules.free_query(*rule);
                    self.parts.clear_query(&self.rules, *rule);
                    self.recount_joins();
                }
                is_last
            }
        }
    }

    fn series_of(&self, rule: RuleId) -> Vec<SeriesId> {
        let mut series = Vec::new();
        for (_, part) in self.parts.of(rule).iter() {
            match part.members().selected() {
                Selected::Only(ids) => series.extend_from_slice(ids),
                Selected::Each(lists) => {
                    series.extend(lists.iter().flat_map(|list| list.iter().copied()));
                }
            }
        }
        series.sort_unstable();
        series.dedup();
        series
    }

    fn leave_query(&mut self, rule: RuleId, series: Vec<SeriesId>) {
        let mut unselected: FxHashSet<SeriesId> = FxHashSet::default();
        for id in series {
            // It may have gone since, and another one have its number.
            if !self.storage().has(id) || !self.series.parts(id).iter().any(|it| it.rule == rule) {
                continue;
            }
            let parts = self.series.parts(id).iter().filter(|part| part.rule != rule);
            let parts: Vec<PartId> = parts.copied().collect();
            self.series.set_parts(id, parts);
            let selectors = self.rules.select(&self.series.labels(id));
            if selectors.is_empty() && !self.series.is_recorded(id) {
                unselected.insert(id);
            } else {
                let keep = self.keep(&selectors);
                self.series.set_keep(id, keep);
            }
        }
        self.series.forget_ahead(&unselected);
        for id in unselected {
            self.remove_series(id);
        }
    }

    fn end_part(&mut self, query: QueryId, part: PartId) {
        let shown = self.parts.get_mut(part).take_shown();
        let gone = shown.into_iter().map(|(labels, _)| super::Answered {
            query,
            labels,
            value: None,
            time: self.now,
        });
        self.queries.answered.extend(gone);
        self.parts.remove(part, self.series.storage_mut().pairs_mut());
    }
}
