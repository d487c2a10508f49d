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
    fn new(mut chance: fastrand::Rng, count: usize) -> Self {
        let node = |index: usize, chance: &mut fastrand::Rng| Node {
            lease: Lease::new("x", &format!("n{index}"), LeaseTiming::default()),
            rate: 0.87 + 0.3 * chance.f64(),
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
        let call =
            Call { node, begun, ask, done_at, also_done_at, answered_at, is_answer_lost: is_lost };
        self.calls.push(call);
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
        let is_over = |call: &Call, nodes: &[Node]| {
            call.answered_at <= at
                && nodes[call.node].wakes.is_none()
                && nodes[call.node].paused <= at
        };
        let all = std::mem::take(&mut self.calls);
        for call in all {
            if !is_over(&call, &self.nodes) {
                // Of who was told that it is away, it may be done yet.
                if call.done_at >= at || self.nodes[call.node].wakes.is_none() {
                    self.calls.push(call);
                }
                continue;
            }
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
    for _ in 0..5 {
        let count = chance.usize(2..5);
        let mut world = World::new(chance.fork(), count);
        let mut holder = None;
        for at in 0..30_000 {
            if at % 500 == 0 {
                world.trouble = [0, 5, 30, 60][chance.usize(..4)];
                let node = chance.usize(..count);
                if chance.u8(..8) == 0 {
                    world.nodes[node].paused = at + chance.u64(..8_000);
                }
                if chance.u8(..20) == 0 {
                    world.nodes[node].ahead += MS * chance.u32(..5_000);
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
    assert!(taken >= 5 && held_ms > 5 * 3_000, "{taken} {held_ms}");
}

#[test]
fn another_takes_it_over_within_five_seconds() {
    let mut chance = fastrand::Rng::with_seed(7);
    for _ in 0..5 {
        let mut world = World::new(chance.fork(), 3);
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
    let mut world = World::new(fastrand::Rng::with_seed(9), 2);
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
