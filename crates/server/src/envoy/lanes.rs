//! Lanes: what one somebody asks for is done in its order, and others need not wait for it.
//!
//! ```text
//! ada: a mission ◀ another ◀ another ─┐              so many are under way, of as many who ask:
//! bob: a mission ─────────────────────┼─ in turn ──▶ one of each, then whose turn it is
//! eve: a mission ◀ another ───────────┘
//! ```

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::NameMap;
use bellwire_model::limits::{
    ENVOY_JOB_BYTES_MIN, ENVOY_LANES, ENVOY_QUEUED_BYTES_MAX, ENVOY_QUEUED_MAX,
};
use bellwire_wire::problem::{Code, Problem};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::mission::Done;
use crate::shares::{Share, Shares};

/// When to ask again while as much is on its way as may be, in seconds.
const FULL_RETRY_SECONDS: u32 = 1;

/// Called with what has come of it.
pub(super) type Reply = Box<dyn FnOnce(Result<Done, Problem>) + Send>;

/// What a mission comes to.
type Doing = Pin<Box<dyn Future<Output = Result<Done, Problem>> + Send>>;

/// Something to be done.
struct Job {
    mission: Vec<u8>,
    reply: Reply,
    /// Its share of the bytes that wait.
    _room: Share<Box<str>>,
}

/// See the module.
pub(super) struct Lanes(Arc<Inner>);

struct Inner {
    perform: Box<dyn Fn(Vec<u8>) -> Doing + Send + Sync>,
    /// What waits, by who has asked for it. Nobody is here of whom nothing waits or is under way.
    queues: Mutex<NameMap<Box<str>, VecDeque<Job>>>,
    room: Arc<Shares<Box<str>>>,
    /// Those who ask get one in the order in which they have asked.
    turns: Semaphore,
    runtime: Handle,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("askers", &self.0.queues().len()).finish_non_exhaustive()
    }
}

impl Lanes {
    /// In which missions are done so. Called within a runtime.
    pub(super) fn new<D>(perform: impl Fn(Vec<u8>) -> D + Send + Sync + 'static) -> Self
    where
        D: Future<Output = Result<Done, Problem>> + Send + 'static,
    {
        Self(Arc::new(Inner {
            perform: Box::new(move |mission| Box::pin(perform(mission))),
            queues: Mutex::default(),
            room: Shares::new(ENVOY_QUEUED_BYTES_MAX),
            turns: Semaphore::new(ENVOY_LANES),
            runtime: Handle::current(),
        }))
    }

    /// Has something done behind all that was asked for under the same name.
    pub(super) fn send(&self, name: &str, mission: Vec<u8>, reply: Reply) -> Result<(), Problem> {
        let full = || {
            let detail = "as much as may be is on its way to the node that has the samples and alerts, of \
                          what you ask for or of all";
            Problem::new(Code::PublishersBusy, detail).retry_after(FULL_RETRY_SECONDS)
        };
        let bytes = mission.len().max(ENVOY_JOB_BYTES_MIN);
        let room = self.0.room.take(name.into(), bytes).ok_or_else(full)?;
        let job = Job { mission, reply, _room: room };
        match self.0.queues().entry(name.into()) {
            Entry::Occupied(queue) if queue.get().len() >= ENVOY_QUEUED_MAX => return Err(full()),
            Entry::Occupied(mut queue) => queue.get_mut().push_back(job),
            Entry::Vacant(place) => {
                place.insert(VecDeque::from([job]));
                drop(self.0.runtime.spawn(Arc::clone(&self.0).run(name.into())));
            }
        }
        Ok(())
    }
}

impl Inner {
    fn queues(&self) -> MutexGuard<'_, NameMap<Box<str>, VecDeque<Job>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does all of somebody's, one by one, each when it is their turn.
    async fn run(self: Arc<Self>, name: Box<str>) {
        loop {
            let turn = self.turns.acquire().await.expect("the semaphore is never closed");
            let Some(Job { mission, reply, _room }) = self.next(&name) else { return };
            reply((self.perform)(mission).await);
            drop(turn);
        }
    }

    /// What comes next of somebody; where there is nothing they are gone.
    fn next(&self, name: &str) -> Option<Job> {
        let mut queues = self.queues();
        let job = queues.get_mut(name).and_then(VecDeque::pop_front);
        if job.is_none() {
            queues.remove(name);
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Missions that are done once somebody lets them, and what was done.
    struct Bench {
        lanes: Lanes,
        gate: Arc<Semaphore>,
        done: mpsc::Receiver<Vec<u8>>,
    }

    fn bench() -> Bench {
        let (told, done) = mpsc::channel(100_000);
        let gate = Arc::new(Semaphore::new(0));
        let opens = Arc::clone(&gate);
        let lanes = Lanes::new(move |mission: Vec<u8>| {
            let (told, opens) = (told.clone(), Arc::clone(&opens));
            async move {
                tokio::task::yield_now().await;
                if mission.starts_with(b"slow") {
                    opens.acquire().await.expect("it stays open").forget();
                }
                told.send(mission).await.expect("somebody looks");
                Ok(Done::Attended)
            }
        });
        Bench { lanes, gate, done }
    }

    impl Bench {
        fn send(&self, name: &str, mission: &str) -> Result<(), Problem> {
            self.lanes.send(name, mission.into(), Box::new(|_| ()))
        }

        async fn next(&mut self) -> String {
            String::from_utf8(self.done.recv().await.expect("one")).expect("a text")
        }
    }

    #[tokio::test]
    async fn who_asks_much_holds_nobody_else_up() {
        let mut bench = bench();
        // As many as there may be at once, of whom each but for one waits for the keeper.
        for number in 1..ENVOY_LANES {
            bench.send(&format!("slow {number}"), "slow").expect("room");
        }
        for number in 0..100 {
            bench.send("much", &format!("much {number}")).expect("room");
        }
        for name in ["a", "b", "c"] {
            bench.send(name, name).expect("room");
        }
        // Whoever came behind a hundred is done behind one of them.
        let mut seen = Vec::new();
        for _ in 0..8 {
            seen.push(bench.next().await);
        }
        for name in ["a", "b", "c"] {
            assert!(seen.iter().any(|it| it == name), "{seen:?}");
        }
        // And all of the one in their order.
        let mut of_one: Vec<_> = seen.into_iter().filter(|it| it.starts_with("much")).collect();
        while of_one.len() < 100 {
            of_one.push(bench.next().await);
        }
        let expected: Vec<String> = (0..100).map(|number| format!("much {number}")).collect();
        assert_eq!(of_one, expected);
        bench.gate.add_permits(ENVOY_LANES);
        for _ in 1..ENVOY_LANES {
            assert_eq!(bench.next().await, "slow");
        }
        while !bench.lanes.0.queues().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_asks_much_leaves_room_for_others() {
        let bench = bench();
        let large = "slow".repeat(ENVOY_QUEUED_BYTES_MAX / 64);
        let sent = (0..64).take_while(|_| bench.send("much", &large).is_ok()).count();
        assert_eq!(sent, 8, "a half of the bytes");
        bench.send("little", "slow").expect("there is room for others");
        let refused = bench.send("much", "slow").expect_err("it has its share");
        assert_eq!(refused.code, Code::PublishersBusy);
        // So many of one, however small.
        let small = (0..=ENVOY_QUEUED_MAX).filter(|_| bench.send("many", "slow").is_ok()).count();
        assert_eq!(small, ENVOY_QUEUED_MAX);
    }
}
