//! The standby's end: asks the keeper again and again, and keeps what it is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwire_access::between_nodes::ContentDigest;
use bellwire_alerting::StateCopy;
use bellwire_cluster::{NodeMark, Other};
use bellwire_model::limits::{
    STANDBY_PATIENCE, STANDBY_PIECE_BYTES, STANDBY_POLL, STANDBY_SPACE_KEPT,
};
use bellwire_model::with_causes;
use bellwire_process::clock;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use thiserror::Error;
use tokio::time::{sleep, timeout};

use super::{Asked, InLog, PATH, TOLD, query, read_begun, read_piece};
use crate::membership::Membership;
use crate::peers::PeerError;
use crate::snapshots::{Told, VOUCHED};

/// How long an answer may take to begin, and then to end: longer than one that waits for news.
const ANSWER_PATIENCE: Duration =
    Duration::from_secs(STANDBY_POLL.as_secs() + STANDBY_PATIENCE.as_secs() + 1);

/// How long the keeper is left alone that was not reached.
const AWAY_PAUSE: Duration = Duration::from_millis(200);

/// How long one is left alone that wants no standby, or another one.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// How long nothing is copied where the disk takes nothing.
const FAILED_PAUSE: Duration = Duration::from_secs(10);

/// The pause before a copy begins anew that the keeper does not go on with, and the longest where one after
/// the other gets nothing: what it has cannot be read there.
const VOID_PAUSE: Duration = Duration::from_millis(200);
const VOID_PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often it is looked who is named.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Why nothing was copied.
#[derive(Debug, Error)]
enum Failure {
    #[error("no node keeps the desk now")]
    Nobody,
    #[error("this node is about to keep the desk, or begins anew")]
    Over,
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("its answer breaks off: {0}")]
    CutOff(String),
    #[error("its answer is not of a node of this cluster, or is not whole")]
    Forged,
    #[error("the copy is of no use any more")]
    BeginAnew,
    #[error("the copy cannot be written")]
    Disk(#[from] std::io::Error),
    #[error("the disk has {free} bytes left, and the replica of the log needs them")]
    NoRoom { free: u64 },
}

/// Copies for as long as another node keeps the desk. When this returns nothing is written any more.
pub(super) async fn follow(cluster: Arc<Membership>, folder: PathBuf) {
    let mut follower = Follower::new(cluster, folder);
    follower.resume().await;
    let mut looked_at = None;
    while !follower.cluster.is_over() {
        let (now, mut turn) = (clock::uptime(), Ok(()));
        if looked_at.is_none_or(|at: Duration| now.saturating_sub(at) >= LOOK_INTERVAL) {
            looked_at = Some(now);
            follower.defer();
            turn = follower.check_room().await;
        }
        if turn.is_ok() {
            turn = follower.turn().await;
        }
        let Err(failure) = turn else { continue };
        tracing::debug!(failure = with_causes(&failure), "Nothing is copied of the rules' state.");
        let pause = match failure {
            Failure::BeginAnew => {
                follower.copy = None;
                void_pause(follower.in_vain)
            }
            Failure::Peer(PeerError::Status(_)) if follower.copy.is_none() => REFUSED_PAUSE,
            Failure::Disk(_) | Failure::NoRoom { .. } => {
                follower.leave(&failure).await;
                FAILED_PAUSE
            }
            Failure::Over => return,
            Failure::Nobody | Failure::Peer(_) | Failure::CutOff(_) | Failure::Forged => AWAY_PAUSE,
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = follower.cluster.role_ends() => return,
        }
    }
}

struct Follower {
    cluster: Arc<Membership>,
    folder: PathBuf,
    copy: Option<StateCopy>,
    /// How many copies were begun since one has got something.
    in_vain: u32,
    /// By what the keeper knows what is in the folder.
    stream: Option<u64>,
    /// Bytes that a copy had which this disk had no room for.
    needs_bytes: u64,
    /// Whether it was said that there is no room.
    is_told: bool,
}

/// How long a copy is void before another begins, where so many have got nothing.
fn void_pause(in_vain: u32) -> Duration {
    let doubled = VOID_PAUSE.saturating_mul(2_u32.saturating_pow(in_vain));
    doubled.min(VOID_PAUSE_MAX)
}

/// What an answer has.
struct Answer {
    told: String,
    bytes: Bytes,
}

impl Follower {
    fn new(cluster: Arc<Membership>, folder: PathBuf) -> Self {
        let (copy, stream, in_vain) = (None, None, 0);
        Self { cluster, folder, copy, in_vain, stream, needs_bytes: 0, is_told: false }
    }

    /// Goes on with what an earlier process has copied: the keeper may not have noticed.
    async fn resume(&mut self) {
        let folder = self.folder.clone();
        match aside(move || StateCopy::resume(&folder)).await {
            Ok(copy) => {
                self.stream = copy.as_ref().map(|copy| copy.want().stream());
                self.copy = copy;
            }
            Err(error) => tracing::warn!(%error, "A copy of the rules' state is of no use."),
        }
    }

    /// Leaves the desk to the standby for a moment, where that is another node.
    fn defer(&self) {
        let named = InLog::read(&*self.cluster.journal).ok().flatten();
        self.cluster.tenure.defer(InLog::deference(named.as_ref(), &self.cluster.node));
    }

