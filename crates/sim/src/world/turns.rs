//! The turns that everybody takes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bellwire_journal::Journal as _;

use super::{Stage, World};
use crate::keeper;
use crate::machine::Process;
use crate::publishers::{self, Turn};

/// How long it takes until somebody notices, at most: mostly, and where it is slow.
const NOTICE_US: u64 = 30_000;
const NOTICE_SLOW_US: u64 = 400_000;

/// How long a step of the engine takes at most.
const STEP_US: u64 = 3_000;

/// How many steps the engine takes at once at most.
const STEPS_MAX: u8 = 8;

/// How often somebody looks though nothing was heard.
const LOOK: Duration = Duration::from_millis(500);
const LOOK_LONG: Duration = Duration::from_secs(2);

/// How long a client waits before it goes elsewhere.
const CLIENT_PAUSE_MS: u64 = 1_000;

/// In so many turns one goes to another node, though it need not.
const MOVE_ONE_IN: u32 = 20;

impl World<'_> {
    fn look_interval(&self) -> Duration {
        if self.plan.kind.is_long() { LOOK_LONG } else { LOOK }
    }

    fn micros(&mut self, max: u64) -> Duration {
        Duration::from_micros(self.chance.u64(1..max))
    }

    /// Something has happened in the engine, or is to.
    fn wake_engine(&mut self) {
        let at = self.now() + self.micros(STEP_US);
        self.engine_at = self.engine_at.min(at);
    }

    /// How soon a machine notices.
    fn notice(&mut self, index: usize) -> Duration {
        let is_slow = self.now() < self.machines[index].slow_until;
        self.now() + self.micros(if is_slow { NOTICE_SLOW_US } else { NOTICE_US })
    }

    fn wake(&mut self, index: usize) {
        let at = self.notice(index);
        if let Some(process) = self.machines[index].process_mut() {
            process.follow_at = process.follow_at.min(at);
            process.wake_to_append(at);
        }
    }

    pub(super) fn step_engine(&mut self) {
        let mut steps = self.chance.u8(1..STEPS_MAX);
        let mut has_done = false;
        while steps > 0 && self.logs.step() {
            (steps, has_done) = (steps - 1, true);
        }
        if has_done {
            self.engine_at = self.now() + self.micros(STEP_US);
            (0..self.machines.len()).for_each(|index| self.wake(index));
        } else {
            self.engine_at = self.now() + self.look_interval();
        }
    }

    pub(super) fn follow(&mut self, index: usize) {
        let (now, look) = (self.now(), self.look_interval());
        let at_append = self.notice(index);
        let clock = self.machines[index].clock.clone();
        let Some(process) = self.machines[index].process_mut() else { return };
        let was_ready = process.is_ready.load(Ordering::Relaxed);
        let wait = process.node.follow(Duration::ZERO);
        process.node.settle();
        let is_ready = process.is_ready.load(Ordering::Relaxed);
        process.follow_at = now + if wait.is_zero() { look } else { clock.world(wait) };
        process.wake_to_append(at_append);
        let needs_snapshot = process.node.journal().needs_snapshot().is_some();
        let draining = process.draining;
        if is_ready && !was_ready {
            self.machines[index].absence.join(now);
            self.note_absences();
        }
        self.wake_engine();
        if needs_snapshot {
            self.fetch(index);
        } else if let Some((until, down)) = draining {
            self.drain(index, (until, down));
        }
    }

    /// Ends a node once nothing waits.
    fn drain(&mut self, index: usize, (until, down): (Duration, Duration)) {
        let now = self.now();
        let clock = self.machines[index].clock.clone();
        let Some(process) = self.machines[index].process_mut() else { return };
        if process.node.journal().is_idle() {
            process.keeper.give_up(&clock);
            // Nothing waits, so it does not either.
            let closed = process.node.journal().close();
            process.node.keep_house();
            self.machines[index].kill(now + down);
            self.machines[index].replica = None;
            if let Err(error) = closed {
                self.truth.lock().fail(format!("node {index} does not close: {error}"));
            }
        } else if now >= until {
            self.machines[index].kill(now + down);
        }
        self.note_absences();
    }

    pub(super) fn append(&mut self, index: usize) {
        let (now, look) = (self.now(), self.look_interval());
        let clock = self.machines[index].clock.clone();
        let Some(process) = self.machines[index].process_mut() else { return };
        let until = process.node.append();
        let wait = until
            .map_or(look, |until| clock.world(until.saturating_sub(clock.now_reading().uptime)));
        process.append_at = now + wait.clamp(Duration::from_millis(1), look);
        self.wake_engine();
    }

    pub(super) fn keep_house(&mut self, index: usize) {
        let now = self.now();
        let at_append = self.notice(index);
        let clock = self.machines[index].clock.clone();
        let Some(process) = self.machines[index].process_mut() else { return };
        let wait = process.node.keep_house();
        process.house_at = now + clock.world(wait).max(Duration::from_millis(10));
        process.wake_to_append(at_append);
        self.wake_engine();
        self.note_trims();
    }

    pub(super) fn keep(&mut self, index: usize) {
        let now = self.now();
        let at_append = self.notice(index);
        let clock = self.machines[index].clock.clone();
        let Some(process) = self.machines[index].process_mut() else { return };
        if !process.is_ready.load(Ordering::Relaxed) || process.draining.is_some() {
            process.keeper_at = now + Duration::from_millis(200);
            return;
        }
        let Process { node, keeper, watch, .. } = process;
        let desk = keeper::Desk { journal: node.journal(), watch, clock: &clock };
        let term = keeper.term();
        let wait = keeper.turn(&desk);
        let is_other = keeper.term() != term;
        process.keeper_at = now + clock.world(wait).max(Duration::from_millis(1));
        process.wake_to_append(at_append);
        self.figures.terms += u64::from(is_other);
        self.wake_engine();
    }

    /// Another node that takes clients, or any that there is.
    fn elsewhere(&mut self) -> Option<usize> {
        let serving: Vec<usize> = self
            .machines
            .iter()
            .filter(|machine| machine.process().is_some_and(Process::serves))
            .map(|machine| machine.index)
            .collect();
        (!serving.is_empty()).then(|| serving[self.chance.usize(..serving.len())])
    }

    fn serves(&self, index: usize) -> bool {
        self.machines[index].process().is_some_and(Process::serves)
    }

    pub(super) fn publish(&mut self, client: usize) {
        let (now, losses) = (self.now(), self.losses());
        let pause = Duration::from_millis(self.chance.u64(20..CLIENT_PAUSE_MS));
        let pace = self.plan.pace.as_millis() as u64;
        let next = now + Duration::from_millis(self.chance.u64(..2 * pace));
        let publisher = &mut self.publishers[client];
        let has_asked = publisher.is_waiting();
        let looked = publisher.look((&self.answers, losses), &mut self.truth.lock(), now);
        publisher.due = now + pause;
        if looked == Turn::Waits {
            return;
        }
        let is_asking = publisher.is_waiting();
        if has_asked && !is_asking {
            publisher.due = next;
            return;
        }
        if self.stage != Stage::Trouble && !is_asking {
            publisher.due = now + 10 * self.plan.pace;
            return;
        }
        let at = publisher.at;
        let moves = looked == Turn::Unknown || self.chance.u32(..MOVE_ONE_IN) == 0;
        let at = if moves || !self.serves(at) { self.elsewhere() } else { Some(at) };
        let Some(at) = at else { return };
        self.requests += 1;
        let machine = &self.machines[at];
        let Some(process) = machine.process() else { return };
        let publisher = &mut self.publishers[client];
        publisher.at = at;
        let mut truth = self.truth.lock();
        let desk = publishers::Desk {
            process,
            clock: &machine.clock,
            truth: &mut truth,
            answers: &self.answers,
            parts: self.parts,
        };
        let sent = publisher.send(self.requests, &mut self.chance, desk);
        drop(truth);
        self.figures.again += u64::from(sent == Turn::Again);
        if !publisher.is_waiting() {
            publisher.due = next;
        }
        self.wake(at);
    }

    pub(super) fn read(&mut self, client: usize) {
        let pause = Duration::from_millis(self.chance.u64(10..CLIENT_PAUSE_MS));
        let longer = if self.plan.kind.is_long() { 8 } else { 1 };
        let at = self.followers[client].at;
        let moves = self.chance.u32(..MOVE_ONE_IN) == 0;
        let at = if moves || !self.serves(at) { self.elsewhere() } else { Some(at) };
        let now = self.now();
        let follower = &mut self.followers[client];
        follower.due = now + pause * longer;
        let Some(at) = at else { return };
        follower.at = at;
        let Some(process) = self.machines[at].process() else { return };
        if follower.read(process.node.journal(), &mut self.truth.lock()) {
            follower.due = now + pause / 4;
        }
    }
}
