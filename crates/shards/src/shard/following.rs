//! What the client of a WebSocket follows: more, and less.
//!
//! Each of its subscriptions has a lane with the filters in canonical form, and remembers those that
//! were asked for and that others of its own cover: what is asked for can be taken back.

use bellwire_hub::{LaneKey, Start};
use bellwire_model::limits::{FILTERS_PER_CONNECTION_MAX, SUBSCRIPTIONS_ADDED_MAX};
use bellwire_model::{EffectiveFilter, Filter, FilterError, Grants, PacedFilter};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::request::RequestId;
use bytes::Bytes;

use super::Token;
use super::connection::Which;
use super::parts::Shard;
use super::speech::Speech;
use super::websocket::Added;

impl Shard {
    /// Begins to follow more; the subscription catches up by itself. Returns what is to be said
    /// first of it, behind the reply.
    pub(super) fn subscribe(
        &mut self,
        token: Token,
        id: Option<&RequestId>,
        (topics, start): (Vec<PacedFilter>, Start),
    ) -> Result<Option<Bytes>, Problem> {
        // Each is held against each.
        self.ledger.add_looks(topics.len() * topics.len());
        let asked = EffectiveFilter::new(topics.iter().cloned()).map_err(invalid)?;
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
        let grants = Grants::of(self.connections[token].principal);
        let key = LaneKey { follows: asked, grants };
        let (subscription, gap) = self.follow(token, &key, start)?;
        let asked = key.follows;
        let covered = asked.covered(topics);
        let added = Added { subscription, covered, id: id.cloned() };
        self.websocket(token).add(added);
        let form = self.connections[token].outlet.form;
        let gap = gap.map(|gap| form.control(&crate::controls::gap(&gap, asked.filters()), id));
        Ok(gap)
    }

    /// Follows these filters no more, in none of its subscriptions.
    pub(super) fn unsubscribe(&mut self, token: Token, filters: &[Filter]) -> Result<(), Problem> {
        let follows = |filter: &&Filter| {
            let mut asked = self.subscriptions(token).flat_map(|which| self.asked(token, which));
            asked.any(|paced| paced.filter == **filter)
        };
        if let Some(unknown) = filters.iter().find(|filter| !follows(filter)) {
            let detail =
                format!("`{unknown}` is not followed: name filters as you subscribed them");
            return Err(Problem::new(Code::ParameterInvalid, detail));
        }
        // From the last on: one that ends gives its place to the one behind it.
        for which in self.subscriptions(token).collect::<Vec<_>>().into_iter().rev() {
            let mut asked: Vec<PacedFilter> = self.asked(token, which).collect();
            let count = asked.len();
            self.ledger.add_looks(count * filters.len());
            asked.retain(|paced| !filters.contains(&paced.filter));
            if asked.len() < count {
                self.keep(token, which, asked);
            }
        }
        // Whoever waited for history may need another page now, or none.
        self.connections[token].awaits_history = false;
        Ok(())
    }

    /// Lets a subscription follow only a part of what was asked for.
    fn keep(&mut self, token: Token, which: Which, kept: Vec<PacedFilter>) {
        let rest = EffectiveFilter::new(kept.iter().cloned());
        let rest = rest.unwrap_or_else(|_| EffectiveFilter::none());
        match which {
            Which::Added(index) if kept.is_empty() => return self.cancel(token, index),
            Which::Added(index) => {
                self.websocket(token).added_mut()[index].covered = rest.covered(kept);
            }
            Which::Main => self.websocket(token).set_covered(rest.covered(kept)),
        }
        self.narrow(token, which, &rest);
    }

    /// A connection's subscriptions, the main one first.
    fn subscriptions(&self, token: Token) -> impl Iterator<Item = Which> + use<> {
        let added = self.connections[token].subscriptions().count() - 1;
        std::iter::once(Which::Main).chain((0..added).map(Which::Added))
    }

    /// The filters that were asked for in one of a connection's subscriptions.
    pub(super) fn asked(&self, token: Token, which: Which) -> impl Iterator<Item = PacedFilter> {
        let connection = &self.connections[token];
        let websocket = connection.websocket.as_ref().expect("only a WebSocket asks");
        let (subscription, covered) = match which {
            Which::Main => (&connection.main, websocket.covered()),
            Which::Added(index) => {
                let added = &websocket.added()[index];
                (&added.subscription, &added.covered[..])
            }
        };
        let follows = self.hub.follows(subscription.delivery.lane());
        follows.iter().chain(covered.iter().cloned())
    }
}

fn invalid(error: FilterError) -> Problem {
    Problem::new(Code::TopicInvalid, error)
}
