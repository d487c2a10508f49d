//! Streams whose journal loses answers, or is kept by another node by now.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bellwire_journal::{
    Bounds, ClockReading, ClockStep, Ended, MemoryJournal, Observer, Page, ReadLimit, RecordReply,
    Reply, StateHorizons, StatePage,
};
use bellwire_model::{Body, Entry, Epoch, Event, Life, NameHasher, Progress};
use bellwire_shards::{Feed, PastRules, States, TopicRules, new_table};

use super::*;

const EPOCH: Epoch = Epoch::new(7);

struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}

/// What becomes of an append.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It is stored, and nobody is told.
    Unanswered,
    /// It is lost, and nobody knows that.
    Lost,
    /// Another node is the keeper.
    KeptOut,
}

/// A way to a journal on which some appends have another outcome.
#[derive(Debug)]
struct Way {
    journal: Arc<MemoryJournal>,
    outcomes: Mutex<VecDeque<Outcome>>,
}

fn lost() -> Error {
    Error::Away(Arc::new(io::Error::other("it does not answer")))
}

impl Journal for Way {
    fn epoch(&self) -> Epoch {
        self.journal.epoch()
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        match self.outcomes.lock().expect("a lock").pop_front() {
            None => self.journal.append(batch, reply),
            Some(Outcome::Unanswered) => {
                self.journal.append(batch, Box::new(move |_| reply(Err(lost()))))
            }
            Some(Outcome::Lost) => {
                reply(Err(lost()));
                Ok(())
            }
            Some(Outcome::KeptOut) => Err(Error::Refused(Arc::new(io::Error::other("the lease")))),
        }
    }

    fn bounds(&self) -> Bounds {
        self.journal.bounds()
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        self.journal.trimmed(filters)
    }

