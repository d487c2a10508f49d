//! What counts is each batch once, in its maker's order, and the same for whoever begins later.

use bellwire_journal::{Record, RecordChange};
use bellwire_model::{Epoch, Timestamp};

use super::*;
use crate::envelope::{self, Part};
use crate::seed::seed;

const A: Incarnation = Incarnation::new(1);
const B: Incarnation = Incarnation::new(2);

fn piece((incarnation, number): (Incarnation, u64), part: Part, payload: &str) -> Piece {
    let head = Head {
        incarnation,
        number,
        born: Position::START,
        ends: None,
        epoch: Epoch::new(1),
        time: Timestamp::from_ms(0),
        part,
    };
    of_head(&head, payload)
}

fn of_head(head: &Head, payload: &str) -> Piece {
    envelope::decode(&envelope::encode(head, payload.as_bytes())).expect("its own bytes")
}

fn counts(payload: &str) -> Verdict {
    Verdict::Counts(Bytes::copy_from_slice(payload.as_bytes()))
}

/// A replica that keeps records, and counts.
struct Follower {
    order: Order,
    at: u64,
    records: BTreeMap<Box<str>, Bytes>,
    applied: Vec<(u64, String)>,
}

impl Follower {
    fn new() -> Self {
        let (order, records) = (Order::behind(Position::START), BTreeMap::new());
        Self { order, at: 0, records, applied: Vec::new() }
    }

    fn follow(&mut self, piece: Piece) -> Verdict {
        self.at += 1;
        let verdict = self.order.admit(Position::new(self.at), piece);
        if let Verdict::Counts(payload) = &verdict {
            self.applied.push((self.at, String::from_utf8_lossy(payload).into_owned()));
            for RecordChange { key, value } in self.order.changes() {
                match value {
                    Some(value) => self.records.insert(key, value),
                    None => self.records.remove(&key),
                };
            }
        }
        verdict
    }

    /// Begins again with what is kept. Returns behind which place it reads.
    fn restart(&mut self, base: u64) -> u64 {
        let pairs = self.records.iter();
        let records: Vec<Record> =
            pairs.map(|(key, value)| Record { key: key.clone(), value: value.clone() }).collect();
        let bounds = (self.order.speakers_max, self.order.open_bytes_max);
        let kept = Order::load(&records, Position::new(base)).expect("its own records");
        let tail = kept.tail;
        self.order = kept.order;
        (self.order.speakers_max, self.order.open_bytes_max) = bounds;
        assert_eq!(tail.map(|tail| tail.position.get()), self.applied.last().map(|last| last.0));
        self.at = self.order.reads_after().get();
        self.at
    }
}

#[test]
fn each_batch_counts_once_and_in_its_makers_order() {
    let mut follower = Follower::new();
    let whole = |maker, number| piece((maker, number), Part::Whole, "x");
    for (maker, number, expected) in [
        (A, 1, counts("x")),
        (A, 2, counts("x")),
        (B, 1, counts("x")),
        (A, 2, Verdict::Repeat),
        (A, 4, Verdict::Hole),
        (B, 2, counts("x")),
        (A, 3, counts("x")),
        (A, 4, counts("x")),
        (A, 1, Verdict::Repeat),
    ] {
        assert_eq!(follower.follow(whole(maker, number)), expected, "{maker} {number}");
    }
}

/// Of what was sent at once the first failed, and the engine has lost what came before.
#[test]
fn what_comes_before_its_incarnation_has_begun_is_behind_a_hole() {
    let mut follower = Follower::new();
    let whole = |number| piece((A, number), Part::Whole, "x");
    assert_eq!(follower.follow(whole(2)), Verdict::Hole);
    assert_eq!(follower.follow(whole(1)), counts("x"));
    assert_eq!(follower.follow(whole(2)), counts("x"));
}

#[test]
fn nobody_alone_says_how_late_it_is_among_others() {
    const DAY: i64 = 24 * 3_600_000;
    let mut follower = Follower::new();
    let mut say = |maker: u64, number: u64, time: i64| {
        let head = piece((Incarnation::new(maker), number), Part::Whole, "").head;
        let time = Timestamp::from_ms(time);
        follower.follow(of_head(&Head { time, ..head }, "x"));
        follower.order.time(Position::new(follower.at)).expect("somebody speaks").as_ms()
    };
    assert_eq!(say(1, 1, 1_000), 1_000, "who is alone does");
    assert_eq!(say(2, 1, 9 * DAY), 1_000, "of two the one that is behind");
    assert_eq!(say(1, 2, 2_000), 2_000);
    assert_eq!(say(3, 1, 3_000), 3_000);
    assert_eq!(say(2, 2, 9 * DAY + 1), 3_000);
    assert_eq!(say(3, 2, -9 * DAY), 2_000, "nor does one whose clock is behind");
    // Who is silent has no say any more, and neither has who has ended.
    for number in 3..=HEARD_SPAN + 3 {
        say(1, number, 5_000);
    }
    assert_eq!(say(1, HEARD_SPAN + 4, 6_000), 6_000);
}

