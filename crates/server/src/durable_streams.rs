//! Streams as Durable Streams have them: what is known of each beside its events.
//!
//! ```text
//! PUT ──▶ record `stream/<topic>`: content type, lifetime, where it begins ─▶ found by its topic
//! DELETE, or its time is over ─▶ `end` and `reopened` in the journal, and a record of where that was
//! nobody has created it ─▶ a topic that has events is a stream of JSON
//! ```
//!
//! A stream is a stretch of its topic: what was published before it was created, or before another one
//! was deleted, is none of its own. The events themselves go with the topic's retention.

mod record;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_alerting::Charge;
use bellwire_journal::{Append, Appended, Error, Journal, RecordChange, TopicFigures};
use bellwire_model::limits::{
    DURABLE_STREAM_TIMEOUT, DURABLE_STREAMS_MAX, DURABLE_STREAMS_SWEEP_INTERVAL,
};
use bellwire_model::{Closure, Filter, FilterSet, Offset, Topic};
use bellwire_process::clock;
use bellwire_shards::Publisher;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, oneshot};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

pub(crate) use self::record::{Lifetime, Stream};
use self::record::{PREFIX, Record, key};
use crate::relay;

/// Streams whose topics have the same remainder wait for each other's creation and deletion, and for each
/// append that says which it is. Few have: whoever writes one stream must not have others wait.
const TURNS: usize = 1_024;

/// Up to so many, those that were deleted are known though nothing is left of them.
const ROOMY: usize = DURABLE_STREAMS_MAX / 2;

/// Whoever has this changes a stream alone.
pub(crate) type Turn = OwnedRwLockWriteGuard<()>;

/// How streams are created and deleted: of several nodes one does that at a time, and the others hear of it.
#[derive(Clone, Debug)]
pub(crate) struct Decides {
    /// What somebody else does by now is kept out there.
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) charge: Charge,
}

/// All streams.
#[derive(Debug)]
pub(crate) struct DurableStreams {
    publisher: Arc<Publisher>,
    /// Where streams are created and deleted from here, while they are.
    decides: std::sync::RwLock<Option<Decides>>,
    kept: Mutex<HashMap<Topic, Kept>>,
    /// Of which topics something was heard since they are being read. It is taken within the lock of what is kept.
    heard: Mutex<Option<HashSet<Topic>>>,
    /// Who appends shares a turn; who creates or deletes has it alone.
    turns: Vec<Arc<RwLock<()>>>,
    /// Which turn a topic has; nobody can choose one that has another's.
    turn_of: RandomState,
}

/// What the records say of a topic.
#[derive(Clone, Debug)]
enum Kept {
    Live(Arc<Live>),
    /// There its stream was deleted.
    Deleted(Offset),
}

impl Kept {
    fn live(stream: Stream) -> Self {
        Self::Live(Arc::new(Live::new(stream)))
    }
}

/// A stream that was created.
#[derive(Debug)]
struct Live {
    stream: Stream,
    /// When it was last read or written, in milliseconds of the system's uptime.
    used_ms: AtomicU64,
    /// Nobody knows whether what it begins with is there: whoever has created it was told so, and it goes.
    is_void: bool,
}

impl Live {
    fn new(stream: Stream) -> Self {
        Self { stream, used_ms: AtomicU64::new(uptime_ms()), is_void: false }
    }

    /// Whether it goes once nobody has used it for a while.
    fn is_idle(&self) -> bool {
        matches!(self.stream.lifetime, Lifetime::Idle { .. })
    }

    fn is_over(&self) -> bool {
        if self.is_void {
            return true;
        }
        let idle_ms = || uptime_ms().saturating_sub(self.used_ms.load(Ordering::Relaxed));
        match &self.stream.lifetime {
            Lifetime::Unlimited => false,
            Lifetime::Idle { seconds } => idle_ms() >= seconds.saturating_mul(1_000),
            Lifetime::Until { at, .. } => clock::now() >= *at,
        }
    }
}

