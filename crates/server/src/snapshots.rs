//! Snapshots of a replica, for nodes that cannot get there by the log.
//!
//! ```text
//! pin the log ─▶ copy, without a name ─▶ digest ─▶ head, vouched for ─▶ bytes ─▶ let go of the pin, later
//! ```
//!
//! All of it happens beside the server: on threads that may block, and a piece at a time.

pub(crate) mod fetch;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;

use bellwire_access::between_nodes::ContentDigest;
use bellwire_cluster::{ClusterJournal, Pin, place_of};
use bellwire_journal::{DiskJournal, Snapshot};
use bellwire_model::limits::{SNAPSHOT_PIECE_BYTES, SNAPSHOTS_SENT_MAX};
use bellwire_model::{Epoch, with_causes};
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::HeaderName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::peers::FromNode;

/// What an answer says of its snapshot.
pub(crate) const TOLD: HeaderName = HeaderName::from_static("bellwire-snapshot");

/// That a node has vouched for this, for whoever asked.
pub(crate) const VOUCHED: HeaderName = HeaderName::from_static("bellwire-vouched");

/// Where the snapshot is asked for.
pub(crate) const PATH: &str = "/v1/nodes/snapshot";

/// When to ask again where another one is sent, in seconds.
const BUSY_S: u32 = 10;

/// What a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) epoch: Epoch,
    /// Up to where it was applied, as a place in the log.
    pub(crate) position: u64,
    pub(crate) bytes: u64,
    digest: Box<str>,
}

impl Told {
    /// As a header has it.
    pub(crate) fn to_text(&self) -> String {
        format!("{} {} {} {}", self.epoch.get(), self.position, self.bytes, self.digest)
    }

    /// Reads that.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [epoch, position, bytes, digest] = parts[..] else { return None };
        Some(Self {
            epoch: Epoch::new(epoch.parse().ok()?),
            position: position.parse().ok()?,
            bytes: bytes.parse().ok()?,
            digest: digest.into(),
        })
    }

    /// What a node vouches for: this, to whoever has shown that.
    pub(crate) fn vouched(told: &str, shown: &str) -> Vec<u8> {
        format!("{shown}\n{told}").into_bytes()
    }
}

/// Hands them out.
#[derive(Debug)]
pub(crate) struct Snapshots {
    journal: Arc<ClusterJournal>,
    replica: Arc<DiskJournal>,
    places: Arc<Semaphore>,
}

/// One that can be sent.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) told: Told,
    file: File,
    /// The log is kept for whoever gets it.
    _pin: Pin,
    _place: OwnedSemaphorePermit,
}

impl Snapshots {
    /// Those of this replica, which is the journal's.
    pub(crate) fn new(journal: Arc<ClusterJournal>, replica: Arc<DiskJournal>) -> Self {
        Self { journal, replica, places: Arc::new(Semaphore::new(SNAPSHOTS_SENT_MAX)) }
    }

    /// Whether there is something to be handed out. One that has lost the log itself has nothing.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.journal.needs_snapshot().is_none() && self.journal.applied().is_some() {
            return Ok(());
        }
        let detail =
            "this node has not applied what the log of the cluster has, and gives no snapshot";
        Err(Problem::new(Code::JournalUnavailable, detail))
    }

    /// The same, and a place for whoever asks now.
    pub(crate) fn check_place(&self) -> Result<(), Problem> {
        self.check()?;
        if self.places.available_permits() == 0 { Err(busy()) } else { Ok(()) }
    }

    /// Makes one, for the node that asks.
    pub(crate) async fn make(&self, from: &FromNode) -> Result<Made, Problem> {
        self.check()?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let (journal, replica) = (Arc::clone(&self.journal), Arc::clone(&self.replica));
        let node = from.node.clone();
        let made =
            tokio::task::spawn_blocking(move || make(&journal, &replica, (&node, place))).await;
        made.map_err(|error| Problem::new(Code::JournalUnavailable, error))?
    }
}

fn busy() -> Problem {
    let detail = "a snapshot is made or sent already: come back later, or ask another node";
    Problem::new(Code::ReadersBusy, detail).retry_after(BUSY_S)
}

fn make(
    journal: &ClusterJournal,
    replica: &DiskJournal,
    (node, place): (&str, OwnedSemaphorePermit),
) -> Result<Made, Problem> {
    let failed = |error: &dyn std::error::Error| {
        let detail = format!("no snapshot can be made: {}", with_causes(error));
        tracing::warn!("{detail}");
        Problem::new(Code::JournalUnavailable, detail)
    };
    // Before it is made: what follows it is not to go meanwhile.
    let pin = journal.pin(node).ok_or_else(|| {
        Problem::new(Code::JournalUnavailable, "nothing was applied yet: there is no snapshot")
    })?;
    let Snapshot { mut file, bytes, epoch, tail } =
        replica.snapshot().map_err(|error| failed(&error))?;
    let mut digest = ContentDigest::default();
    let mut piece = vec![0; SNAPSHOT_PIECE_BYTES];
    let read = std::iter::from_fn(|| match file.read(&mut piece) {
        Ok(0) => None,
        Ok(read) => {
            digest.update(&piece[..read]);
            Some(Ok(()))
        }
        Err(error) => Some(Err(error)),
    });
    read.collect::<Result<(), _>>().map_err(|error| failed(&error))?;
    file.rewind().map_err(|error| failed(&error))?;
    let (position, digest) = (place_of(tail).get(), digest.finish().into());
    let told = Told { epoch, position, bytes, digest };
    tracing::info!(node, bytes, position, "A snapshot was made for another node.");
    Ok(Made { told, file, _pin: pin, _place: place })
}

impl Made {
    /// What comes next of it; nothing at its end. Blocks on the disk.
    pub(crate) fn next(&mut self) -> std::io::Result<Bytes> {
        let mut piece = Vec::with_capacity(SNAPSHOT_PIECE_BYTES);
        (&mut self.file).take(SNAPSHOT_PIECE_BYTES as u64).read_to_end(&mut piece)?;
        Ok(piece.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_as_it_was() {
        let told =
            Told { epoch: Epoch::new(u32::MAX), position: 7, bytes: 1 << 40, digest: "d".into() };
        assert_eq!(Told::from_text(&told.to_text()), Some(told));
        for text in ["", "1 2 3", "1 2 3 d e", "-1 2 3 d", "1 x 3 d", "4294967296 2 3 d"] {
            assert_eq!(Told::from_text(text), None, "{text}");
        }
    }
}
