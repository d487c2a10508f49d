//! Laws of the engine in memory, whatever happens in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use crate::contract::Fault;
use crate::{
    Ended, Error, Fence, Following, Generation, MemoryLog, MemoryLogs, Position, SharedLog,
};

const NODES: usize = 3;
const LEASE: &str = "lease";

/// What happens.
#[derive(Clone, Debug)]
enum Act {
    /// A node appends so many, with the fence that it knows or without.
    Append(usize, usize, Guard),
    /// A node takes the lease.
    Take(usize),
    /// So many steps.
    Step(usize),
    /// A node reads what it follows, and follows again where that has ended.
    Read(usize),
    Fail(Fault),
    Partition(usize),
    Mend(usize),
    Disconnect(usize),
    LoseAnswers(usize, u32),
    DoLate(usize, u32),
    EndFollowings(usize),
    /// A node is killed and begins anew.
    Restart(usize),
    /// What lies so far behind the tail is trimmed.
    Trim(u64),
}

#[derive(Clone, Copy, Debug)]
enum Guard {
    None,
    Lease,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let node = || 0..NODES;
    let fault = prop::sample::select(vec![
        Fault::Kill,
        Fault::Start,
        Fault::Pause,
        Fault::Resume,
        Fault::Cut,
        Fault::Mend,
        Fault::Fill,
        Fault::Relieve,
    ]);
    let guard = prop_oneof![Just(Guard::None), Just(Guard::Lease)];
    let act = prop_oneof![
        8 => (node(), 1_usize..6, guard).prop_map(|(node, count, guard)| {
            Act::Append(node, count, guard)
        }),
        2 => node().prop_map(Act::Take),
        8 => (1_usize..20).prop_map(Act::Step),
        4 => node().prop_map(Act::Read),
        3 => fault.prop_map(Act::Fail),
        1 => node().prop_map(Act::Partition),
        2 => node().prop_map(Act::Mend),
        1 => node().prop_map(Act::Disconnect),
        1 => (node(), 1_u32..4).prop_map(|(node, count)| Act::LoseAnswers(node, count)),
        1 => (node(), 1_u32..4).prop_map(|(node, count)| Act::DoLate(node, count)),
        1 => node().prop_map(Act::EndFollowings),
        1 => node().prop_map(Act::Restart),
        1 => (0_u64..30).prop_map(Act::Trim),
    ];
    prop::collection::vec(act, 1..120)
}

/// What is known of an append.
#[derive(Debug)]
struct Call {
    text: String,
    /// Which process made it.
    process: u32,
    generation: Option<Generation>,
    answers: Arc<Mutex<Vec<Result<Position, Error>>>>,
}

struct Node {
    log: Arc<MemoryLog>,
    process: u32,
    following: Option<Box<dyn Following>>,
    after: Position,
    generation: Generation,
    /// What was handed on, and where it was told that something is missing.
    seen: Vec<(Position, String)>,
    skips: Vec<(Position, Position)>,
}

