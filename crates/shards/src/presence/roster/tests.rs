//! The roster against a naive model: whatever comes, goes and is told meanwhile, in the end what was
//! told is who is there.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NAMED_MAX: usize = 4;
const GRACE_MS: u64 = 100;

#[derive(Clone, Debug)]
enum Step {
    Enter {
        topic: usize,
        who: usize,
        shows: u8,
    },
    /// One of the connections that there are.
    Leave {
        connection: usize,
        is_for_good: bool,
    },
    Pass {
        ms: u64,
    },
    /// Some of what there is to tell, of which the table refuses some.
    Tell {
        max: usize,
        refused: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2usize, 0..8usize, 0..3u8)
            .prop_map(|(topic, who, shows)| Step::Enter { topic, who, shows }),
        4 => (any::<usize>(), prop::bool::weighted(0.3))
            .prop_map(|(connection, is_for_good)| Step::Leave { connection, is_for_good }),
        2 => (0..150u64).prop_map(|ms| Step::Pass { ms }),
        3 => (1..8usize, 0..3usize).prop_map(|(max, refused)| Step::Tell { max, refused }),
    ]
}

fn topic(index: usize) -> Topic {
    ["rooms/a", "rooms/b"][index].parse().expect("a topic")
}

/// The first half have names, two of them the same one, and one that looks like a number.
fn who(index: usize, shows: u8) -> Who {
    let subject = ["ada", "ada", "~1", "bob"].get(index);
    Who {
        identity: format!("identity {index}").into(),
        subject: subject.map(|subject| (*subject).into()),
        holder: Holder::named("all"),
        shows: shown(shows),
    }
}

fn shown(shows: u8) -> Option<Bytes> {
    (shows > 0).then(|| Bytes::from(shows.to_string()))
}

/// Somebody who is there.
#[derive(Debug)]
struct There {
    shows: u8,
    connections: usize,
    until_ms: u64,
}

/// What is seen of somebody: their name, and what they show.
type Seen = (Option<Arc<str>>, Option<Bytes>);

#[derive(Default)]
struct World {
    now_ms: u64,
    there: [BTreeMap<usize, There>; 2],
    is_counted: [bool; 2],
    connections: Vec<(usize, usize)>,
    /// What was told, by topic and key.
    board: BTreeMap<(Topic, Arc<str>), Seen>,
    counts: BTreeMap<Topic, Count>,
}

impl World {
    fn moment(&self) -> Moment {
        Moment { ms: self.now_ms, time: Timestamp::from_ms(self.now_ms as i64) }
    }

    fn run(&mut self, step: &Step, roster: &mut Roster) {
        match *step {
            Step::Enter { topic: at, who: number, shows } => {
                let entered = roster.enter(&topic(at).into(), &who(number, shows), self.moment());
                entered.expect("room for few");
                self.connections.push((at, number));
                let there = There { shows, connections: 0, until_ms: u64::MAX };
                let there = self.there[at].entry(number).or_insert(there);
                (there.shows, there.until_ms) = (shows, u64::MAX);
                there.connections += 1;
                self.is_counted[at] |= self.there[at].len() > NAMED_MAX;
            }
            Step::Leave { connection, is_for_good } if !self.connections.is_empty() => {
                let connection = connection % self.connections.len();
                let (at, number) = self.connections.swap_remove(connection);
                let leaving = if is_for_good { Leaving::ForGood } else { Leaving::Perhaps };
                roster.leave(&topic(at), &who(number, 0).identity, leaving, self.now_ms);
                let there = self.there[at].get_mut(&number).expect("it was there");
                there.connections -= 1;
                if there.connections == 0 {
                    there.until_ms = self.now_ms + if is_for_good { 0 } else { GRACE_MS };
                }
                self.let_go();
            }
            Step::Leave { .. } => {}
            Step::Pass { ms } => {
                self.now_ms += ms;
                roster.advance(self.now_ms, usize::MAX);
                self.let_go();
            }
            Step::Tell { max, refused } => self.tell(roster, (max, refused)),
        }
    }

    fn let_go(&mut self) {
        for at in 0..2 {
            self.there[at].retain(|_, there| there.until_ms > self.now_ms);
            self.is_counted[at] &= self.there[at].len() * 4 > NAMED_MAX * 3;
        }
    }

