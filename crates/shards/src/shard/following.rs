//! What the client of a WebSocket follows: more, and less.
//!
//! Each of its subscriptions has a lane with what may be followed of the filters, in canonical form,
//! and remembers what was asked for where that is something else: it can be taken back.

use std::time::Duration;

use bellwire_hub::Start;
use bellwire_model::limits::{
    FILTERS_IN_COMMON_MAX, FILTERS_PER_CONNECTION_MAX, SUBSCRIPTIONS_ADDED_MAX,
};
use bellwire_model::{EffectiveFilter, Filter, FilterError, FilterSet, PacedFilter, Principal};
use bellwire_wire::Control;
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::request::RequestId;
use bytes::Bytes;

use super::Token;
use super::connection::Which;
use super::marks::Marks;
use super::membership::Begun;
use super::parts::Shard;
use super::past_reader::PastReader;
use super::speech::Speech;
use super::websocket::Added;
use crate::stream_request::without_state;

/// What there is to say of a subscription that has begun.
pub(super) struct Subscribed {
    /// What is left of what was asked for, where that is less.
    pub(super) narrowed: Option<FilterSet>,
    /// What comes first of it, behind the reply.
    pub(super) first: Option<Bytes>,
}

impl Shard {
    /// Begins to follow more; the subscription catches up by itself.
    pub(super) fn subscribe(
        &mut self,
        token: Token,
        id: Option<&RequestId>,
        (topics, start, history): (Vec<PacedFilter>, Start, Option<Duration>),
    ) -> Result<Subscribed, Problem> {
        // Each is held against each.
        self.ledger.add_looks(topics.len() * topics.len());
        let follows = EffectiveFilter::new(topics.iter().cloned()).map_err(invalid)?;
        if self.websocket(token).added().len() >= SUBSCRIPTIONS_ADDED_MAX {
            let detail = format!(
                "{SUBSCRIPTIONS_ADDED_MAX} subscriptions of this connection are not ready yet, the most at a time"
            );
            return Err(Problem::new(Code::ConnectionsExhausted, detail));
        }
        let mut all = topics.clone();
        all.extend(self.subscriptions(token).flat_map(|which| self.asked(token, which)));
        all.sort_unstable();
        all.dedup();
        if all.len() > FILTERS_PER_CONNECTION_MAX {
            return Err(invalid(FilterError::TooMany { filters: all.len() }));
        }
        let principal = self.connections[token].principal;
        let wanted = follows.filters().clone();
        self.book_rights(principal, wanted.iter().count());
        let follows = self.surroundings.requests.permit(principal, follows)?;
        self.check_sight(token, &follows)?;
        let all = self.followed(token) + follows.iter().count();
        self.ledger.add_looks(all);
        if all > FILTERS_IN_COMMON_MAX {
            return Err(invalid(FilterError::IntersectionTooLarge));
        }
        if let Some(tally) = self.connections[token].tally() {
            tally.follow(all)?;
        }
        let shown = self.show_on(token, &topics, &follows);
        shown.inspect_err(|_| self.count_followed(token))?;
        let is_narrowed = *follows.filters() != wanted;
        let resumes_state = self.connections[token].outlet.marks().is_on();
        if is_narrowed {
            // It could come back with a cursor of this to more than that.
            self.connections[token].outlet.set_marks(Marks::Off);
        }
        let has_marks = self.connections[token].outlet.marks().is_on();
        let start = if has_marks { start } else { without_state(start) };
        let followed = self.follow(token, &follows, start);
        let Begun { subscription, gap, reset } = match followed {
            Ok(begun) => begun,
            Err(problem) => {
                self.count_followed(token);
                self.note_followed(token);
                return Err(problem);
            }
        };
        let ends = self.earlier_ends((start, &subscription.delivery));
        let cursor = self.hub.cursor(&subscription.delivery);
        let are_ends_owed = ends.are_some_owed;
        let ends = self.connections[token].outlet.tell_ends(&ends.told, (cursor, id));
        let ends = Some(ends).filter(|ends| !ends.is_empty());
        let asked = follows.unless_these(topics);
        let past = history.map(|history| Box::new(PastReader::begin(history)));
        let added = Added { subscription, asked, id: id.cloned(), past, are_ends_owed };
        self.websocket(token).add(added);
        let form = self.connections[token].outlet.form;
        let left = follows.filters();
        let gap = gap.map(|gap| form.control(&crate::controls::gap(&gap, left), id));
        let reset = reset.filter(|_| resumes_state);
        let reset = reset.map(|cursor| form.control(&Control::Reset { cursor, filters: left }, id));
        let first: Vec<Bytes> = gap.into_iter().chain(reset).chain(ends).collect();
        let first = (!first.is_empty()).then(|| first.concat().into());
        Ok(Subscribed { narrowed: is_narrowed.then(|| left.clone()), first })
    }

