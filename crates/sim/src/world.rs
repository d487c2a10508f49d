//! A world: whoever is due first has its turn.

mod ending;
mod troubles;
mod turns;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bellwire_shared_log::{MemoryLog, MemoryLogs, SharedLog as _};

use crate::clock::{MachineClock, WorldTime};
use crate::figures::Figures;
use crate::followers::Follower;
use crate::machine::{Fetch, Machine, State};
use crate::parts::Parts;
use crate::plan::Plan;
use crate::publishers::{Answers, KINDS, Publisher};
use crate::truth::{Breach, Losses, SharedTruth};

pub(crate) use self::ending::settle;
use self::troubles::EngineTroubles;

/// How much faster or slower than time clocks go at most, in thousandths.
const FAST_MAX: i64 = 50;

/// How long a node waits before it asks others once more for a snapshot.
const FETCH_PAUSE: Duration = Duration::from_secs(5);

/// How long a snapshot takes at most.
const FETCH_MS_MAX: u64 = 20_000;

/// A node is waited for so long that is away, before the log is trimmed beyond what it has; less what it
/// takes to look.
const AWAY_AGE: Duration = Duration::from_mins(4);

/// See the module.
pub(crate) struct World<'a> {
    plan: &'a Plan,
    parts: &'a dyn Parts,
    time: WorldTime,
    logs: MemoryLogs,
    engine: EngineTroubles,
    engine_at: Duration,
    /// Of nobody: who looks from outside.
    probe: Arc<MemoryLog>,
    machines: Vec<Machine>,
    /// Until when the last of them is one of another cluster.
    stranger_until: Option<Duration>,
    publishers: Vec<Publisher>,
    followers: Vec<Follower>,
    answers: Answers,
    requests: u64,
    truth: SharedTruth,
    chance: fastrand::Rng,
    next_act: usize,
    stage: Stage,
    figures: Figures,
    trimmed: u64,
}

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Everything.
    Trouble,
    /// No new trouble, nothing new is published.
    Healed,
    /// Nobody writes under a lease either.
    Quiet,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Act,
    Relief,
    Engine,
    Start(usize),
    Arrive(usize),
    Follow(usize),
    Append(usize),
    House(usize),
    Keeper(usize),
    Publish(usize),
    Read(usize),
}

impl<'a> World<'a> {
    pub(crate) fn new(plan: &'a Plan, parts: &'a dyn Parts) -> Self {
        // What nodes draw: names of lives, epochs, nonces.
        fastrand::seed(plan.seed);
        let chance = fastrand::Rng::with_seed(plan.seed ^ 0x5eed);
        let logs = MemoryLogs::stepped(plan.seed);
        let losses = if plan.kind.is_lossy() { Losses::Some } else { Losses::None };
        let mut world = Self {
            plan,
            parts,
            time: WorldTime::default(),
            probe: logs.handle(),
            logs,
            engine: EngineTroubles::default(),
            engine_at: Duration::ZERO,
            machines: Vec::new(),
            stranger_until: None,
            publishers: Vec::new(),
            followers: (0..plan.followers).map(Follower::new).collect(),
            answers: Answers::default(),
            requests: 0,
            truth: SharedTruth::new(losses),
            chance,
            next_act: 0,
            stage: Stage::Trouble,
            figures: Figures { seeds: 1, ..Figures::default() },
            trimmed: 0,
        };
        let of = |index: usize| Publisher::new(index, KINDS[index % KINDS.len()]);
        world.publishers.extend((0..plan.publishers).map(of));
        (0..plan.nodes).for_each(|_| world.add_machine());
        world
    }

    fn losses(&self) -> Losses {
        if self.plan.kind.is_lossy() { Losses::Some } else { Losses::None }
    }

    fn add_machine(&mut self) {
        let fast = self.chance.i64(-FAST_MAX..=FAST_MAX);
        let clock = MachineClock::new(self.time.clone(), fast);
        self.machines.push(Machine::new(self.machines.len(), clock));
    }

    pub(crate) fn now(&self) -> Duration {
        self.time.now()
    }

    /// What has happened.
    pub(crate) fn figures(&self) -> Figures {
        let truth = self.truth.lock();
        let of_followers = |of: fn(&Follower) -> u64| self.followers.iter().map(of).sum();
        Figures {
            epochs: truth.raised(),
            acknowledged: truth.acknowledged_count(),
            delivered: of_followers(|follower| follower.delivered),
            gaps: of_followers(|follower| follower.gaps),
            virtual_seconds: self.now().as_secs(),
            ..self.figures
        }
    }

    /// Has trouble go on until it ends.
    pub(crate) fn run(&mut self) -> Result<(), Breach> {
        self.run_until(self.plan.end)
    }

    /// Has turns taken until then.
    fn run_until(&mut self, until: Duration) -> Result<(), Breach> {
        loop {
            let (due, turn) = self.next();
            if due > until {
                self.time.set(until.max(self.now()));
                return Ok(());
            }
            self.time.set(due.max(self.now()));
            self.figures.turns += 1;
            self.take(turn);
            if let Some(breach) = self.truth.lock().breach() {
                return Err(breach);
            }
        }
    }