    fn tell(&mut self, roster: &mut Roster, (max, mut refused): (usize, usize)) {
        for Told { topic, key, what, .. } in roster.take_news(max) {
            // A table refuses what it has no room for, and never that something is gone.
            if !matches!(what, What::Gone) && refused > 0 {
                refused -= 1;
                roster.note_refused(&topic, &key);
                continue;
            }
            match what {
                What::Shows { subject, shows, .. } => {
                    assert_ne!(&*key, COUNT, "the count's key is nobody's");
                    self.board.insert((topic, key), (subject, shows));
                }
                What::Count(count) => _ = self.counts.insert(topic, count),
                What::Gone if &*key == COUNT => _ = self.counts.remove(&topic),
                What::Gone => _ = self.board.remove(&(topic, key)),
            }
            assert!(self.board.len() <= 2 * (NAMED_MAX + 8), "those who are told are few");
        }
    }

    fn judge(&mut self, roster: &mut Roster) {
        // What was refused is told again, without end if need be.
        for _ in 0..100 {
            self.tell(roster, (5, 0));
        }
        assert!(roster.take_news(100).is_empty(), "all is told");
        for at in 0..2 {
            let (topic, there) = (topic(at), &self.there[at]);
            let seen = self.board.iter().filter(|((on, _), _)| *on == topic);
            let mut seen: Vec<Seen> = seen.map(|(_, seen)| seen.clone()).collect();
            let named = there.iter().filter(|_| !self.is_counted[at]);
            let mut expected: Vec<Seen> =
                named.map(|(who_, there)| (who(*who_, 0).subject, shown(there.shows))).collect();
            seen.sort();
            expected.sort();
            assert_eq!(seen, expected);
            let count = Count { followers: there.len(), is_named: !self.is_counted[at] };
            assert_eq!(self.counts.get(&topic), (!there.is_empty()).then_some(&count));
        }
        if self.there.iter().all(BTreeMap::is_empty) {
            assert!(roster.rooms.is_empty() && roster.graces.is_empty(), "nothing is kept");
            assert_eq!(roster.bytes.used(), 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
    #[test]
    fn what_is_told_is_who_is_there(steps in prop::collection::vec(step(), 1..80)) {
        let mut roster = Roster::new(Terms { grace_ms: GRACE_MS, named_max: NAMED_MAX });
        let mut world = World::default();
        for step in &steps {
            world.run(step, &mut roster);
        }
        world.judge(&mut roster);
        while !world.connections.is_empty() {
            world.run(&Step::Leave { connection: 0, is_for_good: false }, &mut roster);
        }
        world.run(&Step::Pass { ms: GRACE_MS }, &mut roster);
        world.judge(&mut roster);
    }
}

fn moment() -> Moment {
    Moment { ms: 0, time: Timestamp::from_ms(0) }
}

#[test]
fn whoever_comes_as_very_many_leaves_room_to_others() {
    let mut roster = Roster::new(Terms { grace_ms: 0, named_max: NAMED_MAX });
    let mut enter = |holder: &str, number: usize| {
        let identity = format!("{holder} {number}").into();
        let (subject, shows, holder) = (None, shown(1), Holder::named(holder));
        roster.enter(&topic(0).into(), &Who { identity, subject, holder, shows }, moment())
    };
    let taken = (0..1_000_000).take_while(|number| enter("one", *number).is_ok()).count();
    assert!(taken > PRESENCE_BYTES_MAX / 2 / (PRESENCE_OVERHEAD_BYTES + 64), "{taken}");
    assert_eq!(enter("one", taken), Err(Shortage::OfHolder));
    assert_eq!(enter("other", 0), Ok(()));
    // However many come and go, what is told of them is their number.
    assert!(roster.take_news(1_000).len() <= 2 * NAMED_MAX + 1);
    assert!(roster.graces.is_empty());
}

#[test]
fn what_is_told_at_a_time_is_bounded() {
    let mut roster = Roster::new(Terms { grace_ms: 10, named_max: 1_000 });
    for number in 0..900 {
        let identity: Arc<str> = number.to_string().into();
        let (subject, shows, holder) = (None, None, Holder::named("one"));
        let who = Who { identity: Arc::clone(&identity), subject, holder, shows };
        roster.enter(&topic(0).into(), &who, moment()).expect("room");
        roster.leave(&topic(0), &identity, Leaving::Perhaps, 0);
    }
    assert_eq!(roster.take_news(100).len(), 100);
    roster.advance(10, 300);
    assert_eq!(roster.graces.len(), 600);
    let mut rounds = 0;
    while !roster.take_news(100).is_empty() {
        rounds += 1;
    }
    assert!((6..=9).contains(&rounds), "{rounds}");
}
