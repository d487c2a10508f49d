//! Those who show themselves at other nodes: presence is of all of them together.
//!
//! ```text
//! another node: Presence::own ── one stream of NDJSON, signed ──▶ a task here ─▶ Abroad ─▶ Presence here
//! ```
//!
//! Where topics have presence each node follows each other one. Whoever is there by a node that is not heard any
//! more is gone once the grace is over.

mod words;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwire_cluster::NodeMark;
use bellwire_model::limits::{
    NEIGHBOUR_HEARTBEAT_INTERVAL, NEIGHBOUR_SILENCE_MAX, NEIGHBOURS_LOOK_INTERVAL,
    NODE_ANSWER_PATIENCE,
};
use bellwire_model::with_causes;
use bellwire_shards::{Abroad, Moved, Presence};
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::words::{Lines, Word};
use crate::membership::Membership;
use crate::peers::{PeerError, Peers};

/// Where a node is asked for its own.
pub(crate) const PATH: &str = "/v1/nodes/present";

/// How long a node is left alone that was not reached: so long at first, and longer from time to time.
const PAUSE: Duration = Duration::from_millis(200);

/// See [`PAUSE`].
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why a node is not followed any more.
#[derive(Debug, Error)]
enum Over {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("it has ended: {0}")]
    Ended(String),
}

/// Follows all other nodes, until the server begins anew.
pub(crate) async fn follow_all(cluster: Arc<Membership>, presence: Arc<Presence>) {
    let mut followed = Followed::default();
    let following = async {
        let mut looks = interval(NEIGHBOURS_LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let journal = Arc::clone(&cluster.journal);
            let nodes = tokio::task::spawn_blocking(move || journal.nodes()).await;
            // While the engine is away there are those that there were.
            if let Ok(Ok(nodes)) = nodes {
                followed.update(&cluster.peers, &presence, nodes);
            }
        }
    };
    tokio::select! {
        () = following => {}
        () = cluster.begins_anew() => {}
    }
}

/// Nodes that are followed, by what they are called.
#[derive(Debug, Default)]
struct Followed(HashMap<Box<str>, (Box<str>, JoinHandle<()>)>);

impl Followed {
    fn update(&mut self, peers: &Arc<Peers>, presence: &Arc<Presence>, nodes: Vec<NodeMark>) {
        self.0.retain(|id, (address, task)| {
            let stays = nodes.iter().any(|node| node.id == *id && node.address == *address);
            if !stays {
                task.abort();
            }
            stays
        });
        for node in nodes.into_iter().filter(|node| !peers.is_own(node)) {
            let (id, address) = (node.id.clone(), node.address.clone());
            self.0.entry(id).or_insert_with(|| {
                let following = follow(Arc::clone(peers), presence.abroad(), node);
                (address, tokio::spawn(following))
            });
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.values().for_each(|(_, task)| task.abort());
    }
}

/// Follows one, again and again.
async fn follow(peers: Arc<Peers>, mut abroad: Abroad, node: NodeMark) {
    let mut pause = PAUSE;
    loop {
        let over = follow_once(&peers, (&mut abroad, &mut pause), &node).await;
        abroad.lose();
        if let Err(over) = over {
            let error = with_causes(&over);
            tracing::debug!(error, node = %node.id, "Those who are at another node are not heard of.");
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn follow_once(
    peers: &Peers,
    (abroad, pause): (&mut Abroad, &mut Duration),
    node: &NodeMark,
) -> Result<(), Over> {
    let request = Request::get(PATH).body(Bytes::new()).map_err(|_| PeerError::Address)?;
    let answered = peers.ask(node, request, NODE_ANSWER_PATIENCE).await?;
    let (mut body, mut lines) = (answered.response.into_body(), Lines::default());
    abroad.begin();
    loop {
        let frame = timeout(NEIGHBOUR_SILENCE_MAX, body.frame()).await;
        let frame = frame.map_err(|_| Over::Ended("nothing comes any more".to_owned()))?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|error| Over::Ended(with_causes(&error)))?;
        let Ok(piece) = frame.into_data() else { continue };
        for word in lines.take(&piece) {
            match word {
                Word::Moved(moved) => {
                    if !abroad.take(moved) {
                        tracing::debug!("There is no room for all who are at other nodes.");
                    }
                }
                Word::Ready => {
                    abroad.settle();
                    *pause = PAUSE;
                }
            }
        }
    }
}

/// Tells another node of those who are here, for as long as it takes that.
pub(crate) async fn tell<P: From<Bytes>>(presence: Arc<Presence>, to: mpsc::Sender<P>) {
    let Some((all, mut changes)) = presence.own() else { return };
    // It is followed again by whoever has not taken it for so long.
    let send = |words: Bytes| to.send_timeout(words.into(), NEIGHBOUR_SILENCE_MAX);
    for seen in all {
        if send(words::write(&Word::Moved(Moved::Here(seen)))).await.is_err() {
            return;
        }
    }
    if send(words::write(&Word::Ready)).await.is_err() {
        return;
    }
    loop {
        let words = match timeout(NEIGHBOUR_HEARTBEAT_INTERVAL, changes.recv()).await {
            Ok(Ok(moved)) => words::write(&Word::Moved(moved)),
            // It begins anew, with all.
            Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => return,
            Err(_) => Bytes::from_static(b"\n"),
        };
        if send(words).await.is_err() {
            return;
        }
    }
}