struct Run {
    logs: MemoryLogs,
    nodes: Vec<Node>,
    processes: u32,
    calls: Vec<Call>,
    generations: BTreeSet<Generation>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let logs = MemoryLogs::stepped(seed);
        let mut run = Self {
            logs,
            nodes: Vec::new(),
            processes: 0,
            calls: Vec::new(),
            generations: BTreeSet::new(),
        };
        for _ in 0..NODES {
            let node = run.node();
            run.nodes.push(node);
        }
        run
    }

    fn node(&mut self) -> Node {
        self.processes += 1;
        Node {
            log: self.logs.handle(),
            process: self.processes,
            following: None,
            after: Position::START,
            generation: Generation::NEVER,
            seen: Vec::new(),
            skips: Vec::new(),
        }
    }

    fn take(&mut self, act: Act) {
        match act {
            Act::Append(node, count, guard) => {
                for _ in 0..count {
                    self.append(node, guard);
                }
            }
            Act::Take(node) => self.take_lease(node),
            Act::Step(count) => {
                for _ in 0..count {
                    self.logs.step();
                }
            }
            Act::Read(node) => self.nodes[node].read(),
            Act::Fail(fault) => self.logs.fail(fault),
            Act::Partition(node) => self.nodes[node].log.partition(),
            Act::Mend(node) => self.nodes[node].log.mend(),
            Act::Disconnect(node) => self.nodes[node].log.disconnect(),
            Act::LoseAnswers(node, count) => self.nodes[node].log.lose_answers(count),
            Act::DoLate(node, count) => self.nodes[node].log.do_late(count),
            Act::EndFollowings(node) => self.nodes[node].log.end_followings(),
            Act::Restart(node) => {
                let begun = self.node();
                let old = &mut self.nodes[node];
                old.following = None;
                old.log = begun.log;
                old.process = begun.process;
            }
            Act::Trim(behind) => {
                let log = &self.nodes[0].log;
                if let Ok(span) = log.span() {
                    drop(log.trim(Position::new(span.tail.get().saturating_sub(behind))));
                }
            }
        }
    }

    fn append(&mut self, node: usize, guard: Guard) {
        let node = &self.nodes[node];
        let generation = match guard {
            Guard::None => None,
            Guard::Lease => Some(node.generation),
        };
        let text = self.calls.len().to_string();
        let fence = generation.map(|generation| Fence { register: LEASE.into(), generation });
        let answers = Arc::<Mutex<Vec<_>>>::default();
        let answered = Arc::clone(&answers);
        let stored = Box::new(move |result| answered.lock().unwrap().push(result));
        node.log.append(text.clone().into(), fence, stored);
        self.calls.push(Call { text, process: node.process, generation, answers });
    }

    fn take_lease(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let Ok(found) = node.log.register(LEASE) else { return };
        self.generations.insert(found.generation);
        node.generation = found.generation;
        let value = node.process.to_string();
        if let Ok(generation) = node.log.set_register(LEASE, found.generation, value.into()) {
            assert!(generation > found.generation);
            self.generations.insert(generation);
            node.generation = generation;
        }
    }

    /// Everything works again, everything that is under way happens, and everybody reads to the end.
    fn settle(&mut self) {
        for fault in [Fault::Start, Fault::Resume, Fault::Mend, Fault::Relieve] {
            self.logs.fail(fault);
        }
        for node in &self.nodes {
            node.log.mend();
            node.log.lose_answers(0);
            node.log.do_late(0);
        }
        self.logs.run_until_idle();
        let tail = self.nodes[0].log.span().unwrap().tail;
        for node in &mut self.nodes {
            // Behind the tail there may be a hole, so that nobody can tell by the place alone.
            let mut quiet = 0;
            while quiet < 3 {
                let before = node.after;
                node.read();
                self.logs.run_until_idle();
                quiet = if node.after == before { quiet + 1 } else { 0 };
            }
            assert!(node.after <= tail);
        }
    }

    fn check(&self) {
        let log = &self.nodes[0].log;
        let trimmed = log.span().unwrap().trimmed;
        let seen = self.nodes.iter().flat_map(|node| &node.seen);
        let seen: BTreeMap<Position, String> = seen.cloned().collect();
        let mut places = BTreeMap::<&String, Vec<Position>>::new();
        for (&position, text) in &seen {
            places.entry(text).or_default().push(position);
            if position > trimmed {
                let entry = log.entry(position).unwrap().expect("what was handed on is there");
                assert_eq!(entry.batch, *text, "everybody is handed the same");
            }
        }
        let mut last = BTreeMap::<u32, Position>::new();
        for call in &self.calls {
            let answers = call.answers.lock().unwrap();
            assert_eq!(answers.len(), 1, "{call:?} is answered once");
            let there = places.get(&call.text).cloned().unwrap_or_default();
            assert!(there.len() <= 1, "{call:?} is there at {there:?}");
            match &answers[0] {
                Ok(position) => {
                    let entry = log.entry(*position).unwrap().map(|entry| entry.batch);
                    let expected = (*position > trimmed).then(|| call.text.clone().into());
                    assert_eq!(entry, expected, "{call:?}, which was answered");
                    let last = last.entry(call.process).or_default();
                    assert!(position > last, "{call:?} is behind what was appended before it");
                    *last = *position;
                }
                Err(Error::Away(_)) => {}
                Err(_) => assert!(there.is_empty(), "{call:?} is there at {there:?}"),
            }
            let place = answers[0].as_ref().ok().or(there.first());
            if let (Some(place), Some(generation)) = (place, call.generation) {
                // A generation is the place at which the register was set.
                let newer = self.generations.range(generation..).nth(1);
                assert!(generation.get() < place.get(), "{call:?}");
                assert!(newer.is_none_or(|newer| place.get() < newer.get()), "{call:?}");
            }
        }
        for node in &self.nodes {
            node.check(&seen);
        }
    }
}

