//! Whatever becomes of appends and answers: each commit counts once, in the order in which it was put.

use bellwire_journal::Error as JournalError;

use super::*;
use crate::order::{Order, Verdict};
use crate::seed::seed;

const SECOND: Duration = Duration::from_secs(1);

/// An engine that does everything wrong that it may, and a follower of its log.
struct World {
    window: Window,
    order: Order,
    log: Vec<Bytes>,
    followed: usize,
    /// Asked and neither stored nor lost.
    asked: VecDeque<Send>,
    answers: VecDeque<(Ticket, Result<Position, LogError>)>,
    late: Vec<Bytes>,
    now: Duration,
    chance: fastrand::Rng,
    /// Of a hundred messages so many are lost.
    trouble: u8,
    counted: Vec<String>,
}

fn life(number: u64, born: u64) -> Life {
    let born = Position::new(born);
    Life { incarnation: Incarnation::new(number), born, followed: born, epoch: Epoch::new(1) }
}

fn away() -> LogError {
    LogError::Away("lost".into())
}

impl World {
    fn new(chance: fastrand::Rng) -> Self {
        Self {
            window: Window::new(life(1, 0)),
            order: Order::behind(Position::START),
            log: Vec::new(),
            followed: 0,
            asked: VecDeque::new(),
            answers: VecDeque::new(),
            late: Vec::new(),
            now: Duration::ZERO,
            chance,
            trouble: 0,
            counted: Vec::new(),
        }
    }

    fn is_trouble(&mut self) -> bool {
        self.chance.u8(..100) < self.trouble
    }

    fn store(&mut self, entry: Bytes) -> Position {
        self.log.push(entry);
        Position::new(self.log.len() as u64)
    }

    fn engine(&mut self) {
        let Some(send) = self.asked.pop_front() else { return };
        let fenced = send.fence.map(|fence| LogError::Fenced(fence.register));
        let answer = match (fenced, self.is_trouble()) {
            (Some(fenced), _) => Err(fenced),
            (None, true) => {
                match self.chance.u8(..3) {
                    0 => drop(self.store(send.entry)),
                    1 => self.late.push(send.entry),
                    _ => {}
                }
                Err(away())
            }
            (None, false) => Ok(self.store(send.entry)),
        };
        self.answers.push_back((send.ticket, answer));
    }

    fn follow(&mut self) {
        let Some(entry) = self.log.get(self.followed) else { return };
        self.followed += 1;
        let position = Position::new(self.followed as u64);
        let piece = envelope::decode(entry).expect("its own bytes");
        let head = piece.head;
        let verdict = self.order.admit(position, piece);
        let is_own = self.window.is_own(head.incarnation);
        match verdict {
            Verdict::Counts(payload) => {
                self.counted.push(String::from_utf8_lossy(&payload).into_owned());
                let met = self.window.met((head.incarnation, head.number), self.now);
                answer(met.map_or_else(Vec::new, |met| met.waiters), Ok(()));
            }
            Verdict::Noted => {
                let met = self.window.met((head.incarnation, head.number), self.now);
                answer(met.map_or_else(Vec::new, |met| met.waiters), Err(JournalError::Applied));
            }
            Verdict::Stale if is_own && head.incarnation == self.window.incarnation() => {
                self.begin();
            }
            _ => {}
        }
        self.window.passed(position, self.now);
    }

    fn begin(&mut self) {
        self.window.begin(life(self.chance.u64(2..), self.followed as u64));
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(20);
        self.asked.extend(self.window.sends(self.now));
        match self.chance.u8(..8) {
            0..=2 => self.engine(),
            3..=5 => self.follow(),
            6 if !self.late.is_empty() && self.trouble > 0 => {
                let late = self.late.swap_remove(self.chance.usize(..self.late.len()));
                self.store(late);
            }
            _ => {
                if let Some((ticket, answer)) = self.answers.pop_front() {
                    self.window.stored(ticket, answer, self.now);
                }
            }
        }
    }

    /// Until everything has come to an end.
    fn run(&mut self) {
        let steps = (0..20_000).take_while(|_| {
            self.step();
            !self.is_idle()
        });
        assert!(
            steps.count() < 20_000,
            "it does not come to an end: {} {} {} {} {} {:?} {} {}",
            self.counted.len(),
            self.asked.len(),
            self.log.len(),
            self.followed,
            self.answers.len(),
            self.window.sent,
            self.window.round,
            self.window.flights.len()
        );
    }

