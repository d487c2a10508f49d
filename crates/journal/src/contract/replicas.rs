//! Clauses about replicas: what they apply is decided by nothing but what was applied before.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwire_model::limits::{IDEMPOTENCY_AGE, PRODUCER_AGE};
use bellwire_model::{Condition, Entry, Epoch, KeyVersion, Offset, Timestamp};

use super::ending::{end, reopened};
use super::records::texts;
use super::state::values_after;
use super::{
    OpenReplica, PLACE_OFFSETS, Rig, Seen, append_to, change, fences::fenced, filters, keyed,
    plain, rule, timed,
};
use crate::error::{Found, Unmet};
use crate::{
    Append, Appended, Bounds, ClockReading, DueKey, Error, Fenced, Journal, Observer, Placed,
    PlacedBatch, RecordChange, Replica, RetentionRule,
};

/// What became of each batch, and of the whole.
pub(crate) type Answers = (Vec<Result<Vec<Appended>, Error>>, Result<(), Error>);

/// Answers that are yet to come.
pub(crate) struct Pending {
    replies: Vec<Receiver<Result<Vec<Appended>, Error>>>,
    applied: Receiver<Result<(), Error>>,
}

impl Pending {
    /// Waits for them.
    pub(crate) fn wait(self) -> Answers {
        let applied = self.applied.recv().expect("what was queued is answered");
        let replies = self.replies.into_iter();
        (replies.map(|reply| reply.recv().expect("so is each batch")).collect(), applied)
    }
}

/// What is placed, to be applied by many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commit {
    pub(crate) base: u64,
    pub(crate) time_ms: i64,
    pub(crate) batches: Vec<Vec<Append>>,
    /// Keys and texts; none deletes.
    pub(crate) records: Vec<(String, Option<String>)>,
}

impl Commit {
    /// As it is applied where the clocks say that, and nobody waits.
    pub(crate) fn placed(&self, now: ClockReading) -> Placed {
        let batch = |appends: &Vec<Append>| PlacedBatch { appends: appends.clone(), reply: None };
        let batches = self.batches.iter().map(batch).collect();
        let record = |(key, value): &(String, Option<String>)| RecordChange {
            key: key.as_str().into(),
            value: value.clone().map(Into::into),
        };
        Placed {
            base: Offset::new(self.base),
            time: Timestamp::from_ms(self.time_ms),
            now,
            batches,
            records: self.records.iter().map(record).collect(),
        }
    }

    /// Queues it.
    pub(crate) fn apply(&self, replica: &dyn Replica, now: ClockReading) -> Result<Pending, Error> {
        let mut placed = self.placed(now);
        let mut waiting = Vec::new();
        for batch in &mut placed.batches {
            let (sender, reply) = sync_channel(1);
            batch.reply = Some(Box::new(move |result| drop(sender.send(result))));
            waiting.push(reply);
        }
        let (sender, applied) = sync_channel(1);
        replica.apply(placed, Box::new(move |result| drop(sender.send(result))))?;
        Ok(Pending { replies: waiting, applied })
    }
}

/// A replica, what its observer saw, and where the next commit goes.
struct Placing {
    replica: Arc<dyn Replica>,
    rig: Rig,
    begun: Arc<Mutex<Vec<(Epoch, Offset)>>>,
    place: u64,
    time_ms: i64,
    uptime_ms: u64,
}

/// Sees what a replica says of itself, too.
struct Watching {
    seen: Seen,
    begun: Arc<Mutex<Vec<(Epoch, Offset)>>>,
}

impl Observer for Watching {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        self.seen.on_commit(entries);
    }

    fn on_begin_anew(&mut self, epoch: Epoch, base: Offset) {
        self.begun.lock().expect("nobody panics").push((epoch, base));
    }

    fn on_enter_epoch(&mut self, epoch: Epoch, tail: Offset) {
        self.begun.lock().expect("nobody panics").push((epoch, tail));
    }
}