/// Each start is another incarnation.
#[test]
fn a_node_that_starts_again_and_again_says_how_late_it_is_once() {
    const DAY: i64 = 24 * 3_600_000;
    let mut follower = Follower::new();
    let mut say = |maker: Incarnation, time: i64| {
        let head = piece((maker, 1), Part::Whole, "").head;
        let time = Timestamp::from_ms(time);
        follower.follow(of_head(&Head { time, ..head }, "x"));
        follower.order.time(Position::new(follower.at)).expect("somebody speaks").as_ms()
    };
    let life = |id: &str| Incarnation::random(NodeBits::of(id));
    say(life("ahead"), 9 * DAY);
    assert_eq!(say(life("one"), 1_000), 1_000);
    assert_eq!(say(life("two"), 2_000), 2_000);
    for start in 1..10 {
        assert_eq!(say(life("ahead"), 9 * DAY + start), 2_000, "start {start}");
    }
    // Of each node its newest word.
    assert_eq!(say(life("ahead"), 1_500), 1_500);
}

#[test]
fn a_payload_in_pieces_counts_where_its_last_piece_is() {
    let mut follower = Follower::new();
    for (maker, number, part, payload, expected) in [
        (A, 1, Part::First, "a", Verdict::Noted),
        (B, 1, Part::Whole, "b", counts("b")),
        (A, 2, Part::Middle, "c", Verdict::Noted),
        (A, 2, Part::Middle, "c", Verdict::Repeat),
        (A, 3, Part::Last, "d", counts("acd")),
        (A, 4, Part::First, "e", Verdict::Noted),
        // It was given up, and what is left of it comes to nothing.
        (A, 5, Part::Void, "", Verdict::Noted),
        (A, 6, Part::Last, "g", Verdict::Noted),
        (A, 7, Part::Whole, "h", counts("h")),
        (A, 8, Part::First, "i", Verdict::Noted),
        (A, 9, Part::First, "j", Verdict::Noted),
        (A, 10, Part::Last, "k", counts("jk")),
    ] {
        let piece = piece((maker, number), part, payload);
        assert_eq!(follower.follow(piece), expected, "{maker} {number}");
    }
}

#[test]
fn nothing_counts_of_an_incarnation_that_another_has_ended() {
    let mut follower = Follower::new();
    follower.follow(piece((A, 1), Part::Whole, "a"));
    follower.follow(piece((A, 2), Part::First, "b"));
    let next = Head { ends: Some(A), ..piece((B, 1), Part::Whole, "").head };
    assert_eq!(follower.follow(of_head(&next, "c")), counts("c"));
    for number in [1, 2, 3] {
        let late = piece((A, number), Part::Last, "late");
        assert_eq!(follower.follow(late), Verdict::Stale, "{number}");
    }
    // Nor of one of which nothing had come.
    let (never, third) = (Incarnation::new(9), Incarnation::new(3));
    let next = Head { ends: Some(never), ..piece((third, 1), Part::Whole, "").head };
    assert_eq!(follower.follow(of_head(&next, "d")), counts("d"));
    assert_eq!(follower.follow(piece((never, 1), Part::Whole, "late")), Verdict::Stale);
}

#[test]
fn whose_last_word_is_oldest_is_forgotten_and_never_begins_anew() {
    let mut follower = Follower::new();
    follower.order.speakers_max = 3;
    let speak = |number| piece((Incarnation::new(number), 1), Part::Whole, "x");
    for number in [1, 2, 3] {
        assert_eq!(follower.follow(speak(number)), counts("x"));
    }
    follower.follow(piece((A, 2), Part::Whole, "x"));
    assert_eq!(follower.follow(speak(4)), counts("x"));
    // The second's last word was at 2. What is repeated now was born before.
    assert_eq!(follower.follow(speak(2)), Verdict::Stale);
    assert_eq!(follower.follow(piece((B, 2), Part::Whole, "x")), Verdict::Stale);
    assert_eq!(follower.follow(piece((A, 3), Part::Whole, "x")), counts("x"));
    let born = |position| Head { born: Position::new(position), ..speak(5).head };
    assert_eq!(follower.follow(of_head(&born(1), "y")), Verdict::Stale);
    assert_eq!(follower.follow(of_head(&born(2), "y")), counts("y"));
}

