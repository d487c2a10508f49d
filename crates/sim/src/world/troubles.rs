//! What goes wrong, and how it ends.

use std::time::Duration;

use bellwire_shared_log::SharedLog as _;
use bellwire_shared_log::contract::Fault;

use super::{Stage, World};
use crate::clock::MachineClock;
use crate::machine::{Machine, State};
use crate::plan::{NODES_MAX, Trouble};
use crate::stranger;

/// What was applied for so long is synced.
const SYNCED_AGE: Duration = Duration::from_secs(1);

/// How long a node that is drained waits for what it has taken.
const DRAIN: Duration = Duration::from_secs(10);

/// What ails the engine, and until when, and by what it ends; by nothing, where only a node is cut off.
#[derive(Debug, Default)]
pub(super) struct EngineTroubles(Vec<(Duration, Option<Fault>)>);

impl EngineTroubles {
    /// When the first of them ends.
    pub(super) fn ends(&self) -> Duration {
        self.0.iter().map(|(until, _)| *until).min().unwrap_or(Duration::MAX)
    }

    pub(super) fn is_in_trouble(&self) -> bool {
        self.0.iter().any(|(_, relief)| relief.is_some())
    }
}

impl World<'_> {
    pub(super) fn act(&mut self) {
        let trouble = self.plan.acts[self.next_act].trouble;
        self.next_act += 1;
        self.begin(trouble);
        self.note_absences();
        self.wake_all();
    }

    fn wake_all(&mut self) {
        let now = self.now();
        self.engine_at = now;
        for machine in &mut self.machines {
            if let Some(process) = machine.process_mut() {
                process.follow_at = process.follow_at.min(now + Duration::from_millis(1));
            }
        }
    }

    fn begin(&mut self, trouble: Trouble) {
        let (now, count) = (self.now(), self.machines.len());
        match trouble {
            Trouble::Kill(node, down) => {
                self.figures.kills += 1;
                self.kill(node % count, |machine| machine.kill(now + down));
            }
            Trouble::LosePower(node, down) => {
                self.figures.kills += 1;
                self.figures.power_losses += 1;
                let synced = now.saturating_sub(SYNCED_AGE.mul_f64(self.chance.f64()));
                self.kill(node % count, |machine| machine.lose_power(now + down, synced));
            }
            Trouble::FillDisk(node, time) => {
                self.figures.full_disks += 1;
                self.machines[node % count].disk.fill(now + time);
            }
            Trouble::LoseDisk(node, down) => self.lose_disk(node % count, down),
            Trouble::Pause(node, time) => {
                self.figures.pauses += 1;
                self.machines[node % count].paused_until = now + time;
            }
            Trouble::Isolate(node, time) => {
                self.figures.cuts += 1;
                self.machines[node % count].alone_until = now + time;
            }
            Trouble::SlowDown(node, time) => self.machines[node % count].slow_until = now + time,
            Trouble::SetClock(node, by_ms) => {
                self.figures.clock_steps += 1;
                self.machines[node % count].clock.set_wall(by_ms);
            }
            Trouble::Drain(node, down) => {
                if let Some(process) = self.machines[node % count].process_mut() {
                    process.draining = Some((now + DRAIN, down));
                    self.figures.members += 1;
                }
            }
            Trouble::Stranger(time) => self.add_stranger(time),
            Trouble::Join if count < NODES_MAX && self.stranger_until.is_none() => {
                self.figures.members += 1;
                self.add_machine();
                self.machines[count].state = State::Down(now);
            }
            Trouble::Join => {}
            Trouble::CutOff(..)
            | Trouble::Disconnect(_)
            | Trouble::LoseAnswers(..)
            | Trouble::DoLate(..)
            | Trouble::EndFollowings(_)
            | Trouble::Forget(_)
            | Trouble::Retain(_) => self.begin_at_process(trouble),
            _ => self.begin_at_engine(trouble),
        }
    }

    /// Where the cluster has no number yet it has to be nobody's.
    fn add_stranger(&mut self, time: Duration) {
        let (now, index) = (self.now(), self.machines.len());
        let mut journals = self.machines.iter().filter_map(|it| Some(it.process()?.node.journal()));
        if self.stranger_until.is_some() || journals.all(|journal| journal.cluster().is_none()) {
            return;
        }
        self.figures.strangers += 1;
        for machine in &mut self.machines {
            machine.paused_until = machine.paused_until.max(now + time);
        }
        let clock = MachineClock::new(self.time.clone(), 0);
        self.machines.push(Machine::stranger(index, clock, stranger::disk(self.plan.seed)));
        self.stranger_until = Some(now + time);
    }

    /// It is gone again.
    fn end_stranger(&mut self) {
        self.stranger_until = None;
        if self.machines.last().is_some_and(Machine::is_stranger) {
            self.machines.pop();
        }
    }

    pub(super) fn kill(&mut self, index: usize, kill: impl FnOnce(&mut Machine)) {
        let machine = &mut self.machines[index];
        kill(machine);
        machine.cut_until = Duration::ZERO;
    }

    /// Only where all others have what it had.
    fn lose_disk(&mut self, index: usize, down: Duration) {
        let now = self.now();
        let is_alone = self.machines.iter().any(|machine| {
            machine.index != index && (machine.disk.is_empty() || !machine.absence.has_joined())
        });
        if is_alone {
            return;
        }
        self.figures.members += 1;
        self.kill(index, |machine| machine.lose_disk(now + down));
    }

    fn begin_at_process(&mut self, trouble: Trouble) {
        let (now, count) = (self.now(), self.machines.len());
        let of = |node: usize| self.machines[node % count].process();
        match trouble {
            Trouble::CutOff(node, time) => {
                if let Some(process) = of(node) {
                    process.log.partition();
                    self.machines[node % count].cut_until = now + time;
                    self.figures.cuts += 1;
                    self.engine.0.push((now + time, None));
                }
            }
            Trouble::Disconnect(node) => {
                of(node).inspect(|process| process.log.disconnect());
                self.figures.cuts += 1;
            }
            Trouble::LoseAnswers(node, times) => {
                of(node).inspect(|process| process.log.lose_answers(times));
            }
            Trouble::DoLate(node, times) => {
                of(node).inspect(|process| process.log.do_late(times));
            }
            Trouble::EndFollowings(node) => {
                of(node).inspect(|process| process.log.end_followings());
                self.figures.cuts += 1;
            }
            Trouble::Forget(node) => {
                let name = self.machines[node % count].name();
                let by = self.machines.iter().find_map(|machine| machine.process());
                if let Some(process) = by
                    && process.node.journal().forget_node(&name).is_ok()
                {
                    self.figures.members += 1;
                    // Nobody waits for who is away and forgotten.
                    if !self.is_there(&self.machines[node % count]) {
                        self.machines[node % count].absence.leave();
                    }
                }
            }
            Trouble::Retain(node) => self.retain(node % count),
            _ => {}
        }
    }

    /// Has a node remove what is not retained.
    pub(super) fn retain(&mut self, index: usize) {
        let machine = &self.machines[index];
        let Some((replica, _)) = &machine.replica else { return };
        if let Err(error) = replica.apply_retention(machine.clock.now_reading()) {
            self.truth.lock().fail(format!("retention at node {index}: {error}"));
        }
    }

    fn begin_at_engine(&mut self, trouble: Trouble) {
        let now = self.now();
        self.figures.engine_faults += 1;
        match trouble {
            Trouble::PauseEngine(time) => {
                self.logs.fail(Fault::Pause);
                self.engine.0.push((now + time, Some(Fault::Resume)));
            }
            Trouble::KillEngine(time) => {
                self.parts.kill_engine(&self.logs);
                self.engine.0.push((now + time, Some(Fault::Start)));
            }
            Trouble::CutEngine(time) => {
                self.logs.fail(Fault::Cut);
                self.engine.0.push((now + time, Some(Fault::Mend)));
            }
            Trouble::FillEngine(time) => {
                self.logs.fail(Fault::Fill);
                self.engine.0.push((now + time, Some(Fault::Relieve)));
            }
            Trouble::CopyEngine => self.logs.fail(Fault::Copy),
            Trouble::RestoreEngine => {
                self.figures.restores += 1;
                self.logs.fail(Fault::Restore);
            }
            Trouble::LoseEngine => {
                self.figures.restores += 1;
                self.logs.fail(Fault::Lose);
            }
            Trouble::Intrude => {
                let bytes = format!("of something else, at {now:?}");
                self.probe.append(bytes.into(), None, Box::new(|_| ()));
            }
            _ => {}
        }
    }

    /// What has ended ends.
    pub(super) fn relieve(&mut self) {
        let now = self.now();
        if self.stranger_until.is_some_and(|until| now >= until) {
            self.end_stranger();
        }
        let all = std::mem::take(&mut self.engine.0);
        let (over, on): (Vec<_>, Vec<_>) = all.into_iter().partition(|(until, _)| *until <= now);
        self.engine.0 = on;
        over.into_iter().filter_map(|(_, relief)| relief).for_each(|relief| self.logs.fail(relief));
        for machine in &self.machines {
            if let Some(process) = machine.process()
                && now >= machine.cut_until
            {
                process.log.mend();
            }
        }
        self.note_absences();
        self.wake_all();
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        self.stage = Stage::Healed;
        let now = self.now();
        self.end_stranger();
        self.engine.0.clear();
        for fault in [Fault::Start, Fault::Resume, Fault::Mend, Fault::Relieve] {
            self.logs.fail(fault);
        }
        for machine in &mut self.machines {
            machine.paused_until = machine.paused_until.min(now);
            machine.cut_until = machine.cut_until.min(now);
            machine.alone_until = machine.alone_until.min(now);
            machine.slow_until = machine.slow_until.min(now);
            machine.disk.fill(Duration::ZERO);
            if let State::Down(until) = &mut machine.state {
                *until = (*until).min(now);
            }
            if let Some(process) = machine.process_mut() {
                // Who ends is back at once.
                process.draining = process.draining.map(|(until, _)| (until, Duration::ZERO));
                process.log.mend();
                process.log.lose_answers(0);
                process.log.do_late(0);
            }
        }
        self.note_absences();
        self.wake_all();
    }
}
