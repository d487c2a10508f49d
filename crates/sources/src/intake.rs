//! The way to the rules, for what brings samples by itself and not as the request of a handler.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bellwire_access::{Identity, Means};
use bellwire_ingest::Decoded;
use bellwire_model::{Event, Holder, network_of};
use bellwire_wire::problem::Problem;

use crate::kind::Kind;
use crate::outcome::Outcome;

/// Whose samples they are.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Who has sent them, and what they may.
    pub identity: Arc<Identity>,
    /// Where from; it has its share of the queue.
    pub address: Option<IpAddr>,
    /// Of what was asked for, where it was not sent.
    pub target: Option<Arc<ScrapedTarget>>,
}

/// A target that was asked for what it exposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapedTarget {
    /// Its job.
    pub job: String,
    /// Where it is.
    pub url: String,
}

impl Sender {
    /// Whoever has sent something by themselves.
    pub fn new(identity: Arc<Identity>, address: Option<IpAddr>) -> Self {
        Self { identity, address, target: None }
    }

    /// Rejects the samples that its rights do not allow.
    pub fn permit(&self, decoded: &mut Decoded) {
        let rights = &self.identity.rights.ingest;
        if !rights.is_all() {
            decoded.keep(|series| rights.passes(series));
        }
    }

    /// Whose share of a room it takes: a subject's, or that of the network of whoever has shown nothing.
    pub fn holder(&self) -> Holder {
        match self.identity.means {
            Means::Open | Means::Anonymous | Means::Pending => {
                let network = self.address.map(network_of);
                Holder::named(&network.map_or_else(String::new, |network| network.to_string()))
            }
            _ => Holder::named(&self.identity.own_name("")),
        }
    }
}

/// Samples that go to the rules together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What brings them.
    pub kind: Kind,
    /// The samples, and what could not be read beside them.
    pub decoded: Decoded,
    /// Whose they are.
    pub sender: Sender,
}

/// What one sender has sent, of several whose samples go to the rules together.
#[derive(Clone, Debug)]
pub struct Part {
    /// The samples, and what could not be read beside them.
    pub decoded: Decoded,
    /// The events, once they are admitted, each with its line.
    pub events: Vec<(usize, Event)>,
    /// Whose they are.
    pub sender: Sender,
}

/// What becomes of the parts of a batch: waited for.
pub type PartsTaken = Pin<Box<dyn Future<Output = Result<Vec<Outcome>, Problem>> + Send>>;

/// What becomes of each of several events, in their order: waited for.
pub type EventsTaken =
    Pin<Box<dyn Future<Output = Result<Vec<Result<(), Problem>>, Problem>> + Send>>;

/// What becomes of a batch: waited for.
pub type Taken = Pin<Box<dyn Future<Output = Result<Outcome, Problem>> + Send>>;

/// Where batches go: what the sender may not send is refused, what is left is applied as a whole,
/// and counted. It is the server's.
pub trait Intake: Send + Sync + fmt::Debug {
    /// Has the rules see a batch. A problem says that they have seen nothing of it, or that it is
    /// not known whether what they make of it is kept: it is to be sent again where
    /// [`is_transient`](Problem::is_transient) or the disk is full.
    fn take(&self, batch: Batch) -> Taken;

    /// Counts that nothing of what a source was to bring could be looked at, for a reason that is a
    /// literal of the program.
    fn note_unread(&self, kind: Kind, reason: &'static str);

    /// Whether more can be taken in as far as the memory of the process goes. Where not, sources that
    /// can wait do.
    fn has_room(&self) -> bool;

    /// Refuses what the sender of a part may not send, and takes what is left from what they may send
    /// now: once, however often [`take_together`](Self::take_together) is tried. A problem, which is
    /// counted, says that they may send nothing now.
    fn admit(&self, kind: Kind, part: Part) -> Result<Part, Problem>;

    /// Publishes events that are admitted, those of streams whole or not at all: they are durable then. A
    /// problem of all says that nothing was done, and whether to try again, as with
    /// [`take`](Self::take); one of a single event that its state topic has no room for it.
    fn publish(&self, events: Vec<Event>) -> EventsTaken;

    /// The same as [`take`](Self::take) for a batch of several senders, which is applied as a whole. Its
    /// parts are admitted.
    fn take_together(&self, kind: Kind, parts: Vec<Part>) -> PartsTaken;
}