impl Placing {
    fn open(open: OpenReplica<'_>, retention: Vec<RetentionRule>) -> Self {
        let (seen, begun) = (Seen::default(), Arc::default());
        let watching = Watching { seen: seen.clone(), begun: Arc::clone(&begun) };
        let replica = open(retention, Box::new(watching));
        let journal: Arc<dyn Journal> = Arc::clone(&replica) as Arc<dyn Journal>;
        let rig = Rig { journal, seen };
        Self { replica, rig, begun, place: 0, time_ms: 0, uptime_ms: 0 }
    }

    fn now(&self) -> ClockReading {
        let uptime = Duration::from_millis(self.uptime_ms);
        ClockReading { wall: Timestamp::from_ms(self.time_ms), uptime }
    }

    /// The base of the next commit.
    fn next(&mut self) -> u64 {
        self.place += 1;
        self.place * PLACE_OFFSETS
    }

    /// Applies batches at the next place.
    fn all(&mut self, batches: Vec<Vec<Append>>) -> Vec<Result<Vec<Appended>, Error>> {
        let base = self.next();
        let commit = Commit { base, time_ms: self.time_ms, batches, ..Commit::default() };
        let (answers, applied) = commit.apply(&*self.replica, self.now()).expect("queued").wait();
        assert!(applied.is_ok(), "{applied:?}");
        assert!(self.tail() >= base);
        answers
    }

    fn batch(&mut self, batch: Vec<Append>) -> Result<Vec<Appended>, Error> {
        self.all(vec![batch]).remove(0)
    }

    fn one(&mut self, append: Append) -> Appended {
        self.batch(vec![append]).expect("it is appended")[0]
    }

    fn tail(&self) -> u64 {
        self.replica.bounds().tail.get()
    }

    fn due(&self, uptime_ms: u64, count_max: usize) -> (Vec<DueKey>, Option<u64>) {
        let now = ClockReading { uptime: Duration::from_millis(uptime_ms), ..self.now() };
        let due = self.replica.due(now, count_max).expect("the journal tells");
        (due.keys, due.next.map(|next| next.as_millis() as u64))
    }
}

/// The same with a time to live.
pub(crate) fn living(append: Append, ttl_ms: u64) -> Append {
    Append { expires_at: Some(Duration::from_millis(ttl_ms)), ..append }
}

/// Events are at and behind the base, and the tail says what was applied where there are none.
pub fn what_is_placed_is_where_its_place_is(open: OpenReplica<'_>) {
    let mut it = Placing::open(open, Vec::new());
    let batches = vec![vec![plain("a", "1"), change("s", "k", Some("2"))], vec![plain("b", "3")]];
    let offsets: Vec<u64> = it
        .all(batches)
        .into_iter()
        .flat_map(|answer| answer.expect("appended"))
        .map(|appended| appended.offset.get())
        .collect();
    assert_eq!(offsets, [PLACE_OFFSETS, PLACE_OFFSETS + 1, PLACE_OFFSETS + 2]);
    assert_eq!(it.tail(), PLACE_OFFSETS + 2);
    // Nothing comes of these.
    let again = it.one(change("s", "none", None));
    assert_eq!(again, Appended::again(Offset::new(PLACE_OFFSETS + 2)), "the tail before");
    assert_eq!(it.tail(), 2 * PLACE_OFFSETS);
    it.all(Vec::new());
    let base = it.next();
    let records = vec![("a".to_owned(), Some("1".to_owned()))];
    let commit = Commit { base, records, ..Commit::default() };
    commit.apply(&*it.replica, it.now()).expect("queued").wait().1.expect("applied");
    assert_eq!((it.tail(), it.rig.seen.entries().len()), (base, 3));
    assert_eq!(texts(&*it.replica, ""), [("a".to_owned(), "1".to_owned())]);
    assert_eq!(it.rig.texts("**"), ["1", "3"]);
    let far = 1_000_000 * PLACE_OFFSETS;
    it.place = 1_000_000 - 1;
    assert_eq!(it.one(plain("a", "4")).offset, Offset::new(far));
    assert_eq!(it.rig.texts("a"), ["1", "4"]);
    let page = it.rig.read(Offset::new(base), &filters(&["a"]));
    assert_eq!((page.entries.len(), page.trimmed, page.lost), (1, Offset::ZERO, 0));
    assert_eq!(it.rig.texts("b"), ["3"]);
}

