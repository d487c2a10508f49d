//! Nodes of which nothing happens by itself, over a log in memory that fails on command.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellwire_cluster::{Clock, ClusterJournal, LeaseTiming, Node, NodeOptions, Standing, Vigil};
use bellwire_journal::{
    Append, Arrival, ClockReading, DiskJournal, DiskOptions, Durability, Journal, MemoryJournal,
    Observer, ReadLimit, Replica, RetentionRule, Snapshot,
};
use bellwire_model::{Body, Entry, Epoch, Event, Filter, FilterSet, Offset, Timestamp};
use bellwire_shared_log::{MemoryLog, MemoryLogs};
use bytes::Bytes;
use tempfile::TempDir;

use crate::led::Led;

const EVERYTHING: &str = "**";

/// What an observer saw since the replica began anew.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: Vec<(Offset, String)>,
    /// How often another epoch began, and which.
    pub(crate) begun: Vec<Epoch>,
}

struct Watch(Arc<Mutex<Seen>>);

impl Observer for Watch {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        let mut seen = self.0.lock().expect("held for a moment");
        seen.events.extend(entries.iter().map(|entry| (entry.offset, text(&entry.event))));
    }

    fn on_begin_anew(&mut self, epoch: Epoch, _: Offset) {
        let mut seen = self.0.lock().expect("held for a moment");
        seen.events.clear();
        seen.begun.push(epoch);
    }

    fn on_enter_epoch(&mut self, epoch: Epoch, _: Offset) {
        self.0.lock().expect("held for a moment").begun.push(epoch);
    }
}

fn text(event: &Event) -> String {
    let body = event.body.as_ref().map_or(&[][..], |body| body.bytes());
    String::from_utf8_lossy(body).into_owned()
}

/// A node, and the machine that it is on.
pub(crate) struct Machine {
    pub(crate) index: usize,
    pub(crate) log: Arc<MemoryLog>,
    /// What its node takes for the log.
    pub(crate) led: Arc<Led>,
    pub(crate) node: Node,
    /// For how long its process has waited.
    vigil: Vigil,
    pub(crate) seen: Arc<Mutex<Seen>>,
    disk: Disk,
    /// The replica, where it is on a real disk.
    replica: Option<Arc<DiskJournal>>,
    /// How many events were published there.
    pub(crate) published: u64,
    /// How far its wall clock is ahead.
    ahead_ms: Arc<AtomicU64>,
}

impl Machine {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("held for a moment")
    }

    pub(crate) fn journal(&self) -> &Arc<ClusterJournal> {
        self.node.journal()
    }

    /// Sets its wall clock ahead.
    pub(crate) fn set_ahead(&self, by: Duration) {
        self.ahead_ms.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// All that it has.
    pub(crate) fn events(&self) -> Vec<(Offset, String)> {
        let filters = FilterSet::new([EVERYTHING.parse::<Filter>().expect("a filter")]);
        let filters = filters.expect("a set");
        let (mut events, mut after) = (Vec::new(), Offset::ZERO);
        loop {
            let page = self.journal().read(after, &filters, ReadLimit::PAGE).expect("it reads");
            let is_end = page.entries.is_empty();
            events.extend(page.entries.iter().map(|entry| (entry.offset, text(&entry.event))));
            if is_end {
                return events;
            }
            after = page.end;
        }
    }
}

/// What stays when a machine's process is killed.
enum Disk {
    /// A real one.
    Folder(TempDir),
    /// A replica in memory that outlives those who use it, which costs less.
    Replica(Arc<dyn Replica>, Arc<Mutex<Seen>>),
}

/// Which one a world's machines have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disks {
    Real,
    Memory,
}

/// What was answered to who has published.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Where each event is that was acknowledged.
    pub(crate) made: BTreeMap<String, Offset>,
    pub(crate) refused: BTreeSet<String>,
}

pub(crate) struct World {
    pub(crate) logs: MemoryLogs,
    pub(crate) machines: Vec<Machine>,
    pub(crate) answers: Arc<Mutex<Answers>>,
    pub(crate) chance: fastrand::Rng,
    disks: Disks,
    now_ms: Arc<AtomicU64>,
}

pub(crate) fn options(folder: &Path) -> DiskOptions {
    DiskOptions {
        path: folder.to_owned(),
        durability: Durability::Interval,
        retention: Vec::<RetentionRule>::new(),
        state_places: String::new(),
        fresh_epoch: Epoch::new(fastrand::u32(1..)),
        boot_id: Some("one".into()),
        now: ClockReading::default(),
    }
}