    fn is_idle(&self) -> bool {
        self.window.is_empty() && self.followed == self.log.len() && self.asked.is_empty()
    }
}

fn answer(waiters: Vec<Waiter>, result: Result<(), JournalError>) {
    for waiter in waiters {
        if let Waiter::Records(reply) = waiter {
            reply(result.clone());
        }
    }
}

fn commit(name: String, now: Duration, pieces: usize) -> Commit {
    let piece = |index: usize| {
        let part = match (index, pieces) {
            (_, 1) => Part::Whole,
            (0, _) => Part::First,
            (index, pieces) if index + 1 == pieces => Part::Last,
            _ => Part::Middle,
        };
        let bytes = if index == 0 { name.clone() } else { String::new() };
        (part, Bytes::from(bytes.into_bytes()))
    };
    Commit {
        pieces: (0..pieces).map(piece).collect(),
        waiters: Vec::new(),
        lane: Lane::Own,
        fence: None,
        time: Timestamp::from_ms(0),
        since: now,
    }
}

/// What waits says its name, and whether it was made.
fn waiter(name: String, answers: &std::sync::Arc<std::sync::Mutex<Vec<(String, bool)>>>) -> Waiter {
    let answers = std::sync::Arc::clone(answers);
    Waiter::Records(Box::new(move |result| {
        answers.lock().expect("held for a moment").push((name, result.is_ok()));
    }))
}

#[test]
fn every_commit_counts_once_and_in_order_whatever_is_lost() {
    let mut chance = fastrand::Rng::with_seed(seed());
    for _ in 0..200 {
        let mut world = World::new(chance.fork());
        world.trouble = [0, 5, 30][chance.usize(..3)];
        let (answers, mut put) = (std::sync::Arc::default(), Vec::new());
        for _ in 0..2_000 {
            if world.window.has_room(Lane::Own, 0) && chance.u8(..4) == 0 {
                let name = put.len().to_string();
                let pieces = if chance.u8(..4) == 0 { chance.usize(2..5) } else { 1 };
                let mut commit = commit(name.clone(), world.now, pieces);
                commit.waiters.push(waiter(name.clone(), &answers));
                world.window.put(commit, world.now);
                put.push(name);
            }
            if world.trouble > 0 && chance.u8(..200) == 0 {
                world.begin();
            }
            world.step();
        }
        world.trouble = 0;
        world.run();
        assert_eq!(world.counted, put);
        let answers = answers.lock().expect("held for a moment");
        let expected: Vec<(String, bool)> = put.into_iter().map(|name| (name, true)).collect();
        assert_eq!(*answers, expected);
    }
}

#[test]
fn what_is_given_up_leaves_its_number_behind_and_what_is_behind_it_goes_on() {
    let mut world = World::new(fastrand::Rng::with_seed(1));
    let answers = std::sync::Arc::default();
    for (name, lane) in [("a", Lane::Publishers), ("b", Lane::Own), ("c", Lane::Publishers)] {
        let mut commit = commit(name.into(), world.now, if name == "c" { 3 } else { 1 });
        commit.lane = lane;
        commit.waiters.push(waiter(name.into(), &answers));
        world.window.put(commit, world.now);
    }
    world.now = SECOND;
    // All three are on their way, and nobody knows what becomes of them.
    let sends = world.window.sends(world.now);
    assert_eq!(sends.len(), 5);
    for send in sends {
        world.window.stored(send.ticket, Err(away()), world.now);
    }
    assert_eq!(world.window.complaint(), Some("the engine is away: lost"));
    let told = world.window.give_up(SECOND);
    assert_eq!(told.len(), 2);
    answer(told, Err(JournalError::Applied));
    world.run();
    assert_eq!(world.counted, ["b"]);
    let answers = answers.lock().expect("held for a moment");
    let expected = [("a", false), ("c", false), ("b", true)];
    assert_eq!(*answers, expected.map(|(name, is_made)| (name.to_owned(), is_made)));
}