fn uptime_ms() -> u64 {
    u64::try_from(clock::uptime().as_millis()).unwrap_or(u64::MAX)
}

impl DurableStreams {
    /// Those that the journal has, and where they are created and deleted from here, if they are. Blocks on the disk.
    pub(crate) fn open(
        publisher: &Arc<Publisher>,
        decides: Option<Decides>,
    ) -> Result<Arc<Self>, Error> {
        let heard = Arc::new(Self::empty(publisher, decides));
        let told = Arc::downgrade(&heard);
        // Before what there is: nothing that comes behind it may be missed.
        publisher.journal.watch_records(
            PREFIX,
            Arc::new(move |changes| {
                if let Some(streams) = told.upgrade() {
                    streams.hear(changes);
                }
            }),
        );
        heard.read_all()?;
        Ok(heard)
    }

    /// From now on streams are created and deleted here, and their records are written there; or another node does
    /// that. What that one has left unfinished is as at a start. Blocks on the disk.
    pub(crate) fn decide(&self, decides: Option<Decides>) -> Result<(), Error> {
        if decides.is_some() {
            self.read_all()?;
        }
        *self.decides.write().unwrap_or_else(PoisonError::into_inner) = decides;
        Ok(())
    }

    /// Takes all that there are as nobody has used them until now. Nobody waits for the disk meanwhile: what comes
    /// while it is read is newer.
    fn read_all(&self) -> Result<(), Error> {
        *self.heard() = Some(HashSet::new());
        let found = self.read_records();
        let mut kept = self.kept();
        let heard = self.heard().take().unwrap_or_default();
        kept.extend(found?.into_iter().filter(|(topic, _)| !heard.contains(topic)));
        Ok(())
    }

    fn read_records(&self) -> Result<Vec<(Topic, Kept)>, Error> {
        let journal = &self.publisher.journal;
        let tail = journal.bounds().tail;
        let mut found = Vec::new();
        for record in journal.records(PREFIX)? {
            let Some((topic, record)) = Record::read(&record) else {
                tracing::warn!(key = %record.key, "A record of a stream cannot be read; it is left alone.");
                continue;
            };
            // Of a journal that has lost its end the places beyond it will be others'.
            let kept = match record {
                Record::Deleted { at } => Kept::Deleted(at.min(tail)),
                Record::Live { mut stream, awaits_content } => {
                    stream.begin = stream.begin.min(tail);
                    let is_begun = || {
                        let trimmed = journal.trimmed(&FilterSet::from(Filter::from(&topic)));
                        last(&**journal, &topic).max(trimmed) > stream.begin
                    };
                    // Whoever created it with content was never told that it is there.
                    if awaits_content && !is_begun() {
                        Kept::Deleted(stream.begin)
                    } else {
                        Kept::live(stream)
                    }
                }
            };
            found.push((topic, kept));
        }
        Ok(found)
    }

    fn empty(publisher: &Arc<Publisher>, decides: Option<Decides>) -> Self {
        let turns = std::iter::repeat_with(Arc::default).take(TURNS).collect();
        let (publisher, decides) = (Arc::clone(publisher), std::sync::RwLock::new(decides));
        let (kept, heard, turn_of) = (Mutex::default(), Mutex::default(), RandomState::new());
        Self { publisher, decides, kept, heard, turns, turn_of }
    }

