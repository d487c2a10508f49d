//! What the clients of WebSockets ask of the rest of the server.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bellwire_model::{
    AskedQuery, Condition, EffectiveFilter, Filter, Fingerprint, NewAcknowledgement, Principal,
    Topic, WriteTerms,
};
use bellwire_wire::problem::Problem;
use bellwire_wire::publish::Post;

use crate::authority::HeldPrincipal;
use crate::publisher::Published;

/// Called with what became of a request, from whatever thread.
pub type Reply = Box<dyn FnOnce(Result<Published, Problem>) + Send>;

/// Called with what became of samples, from whatever thread.
pub type SamplesReply = Box<dyn FnOnce(Result<SamplesTaken, Problem>) + Send>;

/// Called with whoever the client of a connection is from now on, from whatever thread.
pub type RenewalReply = Box<dyn FnOnce(Result<HeldPrincipal, Problem>) + Send>;

/// Called once queries stand, from whatever thread.
pub type QueriesReply = Box<dyn FnOnce(Result<FollowedQueries, Problem>) + Send>;

/// Who does what clients of a shard ask for. Nothing here blocks: a shard has others to serve.
/// Where a request is refused at once, its reply is not called.
pub trait Requests: fmt::Debug + Send + Sync {
    /// What a principal may follow of this, and see of it.
    fn permit(
        &self,
        principal: Principal,
        follows: EffectiveFilter,
    ) -> Result<EffectiveFilter, Problem>;

    /// Has queries stand, for somebody who comes from `source` and wants their past, too, if they name
    /// one. Replies once their answers are there.
    fn follow_queries(
        &self,
        principal: Principal,
        source: Option<IpAddr>,
        queries: (Vec<AskedQuery>, Option<Duration>),
        reply: QueriesReply,
    ) -> Result<(), Problem>;

    /// Publishes an event, or says what becomes of a topic. Events of one caller keep their order.
    fn publish(
        &self,
        principal: Principal,
        post: Post,
        idempotency_key: Option<Box<str>>,
        reply: Reply,
    ) -> Result<(), Problem>;

    /// Deletes a key of a state topic that is as it has to be.
    fn delete(
        &self,
        principal: Principal,
        key: (Topic, &str),
        condition: Condition,
        reply: Reply,
    ) -> Result<(), Problem>;

    /// Deletes the keys of a state topic that begin with `prefix`, of those that are there now.
    fn delete_all(
        &self,
        principal: Principal,
        keys: (Topic, &str),
        reply: Reply,
    ) -> Result<(), Problem>;

    /// Has a key of a state topic go after a time from now on, if it is as it has to be.
    fn touch(
        &self,
        principal: Principal,
        key: (Topic, &str),
        terms: WriteTerms,
        reply: Reply,
    ) -> Result<(), Problem>;

    /// Somebody takes an alert up.
    fn acknowledge(
        &self,
        principal: Principal,
        fingerprint: Fingerprint,
        new: NewAcknowledgement,
        reply: Reply,
    ) -> Result<(), Problem>;

    /// Nobody attends to an alert any more.
    fn unacknowledge(
        &self,
        principal: Principal,
        fingerprint: Fingerprint,
        reply: Reply,
    ) -> Result<(), Problem>;

    /// Takes samples that come from `source`, where they have an address. Replies once rules have
    /// seen them, in the order in which samples came; so it does where none of them could be taken.
    fn take_samples(
        &self,
        principal: Principal,
        source: Option<IpAddr>,
        json: &[u8],
        reply: SamplesReply,
    ) -> Result<(), Problem>;

    /// Finds out who shows this from `source`, who is to be the same somebody as the principal.
    fn renew(
        &self,
        principal: Principal,
        source: Option<IpAddr>,
        shown: Box<str>,
        reply: RenewalReply,
    ) -> Result<(), Problem>;
}

/// Queries that stand.
#[derive(Debug)]
pub struct FollowedQueries(pub Vec<(Filter, Held)>);

/// What keeps a query standing.
pub type Held = Box<dyn fmt::Debug + Send>;

/// What became of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SamplesTaken {
    /// How many were taken.
    pub accepted: usize,
    /// How many were refused.
    pub rejected: usize,
    /// Why the first of those were.
    pub rejections: Vec<SampleRejection>,
}

/// Why a sample was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleRejection {
    /// Which, from 1.
    pub line: usize,
    /// The stable code of the problem.
    pub code: Cow<'static, str>,
    /// What is wrong, and what would be right.
    pub detail: String,
}
