//! Has the keeper of the desk do what clients of this node ask for otherwise than by a request of HTTP that could
//! be passed on: over a WebSocket, and with a stream that goes on here.
//!
//! ```text
//! client ─▶ shard, or api::events ─▶ Envoy ── POST, signed: in whose name, from where, what ──▶ keeper: Errands
//!                                         ◀─────────────── what has come of it ──────────────
//! ```
//!
//! The credential is not there any more when a WebSocket asks: this node has verified it, and says whose it is.
//! What they may is asked by the keeper.

mod followings;
mod lanes;
pub(crate) mod mission;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwire_access::Identity;
use bellwire_alerting::{LiveQueries, LiveQuery};
use bellwire_cluster::Other;
use bellwire_model::limits::{
    ENVOY_ANSWER_BYTES_MAX, ENVOY_ASKERS_TRIED_MAX, ENVOY_FOLLOWS_MAX, LIVE_LINGER,
    MIRROR_BEGIN_PATIENCE, RELAY_TIMEOUT,
};
use bellwire_model::{AskedQuery, Filter, FilterSet, QueryId, Topic, with_causes};
use bellwire_process::clock::Ticker;
use bellwire_shards::{Held, States};
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

pub(crate) use self::followings::{Following, Followings};
use self::lanes::Lanes;
use self::mission::{Done, Errand, Mission};
use crate::access;
use crate::live::{self, QueryPasts};
use crate::membership::Membership;
use crate::mirror::Mirror;
use crate::page::Elsewhere as _;
use crate::relay::{self, Effect};
use crate::turns::Asker;

/// Where the keeper is asked.
pub(crate) const PATH: &str = "/v1/nodes/errands";

/// How often it is looked whether queries are to be asked for again.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often it is looked whether an answer is here.
const ANSWER_INTERVAL: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Envoy {
    cluster: Arc<Membership>,
    mirror: Arc<Mirror>,
    states: Arc<States>,
    lanes: Lanes,
    followings: Arc<Followings>,
    /// Places for queries that are asked for.
    places: Semaphore,
}

/// A query that is to be followed, and where its answer is.
pub(crate) type Asked = (AskedQuery, Topic);

impl Envoy {
    /// Called within a runtime.
    pub(crate) fn new(
        cluster: &Arc<Membership>,
        (mirror, followings): (&Arc<Mirror>, &Arc<Followings>),
        states: &Arc<States>,
    ) -> Arc<Self> {
        let of_lanes = Arc::clone(cluster);
        let perform = move |mission| {
            let cluster = Arc::clone(&of_lanes);
            async move { call(&cluster, mission).await }
        };
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            mirror: Arc::clone(mirror),
            states: Arc::clone(states),
            lanes: Lanes::new(perform),
            followings: Arc::clone(followings),
            places: Semaphore::new(ENVOY_FOLLOWS_MAX),
        })
    }

    /// Has something done that keeps its order among what the same somebody asks for from there. Replies from
    /// whatever thread; never blocks.
    pub(crate) fn send(
        &self,
        (identity, from): (&Identity, Option<IpAddr>),
        errand: Errand,
        reply: impl FnOnce(Result<Done, Problem>) + Send + 'static,
    ) -> Result<(), Problem> {
        let mission = Mission::new(identity, from, errand).ok_or_else(nobody_answers)?;
        let asker = Asker::of(identity, from);
        self.lanes.send(&asker.name(), mission.to_bytes(), Box::new(reply))
    }

    /// Follows queries of somebody: returns once all of them stand, and their answers are here.
    pub(crate) async fn follow(
        &self,
        (identity, from): (&Identity, Option<IpAddr>),
        queries: &[Asked],
    ) -> Result<Vec<Following>, Problem> {
        let asker = Asker::of(identity, from).name();
        let mut followed = Vec::with_capacity(queries.len());
        for (asked, topic) in queries {
            let mission = Mission::new(identity, from, Errand::query(asked));
            let bytes = mission.ok_or_else(nobody_answers)?.to_bytes();
            let held = self.followings.enter(topic.clone(), (bytes.clone(), &asker))?;
            let place = timeout(RELAY_TIMEOUT, self.places.acquire()).await;
            let place =
                place.map_err(|_| nobody_answers())?.expect("the semaphore is never closed");
            let done = call(&self.cluster, bytes).await?;
            drop(place);
            let Done::Stands { keys } = done else { return Err(done.into_problem()) };
            self.is_here(topic.into(), keys).await;
            followed.push(held);
        }
        Ok(followed)
    }

    /// Waits until so many keys are here, or fewer have stayed for long.
    async fn is_here(&self, topic: Filter, keys: usize) {
        let filters = FilterSet::from(topic.clone());
        let is_here = || {
            !self.mirror.lacks(&filters) && live::keys(&self.states, vec![topic.clone()]) >= keys
        };
        let arriving = async {
            while !is_here() {
                sleep(ANSWER_INTERVAL).await;
            }
        };
        // What goes meanwhile does not come.
        let _ = timeout(MIRROR_BEGIN_PATIENCE, arriving).await;
    }

    /// Has the queries stand on, at whichever node is the keeper, until it is this one.
    pub(crate) async fn keep_standing(self: Arc<Self>) {
        let (mut asked_at, mut of) = (Ticker::start(), None);
        loop {
            let keeper = self.keeper();
            let is_due = keeper != of || asked_at.elapsed() >= LIVE_LINGER / 3;
            if let Some(node) = keeper.filter(|_| is_due)
                && self.ask_again().await
            {
                self.mirror.stand_at(&node);
                (asked_at, of) = (Ticker::start(), Some(node));
            }
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                () = self.cluster.role_ends() => return,
            }
        }
    }

    fn keeper(&self) -> Option<Box<str>> {
        self.cluster.tenure.seat().other.map(|other| other.node)
    }

    /// Asks for all again. `false`: the keeper is not reached.
    async fn ask_again(&self) -> bool {
        for askers in self.followings.all(ENVOY_ASKERS_TRIED_MAX) {
            // Whoever may not any more is followed by whoever may.
            for asked in askers {
                let asking = call(&self.cluster, asked.to_vec());
                match timeout(MIRROR_BEGIN_PATIENCE, asking).await {
                    Ok(Ok(Done::Stands { .. })) => break,
                    Ok(Ok(done)) => {
                        let problem = done.into_problem();
                        tracing::debug!(?problem, "A query that is followed does not stand.");
                    }
                    Ok(Err(_)) | Err(_) => return false,
                }
            }
        }
        true
    }
}