    fn read(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Result<Page, Error> {
        self.journal.read(after, filters, limit)
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, Error> {
        self.journal.state(after, limit)
    }

    fn state_horizons(&self) -> Result<StateHorizons, Error> {
        self.journal.state_horizons()
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.journal.ended(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.journal.list_topics(prefix, after, limit)
    }

    fn write_records(&self, changes: Vec<RecordChange>, reply: RecordReply) -> Result<(), Error> {
        self.journal.write_records(changes, reply)
    }

    fn records(&self, prefix: &str) -> Result<Vec<bellwire_journal::Record>, Error> {
        self.journal.records(prefix)
    }

    fn health(&self) -> Result<(), Error> {
        self.journal.health()
    }

    fn damaged(&self) -> u64 {
        self.journal.damaged()
    }

    fn damaged_blocks(&self) -> u64 {
        self.journal.damaged_blocks()
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, Error> {
        self.journal.apply_retention(now)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.journal.expire(now)
    }

    fn close(&self) -> Result<(), Error> {
        self.journal.close()
    }
}

struct Rig {
    journal: Arc<MemoryJournal>,
    way: Arc<Way>,
    in_charge: Arc<AtomicBool>,
    streams: Arc<DurableStreams>,
}

fn topic() -> Topic {
    "runs/42".parse().expect("a topic")
}

impl Rig {
    fn new() -> Self {
        let journal = MemoryJournal::new(EPOCH, Vec::new(), Box::new(Nobody));
        Self::over(Arc::new(journal))
    }

    fn over(journal: Arc<MemoryJournal>) -> Self {
        let life = Life::new(5);
        let feed = Arc::new(Feed::new(Vec::new(), (Offset::ZERO, life, Progress::ZERO)));
        let room = (new_table(life, NameHasher::new([1, 2])), usize::MAX);
        let states = Arc::new(States::new(EPOCH, room, feed, PastRules::default()));
        let topics = TopicRules::new(Vec::new(), Duration::from_hours(1));
        let shared: Arc<dyn Journal> = Arc::<MemoryJournal>::clone(&journal);
        let publisher = Publisher { journal: shared, states, topics, figures: Arc::default() };
        let way = Way { journal: Arc::clone(&journal), outcomes: Mutex::default() };
        let (way, in_charge) = (Arc::new(way), Arc::new(AtomicBool::new(true)));
        let own: Arc<dyn Journal> = Arc::<Way>::clone(&way);
        let told = Arc::clone(&in_charge);
        let charge = Charge::told(move || told.load(Ordering::Relaxed));
        let streams =
            DurableStreams::open(&Arc::new(publisher), Some(Decides { journal: own, charge }));
        Self { journal, way, in_charge, streams: streams.expect("opened") }
    }

    /// What becomes of the next appends.
    fn next(&self, outcomes: &[Outcome]) {
        self.way.outcomes.lock().expect("a lock").extend(outcomes);
    }

    async fn create(&self, content_type: &str) -> Result<Stream, Error> {
        let turn = self.streams.alone(&topic()).await.expect("a turn");
        let body = Body::text(content_type.to_owned().into()).expect("text");
        let (key, time) = (None, clock::now());
        let event = Event { topic: topic(), key, event_type: None, time, body: Some(body) };
        let created = (content_type.into(), Lifetime::Unlimited);
        let content = vec![Append::new(event, None)];
        self.streams.create(&topic(), (created, content), turn).await
    }

    /// What is told of the topic's stream.
    fn read(&self, stream: &Stream) -> Vec<String> {
        let filters = FilterSet::from(Filter::from(&topic()));
        let page = self.journal.read(stream.begin, &filters, ReadLimit::PAGE).expect("read");
        let body = |entry: Entry| Some(String::from_utf8_lossy(entry.event.body?.bytes()).into());
        page.entries.into_iter().filter_map(body).collect()
    }
}

#[tokio::test]
async fn a_stream_whose_content_is_in_doubt_is_none_and_can_be_created_otherwise() {
    use Outcome::{Lost, Unanswered};

    let cases: [&[Outcome]; 6] = [
        &[Unanswered],
        &[Lost],
        // Nor could it be ended.
        &[Unanswered, Lost],
        &[Lost, Lost],
        &[Unanswered, Unanswered],
        &[Lost, Unanswered],
    ];
    for outcomes in cases {
        let rig = Rig::new();
        rig.next(outcomes);
        let error = rig.create("text/plain").await.expect_err("it is in doubt");
        assert!(matches!(error, Error::Away(_)), "{error:?}");
        assert_eq!(rig.streams.find(&topic()), None, "{outcomes:?}");
        let stream = rig.create("text/csv").await.expect("created");
        assert_eq!(rig.streams.find(&topic()).as_ref(), Some(&stream), "{outcomes:?}");
        assert_eq!(rig.read(&stream).last().map(String::as_str), Some("text/csv"), "{outcomes:?}");
        assert!(!rig.read(&stream).contains(&"text/plain".to_owned()), "{outcomes:?}");
        let next = Rig::over(Arc::clone(&rig.journal));
        assert_eq!(next.streams.find(&topic()).as_ref(), Some(&stream), "{outcomes:?}");
    }
}

#[tokio::test]
async fn who_keeps_the_streams_no_more_ends_none_and_has_no_turn() {
    let rig = Rig::new();
    let stream = rig.create("text/plain").await.expect("created");
    let tail = rig.journal.bounds().tail;
    rig.next(&[Outcome::KeptOut]);
    let turn = rig.streams.alone(&topic()).await.expect("a turn");
    let error = rig.streams.delete(&topic(), turn).await.expect_err("another has it");
    assert_eq!(Problem::from(error).is_maybe_taken(), Some(false));
    assert_eq!(rig.journal.bounds().tail, tail, "nobody is told of an end");
    assert_eq!(rig.streams.find(&topic()), Some(stream));
    rig.in_charge.store(false, Ordering::Relaxed);
    let turns = [rig.streams.alone(&topic()).await.err(), rig.streams.shared(&topic()).await.err()];
    assert!(turns.iter().all(|it| it.as_ref().is_some_and(|it| it.code == Code::DeskAway)));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_who_changes_a_stream_before() {
    let rig = Rig::new();
    let held = rig.streams.alone(&topic()).await.expect("a turn");
    let refused = rig.streams.shared(&topic()).await.expect_err("it is held");
    assert_eq!((refused.code, refused.is_maybe_taken()), (Code::JournalUnavailable, Some(false)));
    drop(held);
    drop(rig.streams.shared(&topic()).await.expect("a turn"));
}