/// Whoever applies once more changes nothing, and is told so.
pub fn what_was_applied_is_not_applied_again(open: OpenReplica<'_>) {
    let mut it = Placing::open(open, Vec::new());
    it.one(plain("a", "1"));
    it.one(change("s", "none", None));
    let before = (it.tail(), it.rig.seen.entries().len());
    for base in [1, PLACE_OFFSETS, 2 * PLACE_OFFSETS] {
        let batches = vec![vec![plain("a", "other")]];
        let records = vec![("a".to_owned(), Some("1".to_owned()))];
        let commit = Commit { base, batches, records, ..Commit::default() };
        let (answers, applied) = commit.apply(&*it.replica, it.now()).expect("queued").wait();
        assert!(matches!(answers[..], [Err(Error::Applied)]), "{answers:?}");
        applied.expect("it is applied");
    }
    assert_eq!((it.tail(), it.rig.seen.entries().len()), before);
    assert_eq!(texts(&*it.replica, ""), []);
    assert_eq!(it.rig.texts("**"), ["1"]);
}

/// A replica has no order of its own.
pub fn a_replica_takes_only_what_is_placed(open: OpenReplica<'_>) {
    let it = Placing::open(open, Vec::new());
    let refused = append_to(&*it.replica, vec![plain("a", "x")]);
    assert!(matches!(refused, Err(Error::Replica)), "{refused:?}");
    let refused = it.replica.write_records(Vec::new(), Box::new(|_| ()));
    assert!(matches!(refused, Err(Error::Replica)), "{refused:?}");
    let refused = it.replica.expire(ClockReading::default());
    assert!(matches!(refused, Err(Error::Replica)), "{refused:?}");
    it.replica.close().expect("closed");
    let commit = Commit { base: 1, ..Commit::default() };
    assert!(matches!(commit.apply(&*it.replica, it.now()), Err(Error::Closed)));
}