    fn decides(&self) -> Option<Decides> {
        self.decides.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this server creates and deletes streams right now.
    fn is_in_charge(&self) -> bool {
        self.decides().is_some_and(|decides| decides.charge.is_ours())
    }

    /// Where what only this server may say is said.
    fn own(&self) -> Result<Arc<dyn Journal>, Error> {
        self.decides().map(|decides| decides.journal).ok_or(Error::Closed)
    }

    /// Records were changed, maybe by another node.
    fn hear(&self, changes: &[RecordChange]) {
        for RecordChange { key, value } in changes {
            let Some(value) = value else {
                if let Some(topic) = record::topic(key) {
                    let mut kept = self.kept();
                    self.note_heard(&topic);
                    kept.remove(&topic);
                }
                continue;
            };
            let record = bellwire_journal::Record { key: key.clone(), value: value.clone() };
            let Some((topic, record)) = Record::read(&record) else {
                tracing::warn!(%key, "A record of a stream cannot be read; it is left alone.");
                continue;
            };
            let heard = match record {
                Record::Deleted { at } => Kept::Deleted(at),
                Record::Live { stream, .. } => Kept::live(stream),
            };
            let mut kept = self.kept();
            self.note_heard(&topic);
            kept.insert(topic, heard);
        }
    }

    fn note_heard(&self, topic: &Topic) {
        if let Some(heard) = &mut *self.heard() {
            heard.insert(topic.clone());
        }
    }

    fn heard(&self) -> MutexGuard<'_, Option<HashSet<Topic>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Topic, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, topic: &Topic) -> Arc<RwLock<()>> {
        Arc::clone(&self.turns[(self.turn_of.hash_one(topic) % TURNS as u64) as usize])
    }

    /// While this is held the stream is neither created nor deleted.
    pub(crate) async fn shared(&self, topic: &Topic) -> Result<OwnedRwLockReadGuard<()>, Problem> {
        let turn = timeout(DURABLE_STREAM_TIMEOUT, self.turn(topic).read_owned()).await;
        self.came(turn)
    }

    /// While this is held nobody else appends to the stream.
    pub(crate) async fn alone(&self, topic: &Topic) -> Result<Turn, Problem> {
        let turn = timeout(DURABLE_STREAM_TIMEOUT, self.turn(topic).write_owned()).await;
        self.came(turn)
    }

    /// A turn may have been waited for for long, and another node may do this by now.
    fn came<T>(&self, turn: Result<T, Elapsed>) -> Result<T, Problem> {
        let Ok(turn) = turn else {
            let detail = "the journal has not answered to a change of the stream before this one";
            return Err(Problem::new(Code::JournalUnavailable, detail).retry_after(1));
        };
        let away = || relay::nobody_keeps("another node may have the streams by now");
        if self.is_in_charge() { Ok(turn) } else { Err(away()) }
    }

    /// The stream of a topic, if there is one now.
    pub(crate) fn find(&self, topic: &Topic) -> Option<Stream> {
        let kept = self.kept().get(topic).cloned();
        let begin = match kept {
            Some(Kept::Live(live)) => {
                // For how long nobody has used it only that one knows.
                let is_over = live.is_over() && (self.decides().is_some() || !live.is_idle());
                return (!is_over).then(|| live.stream.clone());
            }
            Some(Kept::Deleted(at)) => at,
            None => Offset::ZERO,
        };
        let figures = figures(&*self.publisher.journal, topic)?;
        (figures.events > 0 && figures.last > begin).then(|| Stream::of_json(begin))
    }

    /// Somebody has read or written it: it stays for its time from now on.
    pub(crate) fn note_use(&self, topic: &Topic) {
        if let Some(Kept::Live(live)) = self.kept().get(topic) {
            live.used_ms.store(uptime_ms(), Ordering::Relaxed);
        }
    }

    /// Where the next event of a stream comes behind.
    pub(crate) fn tail(&self, topic: &Topic, stream: &Stream) -> Offset {
        last(&*self.publisher.journal, topic).max(stream.begin)
    }

    /// Creates a stream with what it begins with, of whose topic there is none. It is in the journal when
    /// this returns.
    pub(crate) async fn create(
        self: &Arc<Self>,
        topic: &Topic,
        (created, content): ((Box<str>, Lifetime), Vec<Append>),
        turn: Turn,
    ) -> Result<Stream, Error> {
        let (all, topic) = (Arc::clone(self), topic.clone());
        to_its_end(turn, async move { all.begin(&topic, created, content).await }).await
    }

