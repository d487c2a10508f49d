//! At no time do two nodes hold a lease, whatever their clocks, the network and the engine do.

use super::*;
use crate::seed::seed;

const MS: Duration = Duration::from_millis(1);

/// A node with a clock of its own.
struct Node {
    lease: Lease,
    rate: f64,
    ahead: Duration,
    /// Until then its process is stopped.
    paused: u64,
    /// When it is to be asked what is next; nothing while it waits for an answer.
    wakes: Option<u64>,
}

impl Node {
    fn clock(&self, at: u64) -> Duration {
        self.ahead + MS.mul_f64(at as f64 * self.rate)
    }

    fn holds(&self, at: u64) -> bool {
        self.lease.held(self.clock(at)).is_some()
    }
}

/// What is wrong with the nodes' clocks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clocks {
    Drift,
    Jump,
}

/// One of the two registers.
#[derive(Clone, Copy)]
enum Which {
    Lease,
    Beat,
}

#[derive(Clone)]
enum Ask {
    Look { lease: Option<Register>, beat: Option<Register> },
    Take(Generation, Bytes, Option<Result<Generation, LogError>>),
    Beat(Generation, Bytes, Option<Result<Generation, LogError>>),
}

/// What is on its way to the engine, done there, and on its way back.
#[derive(Clone)]
struct Call {
    node: usize,
    begun: Duration,
    ask: Ask,
    done_at: u64,
    also_done_at: u64,
    answered_at: u64,
    is_answer_lost: bool,
    /// The node has had its answer; it may be done yet.
    is_told: bool,
}

struct World {
    nodes: Vec<Node>,
    lease: Register,
    beat: Register,
    generation: u64,
    calls: Vec<Call>,
    chance: fastrand::Rng,
    /// Of a hundred messages so many are slow, or lost.
    trouble: u8,
}

impl World {
    /// Where clocks jump they go about as fast as each other.
    fn new(mut chance: fastrand::Rng, count: usize, clocks: Clocks) -> Self {
        let apart = if clocks == Clocks::Jump { 0.05 } else { 0.15 };
        let node = |index: usize, chance: &mut fastrand::Rng| Node {
            lease: Lease::new("x", &format!("n{index}"), LeaseTiming::default()),
            rate: 1.0 - apart + 2.0 * apart * chance.f64(),
            ahead: MS * chance.u32(..100_000),
            paused: 0,
            wakes: Some(0),
        };
        let nodes = (0..count).map(|index| node(index, &mut chance)).collect();
        let (lease, beat) = (Register::default(), Register::default());
        Self { nodes, lease, beat, generation: 0, calls: Vec::new(), chance, trouble: 0 }
    }

    fn set(
        &mut self,
        which: Which,
        expected: Generation,
        value: &Bytes,
    ) -> Result<Generation, LogError> {
        self.generation += 1;
        let generation = Generation::new(self.generation);
        let register = match which {
            Which::Lease => &mut self.lease,
            Which::Beat => &mut self.beat,
        };
        if register.generation != expected {
            return Err(LogError::Changed(register.clone()));
        }
        *register = Register { generation, value: value.clone() };
        Ok(generation)
    }

    /// How long a message is on its way.
    fn way(&mut self) -> u64 {
        let is_slow = self.chance.u8(..100) < self.trouble;
        if is_slow { self.chance.u64(..6_000) } else { self.chance.u64(1..30) }
    }

    fn call(&mut self, at: u64, node: usize, ask: Ask) {
        let begun = self.nodes[node].clock(at);
        let done_at = at + self.way();
        let also_done_at = done_at + self.way();
        // A handle waits for so long.
        let answered_at = (also_done_at + self.way()).min(at + 2_000);
        let is_lost = self.chance.u8(..100) < self.trouble || answered_at < also_done_at;
        self.calls.push(Call {
            node,
            begun,
            ask,
            done_at,
            also_done_at,
            answered_at,
            is_answer_lost: is_lost,
            is_told: false,
        });
        self.nodes[node].wakes = None;
    }

    fn engine(&mut self, at: u64) {
        let mut calls = std::mem::take(&mut self.calls);
        for call in &mut calls {
            let is_first = call.done_at == at;
            match &mut call.ask {
                Ask::Look { lease, .. } if is_first => *lease = Some(self.lease.clone()),
                Ask::Look { beat, .. } if call.also_done_at == at => {
                    *beat = Some(self.beat.clone());
                }
                Ask::Take(expected, value, answer) if is_first => {
                    *answer = Some(self.set(Which::Lease, *expected, value));
                }
                Ask::Beat(expected, value, answer) if is_first => {
                    *answer = Some(self.set(Which::Beat, *expected, value));
                }
                _ => {}
            }
        }
        self.calls = calls;
    }