/// Many wait at once, and are applied in their order.
pub fn what_waits_together_is_applied_one_after_the_other(open: OpenReplica<'_>) {
    const COMMITS: u64 = 500;
    let it = Placing::open(open, Vec::new());
    let commit = |place: u64| Commit {
        base: place * PLACE_OFFSETS,
        batches: vec![
            vec![keyed("a", "k", 0), plain("a", &place.to_string())],
            vec![fenced(plain("b", "x"), ("p", 0, place / 2))],
        ],
        ..Commit::default()
    };
    let apply = |place| commit(place).apply(&*it.replica, it.now()).expect("it waits for room");
    let pending: Vec<_> = (1..=COMMITS).map(apply).collect();
    for (place, pending) in (1..).zip(pending) {
        let (answers, applied) = pending.wait();
        applied.expect("applied");
        let [Ok(both), Ok(fenced)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(both[0].duplicate, place > 1);
        assert_eq!(both[0].offset, Offset::new(PLACE_OFFSETS));
        assert_eq!(both[1].offset.get(), place * PLACE_OFFSETS + u64::from(place == 1));
        assert_eq!(fenced[0].duplicate, place > 1 && place % 2 == 1, "{place}");
    }
    let seen = it.rig.seen.entries();
    assert!(seen.is_sorted_by(|one, next| one.offset < next.offset));
    assert_eq!(it.rig.read_all("**"), seen);
}

/// By no clock of this machine, and not by a time that is behind.
pub fn ages_count_by_the_time_of_the_order(open: OpenReplica<'_>) {
    let (age_ms, week_ms) = (IDEMPOTENCY_AGE.as_millis() as i64, PRODUCER_AGE.as_millis() as i64);
    let mut it = Placing::open(open, Vec::new());
    it.time_ms = 1_000;
    it.one(keyed("a", "k", 0));
    // A clock that is behind, and one that is not.
    it.time_ms = 0;
    it.one(keyed("a", "l", 0));
    it.one(fenced(timed("a", "x", 0), ("p", 0, 0)));
    for now_ms in [0, 3 * week_ms, 4 * week_ms] {
        let uptime = Duration::from_millis(now_ms.unsigned_abs());
        let now = ClockReading { wall: Timestamp::from_ms(now_ms), uptime };
        it.replica.apply_retention(now).expect("it is applied");
    }
    it.time_ms = 1_000 + age_ms;
    assert!(it.one(keyed("a", "k", 0)).duplicate && it.one(keyed("a", "l", 0)).duplicate);
    it.time_ms = 1_001 + age_ms;
    assert!(!it.one(keyed("a", "k", 0)).duplicate && !it.one(keyed("a", "l", 0)).duplicate);
    // It does not go back, not even for those who come now.
    it.time_ms = 0;
    assert!(it.one(keyed("a", "k", 0)).duplicate);
    it.time_ms = 1_001 + 2 * age_ms;
    assert!(it.one(keyed("a", "k", 0)).duplicate);
    it.time_ms = 1_000 + week_ms;
    assert!(it.one(fenced(plain("a", "x"), ("p", 0, 0))).duplicate);
    it.time_ms = 1_001 + week_ms;
    let gap = Fenced::Gap { expected: 0, received: 1 };
    assert_eq!(it.one(fenced(plain("a", "x"), ("p", 0, 1))).fenced, Some(gap));
}

/// Where something went, or came last, not all know; so the answer is what all know.
pub fn no_answer_depends_on_what_retention_has_removed(open: OpenReplica<'_>) {
    let none = RetentionRule { events_max: Some(0), ..rule("**") };
    let mut it = Placing::open(open, vec![none]);
    it.one(plain("a", "x"));
    let value = it.one(change("s", "k", Some("1"))).offset;
    it.one(change("s", "k", None));
    it.rig.retain(1);
    it.one(plain("b", "x"));
    for append in [
        change("s", "k", None),
        reopened("a"),
        reopened("never"),
        Append::renewal(change("s", "k", None).event, Duration::ZERO),
    ] {
        let tail = it.replica.bounds().tail;
        assert_eq!(it.one(append), Appended::again(tail));
    }
    let at = KeyVersion::Journal { epoch: it.replica.epoch(), offset: value };
    let unmet = Append { condition: Condition::At(at), ..change("s", "k", Some("2")) };
    let answer = it.batch(vec![unmet]);
    let expected = Unmet { index: 0, found: Found::Nothing };
    assert!(matches!(answer, Err(Error::Condition(unmet)) if unmet == expected), "{answer:?}");
    let ended = it.one(end("a")).offset;
    it.rig.retain(2);
    assert_eq!(it.one(plain("a", "y")), Appended::refused(ended));
}

/// What is due is told and stays; it is deleted by what is placed, unless something came before.
pub fn a_renewal_that_is_ordered_before_wins(open: OpenReplica<'_>) {
    let mut it = Placing::open(open, Vec::new());
    it.uptime_ms = 10_000;
    let keys = ["gone", "renewed", "changed", "back"];
    let values = keys.map(|key| living(change("s", key, Some("1")), 500));
    let offsets: Vec<_> = it.batch(values.into()).expect("appended");
    it.one(living(change("s", "later", Some("1")), 700));
    it.one(change("s", "stays", Some("1")));
    assert_eq!(it.due(10_499, 10), (Vec::new(), Some(10_500)));
    let (due, next) = it.due(10_600, 10);
    assert_eq!(due.iter().map(|due| &*due.key).collect::<Vec<_>>(), keys);
    assert_eq!(
        due.iter().map(|due| due.timed_at).collect::<Vec<_>>(),
        [0, 1, 2, 3].map(|at: usize| offsets[at].offset)
    );
    assert_eq!(next, Some(10_700));
    assert_eq!(it.due(10_700, 2).1, Some(10_500), "more are over");
    assert_eq!(it.due(10_600, 10).0, due, "they stay");
    let renewal = |key, ttl_ms| living(change("s", key, None), ttl_ms);
    it.uptime_ms = 10_600;
    it.one(renewal("renewed", 400));
    it.one(living(change("s", "changed", Some("2")), 0));
    it.batch(vec![change("s", "back", None), living(change("s", "back", Some("3")), 0)])
        .expect("appended");
    let place = |it: &mut Placing, due: &[DueKey]| -> Vec<bool> {
        let deletion = |due: &DueKey| vec![due.clone().deletion(Timestamp::from_ms(77))];
        it.all(due.iter().map(deletion).collect()).iter().map(Result::is_ok).collect()
    };
    assert_eq!(place(&mut it, &due), [true, false, false, false]);
    let keys = super::expiring::keys(&it.rig);
    assert_eq!(keys, ["back", "changed", "later", "renewed", "stays"]);
    let (now_due, next) = it.due(11_000, 10);
    let names: Vec<_> = now_due.iter().map(|due| &*due.key).collect();
    assert_eq!((names, next), (vec!["changed", "back", "later", "renewed"], None));
    // Once more what was due before, then what is due now, then that again.
    assert_eq!(place(&mut it, &due), [false; 4]);
    assert_eq!(place(&mut it, &now_due), [true; 4]);
    assert_eq!(place(&mut it, &now_due), [false; 4]);
    assert_eq!(super::expiring::keys(&it.rig), ["stays"]);
    let told = it.rig.seen.entries();
    assert!(told.last().is_some_and(|last| last.event.reason() == Some("expired")));
    // What has ended rests.
    it.batch(vec![living(change("t", "k", Some("1")), 0), end("t")]).expect("appended");
    assert_eq!(it.due(11_000, 10), (Vec::new(), None));
    it.one(reopened("t"));
    assert_eq!(it.due(11_000, 10).0.len(), 1);
}

/// So much to live, less what has passed beyond all doubt since it was placed.
pub fn a_key_goes_by_what_is_left_of_its_time(open: OpenReplica<'_>) {
    const HOUR_MS: i64 = 3_600_000;
    let mut it = Placing::open(open, Vec::new());
    it.uptime_ms = 5_000;
    let mut put = |key: &str, (time_ms, wall_ms): (i64, i64), ttl_ms: u64| {
        let batches = vec![vec![living(change("s", key, Some("1")), ttl_ms)]];
        let commit = Commit { base: it.next(), time_ms, batches, ..Commit::default() };
        let now = ClockReading { wall: Timestamp::from_ms(wall_ms), ..it.now() };
        commit.apply(&*it.replica, now).expect("queued").wait().1.expect("applied");
    };
    // Made an hour ago, and by somebody whose clock is a minute off.
    put("old", (0, HOUR_MS), 2 * HOUR_MS as u64);
    put("behind", (HOUR_MS - 60_000, HOUR_MS), 30_000);
    put("ahead", (HOUR_MS + 60_000, HOUR_MS), 30_000);
    put("over", (0, HOUR_MS), 1);
    assert_eq!(it.due(5_000, 10).0.iter().map(|due| &*due.key).collect::<Vec<_>>(), ["over"]);
    assert_eq!(it.due(34_999, 10).0.len(), 1);
    assert_eq!(it.due(35_000, 10).0.len(), 3);
    let old = it.due(35_000, 10).1.expect("it goes some time");
    let left_ms = HOUR_MS as u64;
    assert!((left_ms..=left_ms + 15 * 60_000).contains(&(old - 5_000)), "{old}");
}

/// All is forgotten, the observer knows, and the next order begins.
pub fn a_replica_that_begins_anew_has_forgotten_all(open: OpenReplica<'_>) {
    let mut it = Placing::open(open, vec![RetentionRule { events_max: Some(100), ..rule("**") }]);
    let fill = |it: &mut Placing| {
        let batch = vec![
            keyed("a", "k", 0),
            fenced(plain("a", "x"), ("p", 3, 0)),
            living(change("s", "k", Some("1")), 10),
            change("s", "l", Some("1")),
            end("a"),
        ];
        let answers = it.batch(batch).expect("appended");
        let base = it.next();
        let records = vec![("r".to_owned(), Some("1".to_owned()))];
        let commit = Commit { base, records, ..Commit::default() };
        commit.apply(&*it.replica, it.now()).expect("queued").wait().1.expect("applied");
        answers
    };
    it.time_ms = 1_000_000;
    fill(&mut it);
    let epoch = Epoch::new(it.replica.epoch().get() + 1);
    let base = Offset::new(17 * PLACE_OFFSETS);
    for round in 0..2 {
        it.replica.begin_anew(epoch, base).expect("begun");
        assert_eq!((it.replica.epoch(), it.begun.lock().expect("it").len()), (epoch, round + 1));
        assert_eq!(it.begun.lock().expect("it")[round], (epoch, base));
        assert_eq!(it.replica.bounds(), Bounds { trimmed: base, tail: base });
        assert_eq!(it.replica.trimmed(&filters(&["never"])), base);
        assert_eq!(it.rig.texts("**"), [""; 0]);
        assert!(values_after(&it.rig, Offset::ZERO).is_empty() && it.due(99, 9).0.is_empty());
        assert_eq!(it.replica.state_horizons().expect("read").forgotten, base);
        assert_eq!((it.replica.ended("a"), it.replica.topics()), (None, Vec::new()));
        assert_eq!(texts(&*it.replica, ""), []);
        // The time of the order begins anew as well.
        (it.place, it.time_ms) = (17, 0);
        let answers = fill(&mut it);
        assert!(answers.iter().all(|it| !it.duplicate && it.fenced.is_none() && !it.has_ended));
        assert_eq!(answers[0].offset.get(), 18 * PLACE_OFFSETS);
        assert_eq!(it.rig.read_all("**").len(), 3);
        assert!(it.replica.ended("a").is_some());
        it.rig.retain(1);
        let old = Commit { base: base.get(), ..Commit::default() };
        assert!(old.apply(&*it.replica, it.now()).expect("queued").wait().1.is_ok());
    }
}

/// All is there in another epoch, and the next order goes on behind it.
pub fn a_replica_that_enters_an_epoch_has_all_that_it_had(open: OpenReplica<'_>) {
    let mut it = Placing::open(open, Vec::new());
    it.time_ms = 1_000_000;
    let batch = vec![
        keyed("a", "k", 0),
        fenced(plain("a", "x"), ("p", 3, 0)),
        living(change("s", "k", Some("1")), 10),
        change("s", "l", Some("1")),
        end("b"),
    ];
    let made = it.batch(batch.clone()).expect("appended");
    let first = it.replica.epoch();
    let record = |value: Option<&'static str>| RecordChange {
        key: "r".into(),
        value: value.map(Into::into),
    };
    // The same epoch, such as to have all of it on the disk.
    let tail = Offset::new(it.tail());
    it.replica.enter_epoch(first, Offset::ZERO, vec![record(Some("1"))]).expect("synced");
    assert_eq!((it.replica.epoch(), it.replica.bounds().tail), (first, tail));
    assert_eq!(it.begun.lock().expect("it")[..], []);
    let (mut known, due) = (it.rig.texts("**"), it.due(99, 9));
    for (epoch, place, is_further) in [(8, 1, false), (9, 9, true)] {
        let epoch = Epoch::new(first.get() + epoch);
        let before = it.replica.bounds();
        let base = Offset::new(place * PLACE_OFFSETS);
        it.replica.enter_epoch(epoch, base, vec![record(None)]).expect("entered");
        let tail = if is_further { base } else { before.tail };
        assert_eq!((it.replica.epoch(), it.replica.bounds()), (epoch, Bounds { tail, ..before }));
        assert_eq!(it.begun.lock().expect("it").last(), Some(&(epoch, tail)));
        assert_eq!((it.rig.texts("**"), texts(&*it.replica, "")), (known.clone(), Vec::new()));
        // What counts once has counted, and what has ended has.
        it.place = place;
        let again = it.batch(batch[..2].to_vec()).expect("appended");
        assert!(again.iter().all(|it| it.duplicate), "{again:?}");
        assert!(it.one(plain("b", "behind its end")).has_ended);
        // Versions of values are of this epoch.
        let unmet = KeyVersion::Journal { epoch: first, offset: made[3].offset };
        let unmet = Append { condition: Condition::At(unmet), ..change("s", "l", Some("2")) };
        assert!(matches!(it.batch(vec![unmet]), Err(Error::Condition(_))));
        let (keys, next) = it.due(99, 9);
        let version = KeyVersion::Journal { epoch, offset: made[2].offset };
        assert_eq!(keys.iter().map(|due| due.version).collect::<Vec<_>>(), [version]);
        assert_eq!((keys.len(), next), (due.0.len(), due.1));
        let text = format!("{place}");
        assert!(it.one(plain("c", &text)).offset > tail);
        known.push(text);
    }
}