    async fn begin(
        &self,
        topic: &Topic,
        (content_type, lifetime): (Box<str>, Lifetime),
        mut content: Vec<Append>,
    ) -> Result<Stream, Error> {
        if self.is_created(topic) {
            // Its time is over, and nobody has come by since.
            self.end(topic).await?;
        }
        self.check_room(topic)?;
        if self.publisher.journal.ended(topic.as_str()).is_some() {
            // Before retention has removed all that it had.
            let reopened = Closure::Reopened.event(topic.clone(), clock::now());
            content.insert(0, Append::new(reopened, None));
        }
        let begin = self.publisher.journal.bounds().tail;
        let stream = Stream { content_type, lifetime, begin };
        let awaits_content = !content.is_empty();
        let record = Record::Live { stream: stream.clone(), awaits_content };
        self.write(topic, Some(&record)).await?;
        // Whoever reads its content has to know of what type it is.
        self.kept().insert(topic.clone(), Kept::live(stream.clone()));
        if awaits_content && let Err(error) = self.append(content).await {
            self.take_back(topic, &stream, &error).await;
            return Err(error);
        }
        Ok(stream)
    }

    /// What a stream was to begin with is not there, or nobody knows whether it is: so is the stream.
    async fn take_back(&self, topic: &Topic, stream: &Stream, error: &Error) {
        let at = stream.begin;
        let is_doubted = Problem::from(error.clone()).is_maybe_taken() == Some(true);
        let gone = if is_doubted {
            // Both come behind the content, if that comes.
            self.end(topic).await
        } else {
            self.write(topic, Some(&Record::Deleted { at })).await
        };
        if let Err(error) = gone {
            tracing::warn!(%error, %topic, "A stream without what it begins with stays for now.");
            let void = Live { is_void: true, ..Live::new(stream.clone()) };
            self.kept().insert(topic.clone(), Kept::Live(Arc::new(void)));
        } else if !is_doubted {
            self.kept().insert(topic.clone(), Kept::Deleted(at));
        }
    }

    /// Has a stream that nobody has created, of a topic that has events, go on when these are gone.
    pub(crate) async fn adopt(
        self: &Arc<Self>,
        topic: &Topic,
        stream: Stream,
        turn: Turn,
    ) -> Result<(), Error> {
        self.check_room(topic)?;
        let (all, topic) = (Arc::clone(self), topic.clone());
        to_its_end(turn, async move {
            let record = Record::Live { stream: stream.clone(), awaits_content: false };
            all.write(&topic, Some(&record)).await?;
            all.kept().insert(topic, Kept::live(stream));
            Ok(())
        })
        .await
    }

    fn check_room(&self, topic: &Topic) -> Result<(), Error> {
        let kept = self.kept();
        let has_room = kept.len() < DURABLE_STREAMS_MAX || kept.contains_key(topic);
        if has_room { Ok(()) } else { Err(Error::TooManyRecords) }
    }

    /// Whether somebody has created it.
    pub(crate) fn is_created(&self, topic: &Topic) -> bool {
        matches!(self.kept().get(topic), Some(Kept::Live(_)))
    }

    /// Deletes the stream of a topic: whoever reads it is told that it goes on no more.
    pub(crate) async fn delete(self: &Arc<Self>, topic: &Topic, turn: Turn) -> Result<(), Error> {
        let (all, topic) = (Arc::clone(self), topic.clone());
        to_its_end(turn, async move { all.end(&topic).await }).await
    }

    async fn end(&self, topic: &Topic) -> Result<(), Error> {
        let now = clock::now();
        let batch = [Closure::End, Closure::Reopened]
            .map(|closure| Append::new(closure.event(topic.clone(), now), None));
        let appended = self.append(batch.into()).await?;
        // Its readers are told of places before it, never of this: another one may begin here.
        let at = appended.last().map_or(Offset::ZERO, |appended| appended.offset);
        self.write(topic, Some(&Record::Deleted { at })).await?;
        self.kept().insert(topic.clone(), Kept::Deleted(at));
        Ok(())
    }

    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>, Error> {
        self.publisher.append_whole_to(&*self.own()?, batch).await
    }