/// Where the answers of queries are, to somebody who sees what this identity does. To read an expression that is
/// full of patterns takes long.
pub(crate) async fn read(
    identity: &Identity,
    asked: Vec<AskedQuery>,
) -> Result<Vec<Asked>, Problem> {
    let sight = access::sight(&identity.rights);
    let read = move || -> Result<Vec<Asked>, Problem> {
        let topic = |asked: &AskedQuery| match asked {
            AskedQuery::Expression(text) => Ok(LiveQuery::read(text, &sight)?.id().topic()),
            AskedQuery::Named(name) => Ok(QueryId::named(name, &sight).topic()),
        };
        asked.into_iter().map(|asked| topic(&asked).map(|topic| (asked, topic))).collect()
    };
    let read = tokio::task::spawn_blocking(read).await;
    let mut read = read.map_err(|error| Problem::new(Code::Draining, error))??;
    read.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
    read.dedup_by(|(_, one), (_, other)| one == other);
    Ok(read)
}

/// Asks the keeper.
async fn call(cluster: &Membership, mission: Vec<u8>) -> Result<Done, Problem> {
    if cluster.is_over() {
        return Err(relay::taken_over(Effect::None));
    }
    let seat = cluster.tenure.seat();
    let Some(Other { node, address: Some(address), .. }) = &seat.other else {
        return Err(relay::nobody_keeps("no node has the samples and alerts now"));
    };
    let asking = async {
        let request = Request::builder().method(Method::POST).uri(PATH);
        let request = request.body(Bytes::from(mission)).map_err(|error| error.to_string())?;
        let answered = cluster.peers.ask_at((node, address), request, RELAY_TIMEOUT).await;
        let body = answered.map_err(|error| with_causes(&error))?.response.into_body();
        let body = Limited::new(body, ENVOY_ANSWER_BYTES_MAX).collect();
        let body = timeout(RELAY_TIMEOUT, body).await.map_err(|error| error.to_string())?;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    };
    tokio::select! {
        done = asking => done.map_err(|error: String| {
            tracing::debug!(error, %address, "The keeper of the desk was not asked.");
            relay::in_doubt("the node that has the alerts is not reached", Effect::Maybe)
        }),
        // A keeper that is gone without a word must not keep this node from taking over.
        () = cluster.role_ends() => Err(relay::taken_over(Effect::Maybe)),
        () = cluster.is_succeeded(&seat) => Err(relay::taken_over(Effect::Maybe)),
    }
}

/// Follows queries at this node, which is the keeper: returns once all of them stand. They are known so that they
/// are followed on where another node is.
pub(crate) async fn follow_here(
    live: &Arc<LiveQueries>,
    (queries, pasts): (Vec<LiveQuery>, Option<&QueryPasts>),
    (identity, from): (&Identity, Option<IpAddr>),
    followings: Option<&Arc<Followings>>,
) -> Result<Vec<Held>, Problem> {
    let who = Asker::of(identity, from);
    let known = |query: &LiveQuery| {
        // What nobody else answers for ends with this keeper.
        let mission = Mission::new(identity, from, Errand::query(&query.to_asked()));
        let (Some(mission), Some(followings)) = (mission, followings) else { return Ok(None) };
        let asked = (mission.to_bytes(), &*who.name());
        followings.enter(query.id().topic(), asked).map(Some)
    };
    let known = queries.iter().map(known).collect::<Result<Vec<_>, Problem>>()?;
    let followed = live::follow(live, (queries, pasts), &who).await?;
    Ok(followed.into_iter().zip(known).map(|it| Box::new(it) as Held).collect())
}

fn nobody_answers() -> Problem {
    let detail = "another node of the cluster does this, for those who have shown a credential that is for \
                  more than one stream";
    Problem::new(Code::StandsInCluster, detail)
}