    fn answers(&mut self, at: u64) {
        for mut call in std::mem::take(&mut self.calls) {
            let is_here = call.answered_at <= at && self.nodes[call.node].paused <= at;
            if call.is_told || !is_here {
                if !call.is_told || call.done_at >= at {
                    self.calls.push(call);
                }
                continue;
            }
            call.is_told = true;
            let node = &mut self.nodes[call.node];
            let now = node.clock(at);
            let away = || Err(LogError::Away("lost".into()));
            match &call.ask {
                Ask::Look { lease: Some(lease), beat: Some(beat) } if !call.is_answer_lost => {
                    node.lease.looked((call.begun, now), lease, beat);
                }
                Ask::Look { .. } => {}
                Ask::Take(_, _, answer) => {
                    let answer = answer.clone().filter(|_| !call.is_answer_lost);
                    node.lease.took(now, answer.unwrap_or_else(away));
                }
                Ask::Beat(_, _, answer) => {
                    let answer = answer.clone().filter(|_| !call.is_answer_lost);
                    node.lease.beat(now, answer.unwrap_or_else(away));
                }
            }
            node.wakes = Some(at + 1);
            if call.done_at >= at {
                self.calls.push(call);
            }
        }
    }

    fn step(&mut self, at: u64) {
        self.engine(at);
        self.answers(at);
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if node.paused > at || node.wakes.is_none_or(|wakes| wakes > at) {
                continue;
            }
            let now = node.clock(at);
            match node.lease.next(now) {
                LeaseStep::Wait(until) => {
                    let wait = until.saturating_sub(now).div_f64(node.rate);
                    node.wakes = Some(at + 1 + wait.as_millis() as u64);
                }
                LeaseStep::Look => self.call(at, index, Ask::Look { lease: None, beat: None }),
                LeaseStep::Take(expected, value) => {
                    self.call(at, index, Ask::Take(expected, value, None));
                }
                LeaseStep::Beat(expected, value) => {
                    self.call(at, index, Ask::Beat(expected, value, None));
                }
            }
        }
    }

    fn holders(&self, at: u64) -> Vec<usize> {
        (0..self.nodes.len()).filter(|index| self.nodes[*index].holds(at)).collect()
    }
}

#[test]
fn no_two_nodes_hold_it_at_any_time() {
    let mut chance = fastrand::Rng::with_seed(seed());
    let (mut taken, mut held_ms) = (0, 0);
    for round in 0..60 {
        let clocks = if round % 2 == 0 { Clocks::Drift } else { Clocks::Jump };
        let mut jumped = 0;
        let count = chance.usize(2..5);
        let mut world = World::new(chance.fork(), count, clocks);
        let mut holder = None;
        for at in 0..30_000 {
            if at % 500 == 0 {
                world.trouble = [0, 5, 30, 60][chance.usize(..4)];
                let node = chance.usize(..count);
                if chance.u8(..8) == 0 {
                    world.nodes[node].paused = at + chance.u64(..8_000);
                }
                if clocks == Clocks::Jump && at > jumped + 4_000 && chance.u8(..10) == 0 {
                    world.nodes[node].ahead += MS * chance.u32(..5_000);
                    jumped = at;
                }
            }
            world.step(at);
            let holders = world.holders(at);
            assert!(holders.len() <= 1, "{holders:?} at {at}");
            held_ms += holders.len();
            if let Some(now) = holders.first().filter(|now| Some(**now) != holder) {
                (holder, taken) = (Some(*now), taken + 1);
            }
        }
    }
    assert!(taken > 60 && held_ms > 60 * 3_000, "{taken} {held_ms}");
}

#[test]
fn another_takes_it_over_within_five_seconds() {
    let mut chance = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        let mut world = World::new(chance.fork(), 3, Clocks::Drift);
        (0..6_000 + chance.u64(..1_000)).for_each(|at| world.step(at));
        let at = 7_000;
        (6_999..at).for_each(|at| world.step(at));
        let [holder] = world.holders(at)[..] else { panic!("nobody holds it") };
        world.nodes[holder].paused = u64::MAX;
        let taken = (at..at + 6_000).find(|at| {
            world.step(*at);
            world.holders(*at).iter().any(|now| *now != holder)
        });
        assert!(taken.is_some_and(|taken| taken < at + 5_500), "{taken:?}");
    }
}