#[test]
fn what_its_fence_keeps_out_is_told_and_what_is_behind_it_goes_on() {
    let mut world = World::new(fastrand::Rng::with_seed(2));
    let answers = std::sync::Arc::default();
    for name in ["a", "b"] {
        let mut commit = commit(name.into(), world.now, 1);
        let fence = Fence {
            register: "lease-x".into(),
            generation: bellwire_shared_log::Generation::new(1),
        };
        commit.fence = (name == "a").then_some(fence);
        commit.waiters.push(waiter(name.into(), &answers));
        world.window.put(commit, world.now);
    }
    world.run();
    assert_eq!(world.counted, ["b"]);
    let answers = answers.lock().expect("held for a moment");
    assert_eq!(*answers, [("a".to_owned(), false), ("b".to_owned(), true)]);
}

#[test]
fn so_much_is_on_its_way_at_once() {
    let mut world = World::new(fastrand::Rng::with_seed(3));
    world.window.put(commit("a".into(), world.now, 3 * IN_FLIGHT_MAX), world.now);
    assert!(!world.window.has_room(Lane::Own, 0));
    let sends = world.window.sends(world.now);
    assert_eq!(sends.len(), IN_FLIGHT_MAX);
    world.asked.extend(sends);
    assert!(world.window.sends(world.now).is_empty() && !world.window.may_send(world.now));
    world.run();
    assert_eq!(world.counted, ["a"]);
}

#[test]
fn what_publishers_append_waits_to_become_more_where_enough_is_on_its_way() {
    let mut world = World::new(fastrand::Rng::with_seed(5));
    let has_room = |world: &World, bytes| world.window.has_room(Lane::Publishers, bytes);
    let publish = |world: &mut World, lane| {
        let commit = Commit { lane, ..commit("a".into(), world.now, 1) };
        world.window.put(commit, world.now);
    };
    // What the server says itself is none of it.
    publish(&mut world, Lane::Own);
    for _ in 0..SMALL_IN_FLIGHT_MAX {
        assert!(has_room(&world, 1));
        publish(&mut world, Lane::Publishers);
    }
    assert!(!has_room(&world, SMALL_BYTES - 1));
    assert!(has_room(&world, SMALL_BYTES) && world.window.has_room(Lane::Own, 1));
    world.run();
    assert!(has_room(&world, 1));
}

/// What an engine refuses again and again, for its size say, must not fill it with what stands behind.
#[test]
fn what_is_refused_again_and_again_has_nothing_else_stored_again_and_again() {
    let mut world = World::new(fastrand::Rng::with_seed(4));
    world.window.put(commit("a".into(), world.now, 1), world.now);
    world.run();
    for name in ["large", "b", "c", "d"] {
        world.window.put(commit(name.into(), world.now, 1), world.now);
    }
    let mut refused = 0;
    for _ in 0..1_000 {
        world.now += SECOND;
        for Send { ticket, entry, .. } in world.window.sends(world.now) {
            let is_large = entry.windows(5).any(|bytes| bytes == b"large");
            let answer = if is_large {
                refused += 1;
                Err(LogError::Refused("too large".into()))
            } else {
                Ok(world.store(entry))
            };
            world.window.stored(ticket, answer, world.now);
        }
        world.follow();
    }
    assert!(refused > 900, "{refused}");
    assert_eq!(world.log.len(), 4);
    world.run();
    assert_eq!(world.counted, ["a", "large", "b", "c", "d"]);
}

/// Where the log has lost its beginning, what comes first of an incarnation may be behind a hole.
#[test]
fn what_is_skipped_in_another_epoch_is_appended_again_and_answered() {
    let mut world = World::new(fastrand::Rng::with_seed(5));
    let answers = std::sync::Arc::default();
    for (name, pieces) in [("a", 1), ("b", 1), ("c", 2)] {
        let mut commit = commit(name.into(), world.now, pieces);
        commit.waiters.push(waiter(name.into(), &answers));
        world.window.put(commit, world.now);
    }
    world.window.begin(life(2, 0));
    // The first one is a hole for ever, and of the last the beginning is gone.
    let met = world.window.met((Incarnation::new(1), 2), world.now);
    answer(met.expect("it is complete").waiters, Ok(()));
    assert!(world.window.met((Incarnation::new(1), 4), world.now).is_none());
    world.run();
    assert_eq!(world.counted, ["a", "c"]);
    let answers = answers.lock().expect("held for a moment");
    assert_eq!(*answers, ["b", "a", "c"].map(|name| (name.to_owned(), true)));
}
