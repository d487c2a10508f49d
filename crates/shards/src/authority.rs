//! Who may what over a connection's life: what a shard asks of the crate above.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{EffectiveFilter, FilterError, Holder, Principal};
use bellwire_wire::problem::Problem;

/// Who gave principals their numbers. Nothing here blocks: a shard has others to serve.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Whether what this principal has shown counts. It is asked when a connection comes, when the
    /// wheel brings it round, and when the shard was told of a change: see
    /// [`Spread::reconsider`](crate::Spread::reconsider).
    fn standing(&self, principal: Principal) -> Standing;

    /// One fewer connection is this principal's.
    fn leave(&self, principal: Principal);

    /// Whether the principal may have other rights than when its connections came.
    fn is_renewed(&self, principal: Principal) -> bool;

    /// What its rights leave of what it follows; what they have gained is not added.
    fn rest(
        &self,
        principal: Principal,
        follows: EffectiveFilter,
    ) -> Result<EffectiveFilter, FilterError>;

    /// How many filters its rights have, each of which is held against each that is followed.
    fn filters_allowed(&self, principal: Principal) -> usize;

    /// What names this principal to whoever renews what it has shown. `None`: nobody can.
    fn renews(&self, principal: Principal) -> Option<String>;

    /// Who it is that shows itself, and comes from `source`.
    fn follower(&self, principal: Principal, source: Option<IpAddr>) -> FollowerName;
}

/// Who somebody is to others who follow the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerName {
    /// The same of the same somebody alone. `None`: nobody knows who it is.
    pub identity: Option<Box<str>>,
    /// What they are called.
    pub subject: Option<Box<str>>,
    /// Whose share of what all have they take.
    pub holder: Holder,
}

/// Where it is counted how many filters a connection follows, beside others of the same subject.
/// Nothing here blocks either.
pub trait Tally: fmt::Debug + Send + Sync {
    /// The connection is about to follow so many in all. An error says why it may not.
    fn follow(&self, filters: usize) -> Result<(), Problem>;

    /// It follows so many now, whatever it may.
    fn follow_now(&self, filters: usize);
}

/// Whether what a principal has shown counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does, and does not end by itself.
    Good,
    /// It does for so long.
    Ends {
        /// Until it ends by itself.
        left: Duration,
        /// Until it counts no more: it may be tolerated for a while. Not at all where that is nothing.
        tolerated: Duration,
    },
    /// It was taken back.
    Revoked,
    /// Another connection has come with what may be used by one.
    Displaced,
}

/// A principal's number, counted as one that is in use until it is dropped or passed on.
#[derive(Debug)]
pub struct HeldPrincipal {
    principal: Principal,
    /// `None`: nobody counts those who have no number.
    authority: Option<Arc<dyn Authority>>,
}

impl HeldPrincipal {
    /// Somebody who has not said who they are.
    pub fn anonymous() -> Self {
        Self { principal: Principal::ANONYMOUS, authority: None }
    }

    /// One more connection is this principal's: whoever makes this has counted it.
    pub fn new(principal: Principal, authority: Arc<dyn Authority>) -> Self {
        Self { principal, authority: Some(authority) }
    }

    /// Whose it is.
    pub fn principal(&self) -> Principal {
        self.principal
    }

    /// Passes the count on: whoever takes the number tells when it is over.
    pub(crate) fn take(mut self) -> Principal {
        self.authority = None;
        self.principal
    }
}

impl Drop for HeldPrincipal {
    fn drop(&mut self) {
        if let Some(authority) = &self.authority {
            authority.leave(self.principal);
        }
    }
}

/// Numbers of principals of whom something has changed. Each is counted as one that is in use until
/// this is dropped: none of them is another's before all shards have looked at whose it is.
#[derive(Debug)]
pub struct HeldPrincipals {
    /// In order.
    principals: Box<[Principal]>,
    authority: Arc<dyn Authority>,
}

impl HeldPrincipals {
    /// Whoever makes this has counted each of them once more.
    pub fn new(mut principals: Vec<Principal>, authority: Arc<dyn Authority>) -> Self {
        principals.sort_unstable();
        Self { principals: principals.into(), authority }
    }

    /// Whether it is nobody.
    pub fn is_empty(&self) -> bool {
        self.principals.is_empty()
    }

    /// Whose numbers they are, in order.
    pub fn principals(&self) -> &[Principal] {
        &self.principals
    }
}

impl Drop for HeldPrincipals {
    fn drop(&mut self) {
        self.principals.iter().for_each(|principal| self.authority.leave(*principal));
    }
}