    /// Whether the disk has room for a copy beside the replica of the log, which is worth more.
    async fn check_room(&self) -> Result<(), Failure> {
        let data = self.folder.parent().map(Path::to_owned).unwrap_or_default();
        let Ok(free) = aside(move || free(&data)).await else { return Ok(()) };
        let needed = if self.copy.is_some() { 0 } else { self.needs_bytes };
        if free < needed.saturating_add(STANDBY_SPACE_KEPT) {
            return Err(Failure::NoRoom { free });
        }
        Ok(())
    }

    /// Copies no further, and gives the disk back what it has, once nobody goes by that: where the keeper ends
    /// meanwhile it is what this node takes over with.
    async fn leave(&mut self, failure: &Failure) {
        self.copy = None;
        if !std::mem::replace(&mut self.is_told, true) || self.stream.is_some() {
            let failure = with_causes(failure);
            tracing::warn!(
                failure,
                "What the rules know cannot be copied here: this node leaves that, and tries again."
            );
        }
        let Some(stream) = self.stream else { return };
        while let Err(failure) = self.asked(Asked::Leave(stream)).await {
            if self.cluster.is_over() {
                return;
            }
            tracing::debug!(
                failure = with_causes(&failure),
                "The keeper has not left its standby."
            );
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => self.defer(),
                () = self.cluster.role_ends() => return,
            }
        }
        let folder = self.folder.clone();
        let removing = move || {
            let bytes = StateCopy::bytes(&folder)?;
            StateCopy::remove(&folder).map(|()| bytes)
        };
        match aside(removing).await {
            Ok(bytes) => {
                (self.stream, self.needs_bytes) = (None, bytes);
                tracing::warn!(bytes, "What was copied here of what the rules know is removed.");
            }
            Err(error) => tracing::warn!(%error, "What was copied here stays, and takes room."),
        }
    }

    /// Asks once.
    async fn turn(&mut self) -> Result<(), Failure> {
        let Some(want) = self.copy.as_ref().map(StateCopy::want) else { return self.begin().await };
        let answer = self.asked(Asked::More(want)).await;
        let Answer { told, bytes } = answer.map_err(|failure| match failure {
            Failure::Peer(PeerError::Status(StatusCode::NOT_FOUND)) => Failure::BeginAnew,
            other => other,
        })?;
        let (piece, digest) = read_piece(&told, bytes.into()).ok_or(Failure::Forged)?;
        let mut found = ContentDigest::default();
        found.update(&piece.bytes);
        if *found.finish() != *digest {
            return Err(Failure::Forged);
        }
        let mut copy = self.copy.take().ok_or(Failure::BeginAnew)?;
        self.copy = Some(aside(move || copy.take(want, &piece).map(|()| copy)).await?);
        self.in_vain = 0;
        Ok(())
    }

    /// Asks to be the standby.
    async fn begin(&mut self) -> Result<(), Failure> {
        let Answer { told, .. } = self.asked(Asked::Begin).await?;
        let begun = read_begun(&told).ok_or(Failure::Forged)?;
        tracing::info!(
            checkpoint = begun.checkpoint,
            "What the rules know is copied from the node that evaluates them."
        );
        let folder = self.folder.clone();
        self.in_vain = self.in_vain.saturating_add(1);
        self.stream = Some(begun.stream);
        self.copy = Some(aside(move || StateCopy::begin(&folder, &begun)).await?);
        self.is_told = false;
        Ok(())
    }

    /// The same as long as that is of use. What has come is written by whoever asked, and not cut off.
    async fn asked(&self, asked: Asked) -> Result<Answer, Failure> {
        tokio::select! {
            answer = self.ask(asked) => answer,
            () = self.cluster.role_ends() => Err(Failure::Over),
        }
    }

    /// What the keeper says, if a node of the cluster has vouched for it.
    async fn ask(&self, asked: Asked) -> Result<Answer, Failure> {
        let other = self.cluster.tenure.seat().other.ok_or(Failure::Nobody)?;
        let Other { node, address: Some(address), .. } = other else { return Err(Failure::Nobody) };
        let (version, run, beat) = ("".into(), 0, 0);
        let (applied, reached) = (None, None);
        let peer = NodeMark { id: node, version, address, run, beat, applied, reached };
        let query = Some(query(asked)).filter(|query| !query.is_empty());
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{PATH}{query}").parse().expect("letters and digits");
        let answered = self.cluster.peers.ask(&peer, request, ANSWER_PATIENCE).await?;
        let text = |name| answered.response.headers().get(name)?.to_str().ok();
        let (Some(told), Some(tag)) = (text(TOLD), text(VOUCHED)) else {
            return Err(Failure::Forged);
        };
        if !self.cluster.peers.key().is_vouched(&Told::vouched(told, &answered.shown), tag) {
            return Err(Failure::Forged);
        }
        let told = told.to_owned();
        let body = Limited::new(answered.response.into_body(), STANDBY_PIECE_BYTES);
        let body = timeout(ANSWER_PATIENCE, body.collect()).await;
        let body = body.map_err(|_| Failure::CutOff("it takes too long".into()))?;
        let body = body.map_err(|error| Failure::CutOff(error.to_string()))?;
        Ok(Answer { told, bytes: body.to_bytes() })
    }
}

/// Bytes that are left where this folder is.
fn free(folder: &Path) -> std::io::Result<u64> {
    let system = rustix::fs::statvfs(folder)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Does what blocks on the disk where nobody waits for it.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_copies_get_nothing_the_later_the_next_begins() {
        let pauses = [0, 1, 2, 5, 6, u32::MAX].map(|in_vain| void_pause(in_vain).as_millis());
        assert_eq!(pauses, [200, 400, 800, 6_400, 10_000, 10_000]);
    }
}