impl Node {
    fn read(&mut self) {
        if self.following.is_none() {
            match self.log.follow(self.after) {
                Ok(following) => self.following = Some(following),
                Err(Error::Trimmed(until)) => self.skip(until),
                Err(error) => assert!(matches!(error, Error::Away(_)), "{error:?}"),
            }
        }
        let Some(following) = &mut self.following else { return };
        match following.next(Duration::ZERO) {
            Ok(entries) => {
                for entry in entries {
                    assert!(entry.position > self.after, "{entry:?} behind {}", self.after);
                    self.after = entry.position;
                    let text = String::from_utf8(entry.batch.to_vec()).unwrap();
                    self.seen.push((entry.position, text));
                }
            }
            Err(ended) => {
                self.following = None;
                if let Ended::Trimmed(until) = ended {
                    self.skip(until);
                }
            }
        }
    }

    fn skip(&mut self, until: Position) {
        assert!(until > self.after, "trimmed up to {until}, behind {}", self.after);
        self.skips.push((self.after, until));
        self.after = until;
    }

    /// It has handed on everything that anybody has, but for what it was told is gone.
    fn check(&self, all: &BTreeMap<Position, String>) {
        let is_skipped =
            |at: &Position| self.skips.iter().any(|(after, until)| (*after < *at) && (at <= until));
        let expected = all.iter().filter(|(at, _)| !is_skipped(at));
        let expected: Vec<_> = expected.map(|(&at, text)| (at, text.clone())).collect();
        assert_eq!(self.seen, expected, "skipped: {:?}", self.skips);
    }
}

proptest! {
    #[test]
    fn what_is_answered_is_there_in_order_and_within_its_fence(seed: u64, acts in acts()) {
        let mut run = Run::new(seed);
        for act in acts {
            run.take(act);
        }
        run.settle();
        run.check();
    }

    #[test]
    fn no_following_goes_on_in_another_log(seed: u64, acts in acts(), kinds: u64) {
        let mut run = Run::new(seed);
        for (index, act) in acts.into_iter().enumerate() {
            run.take(act);
            if index % 20 == 19 {
                let fault = match (kinds >> (index / 20)) & 3 {
                    0 => Fault::Lose,
                    1 => Fault::Copy,
                    _ => Fault::Restore,
                };
                let calls = run.calls.len();
                run.logs.fail(fault);
                if fault != Fault::Copy {
                    run.followings_end(calls);
                }
            }
        }
        run.settle_answers();
    }
}

impl Run {
    /// The log is another one now: whoever followed is handed nothing that is appended from now on.
    fn followings_end(&mut self, calls: usize) {
        for node in 0..NODES {
            self.append(node, Guard::None);
        }
        self.logs.run_until_idle();
        for node in &mut self.nodes {
            node.seen.clear();
            node.after = Position::START;
            let Some(mut following) = node.following.take() else { continue };
            while let Ok(entries) = following.next(Duration::ZERO) {
                for entry in &entries {
                    let number: usize = std::str::from_utf8(&entry.batch).unwrap().parse().unwrap();
                    assert!(number < calls, "call {number} is of another log");
                }
                let goes_on = !entries.is_empty() || self.logs.step();
                assert!(goes_on, "a following has not ended though its log is another one");
            }
        }
    }

    fn settle_answers(mut self) {
        self.settle();
        for call in &self.calls {
            assert_eq!(call.answers.lock().unwrap().len(), 1, "{call:?} is answered once");
        }
    }
}
