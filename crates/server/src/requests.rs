//! Where the shards and the alerting meet: what the clients of WebSockets ask of the server.

mod owed;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use bellwire_access::{Identity, Means};
use bellwire_alerting::{Alerting, LiveQueries, SampleIntake};
use bellwire_alerts::desk::{Action, Desk, Plan};
use bellwire_authn::Shown;
use bellwire_ingest::{Decoded, Rejection, json as samples};
use bellwire_model::{
    AskedQuery, Condition, EffectiveFilter, Filter, Fingerprint, NewAcknowledgement, Principal,
    Topic, WriteTerms,
};
use bellwire_process::clock;
use bellwire_shards::{
    EVENTS_PATH, FollowedQueries, Held, Published, Publisher, QueriesReply, RenewalReply, Reply,
    Requests, Results, SampleRejection, SamplesReply, SamplesTaken, Write,
};
use bellwire_sources::{Kind, Outcome, Sender};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::Post;
use tokio::runtime::Handle;

use crate::access::{self, Access, Attending};
use crate::admission::Admission;
use crate::allowances::Sent;
use crate::api::Asks;
use crate::audit::{Deed, Kind as DeedKind};
use crate::envoy::mission::{Done, Errand};
use crate::envoy::{self, Envoy, Followings};
use crate::live::{self, QueryPasts};
use crate::observe::Figures;
use crate::receiver;

/// Does what the clients of WebSockets ask, as far as they may.
#[derive(Debug)]
pub(crate) struct Errands {
    publisher: Arc<Publisher>,
    /// Who does what the keeper of the desk alone does. It is another one for a moment every few weeks, so that
    /// whoever looks waits for nobody.
    keeper: RwLock<Keeper>,
    pasts: Arc<QueryPasts>,
    figures: Arc<Figures>,
    admission: Arc<Admission>,
    access: Arc<Access>,
    /// Where what takes a while is done.
    runtime: Handle,
}

/// Who has samples and alerts.
#[derive(Clone, Debug)]
pub(crate) enum Keeper {
    /// This server.
    Here(Here),
    /// Another node, which this has do it.
    Elsewhere(Arc<Envoy>),
}

/// The ways to them.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    /// Gone once the server drains: the evaluator ends with it.
    intake: Weak<SampleIntake>,
    /// Gone once the server drains, too.
    alerting: Weak<Alerting>,
    live: Weak<LiveQueries>,
    /// Queries that are followed on where another node is the keeper.
    followings: Option<Arc<Followings>>,
}

impl Here {
    pub(crate) fn new(
        intake: &Arc<SampleIntake>,
        (alerting, live): (&Arc<Alerting>, &Arc<LiveQueries>),
        followings: Option<&Arc<Followings>>,
    ) -> Self {
        Self {
            intake: Arc::downgrade(intake),
            alerting: Arc::downgrade(alerting),
            live: Arc::downgrade(live),
            followings: followings.cloned(),
        }
    }
}

impl Errands {
    /// Called within a runtime.
    pub(crate) fn new(
        publisher: &Arc<Publisher>,
        keeper: Keeper,
        (figures, admission, access): (&Arc<Figures>, &Arc<Admission>, &Arc<Access>),
        pasts: &Arc<QueryPasts>,
    ) -> Self {
        Self {
            publisher: Arc::clone(publisher),
            keeper: RwLock::new(keeper),
            pasts: Arc::clone(pasts),
            figures: Arc::clone(figures),
            admission: Arc::clone(admission),
            access: Arc::clone(access),
            runtime: Handle::current(),
        }
    }

    /// Another does it from now on.
    pub(crate) fn turn(&self, keeper: Keeper) {
        *self.keeper.write().unwrap_or_else(PoisonError::into_inner) = keeper;
    }