    /// Who is due first.
    fn next(&self) -> (Duration, Turn) {
        let mut first = (self.engine_at, Turn::Engine);
        let mut offer = |due: Duration, turn: Turn| {
            if due < first.0 {
                first = (due, turn);
            }
        };
        if let Some(act) =
            self.plan.acts.get(self.next_act).filter(|_| self.stage == Stage::Trouble)
        {
            offer(act.at, Turn::Act);
        }
        let ends = self.stranger_until.map_or(self.engine.ends(), |it| it.min(self.engine.ends()));
        offer(ends, Turn::Relief);
        for machine in &self.machines {
            let index = machine.index;
            match &machine.state {
                State::Down(until) => offer(*until, Turn::Start(index)),
                State::Fetching(fetch) => offer(fetch.here_at, Turn::Arrive(index)),
                State::Up(process) => {
                    let mut of_process =
                        |due: Duration, turn| offer(due.max(machine.paused_until), turn);
                    of_process(process.follow_at, Turn::Follow(index));
                    of_process(process.append_at, Turn::Append(index));
                    of_process(process.house_at, Turn::House(index));
                    if self.stage != Stage::Quiet {
                        of_process(process.keeper_at, Turn::Keeper(index));
                    }
                }
            }
        }
        for (index, publisher) in self.publishers.iter().enumerate() {
            offer(publisher.due, Turn::Publish(index));
        }
        for (index, follower) in self.followers.iter().enumerate() {
            offer(follower.due, Turn::Read(index));
        }
        first
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Act => self.act(),
            Turn::Relief => self.relieve(),
            Turn::Engine => self.step_engine(),
            Turn::Start(index) => self.start(index),
            Turn::Arrive(index) => self.arrive(index),
            Turn::Follow(index) => self.follow(index),
            Turn::Append(index) => self.append(index),
            Turn::House(index) => self.keep_house(index),
            Turn::Keeper(index) => self.keep(index),
            Turn::Publish(index) => self.publish(index),
            Turn::Read(index) => self.read(index),
        }
    }

    fn start(&mut self, index: usize) {
        let Self { machines, logs, parts, truth, .. } = self;
        machines[index].start(logs, *parts, truth);
        if machines[index].cut_until > self.time.now()
            && let Some(process) = machines[index].process()
        {
            process.log.partition();
        }
        self.note_absences();
    }

    /// Whether a machine reaches the engine, and has a node.
    fn is_there(&self, machine: &Machine) -> bool {
        let now = self.now();
        machine.process().is_some_and(|process| process.is_ready.load(Ordering::Relaxed))
            && now >= machine.paused_until
            && now >= machine.cut_until
            && !self.engine.is_in_trouble()
    }

    fn note_absences(&mut self) {
        let now = self.now();
        for index in 0..self.machines.len() {
            let is_there = self.is_there(&self.machines[index]);
            let absence = &mut self.machines[index].absence;
            if is_there { absence.end(now) } else { absence.begin(now) }
        }
    }

    /// What comes next of the log is gone: a node gets a snapshot from another one, if there is one.
    fn fetch(&mut self, index: usize) {
        let now = self.now();
        let machine = &self.machines[index];
        let Some(epoch) = machine.process().and_then(|it| it.node.journal().needs_snapshot())
        else {
            return;
        };
        if self.losses() == Losses::None
            && let Some(longest) = machine.absence.longest(now).filter(|it| *it < AWAY_AGE)
        {
            self.truth.lock().fail(format!(
                "node {index} lacks what was trimmed, and was away for {longest:?} at most"
            ));
        }
        let (name, is_alone) = (machine.name(), now < machine.alone_until);
        let mut others: Vec<usize> = (0..self.machines.len()).collect();
        self.chance.shuffle(&mut others);
        let others = others.into_iter().filter(|other| *other != index && !is_alone);
        let mut given = others.filter_map(|other| {
            let machine = &self.machines[other];
            let journal = machine.process()?.node.journal();
            let is_reached = now >= machine.alone_until && now >= machine.paused_until;
            let may_give = journal.needs_snapshot().is_none()
                && bellwire_journal::Journal::epoch(&**journal) == epoch;
            (is_reached && may_give).then_some(())?;
            let pin = journal.pin(&name)?;
            Some((other, machine.lives, self.parts.snapshot(machine.disk.copy()), pin))
        });
        let given = given.next();
        self.machines[index].kill(now + FETCH_PAUSE);
        if let Some((from, life, steps, pin)) = given {
            let here_at = now + Duration::from_millis(self.chance.u64(200..FETCH_MS_MAX));
            let fetch = Fetch { from, life, steps, here_at, _pin: pin };
            self.machines[index].state = State::Fetching(fetch);
        }
        self.note_absences();
    }

    /// The snapshot is here, if who gives it is there until now.
    fn arrive(&mut self, index: usize) {
        let now = self.now();
        let State::Fetching(fetch) = &mut self.machines[index].state else { return };
        let (from, life, steps) = (fetch.from, fetch.life, std::mem::take(&mut fetch.steps));
        let giver = &self.machines[from];
        let is_whole = giver.lives == life
            && giver.process().is_some()
            && now >= giver.alone_until
            && now >= self.machines[index].alone_until;
        if is_whole {
            self.figures.snapshots += 1;
            self.machines[index].put_disk(now, steps);
        } else {
            self.machines[index].kill(now + FETCH_PAUSE);
        }
        self.note_absences();
    }

    /// How much more is gone of the log.
    fn note_trims(&mut self) {
        if let Ok(span) = self.probe.span() {
            let trimmed = span.trimmed.get();
            self.figures.trims += u64::from(trimmed > self.trimmed);
            self.trimmed = trimmed;
        }
    }
}