#[test]
fn who_lets_go_of_it_leaves_it_to_the_others_at_once() {
    let mut world = World::new(fastrand::Rng::with_seed(9), 2, Clocks::Drift);
    (0..5_000).for_each(|at| world.step(at));
    let [holder] = world.holders(5_000)[..] else { panic!("nobody holds it") };
    let fence = world.nodes[holder].lease.held(world.nodes[holder].clock(5_000)).expect("held");
    assert_eq!(fence.generation, world.lease.generation);
    world.nodes[holder].lease.want(Wanted::No);
    let taken = (5_000..9_000).find(|at| {
        world.step(*at);
        world.holders(*at).iter().any(|now| *now != holder)
    });
    assert!(taken.is_some_and(|taken| taken < 7_500), "{taken:?}");
    assert_ne!(world.lease.generation, fence.generation);
    assert_eq!(Lease::holder(&world.lease), Some(format!("n{}", 1 - holder).into()));
}

#[test]
fn who_defers_leaves_it_to_another_and_takes_it_where_there_is_none() {
    let deference = MS * 2_500;
    for lets_go in [true, false] {
        let mut world = World::new(fastrand::Rng::with_seed(11), 3, Clocks::Drift);
        (0..5_000).for_each(|at| world.step(at));
        let [holder] = world.holders(5_000)[..] else { panic!("nobody holds it") };
        let (first, last) = ((holder + 1) % 3, (holder + 2) % 3);
        world.nodes[last].lease.defer(deference);
        let end = |world: &mut World, at: u64, of: usize| {
            if lets_go {
                world.nodes[of].lease.want(Wanted::No);
            } else {
                world.nodes[of].paused = u64::MAX;
            }
            let taken = (at..at + 20_000).find_map(|at| {
                world.step(at);
                world.holders(at).into_iter().find(|now| *now != of).map(|now| (at, now))
            });
            taken.expect("somebody takes it")
        };
        let (at, taken) = end(&mut world, 5_000, holder);
        assert_eq!(taken, first, "{lets_go}");
        let (_, taken) = end(&mut world, at, first);
        assert_eq!(taken, last, "{lets_go}");
    }
}

/// A lease that is held from `at` on, by a register of this generation.
fn held(at: Duration, timing: LeaseTiming) -> Lease {
    let mut lease = Lease::new("x", "n", timing);
    assert_eq!(lease.next(at), LeaseStep::Look);
    lease.looked((at, at), &Register::default(), &Register::default());
    assert!(matches!(lease.next(at), LeaseStep::Take(Generation::NEVER, _)));
    lease.took(at, Ok(Generation::new(1)));
    assert!(lease.held(at).is_some());
    lease
}

#[test]
fn an_answer_that_comes_too_late_counts_for_nothing() {
    let timing = LeaseTiming::default();
    let at = Duration::from_secs(100);
    let mut lease = held(at, timing);
    let begun = at + timing.beat;
    assert!(matches!(lease.next(begun), LeaseStep::Beat(..)));
    lease.beat(at + timing.hold, Ok(Generation::new(2)));
    assert_eq!(lease.held(at + timing.hold), None);
    // In time it is held from when it was begun, not from when it was answered.
    let mut lease = held(at, timing);
    assert!(matches!(lease.next(begun), LeaseStep::Beat(..)));
    lease.beat((at + timing.hold).saturating_sub(MS), Ok(Generation::new(2)));
    assert!(lease.held((begun + timing.hold).saturating_sub(MS)).is_some());
    assert_eq!(lease.held(begun + timing.hold), None);
}

/// The engine has gone back to where it was never taken, or to another holder.
#[test]
fn who_finds_that_the_beat_is_not_its_own_looks_whose_the_lease_is() {
    let timing = LeaseTiming::default();
    let at = Duration::from_secs(100);
    let others = Held { node: Some("m".into()), nonce: 7 };
    let beat = Beat { nonce: 7, count: 3 }.encode();
    let of_other = [(5, others.encode()), (6, beat)].map(|(generation, value)| {
        let generation = Generation::new(generation);
        Register { generation, value }
    });
    for [register, beat] in [[Register::default(), Register::default()], of_other] {
        let mut lease = held(at, timing);
        let now = at + timing.beat;
        assert!(matches!(lease.next(now), LeaseStep::Beat(..)));
        lease.beat(now, Err(LogError::Changed(beat.clone())));
        assert_eq!(lease.held(now), None);
        assert_eq!(lease.next(now), LeaseStep::Look);
        lease.looked((now, now), &register, &beat);
        assert_eq!(lease.term(), None);
        let is_taken = matches!(lease.next(now), LeaseStep::Take(Generation::NEVER, _));
        assert_eq!(is_taken, register.value.is_empty());
    }
    // One of its own that was done late is none of these.
    let mut lease = held(at, timing);
    let now = at + timing.beat;
    let LeaseStep::Beat(_, value) = lease.next(now) else { panic!("it is due") };
    lease.beat(now, Err(LogError::Changed(Register { generation: Generation::new(9), value })));
    assert!(lease.held(now).is_some());
    assert!(matches!(lease.next(now), LeaseStep::Beat(generation, _) if generation.get() == 9));
}

