//! Standing queries: evaluated as rules are, in the same step and behind them, and told to whoever
//! follows them in place of being recorded.
//!
//! ```text
//! begin: its series join it, some at a time ─▶ its parts are evaluated, some at a time ─▶ it stands
//!                                                                                          │
//!        touched parts ─▶ evaluated as long as there is time for queries ─▶ Answered ◀─────┘
//!                   └───▶ what is left: a second later, the oldest first
//! ```
//!
//! They give nothing to rules, so that no rule waits for what they come to. What they look at in a
//! millisecond is bounded for all of them together, counted in series.

mod beginning;
mod ending;
mod evaluation;
mod numbers;

use std::collections::VecDeque;
use std::time::Duration;

use bellwire_model::limits::{
    LIVE_KEPT_DIVISOR, LIVE_LOOKS_AT_ONCE, LIVE_LOOKS_PER_MS, LIVE_PACE, LIVE_SERIES_MAX,
};
use bellwire_model::{Labels, NameMap, NameSet, QueryId, Timestamp};

pub use self::beginning::{QueryBeginning, QueryRefusal, StandingQuery};
pub use self::ending::QueryEnding;
use super::Engine;
use super::health::Health;
use super::ids::{PartId, RuleId};
use super::parts::RuleParts;
use super::rules::{QueryEntry, QueryStage};
use super::terms::Settings;

/// An element of a standing query's answer has come, has another value, or has gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The query.
    pub query: QueryId,
    /// The element's labels.
    pub labels: Labels,
    /// Its value; nothing where it is no longer in the answer.
    pub value: Option<f64>,
    /// When it was evaluated.
    pub time: Timestamp,
}

/// What standing queries have come to, and how much they may still look at.
#[derive(Debug, Default)]
pub(super) struct Queries {
    answered: Vec<Answered>,
    /// Touched parts for which there was no time, and when each is evaluated: in this order.
    late: VecDeque<(Timestamp, PartId)>,
    /// Series that may be looked at now; what was looked at beyond that is made up for first.
    looks: i64,
    /// When that was found.
    looked_at: Timestamp,
    /// Whether none is evaluated, because nobody has yet been told what they have come to.
    is_held: bool,
    /// Whether the step is one that rules make up for: queries are evaluated at the end of it all.
    is_behind: bool,
    /// Those of which parts were late since this was asked last.
    paced: NameSet<QueryId>,
    /// Those that have come to look at more than they may.
    overgrown: NameMap<QueryId, QueryRefusal>,
    /// Those that look back further than rules do at some series, and how far: since they began, or
    /// since one of them was ended for that.
    reaching: NameMap<QueryId, Duration>,
    /// The series of all, each query's counted by themselves. Those that have gone count until all
    /// are counted anew.
    joins: usize,
    /// How often rules have changed: their places are others then.
    generation: u64,
}