#[test]
fn pieces_that_are_too_old_or_too_many_are_given_up() {
    let mut follower = Follower::new();
    follower.follow(piece((A, 1), Part::First, "a"));
    follower.at = OPEN_SPAN_MAX;
    assert_eq!(follower.follow(piece((A, 2), Part::Middle, "a")), Verdict::Noted);
    assert_eq!(follower.follow(piece((A, 3), Part::Last, "a")), Verdict::Stale);

    let mut follower = Follower::new();
    follower.order.open_bytes_max = 10;
    follower.follow(piece((A, 1), Part::First, "12345"));
    follower.follow(piece((B, 1), Part::First, "12345"));
    assert_eq!(follower.follow(piece((B, 2), Part::Middle, "1")), Verdict::Noted);
    assert_eq!(follower.follow(piece((A, 2), Part::Last, "1")), Verdict::Stale);
    assert_eq!(follower.follow(piece((B, 3), Part::Last, "1")), counts("1234511"));
}

#[test]
fn behind_what_is_gone_what_was_born_before_counts_from_where_it_is_met() {
    let mut order = Order::behind(Position::new(100));
    let born = |maker, number, position, part| {
        let head = piece((maker, number), part, "x").head;
        of_head(&Head { born: Position::new(position), ..head }, "x")
    };
    let mut at = 100;
    let mut admit = |piece: Piece| {
        at += 1;
        order.admit(Position::new(at), piece)
    };
    assert_eq!(admit(born(A, 17, 99, Part::Whole)), counts("x"));
    assert_eq!(admit(born(A, 17, 99, Part::Whole)), Verdict::Repeat);
    assert_eq!(admit(born(B, 5, 100, Part::Whole)), Verdict::Hole);
    assert_eq!(admit(born(B, 5, 50, Part::Middle)), Verdict::Noted);
    assert_eq!(admit(born(B, 6, 50, Part::Last)), Verdict::Noted);
    assert_eq!(admit(born(B, 7, 50, Part::Whole)), counts("x"));
}

/// A log as several makers leave it, with repeats, holes and what was given up.
fn log(chance: &mut fastrand::Rng) -> Vec<Piece> {
    let mut made: Vec<Vec<Piece>> = Vec::new();
    for maker in 0..chance.u64(1..6) {
        let maker = Incarnation::new(maker + 1);
        let (mut pieces, mut number) = (Vec::new(), 1);
        while number < 20 {
            let count = if chance.u8(..3) == 0 { chance.u64(2..5) } else { 1 };
            for index in 0..count {
                let part = match (index, count) {
                    _ if chance.u8(..20) == 0 => Part::Void,
                    (_, 1) => Part::Whole,
                    (0, _) => Part::First,
                    (index, count) if index + 1 == count => Part::Last,
                    _ => Part::Middle,
                };
                pieces.push(piece((maker, number), part, &format!("{maker} {number};")));
                number += 1;
            }
        }
        made.push(pieces);
    }
    let mut next = vec![0; made.len()];
    let mut log = Vec::new();
    while log.len() < 300 {
        let maker = chance.usize(..made.len());
        // Mostly the next one; at times one of before again, or one too early.
        let jump = if chance.u8(..4) == 0 { chance.usize(..4) } else { 0 };
        let is_early = chance.bool();
        let number =
            if is_early { next[maker] + jump } else { usize::saturating_sub(next[maker], jump) };
        if let Some(piece) = made[maker].get(number) {
            log.push(piece.clone());
            next[maker] += usize::from(number == next[maker]);
        } else if next.iter().zip(&made).all(|(next, made)| *next >= made.len()) {
            break;
        }
    }
    log
}

#[test]
fn whoever_begins_again_anywhere_says_the_same() {
    let mut chance = fastrand::Rng::with_seed(seed());
    for _ in 0..300 {
        let log = log(&mut chance);
        let (mut steady, mut restarted) = (Follower::new(), Follower::new());
        let bounds = (chance.usize(2..7), chance.usize(20..200));
        for follower in [&mut steady, &mut restarted] {
            (follower.order.speakers_max, follower.order.open_bytes_max) = bounds;
        }
        for piece in &log {
            steady.follow(piece.clone());
        }
        let mut restarts = 0;
        while (restarted.at as usize) < log.len() {
            if restarts < 20 && chance.u8(..10) == 0 {
                restarted.restart(0);
                restarts += 1;
            }
            let piece = log[restarted.at as usize].clone();
            restarted.follow(piece);
        }
        assert_eq!(steady.applied, restarted.applied);
        assert_eq!(steady.records, restarted.records);
        assert_eq!(steady.order.speakers, restarted.order.speakers);
        assert_eq!(steady.order.fold, restarted.order.fold);
    }
}
