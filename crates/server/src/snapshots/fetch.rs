//! Gets a snapshot from another node, and puts it in the place of the replica that there is.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use bellwire_access::between_nodes::ContentDigest;
use bellwire_cluster::{NodeMark, nodes};
use bellwire_journal::Arrival;
use bellwire_model::limits::{
    NODE_ANSWER_PATIENCE, SNAPSHOT_MADE_PATIENCE, SNAPSHOT_PEERS_PATIENCE, SNAPSHOT_PIECE_PATIENCE,
};
use bellwire_model::{Epoch, with_causes};
use bellwire_process::clock;
use bellwire_shared_log::SharedLog;
use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::BodyExt as _;
use thiserror::Error;
use tokio::time::{sleep, timeout};

use super::{PATH, TOLD, Told, VOUCHED};
use crate::peers::{Answered, PeerError, Peers};

/// How long a node is watched, to see whether it is there: longer than it takes to say so.
const WATCH: Duration = Duration::from_millis(1_500);

/// Why nobody has given one.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("the nodes of the cluster")]
    Nodes(#[from] bellwire_cluster::Error),
    #[error("the system refuses what it takes to ask other nodes")]
    System(#[from] io::Error),
    #[error("there is no other node to ask")]
    Alone,
    #[error("no other node has given one: {0}")]
    Refused(String),
}

/// Why one has not.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("its answer is not of a node of this cluster, or is not whole")]
    Forged,
    #[error("it is in another epoch of the log")]
    OtherEpoch,
    #[error("it was cut off: {0}")]
    CutOff(String),
    #[error(transparent)]
    Journal(#[from] bellwire_journal::Error),
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Gets one of this epoch of the log, from whichever node has it, into a data directory that nobody uses.
/// Blocks, on a thread of its own.
pub(crate) fn fetch(
    log: &dyn SharedLog,
    peers: &Peers,
    (data, epoch): (&Path, Epoch),
) -> Result<(), FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = async { from_anybody(log, peers, (data, epoch)).await };
    // Whoever calls may be within a runtime.
    std::thread::scope(|scope| {
        let fetching = scope.spawn(move || runtime.block_on(work));
        fetching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

async fn from_anybody(
    log: &dyn SharedLog,
    peers: &Peers,
    (data, epoch): (&Path, Epoch),
) -> Result<(), FetchError> {
    let until = clock::uptime() + SNAPSHOT_PEERS_PATIENCE;
    loop {
        let others = others(log, peers, epoch).await?;
        if others.is_empty() {
            return Err(FetchError::Alone);
        }
        let mut refusals = Vec::new();
        for peer in others {
            match from_one(peers, &peer, (data, epoch)).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::warn!(node = %peer.id, address = %peer.address, error, "A node gave no snapshot.");
                    refusals.push(format!("{} at {}: {error}", peer.id, peer.address));
                }
            }
        }
        if clock::uptime() >= until {
            return Err(FetchError::Refused(refusals.join("; ")));
        }
    }
}

/// The other nodes: those first that are seen to be there and in this epoch, and of these who has applied
/// most.
async fn others(
    log: &dyn SharedLog,
    peers: &Peers,
    epoch: Epoch,
) -> Result<Vec<NodeMark>, FetchError> {
    let before = nodes(log)?;
    sleep(WATCH).await;
    let mut now: Vec<NodeMark> = nodes(log)?.into_iter().filter(|it| !peers.is_own(it)).collect();
    let has_grown = |mark: &NodeMark| !before.contains(mark);
    now.sort_by_key(|mark| {
        let applied = mark.applied.filter(|applied| applied.epoch == epoch);
        let applied = applied.map(|applied| applied.position);
        std::cmp::Reverse((has_grown(mark), applied))
    });
    Ok(now)
}

async fn from_one(
    peers: &Peers,
    peer: &NodeMark,
    (data, epoch): (&Path, Epoch),
) -> Result<(), Failure> {
    // One that hangs is not waited for as long as a snapshot takes.
    peers.ask(peer, request(Method::HEAD), NODE_ANSWER_PATIENCE).await?;
    let answered = peers.ask(peer, request(Method::GET), SNAPSHOT_MADE_PATIENCE).await?;
    let told = told(peers, &answered).ok_or(Failure::Forged)?;
    if told.epoch != epoch {
        return Err(Failure::OtherEpoch);
    }
    tracing::info!(node = %peer.id, bytes = told.bytes, position = told.position, "A snapshot comes.");
    let mut arrival = Arrival::begin(data, told.bytes)?;
    let (mut body, mut digest, mut bytes) =
        (answered.response.into_body(), ContentDigest::default(), 0);
    loop {
        let frame = timeout(SNAPSHOT_PIECE_PATIENCE, body.frame()).await;
        let frame = frame.map_err(|_| {
            let seconds = SNAPSHOT_PIECE_PATIENCE.as_secs();
            Failure::CutOff(format!("nothing came for {seconds} s"))
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| Failure::CutOff(with_causes(&error)))?;
        let Ok(piece) = frame.into_data() else { continue };
        bytes += piece.len() as u64;
        if bytes > told.bytes {
            return Err(Failure::Forged);
        }
        digest.update(&piece);
        arrival.file().write_all(&piece)?;
    }
    if bytes != told.bytes || *digest.finish() != *told.digest {
        return Err(Failure::Forged);
    }
    arrival.install(epoch)?;
    tracing::info!(node = %peer.id, "The snapshot is in place.");
    Ok(())
}

/// Whether a node would give one.
pub(crate) async fn is_there(peers: &Peers, peer: &NodeMark) -> bool {
    peers.ask(peer, request(Method::HEAD), NODE_ANSWER_PATIENCE).await.is_ok()
}

fn request(method: Method) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_static(PATH);
    request
}

/// What an answer says of its snapshot, if a node has vouched for it.
fn told(peers: &Peers, answered: &Answered) -> Option<Told> {
    let text = |name| answered.response.headers().get(name)?.to_str().ok();
    let (told, tag) = (text(TOLD)?, text(VOUCHED)?);
    let is_vouched = peers.key().is_vouched(&Told::vouched(told, &answered.shown), tag);
    is_vouched.then(|| Told::from_text(told)).flatten()
}
