//! How a query comes to stand: its series join it, and its parts are evaluated for the first time, in
//! pieces between the steps.

use std::fmt;
use std::sync::Arc;

use bellwire_model::limits::{
    EVALUATION_TICK, LIVE_EVALUATION_LOOKS_MAX, LIVE_LOOKS_AT_ONCE, LIVE_PART_SERIES_MAX,
    LIVE_SCANNED_MAX, LIVE_SERIES_MAX, READING_PIECE_SERIES,
};
use bellwire_model::{Labels, QueryId, Sight};

use crate::engine::Engine;
use crate::engine::ids::{PartId, RuleId};
use crate::engine::rules::{QueryEntry, QueryStage};
use crate::plan::{Plan, SelectorId};
use crate::rule::{GroupSettings, Rule};
use crate::storage::SeriesId;

/// A query that is to stand.
#[derive(Clone, Debug)]
pub struct StandingQuery {
    /// What tells it from others.
    pub id: QueryId,
    /// The expression.
    pub plan: Plan,
    /// The series that it looks at: to those who follow it there are no others.
    pub sight: Sight,
}

/// A query that comes to stand, piece by piece.
#[derive(Debug)]
pub struct QueryBeginning {
    query: StandingQuery,
    stage: Stage,
    /// The series that it selects, those of each selector counted.
    selects: usize,
    /// Why it will not stand: what is left of its series is only counted, so that it can be said how
    /// many they are.
    refused: Option<QueryRefusal>,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    New,
    /// These series may be selected, and are yet to be looked at.
    Joins(Candidates),
    /// The parts from this place on are yet to be evaluated.
    Evaluates(usize),
}

/// Series that may be selected.
#[derive(Debug)]
enum Candidates {
    /// Those of the metrics that it names.
    Listed(Vec<SeriesId>),
    /// All from a place on.
    From(usize),
}

/// Why a query does not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryRefusal {
    /// It selects more series than [`LIVE_SERIES_MAX`].
    TooManySeries,
    /// One evaluation of it looks at more series than [`LIVE_PART_SERIES_MAX`].
    PartTooLarge,
    /// One evaluation of it takes longer than [`LIVE_EVALUATION_LOOKS_MAX`] allows.
    TooMuchEffort,
    /// As many queries are compared with each series of one of its metrics as may be.
    TooManyScanned,
    /// It looks back further than rules do, and half of the room for samples is used.
    NoWindow,
    /// All queries together look at as many series as they may.
    TooManyJoins,
    /// It selects series that no rule does, and what is left of the room for series is for rules.
    NoRoom,
    /// It was ended before it stood.
    Ended,
}

impl fmt::Display for QueryRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManySeries => write!(f, "it selects more than {LIVE_SERIES_MAX} series"),
            Self::PartTooLarge => {
                write!(f, "one evaluation of it looks at more than {LIVE_PART_SERIES_MAX} series")
            }
            Self::TooMuchEffort => write!(
                f,
                "one evaluation of it takes as long as to look at more than \
                 {LIVE_EVALUATION_LOOKS_MAX} numbers, its operators and the steps of its subqueries \
                 counted"
            ),
            Self::TooManyScanned => write!(
                f,
                "{LIVE_SCANNED_MAX} queries are compared with each series of a metric that it \
                 selects, the most there may be: name a value of a label (`host=\"a\"`)"
            ),
            Self::NoWindow => f.write_str(
                "it looks back further than rules do, and what is left of the room for samples is \
                 for rules",
            ),
            Self::TooManyJoins => {
                f.write_str("all queries that are followed select as many series as they may")
            }
            Self::NoRoom => f.write_str(
                "it selects series that no rule does, and what is left of the room for series is \
                 for rules",
            ),
            Self::Ended => f.write_str("it has ended"),
        }
    }
}

impl QueryBeginning {
    /// One that has not begun.
    pub fn new(query: StandingQuery) -> Self {
        Self { query, stage: Stage::New, selects: 0, refused: None }
    }

    /// The series that it has been found to select, those of each selector counted.
    pub fn selects(&self) -> usize {
        self.selects
    }

    /// Whether it is evaluated on a tick, and not as samples come.
    pub fn is_on_tick(&self) -> bool {
        self.query.plan.is_on_tick()
    }

    /// What tells it from others.
    pub fn id(&self) -> QueryId {
        self.query.id
    }

    /// Whether nothing has been done of it yet.
    pub fn is_new(&self) -> bool {
        matches!(self.stage, Stage::New)
    }
}