    fn keeper(&self) -> Keeper {
        self.keeper.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish_event(&self, write: Write, reply: Reply) -> Result<(), Problem> {
        let only = |results: Results| results.into_iter().next().expect("one result each");
        let done = move |results: Result<Results, Problem>| reply(results.and_then(only));
        self.publisher.publish_then(write.into(), done)
    }

    /// What somebody may. The audit has it where they may not.
    fn noting<T>(&self, identity: &Identity, may: Result<T, Problem>) -> Result<T, Problem> {
        let audit = &self.access.audit;
        may.inspect_err(|problem| audit.forbidden(problem, Some(identity), (EVENTS_PATH, None)))
    }

    /// Replies, and has the audit know what was done.
    fn audited(&self, deed: Deed, identity: Arc<Identity>, reply: Reply) -> Reply {
        let audit = Arc::clone(&self.access.audit);
        Box::new(move |result| {
            if result.is_ok() {
                audit.record(&deed, Some(&identity), None);
            }
            reply(result);
        })
    }

    /// Has another node do something with an alert.
    fn attend_there(
        &self,
        envoy: &Envoy,
        principal: Principal,
        (errand, reply): (Errand, Reply),
    ) -> Result<(), Problem> {
        let identity = self.access.identity(principal);
        let done = move |done: Result<Done, Problem>| {
            reply(done.and_then(|done| match done {
                Done::Attended => Ok(Published::Board),
                other => Err(other.into_problem()),
            }));
        };
        envoy.send((&identity, None), errand, done)
    }

    /// Does something with an alert.
    fn attend(
        &self,
        here: &Here,
        principal: Principal,
        ((fingerprint, action, kind), reply): ((Fingerprint, Action, DeedKind), Reply),
    ) -> Result<(), Problem> {
        let identity = self.access.identity(principal);
        let attending = Attending::of(Arc::clone(&identity));
        let reply = self.audited(Deed::to(kind, fingerprint), identity, reply);
        let plan = move |desk: &Desk, now| match attending.act(desk, now, (fingerprint, action)) {
            Ok(plan) => (plan, Ok(Published::Board)),
            Err(error) => (Plan::default(), Err(Problem::from(error))),
        };
        let alerting = here.alerting.upgrade().ok_or_else(is_draining)?;
        let (owed, debt) = owed::owe(reply);
        let done = move |planned: Result<_, Problem>| debt.reply(planned.flatten());
        owed.queued(alerting.request_then(plan, done))
    }
}

impl Requests for Errands {
    fn permit(
        &self,
        principal: Principal,
        follows: EffectiveFilter,
    ) -> Result<EffectiveFilter, Problem> {
        let identity = self.access.identity(principal);
        let may = access::permit((&identity.rights, self.access.wider), follows);
        self.noting(&identity, may)
    }

    fn follow_queries(
        &self,
        principal: Principal,
        source: Option<IpAddr>,
        (queries, history): (Vec<AskedQuery>, Option<Duration>),
        reply: QueriesReply,
    ) -> Result<(), Problem> {
        let identity = self.access.identity(principal);
        self.noting(&identity, Asks::Query.check(&identity.rights))?;
        let here = match self.keeper() {
            Keeper::Here(here) => here,
            Keeper::Elsewhere(envoy) => {
                let following =
                    async move { follow_there(&envoy, (&identity, source), queries).await };
                drop(self.runtime.spawn(async move { reply(following.await) }));
                return Ok(());
            }
        };
        let live = here.live.upgrade().ok_or_else(is_draining)?;
        let pasts = Arc::clone(&self.pasts);
        let following = async move {
            let past = history.map(|_| &*pasts);
            let followed = async {
                let queries = live::read(&live, &identity, queries).await?;
                let topics: Vec<Filter> =
                    queries.iter().map(|query| (&query.id().topic()).into()).collect();
                let (who, followings) = ((&*identity, source), here.followings.as_ref());
                let held = envoy::follow_here(&live, (queries, past), who, followings).await?;
                Ok(FollowedQueries(topics.into_iter().zip(held).collect()))
            };
            reply(followed.await);
        };
        drop(self.runtime.spawn(following));
        Ok(())
    }