impl Queries {
    /// When the next part is evaluated that was late.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let (due, _) = self.late.front().filter(|_| !self.is_held)?;
        let missing = u64::try_from(1 - self.looks).unwrap_or_default();
        let ready = Duration::from_millis(missing.div_ceil(LIVE_LOOKS_PER_MS));
        Some((*due).max(self.looked_at.saturating_add(ready)))
    }

    /// Whether there is time to evaluate one.
    fn has_time(&self) -> bool {
        self.looks > 0 && !self.is_held
    }

    fn spend(&mut self, looks: u64) {
        self.looks = self.looks.saturating_sub_unsigned(looks);
    }

    /// A step of the rules is so far behind the time that it comes to by and by.
    pub(super) fn set_behind(&mut self, behind: Duration) {
        self.is_behind = behind > LIVE_PACE;
    }

    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Rules have other places; their parts that are touched are told anew.
    pub(super) fn begin_anew(&mut self) {
        self.late.clear();
        self.generation += 1;
    }

    /// A query selects more than it may.
    pub(super) fn overgrow(&mut self, query: QueryId, refusal: QueryRefusal) {
        self.overgrown.insert(query, refusal);
    }

    /// A query has samples kept of a series that rules do not look at, and for so long.
    pub(super) fn reaches(&mut self, query: QueryId, keep: Duration) {
        let held = self.reaching.entry(query).or_default();
        *held = keep.max(*held);
    }

    /// The one that looks back furthest ends.
    fn end_furthest(&mut self) {
        let furthest = self.reaching.iter().max_by_key(|(query, keep)| (**keep, **query));
        if let Some(query) = furthest.map(|(query, _)| *query) {
            self.reaching.remove(&query);
            self.overgrow(query, QueryRefusal::NoWindow);
        }
    }

    /// Whether a query that has so many series may have one more.
    pub(super) fn check_join(
        &self,
        query: &QueryEntry,
        series: usize,
        terms: &Settings,
    ) -> Result<(), QueryRefusal> {
        if series >= LIVE_SERIES_MAX {
            return Err(QueryRefusal::TooManySeries);
        }
        let reserved =
            if query.stage == QueryStage::Stands { terms.live_joins_reserved } else { 0 };
        if self.joins >= terms.live_joins_max.saturating_add(reserved) {
            return Err(QueryRefusal::TooManyJoins);
        }
        Ok(())
    }

    /// A query has one more series.
    pub(super) fn count_join(&mut self) {
        self.joins += 1;
    }

    /// All that the parts of a query have given is gone.
    pub(super) fn end(&mut self, query: QueryId, parts: &RuleParts, time: Timestamp) {
        for (_, part) in parts.iter() {
            let gone = part.shown().iter().map(|(labels, _)| labels.clone());
            self.answered.extend(gone.map(|labels| Answered { query, labels, value: None, time }));
        }
    }

    /// So many series may be looked at in a step of this time.
    fn refill(&mut self, now: Timestamp) {
        let passed_ms = now.saturating_since(self.looked_at).as_millis();
        let more = u64::try_from(passed_ms).unwrap_or(u64::MAX).saturating_mul(LIVE_LOOKS_PER_MS);
        self.looks = self.looks.saturating_add_unsigned(more).min(LIVE_LOOKS_AT_ONCE as i64);
        self.looked_at = self.looked_at.max(now);
    }
}

impl Engine {
    /// Has no standing query evaluated: there is more to tell of them than should wait.
    pub fn hold_queries(&mut self) {
        self.queries.is_held = true;
    }

    /// Has standing queries evaluated again.
    pub fn release_queries(&mut self) {
        self.queries.is_held = false;
    }

    /// What standing queries have come to since the last call, in order.
    pub fn take_answered(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.queries.answered)
    }

    /// The standing queries of which something was evaluated late since the last call.
    pub fn take_paced(&mut self) -> Vec<QueryId> {
        self.queries.paced.drain().collect()
    }

    /// Of these queries those that have come to select more than they may since the last call, and
    /// why they may not: what they come to is no longer the whole answer.
    pub fn take_overgrown(
        &mut self,
        of: impl Fn(&QueryId) -> bool,
    ) -> Vec<(QueryId, QueryRefusal)> {
        self.recount_joins();
        let kept_max = self.terms.settings.samples_kept_bytes_max / LIVE_KEPT_DIVISOR;
        if self.series.kept_bytes() > kept_max {
            self.queries.end_furthest();
        }
        self.queries.overgrown.extract_if(|query, _| of(query)).collect()
    }

    /// Counts the series of all queries anew.
    fn recount_joins(&mut self) {
        let queries = self.rules.ids().filter(|id| self.rules.get(*id).query.is_some());
        self.queries.joins = queries.map(|id| self.parts.of(id).series()).sum();
    }

    /// The series that a standing query looks at; one that two of its selectors select counts twice.
    pub fn query_series(&self, query: QueryId) -> Option<usize> {
        let rule = self.rules.find_query(query)?;
        Some(self.parts.of(rule).series())
    }

    /// Whether a series is not there that queries alone select: rules see none that nobody has sent now.
    pub fn queries_lack(&self, labels: &Labels) -> bool {
        let is_of_query = |(rule, _): &(RuleId, _)| self.rules.get(*rule).query.is_some();
        let selectors = self.rules.select(labels);
        self.series.find(labels).is_none() && selectors.iter().all(is_of_query)
    }

    /// How the evaluations of a standing query go.
    pub fn query_health(&self, query: QueryId) -> Option<Health> {
        let rule = self.rules.find_query(query)?;
        Some(self.parts.of(rule).health())
    }
}

#[cfg(test)]
mod tests;
