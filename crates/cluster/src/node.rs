//! A node as it runs: three threads, or none where its turns are taken by a simulation.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwire_journal::Replica;
use bellwire_process::{clock, crash};
use bellwire_shared_log::SharedLog;

use crate::Error;
use crate::applies::Applies;
use crate::clock::Clock;
use crate::envelope::NodeBits;
use crate::follower::Follower;
use crate::house::House;
use crate::journal::ClusterJournal;
use crate::lease::{Lease, LeaseTiming};
use crate::nodes::{Announcer, NodeMark, is_node_id};
use crate::outbox::Outbox;
use crate::pins::Pins;
use crate::queue::Content;
use crate::raising::Vigil;
use crate::shared::Shared;
use crate::sightings::Sightings;
use crate::standing::{Standings, Watcher};
use crate::threads::Threads;
use crate::watchers::Watchers;
use crate::window::Waiter;

/// The lease of who has keys go.
const KEEPER: &str = "keeper";

/// How long a thread waits at most before it looks whether the node is being closed.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What a node is.
pub struct NodeOptions {
    /// What it is called: of `a`–`z`, `0`–`9` and `-`, another one than every other node.
    pub id: String,
    /// The version of Bellwire.
    pub version: String,
    /// Where others reach it.
    pub address: String,
    /// What time it is.
    pub clock: Clock,
    /// How leases are held.
    pub lease: LeaseTiming,
    /// Told of how it stands to the log.
    pub watcher: Watcher,
    /// For how long this process has waited before.
    pub vigil: Vigil,
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A node of which nothing happens by itself.
pub struct Node {
    journal: Arc<ClusterJournal>,
    follower: Follower,
    house: House,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl Node {
    /// A node that has this replica of this log.
    pub fn new(
        log: Arc<dyn SharedLog>,
        replica: Arc<dyn Replica>,
        options: NodeOptions,
    ) -> Result<Self, Error> {
        let NodeOptions { id, version, address, clock, lease, watcher, vigil } = options;
        if !is_node_id(&id) {
            let what = "a node's name is of `a`–`z`, `0`–`9` and `-`, and not too long";
            return Err(Error::Register { register: id.into(), what });
        }
        let shared = Arc::new(Shared {
            outbox: Arc::new(Outbox::new(Arc::clone(&log), clock.clone(), NodeBits::of(&id))),
            log,
            replica,
            standings: Standings::new(watcher),
            behind: Mutex::default(),
            clock,
            doubted: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            applies: Arc::new(Applies::default()),
            sightings: Sightings::default(),
            pins: Pins::default(),
            watchers: Watchers::default(),
            needs_snapshot: Mutex::default(),
            raising: AtomicBool::new(false),
            keeps_vigil: AtomicBool::new(false),
            cluster: Mutex::default(),
            is_elsewhere: AtomicBool::new(false),
        });
        let lease = Lease::new(KEEPER, &id, lease);
        let mark = NodeMark {
            id: id.into(),
            version: version.into(),
            address: address.into(),
            run: fastrand::u64(1..),
            beat: 0,
            applied: None,
            reached: None,
        };
        let house = House::new(Arc::clone(&shared), Announcer::new(mark), lease);
        let follower = Follower::new(Arc::clone(&shared), vigil);
        let journal = Arc::new(ClusterJournal { shared, threads: Threads::default() });
        Ok(Self { journal, follower, house })
    }

    /// Its journal.
    pub fn journal(&self) -> &Arc<ClusterJournal> {
        &self.journal
    }

    /// Goes on following, and waits for entries for so long. Returns how long there is nothing more.
    pub fn follow(&mut self, patience: Duration) -> Duration {
        self.follower.turn(patience)
    }

    /// Appends what waits. Returns until when there is nothing more, unless something happens.
    pub fn append(&mut self) -> Option<Duration> {
        self.journal.shared.outbox.turn()
    }

    /// Does what is due now and then. Returns how long there is nothing more.
    pub fn keep_house(&mut self) -> Duration {
        self.house.turn()
    }

    /// Follows until all is applied that was in the log when this was called, waiting for `patience` at a
    /// time, for as long as it may go on. Something without content is appended for that: once it was
    /// met, what stands before it was. Returns whether that is so.
    pub fn catch_up(&mut self, patience: Duration, mut may_go_on: impl FnMut() -> bool) -> bool {
        let is_met = Arc::new(AtomicBool::new(false));
        let met = Arc::clone(&is_met);
        let reply = Waiter::Appends(Box::new(move |answer| {
            met.store(answer.is_ok(), Ordering::Release);
        }));
        if self.journal.shared.outbox.queue(Content::Appends(Vec::new()), reply, None).is_err() {
            return false;
        }
        while !is_met.load(Ordering::Acquire) && may_go_on() {
            let wait = self.follow(patience);
            if self.journal.shared.is_to_be_heard() {
                self.house.say();
            }
            self.append();
            self.settle();
            clock::pause(wait.min(patience));
        }
        is_met.load(Ordering::Acquire)
    }

    /// Waits until what was followed is applied.
    pub fn settle(&self) {
        self.journal.shared.applies.wait();
    }

    /// Has all of it happen on threads of its own, until the journal is closed.
    pub fn spawn(self) -> Result<Arc<ClusterJournal>, Error> {
        let Self { journal, mut follower, mut house } = self;
        let shared = Arc::clone(&journal.shared);
        let is_closing = move |shared: &Shared| shared.closing.load(Ordering::Acquire);
        let outbox = Arc::clone(&shared.outbox);
        let appending = crash::spawn_essential("outbox".into(), move || outbox.run())?;
        let of_follower = Arc::clone(&shared);
        let following = crash::spawn_essential("follower".into(), move || {
            while !is_closing(&of_follower) {
                let mut wait = follower.turn(LOOK_INTERVAL);
                while !wait.is_zero() && !is_closing(&of_follower) {
                    let pause = wait.min(LOOK_INTERVAL);
                    clock::pause(pause);
                    wait = wait.saturating_sub(pause);
                }
            }
        })?;
        let keeping = crash::spawn_essential("cluster".into(), move || {
            while !is_closing(&shared) {
                clock::pause(house.turn().clamp(Duration::from_millis(10), LOOK_INTERVAL));
            }
            house.close();
        })?;
        journal.threads.add([appending, following, keeping]);
        Ok(journal)
    }
}