    fn publish(
        &self,
        principal: Principal,
        post: Post,
        idempotency_key: Option<Box<str>>,
        reply: Reply,
    ) -> Result<(), Problem> {
        let identity = self.access.identity(principal);
        let may = access::permit_publishing(&identity.rights, post.topic());
        self.noting(&identity, may)?;
        let idempotency_key = idempotency_key.map(|key| identity.own_name(&key));
        self.admission.publication()?;
        self.access.allowances.spend(&identity, Sent::Bytes(post.body_bytes()))?;
        self.access.allowances.spend(&identity, Sent::Events(1))?;
        self.access.allowances.name_topic(&identity, post.topic())?;
        let write = self.publisher.posted(post)?.by(|name| identity.own_name(name));
        self.publish_event(Write { idempotency_key, ..write }, reply)
    }

    fn delete(
        &self,
        principal: Principal,
        (topic, key): (Topic, &str),
        condition: Condition,
        reply: Reply,
    ) -> Result<(), Problem> {
        let identity = self.access.identity(principal);
        self.noting(&identity, access::permit_publishing(&identity.rights, &topic))?;
        self.access.allowances.spend(&identity, Sent::Events(1))?;
        let deletion = self.publisher.deletion(topic, key, condition)?;
        self.publish_event(deletion, reply)
    }

    fn delete_all(
        &self,
        principal: Principal,
        (topic, prefix): (Topic, &str),
        reply: Reply,
    ) -> Result<(), Problem> {
        let identity = self.access.identity(principal);
        self.noting(&identity, access::permit_publishing(&identity.rights, &topic))?;
        self.access.allowances.spend(&identity, Sent::Events(1))?;
        // What this connection writes from now on is none of them.
        let deleting = self.publisher.deleting(topic, prefix)?;
        let (publisher, access) = (Arc::clone(&self.publisher), Arc::clone(&self.access));
        drop(self.runtime.spawn(async move {
            let allow = |keys| access.allowances.spend(&identity, Sent::Events(keys));
            reply(publisher.delete_all(deleting, allow).await);
        }));
        Ok(())
    }

    fn touch(
        &self,
        principal: Principal,
        (topic, key): (Topic, &str),
        terms: WriteTerms,
        reply: Reply,
    ) -> Result<(), Problem> {
        let identity = self.access.identity(principal);
        self.noting(&identity, access::permit_publishing(&identity.rights, &topic))?;
        self.access.allowances.spend(&identity, Sent::Events(1))?;
        self.publisher.touch_then((topic, key), terms, reply)
    }

    fn acknowledge(
        &self,
        principal: Principal,
        fingerprint: Fingerprint,
        new: NewAcknowledgement,
        reply: Reply,
    ) -> Result<(), Problem> {
        match self.keeper() {
            Keeper::Here(here) => {
                let action = (fingerprint, Action::Acknowledge(new), DeedKind::Acknowledged);
                self.attend(&here, principal, (action, reply))
            }
            Keeper::Elsewhere(envoy) => {
                let (alert, NewAcknowledgement { by, note }) = (fingerprint.to_string(), new);
                let errand = Errand::Acknowledge { alert: alert.into(), by, note };
                self.attend_there(&envoy, principal, (errand, reply))
            }
        }
    }

    fn unacknowledge(
        &self,
        principal: Principal,
        fingerprint: Fingerprint,
        reply: Reply,
    ) -> Result<(), Problem> {
        match self.keeper() {
            Keeper::Here(here) => {
                let action = (fingerprint, Action::Unacknowledge, DeedKind::Unacknowledged);
                self.attend(&here, principal, (action, reply))
            }
            Keeper::Elsewhere(envoy) => {
                let errand = Errand::Unacknowledge { alert: fingerprint.to_string().into() };
                self.attend_there(&envoy, principal, (errand, reply))
            }
        }
    }

