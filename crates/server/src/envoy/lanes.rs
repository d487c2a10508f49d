//! Lanes: what one somebody asks for is done in its order, and others need not wait for it.

use std::fmt;
use std::sync::Arc;

use bellwire_model::NameHasher;
use bellwire_model::limits::{ENVOY_LANES, ENVOY_QUEUED_BYTES_MAX, ENVOY_QUEUED_MAX};
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::message::Done;
use crate::membership::Membership;

/// When to ask again while as much is on its way as may be, in seconds.
const FULL_RETRY_SECONDS: u32 = 1;

/// Called with what has come of it.
pub(super) type Reply = Box<dyn FnOnce(Result<Done, Problem>) + Send>;

/// Something to be done.
struct Job {
    message: Vec<u8>,
    reply: Reply,
    /// Its share of the bytes that wait.
    _room: OwnedSemaphorePermit,
}

/// See the module.
pub(super) struct Lanes {
    lanes: Box<[mpsc::Sender<Job>]>,
    room: Arc<Semaphore>,
    hasher: NameHasher,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}

impl Lanes {
    /// Called within a runtime. They end with this.
    pub(super) fn new(cluster: &Arc<Membership>) -> Self {
        let lane = |_| {
            let (sender, jobs) = mpsc::channel(ENVOY_QUEUED_MAX);
            drop(tokio::spawn(run(Arc::clone(cluster), jobs)));
            sender
        };
        let room = Arc::new(Semaphore::new(ENVOY_QUEUED_BYTES_MAX));
        Self { lanes: (0..ENVOY_LANES).map(lane).collect(), room, hasher: NameHasher::default() }
    }

    /// Has something done behind all that was asked for under the same name.
    pub(super) fn send(&self, name: &str, message: Vec<u8>, reply: Reply) -> Result<(), Problem> {
        let full = || {
            let detail = "as much as may be is on its way to the node that has the samples and alerts";
            Problem::new(Code::PublishersBusy, detail).retry_after(FULL_RETRY_SECONDS)
        };
        let bytes = u32::try_from(message.len()).map_err(|_| full())?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| full())?;
        let lane = std::hash::BuildHasher::hash_one(&self.hasher, name) % ENVOY_LANES as u64;
        let job = Job { message, reply, _room: room };
        self.lanes[lane as usize].try_send(job).map_err(|_| full())
    }
}

async fn run(cluster: Arc<Membership>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(Job { message, reply, _room }) = jobs.recv().await {
        reply(super::call(&cluster, message).await);
    }
}