impl Engine {
    /// Goes on with a query that is to stand; nothing until it does. Its first answer is then among
    /// what has been [answered](Self::take_answered). One that is refused has to be
    /// [ended](Self::end_query).
    pub fn begin_query(
        &mut self,
        beginning: &mut QueryBeginning,
    ) -> Option<Result<(), QueryRefusal>> {
        let QueryBeginning { query, stage, selects, refused } = beginning;
        if let Stage::New = stage {
            self.recount_joins();
            if !self.rules.has_room_to_scan(&query.plan, &query.sight) {
                return Some(Err(QueryRefusal::TooManyScanned));
            }
            self.add_query(query);
            *stage = Stage::Joins(self.candidates(&query.plan));
            return None;
        }
        let Some(rule) = self.rules.find_query(query.id) else {
            return Some(Err(QueryRefusal::Ended));
        };
        if let Some(refusal) = self.queries.overgrown.remove(&query.id) {
            refused.get_or_insert(refusal);
        }
        match stage {
            Stage::New => None,
            Stage::Joins(left) => {
                let piece = self.next_piece(left);
                for id in &piece {
                    let (labels, selectors) = self.selected(rule, *id);
                    *selects += selectors.len();
                    if refused.is_none() && !selectors.is_empty() {
                        self.join_query((*id, &labels), selectors);
                    }
                }
                if !piece.is_empty() {
                    return None;
                }
                if let Some(refusal) = *refused {
                    return Some(Err(refusal));
                }
                if !self.queries.overgrown.contains_key(&query.id) {
                    self.rules.set_stage(rule, QueryStage::Stands);
                    self.parts.set_query(&self.rules, rule);
                    *stage = Stage::Evaluates(0);
                }
                None
            }
            Stage::Evaluates(_) if refused.is_some() => refused.map(Err),
            Stage::Evaluates(place) => {
                let mut looks = 0;
                while let Some((number, next)) = self.parts.of(rule).next_from(*place) {
                    if looks >= LIVE_LOOKS_AT_ONCE {
                        return None;
                    }
                    *place = next;
                    let effort = self.evaluate_query(PartId { rule, number });
                    self.queries.spend(effort);
                    looks += effort;
                }
                Some(self.queries.overgrown.remove(&query.id).map_or(Ok(()), Err))
            }
        }
    }

    fn add_query(&mut self, query: &StandingQuery) {
        let StandingQuery { id, plan, sight } = query;
        let settings =
            GroupSettings { interval: Some(EVALUATION_TICK), ..GroupSettings::default() };
        let rule = Arc::new(Rule::of_query(plan.clone(), settings));
        let entry = QueryEntry { id: *id, sight: sight.clone(), stage: QueryStage::Gathers };
        let rule = self.rules.add_query(rule, entry);
        self.parts.set_query(&self.rules, rule);
        self.parts.clear_query(&self.rules, rule);
        self.parts.begin_whole(&self.rules, rule);
        self.queries.overgrown.remove(id);
    }

    /// The series that may be selected.
    fn candidates(&self, plan: &Plan) -> Candidates {
        match plan.metrics() {
            Some(metrics) => {
                let ids = metrics.into_iter().flat_map(|metric| self.storage().of_metric(metric));
                Candidates::Listed(ids.collect())
            }
            None => Candidates::From(0),
        }
    }

    /// The next of them; none where there are no more.
    fn next_piece(&self, left: &mut Candidates) -> Vec<SeriesId> {
        match left {
            Candidates::Listed(ids) => {
                ids.split_off(ids.len().saturating_sub(READING_PIECE_SERIES))
            }
            Candidates::From(place) => {
                let piece = self.series.from(*place).take(READING_PIECE_SERIES);
                let (places, ids): (Vec<usize>, Vec<SeriesId>) = piece.unzip();
                *place = places.last().copied().unwrap_or(*place);
                ids
            }
        }
    }

    /// The labels of a series that was there, and the selectors of a query that select it.
    fn selected(&mut self, rule: RuleId, id: SeriesId) -> (Labels, Vec<(RuleId, SelectorId)>) {
        if !self.storage().has(id) || self.series.parts(id).iter().any(|part| part.rule == rule) {
            return (Labels::empty(), Vec::new());
        }
        let labels = self.series.labels(id);
        let selected = self.rules.select_of(rule, &labels);
        self.mind_slow();
        (labels, selected)
    }

    /// Lets a series that was there join a query that selects it. Those that are new join by
    /// themselves.
    fn join_query(
        &mut self,
        (id, labels): (SeriesId, &Labels),
        selectors: Vec<(RuleId, SelectorId)>,
    ) {
        self.mind_reach(&selectors, self.series.keep(id));
        let keep = self.series.keep(id).max(self.keep(&selectors));
        let mut parts = self.series.parts(id).to_vec();
        parts.extend(self.join((id, labels), selectors));
        parts.sort_unstable();
        self.series.set_parts(id, parts);
        self.series.set_keep(id, keep);
    }
}