    fn take_samples(
        &self,
        principal: Principal,
        source: Option<IpAddr>,
        json: &[u8],
        reply: SamplesReply,
    ) -> Result<(), Problem> {
        let identity = self.access.identity(principal);
        self.noting(&identity, Asks::Ingest.check(&identity.rights))?;
        let here = match self.keeper() {
            Keeper::Here(here) => here,
            Keeper::Elsewhere(envoy) => {
                let done =
                    move |done: Result<Done, Problem>| reply(done.and_then(Done::into_samples));
                return envoy.send((&identity, source), Errand::samples(json), done);
            }
        };
        self.admission.publication()?;
        self.access.allowances.spend(&identity, Sent::Bytes(json.len()))?;
        let format = match json.first() {
            Some(b'[') => samples::Format::Array,
            _ => samples::Format::Object,
        };
        let sender = Sender::new(Arc::clone(&identity), source);
        let (samples, decoded) = match samples::decode(format, json, clock::now()) {
            Ok(mut decoded) => {
                sender.permit(&mut decoded);
                receiver::allow(&mut decoded, (&self.access.allowances, &identity))?;
                (Ok(std::mem::take(&mut decoded.samples)), decoded)
            }
            Err(error) => {
                let problem = Problem::of_decoder(error.code(), error);
                self.figures.sources.note_refused(Kind::Websocket, &problem, &sender);
                (Err(problem), Decoded::default())
            }
        };
        self.figures.alerting.samples_rejected.add(decoded.rejected as u64);
        // With the last handler of HTTP goes the intake, and with the intake the evaluator.
        let intake = here.intake.upgrade().ok_or_else(is_draining)?;
        let (owed, debt) = owed::owe(reply);
        let (figures, queue) = (Arc::clone(&self.figures), receiver::source(&sender));
        let taken = move |refused: Result<_, Problem>| {
            let outcome =
                |refused| receiver::noted(&figures, Kind::Websocket, (decoded, refused), &sender);
            debt.reply(refused.map(outcome).map(samples_taken));
        };
        owed.queued(intake.take_then(queue, samples, taken))
    }

    fn renew(
        &self,
        principal: Principal,
        source: Option<IpAddr>,
        shown: Box<str>,
        reply: RenewalReply,
    ) -> Result<(), Problem> {
        let access = Arc::clone(&self.access);
        let before = access.identity(principal);
        access.allowances.renew(&before)?;
        let renewing = async move {
            let shown = Shown::bearer(&shown);
            let kind = shown.as_ref().map_or("token", Shown::kind);
            let renewed = match &shown {
                Ok(shown) => access.renewed(&before, shown).await,
                Err(problem) => {
                    access.authenticator.count_unreadable();
                    Err(problem.clone())
                }
            };
            match &renewed {
                Ok(_) if before.means == Means::Pending => {}
                Ok(identity) => {
                    access.audit.record(&Deed::new(DeedKind::Renewed), Some(identity), source);
                }
                Err(problem) => {
                    let from = (EVENTS_PATH, source);
                    access.audit.refused(problem, (kind, Some(&before)), from);
                    access.audit.forbidden(problem, Some(&before), from);
                }
            }
            reply(renewed.map(|identity| access.enter(&identity)));
        };
        drop(self.runtime.spawn(renewing));
        Ok(())
    }
}

/// Has queries stand at another node, and their answers here.
async fn follow_there(
    envoy: &Envoy,
    (identity, source): (&Identity, Option<IpAddr>),
    queries: Vec<AskedQuery>,
) -> Result<FollowedQueries, Problem> {
    let asked = envoy::read(identity, queries).await?;
    let followed = envoy.follow((identity, source), &asked).await?;
    let topics = asked.iter().map(|(_, topic)| Filter::from(topic));
    let held = followed.into_iter().map(|followed| Box::new(followed) as Held);
    Ok(FollowedQueries(topics.zip(held).collect()))
}

/// What became of samples, as a WebSocket's client is told.
fn samples_taken(outcome: Outcome) -> SamplesTaken {
    let rejection = |one: Rejection| {
        let Rejection { line, code, detail, .. } = one;
        SampleRejection { line, code: code.into(), detail }
    };
    let Outcome { accepted, decoded, .. } = outcome;
    let rejections = decoded.rejections.into_iter().map(rejection).collect();
    SamplesTaken { accepted, rejected: decoded.rejected, rejections }
}

fn is_draining() -> Problem {
    Problem::new(Code::Draining, "the server ends")
}