    /// So many filters are about to be held against what a principal may follow.
    pub(super) fn book_rights(&mut self, principal: Principal, filters: usize) {
        let allowed = self.surroundings.authority.filters_allowed(principal);
        self.ledger.add_looks(filters.saturating_mul(allowed));
    }

    /// A connection may follow more, or less, than it did: that is counted where it is limited.
    pub(super) fn count_followed(&self, token: Token) {
        if let Some(tally) = self.connections[token].tally() {
            tally.follow_now(self.followed(token));
        }
    }

    /// All of a connection becomes one: through all of it the same has to be seen. It is not where its
    /// client has shown something newer since, which lets see more.
    fn check_sight(&mut self, token: Token, added: &EffectiveFilter) -> Result<(), Problem> {
        for which in self.subscriptions(token).collect::<Vec<_>>() {
            let lane = which.of(&mut self.connections[token]).delivery.lane();
            if !self.hub.follows(lane).sees_like(added) {
                let detail = "your rights show other alerts or series by now than this connection \
                              does: open another one";
                return Err(Problem::new(Code::Forbidden, detail));
            }
        }
        Ok(())
    }

    /// Follows these filters no more, in none of its subscriptions.
    pub(super) fn unsubscribe(&mut self, token: Token, filters: &[Filter]) -> Result<(), Problem> {
        let all = self.subscriptions(token).flat_map(|which| self.asked(token, which));
        let all: Vec<PacedFilter> = all.collect();
        self.ledger.add_looks(all.len() * filters.len());
        let follows = |filter: &&Filter| all.iter().any(|paced| paced.filter == **filter);
        if let Some(unknown) = filters.iter().find(|filter| !follows(filter)) {
            let detail =
                format!("`{unknown}` is not followed: name filters as you subscribed them");
            return Err(Problem::new(Code::ParameterInvalid, detail));
        }
        // From the last on: one that ends gives its place to the one behind it.
        for which in self.subscriptions(token).collect::<Vec<_>>().into_iter().rev() {
            let mut asked = self.asked(token, which);
            let count = asked.len();
            asked.retain(|paced| !filters.contains(&paced.filter));
            if asked.len() < count {
                self.keep(token, which, asked)?;
            }
        }
        // Whoever waited for history may need another page now, or none.
        self.connections[token].awaits_history = false;
        self.count_followed(token);
        self.note_followed(token);
        Ok(())
    }

    /// Lets a subscription follow only a part of what was asked for.
    fn keep(&mut self, token: Token, which: Which, kept: Vec<PacedFilter>) -> Result<(), Problem> {
        let lane = which.of(&mut self.connections[token]).delivery.lane();
        let old = self.hub.follows(lane);
        let rest = EffectiveFilter::new(kept.iter().cloned());
        let rest = rest.unwrap_or_else(|_| EffectiveFilter::none());
        // No more of it than what it was narrowed to. Each is held against each.
        self.ledger.add_looks(kept.len() * old.iter().count());
        let rest = rest.within(old.filters(), old.sight()).map_err(invalid)?;
        match which {
            Which::Added(index) if kept.is_empty() => {
                self.cancel(token, index);
                return Ok(());
            }
            Which::Added(index) => {
                self.websocket(token).added_mut()[index].asked = rest.unless_these(kept);
            }
            Which::Main => self.websocket(token).set_asked(rest.unless_these(kept)),
        }
        self.narrow(token, which, &rest);
        Ok(())
    }

    /// The number of filters that a connection follows.
    fn followed(&self, token: Token) -> usize {
        let lanes = self.connections[token].subscriptions().map(|it| it.delivery.lane());
        lanes.map(|lane| self.hub.follows(lane).iter().count()).sum()
    }

    /// A connection's subscriptions, the main one first.
    pub(super) fn subscriptions(&self, token: Token) -> impl Iterator<Item = Which> + use<> {
        let added = self.connections[token].subscriptions().count() - 1;
        std::iter::once(Which::Main).chain((0..added).map(Which::Added))
    }

    /// The filters that were asked for in one of a connection's subscriptions.
    pub(super) fn asked(&self, token: Token, which: Which) -> Vec<PacedFilter> {
        let connection = &self.connections[token];
        let websocket = connection.websocket.as_ref().expect("only a WebSocket asks");
        let (subscription, asked) = match which {
            Which::Main => (&connection.main, websocket.asked()),
            Which::Added(index) => {
                let added = &websocket.added()[index];
                (&added.subscription, &added.asked[..])
            }
        };
        if !asked.is_empty() {
            return asked.to_vec();
        }
        self.hub.follows(subscription.delivery.lane()).iter().collect()
    }
}

fn invalid(error: FilterError) -> Problem {
    Problem::new(Code::TopicInvalid, error)
}