    async fn write(&self, topic: &Topic, record: Option<&Record>) -> Result<(), Error> {
        let (reply, replied) = oneshot::channel();
        let change = RecordChange { key: key(topic), value: record.map(Record::json) };
        let reply = Box::new(move |result| drop(reply.send(result)));
        self.own()?.write_records(vec![change], reply)?;
        replied.await.unwrap_or(Err(Error::Closed))
    }

    /// Deletes streams whose time is over, and where there are many forgets those that were deleted once
    /// nothing is left of them, again and again.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        let mut interval = tokio::time::interval(DURABLE_STREAMS_SWEEP_INTERVAL);
        loop {
            interval.tick().await;
            if !self.is_in_charge() {
                continue;
            }
            for topic in tokio::task::block_in_place(|| self.over()) {
                let Ok(_turn) = self.alone(&topic).await else { break };
                // Somebody may have had it meanwhile.
                let swept = match self.fate(&topic) {
                    Some(Fate::Deleted) => self.end(&topic).await,
                    Some(Fate::Forgotten) => {
                        let written = self.write(&topic, None).await;
                        if written.is_ok() {
                            self.kept().remove(&topic);
                        }
                        written
                    }
                    None => Ok(()),
                };
                if let Err(error) = swept {
                    tracing::warn!(%error, %topic, "A stream whose time is over stays for now.");
                    break;
                }
            }
        }
    }

    /// The topics of which something is to be done. What was deleted is known for as long as there is
    /// room: who writes a stream that nobody creates again is told apart by it from who wrote the old one.
    fn over(&self) -> Vec<Topic> {
        let (mut over, mut emptied) = (Vec::new(), Vec::new());
        let kept = self.kept();
        let too_many = kept.len().saturating_sub(ROOMY);
        for (topic, kept) in kept.iter() {
            match kept {
                Kept::Live(live) if live.is_over() => over.push(topic.clone()),
                Kept::Deleted(at) if too_many > 0 => emptied.push((*at, topic.clone())),
                Kept::Live(_) | Kept::Deleted(_) => {}
            }
        }
        drop(kept);
        // The journal is asked without the lock.
        emptied.retain(|(_, topic)| self.is_empty(topic));
        emptied.sort_unstable();
        over.extend(emptied.into_iter().take(too_many).map(|(_, topic)| topic));
        over
    }

    fn fate(&self, topic: &Topic) -> Option<Fate> {
        let kept = self.kept().get(topic).cloned()?;
        match kept {
            Kept::Live(live) => live.is_over().then_some(Fate::Deleted),
            Kept::Deleted(_) => self.is_empty(topic).then_some(Fate::Forgotten),
        }
    }

    /// Whether the journal has no event of a topic.
    fn is_empty(&self, topic: &Topic) -> bool {
        let figures = figures(&*self.publisher.journal, topic);
        figures.is_none_or(|figures| figures.events == 0)
    }
}

/// Does something of a stream to its end, however long the journal takes and whoever waits for it, and waits
/// for it, but not for ever. Others have their turn behind it.
async fn to_its_end<T: Send + 'static>(
    turn: Turn,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let work = tokio::spawn(async move {
        let done = work.await;
        drop(turn);
        done
    });
    let done = timeout(DURABLE_STREAM_TIMEOUT, work).await.map_err(|_| {
        let error = "the journal has not answered yet: the stream is changed once it has";
        Error::Away(Arc::new(io::Error::new(io::ErrorKind::TimedOut, error)))
    })?;
    done.unwrap_or(Err(Error::Unanswered))
}

/// What becomes of a stream by itself.
enum Fate {
    Deleted,
    Forgotten,
}

/// The figures of a topic, if it has or had events.
fn figures(journal: &dyn Journal, topic: &Topic) -> Option<TopicFigures> {
    let first = journal.list_topics(topic.as_str(), "", 1).pop()?;
    (first.topic == *topic).then_some(first)
}

/// The newest event of a topic.
fn last(journal: &dyn Journal, topic: &Topic) -> Offset {
    figures(journal, topic).map_or(Offset::ZERO, |figures| figures.last)
}

#[cfg(test)]
mod tests;