#[test]
fn a_take_over_whose_answer_was_lost_is_read_back() {
    let timing = LeaseTiming::default();
    let at = Duration::from_secs(100);
    for (late, is_held) in [(MS, true), (timing.hold, false)] {
        let mut lease = Lease::new("x", "n", timing);
        lease.next(at);
        lease.looked((at, at), &Register::default(), &Register::default());
        let LeaseStep::Take(_, value) = lease.next(at) else { panic!("it is free") };
        lease.took(at, Err(LogError::Away("lost".into())));
        let register = Register { generation: Generation::new(1), value };
        let now = at + late;
        assert_eq!(lease.next(now), LeaseStep::Look);
        lease.looked((now, now), &register, &Register::default());
        assert_eq!(lease.held(now).is_some(), is_held);
        // What is its own and over is taken again at once, and fenced anew.
        let is_taken =
            matches!(lease.next(now), LeaseStep::Take(generation, _) if generation.get() == 1);
        assert_eq!(is_taken, !is_held);
    }
}

#[test]
fn a_clock_that_jumps_ahead_is_worth_half_a_look() {
    let timing = LeaseTiming::default();
    let held = Held { node: Some("other".into()), nonce: 7 };
    let register = Register { generation: Generation::new(1), value: held.encode() };
    let mut lease = Lease::new("x", "n", timing);
    let (mut now, mut looks) = (Duration::from_secs(100), 0);
    lease.next(now);
    lease.looked((now, now), &register, &Register::default());
    now += Duration::from_hours(1);
    while !matches!(lease.next(now), LeaseStep::Take(..)) {
        looks += 1;
        lease.looked((now, now), &register, &Register::default());
        now += timing.look;
    }
    assert_eq!(looks, 9);
}

/// A register that is set, and what becomes of that.
struct Engine {
    lease: Register,
    beat: Register,
}

impl Engine {
    fn set(
        register: &mut Register,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, LogError> {
        if register.generation != expected {
            return Err(LogError::Changed(register.clone()));
        }
        *register = Register { generation: Generation::new(expected.get() + 1), value };
        Ok(register.generation)
    }

    /// Has a node go on until it holds it.
    fn take(&mut self, lease: &mut Lease, now: &mut Duration) -> (u64, Fence) {
        while lease.held(*now).is_none() {
            match lease.next(*now) {
                LeaseStep::Wait(until) => *now = until,
                LeaseStep::Look => lease.looked((*now, *now), &self.lease, &self.beat),
                LeaseStep::Take(expected, value) => {
                    lease.took(*now, Self::set(&mut self.lease, expected, value));
                }
                LeaseStep::Beat(expected, value) => {
                    lease.beat(*now, Self::set(&mut self.beat, expected, value));
                }
            }
        }
        lease.term().expect("it is its own")
    }
}

#[test]
fn a_term_goes_on_for_as_long_as_nobody_else_has_taken_it() {
    let mut engine = Engine { lease: Register::default(), beat: Register::default() };
    let mut now = MS;
    let (mut one, mut two) = (
        Lease::new("x", "one", LeaseTiming::default()),
        Lease::new("x", "two", LeaseTiming::default()),
    );
    let (first, fence) = engine.take(&mut one, &mut now);
    // It has given up by the clock, and nobody has taken it: what it appends still counts.
    now += LeaseTiming::default().hold;
    assert_eq!((one.held(now), one.term()), (None, Some((first, fence.clone()))));
    let (again, fenced_anew) = engine.take(&mut one, &mut now);
    assert_eq!(again, first);
    assert!(fenced_anew.generation > fence.generation);
    // Something was kept out, and yet it is nobody else's.
    one.doubt();
    assert_eq!(one.held(now), None);
    assert_eq!(engine.take(&mut one, &mut now).0, first);
    // Another takes it, and gives it up.
    engine.take(&mut two, &mut now);
    two.want(Wanted::No);
    let LeaseStep::Take(expected, value) = two.next(now) else { panic!("it is given up") };
    assert_eq!(two.term(), None);
    Engine::set(&mut engine.lease, expected, value).expect("set");
    now += LeaseTiming::default().lease;
    assert_ne!(engine.take(&mut one, &mut now).0, first);
}
