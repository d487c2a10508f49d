//! Changes of what somebody may, of which shards are told, so that their connections are looked at anew.
//!
//! ```text
//! Spread::reconsider(principals) ── Change ─▶ inbox ─▶ Reconsideration ── some connections a turn
//!        │                                                                      │
//!        └── Reconsidering: waits ◀──────── every shard has let go of it ◀──────┘
//! ```
//!
//! A connection knows whose it is, and nobody keeps a list of whose connections there are: to find
//! them all of a shard are looked at, in pieces. Numbers are given out again, so a change holds those
//! that it is of for as long as a shard looks for them. Whoever comes meanwhile is asked for when they
//! come in (`membership`).

use std::convert::Infallible;
use std::sync::Arc;

use bellwire_model::Principal;
use bellwire_process::clock::Tick;
use tokio::sync::mpsc;

use super::Token;
use crate::authority::HeldPrincipals;

/// Principals of whom something has changed, for one shard.
#[derive(Clone, Debug)]
pub(super) struct Change {
    principals: Arc<HeldPrincipals>,
    /// When all shards have dropped theirs, all have looked.
    _under_way: mpsc::Sender<Infallible>,
}

/// A change that shards are told of. Whoever drops it does not learn when it is through.
#[derive(Debug)]
pub struct Reconsidering {
    under_way: mpsc::Receiver<Infallible>,
    /// Let go of here, where nobody else waits: there may be many.
    _principals: Arc<HeldPrincipals>,
}

impl Reconsidering {
    /// Waits until every shard has looked at all of its connections.
    pub async fn is_through(mut self) {
        // Nothing is ever sent.
        let _ = self.under_way.recv().await;
    }
}

/// What shards are to be told, and what waits for them.
pub(super) fn begin(principals: HeldPrincipals) -> (Change, Reconsidering) {
    let principals = Arc::new(principals);
    let (shards, under_way) = mpsc::channel(1);
    let change = Change { principals: Arc::clone(&principals), _under_way: shards };
    (change, Reconsidering { under_way, _principals: principals })
}

/// The changes that a shard was told of.
#[derive(Debug, Default)]
pub(super) struct Reconsideration {
    /// To be looked for together in the next round.
    waiting: Vec<Change>,
    round: Option<Round>,
    /// No other round begins before: who renews without end does not keep the shard at it.
    next_at: Tick,
}

/// All connections that there are, one after the other.
#[derive(Debug)]
pub(super) struct Round {
    _changes: Vec<Change>,
    /// Whom they are of, in order.
    principals: Vec<Principal>,
    next: Token,
    end: Token,
}

impl Round {
    fn new(changes: Vec<Change>, end: Token) -> Self {
        let all = changes.iter().flat_map(|change| change.principals.principals());
        let mut principals: Vec<Principal> = all.copied().collect();
        principals.sort_unstable();
        Self { _changes: changes, principals, next: 0, end }
    }

    /// The next place to look at.
    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.next;
        (token < self.end).then(|| {
            self.next += 1;
            token
        })
    }

    /// Whether something has changed of them.
    pub(super) fn is_of(&self, principal: Principal) -> bool {
        match self.principals[..] {
            [one] => one == principal,
            ref many => many.binary_search(&principal).is_ok(),
        }
    }
}

impl Reconsideration {
    /// These are to be looked for.
    pub(super) fn expect(&mut self, changes: Vec<Change>) {
        self.waiting.extend(changes);
    }

    /// Whether somebody is yet to be looked for.
    #[cfg(test)]
    pub(super) fn is_under_way(&self) -> bool {
        self.is_in_round() || !self.waiting.is_empty()
    }

    /// As if a tick had passed: the next round may begin.
    #[cfg(test)]
    pub(super) fn let_begin(&mut self) {
        self.next_at = 0;
    }

    /// Whether some are looked for now.
    pub(super) fn is_in_round(&self) -> bool {
        self.round.is_some()
    }

    /// When the next round begins, where there is to be one.
    pub(super) fn next_round(&self) -> Option<Tick> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// What is left of the round, or another one over so many places: one in a tick.
    pub(super) fn take_round(&mut self, places: usize, now: Tick) -> Option<Round> {
        if let Some(round) = self.round.take() {
            return Some(round);
        }
        if self.waiting.is_empty() || now < self.next_at {
            return None;
        }
        self.next_at = now.saturating_add(1);
        Some(Round::new(std::mem::take(&mut self.waiting), places))
    }

    /// A round goes on in the next turn, unless it is through.
    pub(super) fn give_back(&mut self, round: Round) {
        if round.next < round.end {
            self.round = Some(round);
        }
    }
}