pub(crate) fn open(folder: &Path, seen: &Arc<Mutex<Seen>>) -> Arc<DiskJournal> {
    let watch = Box::new(Watch(Arc::clone(seen)));
    let opened = DiskJournal::open_replica(options(folder), watch, &mut ());
    Arc::new(opened.expect("the journal opens"))
}

/// Has a snapshot take the place of what a folder has.
fn install(snapshot: Snapshot, folder: &Path, epoch: Epoch) {
    let Snapshot { mut file, bytes, .. } = snapshot;
    let mut arrival = Arrival::begin(folder, bytes).expect("nobody uses it");
    std::io::copy(&mut file, arrival.file()).expect("copied");
    arrival.install(epoch).expect("it is of this epoch");
}

impl World {
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        Self::on((seed, count), Disks::Memory)
    }

    pub(crate) fn on((seed, count): (u64, usize), disks: Disks) -> Self {
        let mut world = Self {
            logs: MemoryLogs::stepped(seed),
            machines: Vec::new(),
            answers: Arc::default(),
            chance: fastrand::Rng::with_seed(seed),
            disks,
            now_ms: Arc::new(AtomicU64::new(1_000_000)),
        };
        for index in 0..count {
            let machine = world.start(index, world.disk(), 0, Vigil::default());
            world.machines.push(machine);
        }
        world
    }

    /// Adds a machine that has this on its disk.
    pub(crate) fn add(&mut self, folder: TempDir) {
        let index = self.machines.len();
        let machine = self.start(index, Disk::Folder(folder), 0, Vigil::default());
        self.machines.push(machine);
    }

    /// Ends a node for good. What it had is left.
    pub(crate) fn remove(&mut self, index: usize) -> TempDir {
        let Machine { log, node, disk, replica, .. } = self.machines.remove(index);
        drop((node, replica));
        drop(log);
        let Disk::Folder(folder) = disk else { panic!("it is on a disk") };
        folder
    }

    fn disk(&self) -> Disk {
        if self.disks == Disks::Real {
            return Disk::Folder(TempDir::new().expect("a folder"));
        }
        let (epoch, seen) = (Epoch::new(fastrand::u32(1..)), Arc::<Mutex<Seen>>::default());
        let watch = Box::new(Watch(Arc::clone(&seen)));
        Disk::Replica(Arc::new(MemoryJournal::replica(epoch, Vec::new(), watch)), seen)
    }

    fn start(&self, index: usize, disk: Disk, published: u64, vigil: Vigil) -> Machine {
        let log = self.logs.handle();
        let (replica, of_disk, seen): (Arc<dyn Replica>, _, _) = match &disk {
            Disk::Replica(replica, seen) => (Arc::clone(replica), None, Arc::clone(seen)),
            Disk::Folder(folder) => {
                let seen = Arc::default();
                let replica = open(folder.path(), &seen);
                (Arc::clone(&replica) as _, Some(replica), seen)
            }
        };
        let (now_ms, ahead_ms) = (Arc::clone(&self.now_ms), Arc::<AtomicU64>::default());
        let ahead = Arc::clone(&ahead_ms);
        let options = NodeOptions {
            id: format!("n{index}"),
            version: "1".into(),
            address: "here".into(),
            clock: Clock::told(move || {
                let ms = now_ms.load(Ordering::Relaxed);
                let wall_ms = 1_700_000_000_000 + ms + ahead.load(Ordering::Relaxed);
                let wall = Timestamp::from_ms(wall_ms as i64);
                ClockReading { wall, uptime: Duration::from_millis(ms) }
            }),
            lease: LeaseTiming::default(),
            watcher: Box::new(|_| ()),
            vigil: vigil.clone(),
        };
        let led = Arc::new(Led::to(Arc::clone(&log)));
        let node = Node::new(led.clone(), replica, options).expect("a node");
        let replica = of_disk;
        let machine =
            Machine { index, log, led, node, vigil, seen, disk, replica, published, ahead_ms };
        if let Disk::Folder(_) = machine.disk {
            // What was seen before is what is there.
            let events = machine.events();
            machine.seen().events = events;
        }
        machine
    }

    /// Ends a node as a process ends that was killed, and starts it again with what it has on its disk.
    pub(crate) fn restart(&mut self, index: usize) {
        let Machine { log, node, disk, replica, published, .. } = self.machines.remove(index);
        drop((node, replica));
        drop(log);
        let machine = self.start(index, disk, published, Vigil::default());
        self.machines.insert(index, machine);
    }

    /// Ends a node, and begins another one within its process.
    pub(crate) fn begin_again(&mut self, index: usize) {
        let Machine { log, node, disk, replica, published, vigil, .. } =
            self.machines.remove(index);
        drop((node, replica));
        drop(log);
        let machine = self.start(index, disk, published, vigil);
        self.machines.insert(index, machine);
    }

    /// The same as when it is restarted, without what was on its disk.
    pub(crate) fn replace(&mut self, index: usize) {
        let published = self.machines.remove(index).published;
        let machine = self.start(index, self.disk(), published, Vigil::default());
        self.machines.insert(index, machine);
    }

    /// One more, which begins with a snapshot of another one.
    pub(crate) fn join_with_snapshot(&mut self, of: usize) {
        let Disk::Folder(folder) = self.disk() else { panic!("a snapshot is on a disk") };
        install(self.snapshot(of), folder.path(), self.machines[of].journal().epoch());
        self.add(folder);
    }

    /// Ends a node, which starts again with a snapshot of another one in the place of what it had.
    pub(crate) fn rejoin_with_snapshot(&mut self, index: usize, of: usize) {
        let epoch = self.machines[index].journal().needs_snapshot().expect("it lacks something");
        let made = self.snapshot(of);
        let Machine { log, node, disk, replica, published, .. } = self.machines.remove(index);
        drop((node, replica));
        drop(log);
        let Disk::Folder(folder) = &disk else { panic!("a snapshot is on a disk") };
        install(made, folder.path(), epoch);
        let machine = self.start(index, disk, published, Vigil::default());
        self.machines.insert(index, machine);
    }

    /// Whether all follow in one epoch.
    pub(crate) fn agrees(&self) -> bool {
        let epochs: BTreeSet<Epoch> =
            self.machines.iter().map(|machine| machine.journal().epoch()).collect();
        let is_well = |machine: &Machine| machine.journal().standing().is_well();
        epochs.len() == 1 && self.machines.iter().all(is_well)
    }

    /// Whether it started with newer data than others live with.
    fn stays_out(&self, index: usize) -> bool {
        let standing = self.machines[index].journal().standing();
        matches!(standing, Standing::Unfit { why } if why.contains("of another cluster"))
    }

    /// All are to go on with what this one has: somebody stops the others until it has raised the epoch.
    fn decide_for(&mut self, index: usize) {
        self.restart(index);
        let others = self.machines.iter().filter(|machine| machine.index != index);
        let others: Vec<Arc<MemoryLog>> = others.map(|machine| Arc::clone(&machine.log)).collect();
        for log in &others {
            log.partition();
        }
        for _ in 0..50 {
            self.pass(Duration::from_secs(1));
            (0..50).for_each(|_| self.step());
        }
        for log in &others {
            log.mend();
        }
    }

    /// Nodes that cannot get there by themselves get snapshots, as servers see to, or are seen to.
    fn help(&mut self) {
        if let Some(index) = (0..self.machines.len()).find(|index| self.stays_out(*index)) {
            self.decide_for(index);
        }
        for index in 0..self.machines.len() {
            let Some(epoch) = self.machines[index].journal().needs_snapshot() else { continue };
            let has_it = |machine: &Machine| {
                let journal = machine.journal();
                journal.epoch() == epoch
                    && journal.applied().is_some()
                    && journal.needs_snapshot().is_none()
            };
            if let Some(of) = self.machines.iter().position(has_it) {
                self.rejoin_with_snapshot(index, of);
            }
        }
    }

    /// A snapshot of a node. The log behind it is kept for a while.
    fn snapshot(&self, of: usize) -> Snapshot {
        let machine = &self.machines[of];
        let _pin = machine
            .journal()
            .pin(&format!("n{}", self.machines.len()))
            .expect("something was applied");
        let replica = machine.replica.as_ref().expect("it is on a disk");
        replica.snapshot().expect("copied")
    }

    pub(crate) fn uptime(&self) -> Duration {
        Duration::from_millis(self.now_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.now_ms.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    /// Publishes some events at once: by one publisher of each machine, who numbers them.
    pub(crate) fn publish(&mut self, index: usize, count: usize, bytes: usize) {
        let machine = &mut self.machines[index];
        let event = |text: &String| {
            let body = Some(Body::Json(Bytes::from(text.clone().into_bytes())));
            let topic = format!("from/{index}").parse().expect("a topic");
            Event { topic, key: None, event_type: None, time: Timestamp::from_ms(1), body }
        };
        let texts: Vec<String> = (0..count)
            .map(|_| {
                machine.published += 1;
                format!("{index}-{:06}-{}", machine.published, "x".repeat(bytes))
            })
            .collect();
        let batch = texts.iter().map(|text| Append::new(event(text), None)).collect();
        let (answers, of_reply) = (Arc::clone(&self.answers), texts.clone());
        let reply = Box::new(move |result: Result<Vec<bellwire_journal::Appended>, _>| {
            let mut answers = answers.lock().expect("held for a moment");
            match result {
                Ok(all) => answers.made.extend(
                    of_reply.into_iter().zip(all.into_iter().map(|appended| appended.offset)),
                ),
                Err(_) => answers.refused.extend(of_reply),
            }
        });
        if machine.journal().append(batch, reply).is_err() {
            self.answers.lock().expect("held for a moment").refused.extend(texts);
        }
    }

    /// Lets one thing happen.
    pub(crate) fn step(&mut self) {
        let time = Duration::from_millis(self.chance.u64(1..20));
        self.pass(time);
        let index = self.chance.usize(..self.machines.len());
        let machine = &mut self.machines[index];
        match self.chance.u8(..16) {
            0..=2 => drop(machine.node.append()),
            3..=5 => {
                machine.node.follow(Duration::ZERO);
                machine.node.settle();
            }
            6 => drop(machine.node.keep_house()),
            _ => drop(self.logs.step()),
        }
    }

    /// Until everybody has everything.
    pub(crate) fn run(&mut self) {
        for round in 0..100 {
            for _ in 0..400 {
                self.step();
            }
            self.help();
            if round > 30 {
                // Somebody may be waited for.
                self.pass(Duration::from_secs(5));
            }
            let is_quiet = self.machines.iter().all(|machine| {
                machine.journal().standing().is_well() && machine.journal().is_idle()
            });
            if is_quiet {
                let tails: BTreeSet<Offset> =
                    self.machines.iter().map(|it| it.journal().bounds().tail).collect();
                if tails.len() == 1 {
                    return;
                }
            }
        }
        let standings: Vec<Standing> =
            self.machines.iter().map(|machine| machine.journal().standing()).collect();
        panic!("it does not come to an end: {standings:?}");
    }

    /// All nodes have the same, each event once, and in its publisher's order.
    pub(crate) fn check(&self) -> Vec<(Offset, String)> {
        let events = self.machines[0].events();
        let epoch = self.machines[0].journal().epoch();
        for machine in &self.machines {
            assert_eq!(machine.journal().epoch(), epoch);
            assert_eq!(machine.events(), events, "machine {}", machine.index);
            assert_eq!(machine.seen().events, events, "machine {}", machine.index);
        }
        let texts: BTreeSet<&str> = events.iter().map(|(_, text)| &**text).collect();
        assert_eq!(texts.len(), events.len(), "something is there twice");
        assert!(events.is_sorted_by_key(|(offset, _)| *offset));
        // What was refused may come late: it was on its way when its node ended, say.
        let answers = self.answers.lock().expect("held for a moment");
        let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
        for (_, text) in events.iter().filter(|(_, text)| answers.made.contains_key(text)) {
            let (maker, number) = text.split_once('-').expect("a maker and a number");
            let before = newest.insert(maker, number);
            assert!(before.is_none_or(|before| before < number), "{text} comes late");
        }
        drop(answers);
        events
    }

    /// What was acknowledged is there, where it was said to be.
    pub(crate) fn check_acknowledged(&self, events: &[(Offset, String)]) -> usize {
        let found: BTreeMap<&str, Offset> =
            events.iter().map(|(offset, text)| (&**text, *offset)).collect();
        let answers = self.answers.lock().expect("held for a moment");
        for (text, offset) in &answers.made {
            assert_eq!(found.get(&**text), Some(offset), "{text}");
        }
        let published: u64 = self.machines.iter().map(|machine| machine.published).sum();
        assert_eq!(answers.made.len() + answers.refused.len(), published as usize);
        answers.made.len()
    }
}
