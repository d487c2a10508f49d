//! A machine: its disk, its clocks, and the process that runs on it, if one does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellwire_cluster::{LeaseTiming, Node, NodeOptions, Pin, Vigil};
use bellwire_journal::{Journal as _, Replica};
use bellwire_shared_log::{MemoryLog, MemoryLogs};

use crate::clock::MachineClock;
use crate::disk::{Disk, Step};
use crate::keeper::Keeper;
use crate::parts::Parts;
use crate::truth::{Losses, SharedTruth};
use crate::watch::{Teller, Watch};

/// A disk that no machine of the cluster comes to.
const OF_STRANGER: u64 = 1_000;

/// What runs on a machine.
#[derive(Debug)]
pub(crate) enum State {
    /// Nothing, until then.
    Down(Duration),
    /// It gets a snapshot, which is here then.
    Fetching(Fetch),
    /// A node.
    Up(Box<Process>),
}

/// A snapshot on its way.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) from: usize,
    /// Which process it is of.
    pub(crate) life: u64,
    pub(crate) steps: Vec<Step>,
    pub(crate) here_at: Duration,
    pub(crate) _pin: Pin,
}

/// A node as it runs.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) node: Node,
    /// It has caught up.
    pub(crate) is_ready: Arc<AtomicBool>,
    /// It cannot know whether it has: it begins again.
    pub(crate) has_failed: Arc<AtomicBool>,
    pub(crate) keeper: Keeper,
    pub(crate) watch: Arc<Watch>,
    pub(crate) follow_at: Duration,
    pub(crate) append_at: Duration,
    pub(crate) house_at: Duration,
    pub(crate) keeper_at: Duration,
    /// No client is sent there any more: it ends once nothing waits, or then, and starts again so much later.
    pub(crate) draining: Option<(Duration, Duration)>,
}

impl Process {
    /// Something may have to be appended then.
    pub(crate) fn wake_to_append(&mut self, at: Duration) {
        if !self.node.journal().is_idle() {
            self.append_at = self.append_at.min(at);
        }
    }

    /// Whether clients are sent there.
    pub(crate) fn serves(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
            && self.draining.is_none()
            && self.node.journal().standing().is_well()
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) index: usize,
    pub(crate) clock: MachineClock,
    pub(crate) disk: Disk,
    /// What is told of it, where it is of another cluster.
    elsewhere: Option<SharedTruth>,
    /// The replica, which outlives processes that are killed.
    pub(crate) replica: Option<(Arc<dyn Replica>, Arc<Watch>)>,
    pub(crate) state: State,
    /// How many processes it has had, and disks.
    pub(crate) lives: u64,
    disks: u64,
    pub(crate) paused_until: Duration,
    pub(crate) cut_until: Duration,
    /// It reaches no other node until then.
    pub(crate) alone_until: Duration,
    pub(crate) slow_until: Duration,
    pub(crate) absence: Absence,
}

/// For how long a machine was away at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Absence {
    since: Option<Duration>,
    longest: Duration,
    /// It has all that it needs of what was before.
    has_joined: bool,
}

impl Absence {
    /// It is there now.
    pub(crate) fn end(&mut self, now: Duration) {
        if let Some(since) = self.since.take() {
            self.longest = self.longest.max(now.saturating_sub(since));
        }
    }

    /// It is away now.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// It has caught up.
    pub(crate) fn join(&mut self, now: Duration) {
        *self = Self { since: self.since.map(|_| now), longest: Duration::ZERO, has_joined: true };
    }

    /// Whether it has what it needs.
    pub(crate) fn has_joined(&self) -> bool {
        self.has_joined
    }

    /// Its disk is another one.
    pub(crate) fn leave(&mut self) {
        self.has_joined = false;
    }

    /// For how long it was away, where it once was there.
    pub(crate) fn longest(&self, now: Duration) -> Option<Duration> {
        let ongoing = self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        self.has_joined.then_some(self.longest.max(ongoing))
    }
}

impl Machine {
    pub(crate) fn new(index: usize, clock: MachineClock) -> Self {
        Self {
            index,
            clock,
            disk: Disk::new(),
            elsewhere: None,
            replica: None,
            state: State::Down(Duration::ZERO),
            lives: 0,
            disks: 0,
            paused_until: Duration::ZERO,
            cut_until: Duration::ZERO,
            alone_until: Duration::ZERO,
            slow_until: Duration::ZERO,
            absence: Absence::default(),
        }
    }

    /// One that has the disk of another cluster's.
    pub(crate) fn stranger(index: usize, clock: MachineClock, disk: Disk) -> Self {
        let elsewhere = Some(SharedTruth::new(Losses::Some));
        Self { disk, elsewhere, disks: OF_STRANGER, ..Self::new(index, clock) }
    }

    /// Whether it is of another cluster.
    pub(crate) fn is_stranger(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// It is on the disk: who loses that gets another one.
    pub(crate) fn name(&self) -> String {
        format!("n{}-{}", self.index, self.disks)
    }

    pub(crate) fn process(&self) -> Option<&Process> {
        match &self.state {
            State::Up(process) => Some(process),
            _ => None,
        }
    }

    pub(crate) fn process_mut(&mut self) -> Option<&mut Process> {
        match &mut self.state {
            State::Up(process) => Some(process),
            _ => None,
        }
    }

    /// Starts a node with what is on the disk.
    pub(crate) fn start(&mut self, logs: &MemoryLogs, parts: &dyn Parts, truth: &SharedTruth) {
        let now = self.clock.now();
        let truth = self.elsewhere.as_ref().unwrap_or(truth);
        self.lives += 1;
        let (replica, watch) = self.replica.take().unwrap_or_else(|| {
            let epoch = self.disk.epoch();
            let watch = Watch::new(self.index, epoch, truth.clone(), self.clock.clone());
            let observer = Box::new(Teller(Arc::clone(&watch)));
            (parts.replica(self.disk.open(&self.clock, observer)), watch)
        });
        self.replica = Some((Arc::clone(&replica), Arc::clone(&watch)));
        let log = logs.handle();
        let options = NodeOptions {
            id: self.name(),
            version: "1".into(),
            address: "here".into(),
            clock: self.clock.of_node(),
            lease: LeaseTiming::default(),
            watcher: Box::new(|_| ()),
            vigil: Vigil::default(),
        };
        let shared = if self.is_stranger() {
            parts.log_of_others(Arc::clone(&log))
        } else {
            parts.log(Arc::clone(&log))
        };
        let node = Node::new(Arc::clone(&shared), replica, options).expect("it has a name");
        let is_ready = Arc::new(AtomicBool::new(false));
        let has_failed = Arc::<AtomicBool>::default();
        let (met, failed) = (Arc::clone(&is_ready), Arc::clone(&has_failed));
        // What stood before this in the log is applied once it was met.
        let caught_up = Box::new(move |answer: Result<_, _>| {
            met.store(answer.is_ok(), Ordering::Relaxed);
            failed.store(answer.is_err(), Ordering::Relaxed);
        });
        node.journal().append(Vec::new(), caught_up).expect("it takes something");
        let keeper = Keeper::new(&self.name(), shared);
        self.state = State::Up(Box::new(Process {
            log,
            node,
            is_ready,
            has_failed,
            keeper,
            watch,
            follow_at: now,
            append_at: now,
            house_at: now,
            keeper_at: now,
            draining: None,
        }));
    }

    /// Its process is gone, and begins again then.
    pub(crate) fn kill(&mut self, until: Duration) {
        self.state = State::Down(until);
        self.paused_until = Duration::ZERO;
    }

    /// The process is gone, and what was not synced.
    pub(crate) fn lose_power(&mut self, until: Duration, synced: Duration) {
        self.kill(until);
        self.replica = None;
        self.disk.lose_after(synced);
    }

    /// The process is gone, and all that was on the disk.
    pub(crate) fn lose_disk(&mut self, until: Duration) {
        self.kill(until);
        self.replica = None;
        self.disk = Disk::new();
        self.disks += 1;
        self.absence.leave();
    }

    /// The process is gone, and the disk has this.
    pub(crate) fn put_disk(&mut self, until: Duration, steps: Vec<Step>) {
        self.kill(until);
        self.replica = None;
        self.disk = Disk::of(steps, self.clock.now());
    }
}
