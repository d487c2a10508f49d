//! Publishing: streams and state topics on the disk into the journal, others into the table.

use std::convert::identity;
use std::sync::Arc;
use std::time::Duration;

use bellwire_hub::{ChangeError, Start};
use bellwire_journal::{Append, Appended, Error, Found, Journal, Reply, Unmet};
use bellwire_model::limits::{IDEMPOTENCY_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX};
use bellwire_model::{
    Closure, Condition, Cursor, Epoch, Event, Fence, FilterSet, Keep, KeyVersion, Topic, WriteTerms,
};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::{Post, Publish};
use tokio::sync::oneshot;

use crate::ends;
use crate::figures::Figures;
use crate::state::States;
use crate::state_write::StateWrite;
use crate::topics::{Kind, TopicRules};

mod deleting;
mod fenced;
mod whole;

pub use deleting::Deleting;
pub use fenced::refusal as fenced_refusal;

/// Takes what clients publish.
#[derive(Debug)]
pub struct Publisher {
    pub journal: Arc<dyn Journal>,
    pub states: Arc<States>,
    pub topics: TopicRules,
    pub figures: Arc<Figures>,
}

/// What became of a published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is in the journal.
    Stream {
        cursor: Cursor,
        /// An earlier request with the same idempotency key had put it there.
        duplicate: bool,
        /// Where the topic has ended with it.
        end: Option<Cursor>,
    },
    /// Its producer has sent it before.
    Known {
        /// The producer's epoch.
        epoch: u64,
        /// The newest of its events in this epoch.
        sequence: u64,
    },
    /// The topic has ended, or goes on.
    Closed {
        /// Which of the two.
        closure: Closure,
        /// Where that is.
        cursor: Cursor,
        /// It was so before.
        duplicate: bool,
    },
    /// It is the newest value of its key, or the end of one.
    State {
        /// Which version the key has now.
        version: KeyVersion,
        /// Where the topic has ended with it.
        end: Option<Cursor>,
    },
    /// Keys of a state topic that begin alike are gone: how many these were.
    Deleted { keys: usize },
    /// It is seen on the board of alerts.
    Board,
}

/// An event that is to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The event; one without a body deletes a key of a state topic.
    pub event: Event,
    /// By which it is known if it is published again; for streams.
    pub idempotency_key: Option<Box<str>>,
    /// By which its producer has it counted once; where the journal keeps it.
    pub fence: Option<Box<Fence>>,
    /// How the key of a state topic is to be written.
    pub terms: WriteTerms,
    /// Whether its topic ends with it, or neither comes to be.
    pub is_last: bool,
}

impl From<Event> for Write {
    fn from(event: Event) -> Self {
        let terms = WriteTerms::default();
        Self { event, idempotency_key: None, fence: None, terms, is_last: false }
    }
}

impl Write {
    /// The same by a producer that is told apart from those of others.
    #[must_use]
    pub fn by(mut self, own_name: impl FnOnce(&str) -> Box<str>) -> Self {
        if let Some(fence) = &mut self.fence {
            fence.producer = own_name(&fence.producer);
        }
        self
    }
}

/// Events that are published together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writes {
    /// In their order.
    pub writes: Vec<Write>,
    /// Whether all are to be published, or none.
    pub is_atomic: bool,
}

impl From<Write> for Writes {
    fn from(write: Write) -> Self {
        Self { writes: vec![write], is_atomic: false }
    }
}

/// One for each event that was published together, in their order.
pub type Results = Vec<Result<Published, Problem>>;

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// Into the journal, which keeps it; the topic may end with it.
    Stream { is_last: bool },
    /// Into the journal: the topic ends, or goes on.
    Closure(Closure),
    /// Into the journal, which keeps the newest of its key; the topic may end with it.
    Disk { is_last: bool },
    /// Into the journal, which deletes the key.
    Deletion,
    /// Into the state table alone.
    Memory,
}

impl Home {
    /// Whether the topic ends with it.
    fn is_last(self) -> bool {
        matches!(self, Self::Stream { is_last: true } | Self::Disk { is_last: true })
    }
}

/// Refuses topics that the server owns.
/// Refuses the server's own topics.
pub fn check_topic(topic: &Topic) -> Result<(), Problem> {
    if topic.is_reserved() {
        let detail =
            format!("`{topic}` belongs to the server: publish under another first segment");
        return Err(Problem::new(Code::TopicReserved, detail));
    }
    Ok(())
}

pub fn check_idempotency_key(key: &str) -> Result<Box<str>, Problem> {
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        let detail = format!("an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes");
        return Err(Problem::new(Code::IdempotencyKeyInvalid, detail));
    }
    Ok(key.into())
}

impl Publisher {
    /// What a client publishes as an event of now, if its topic takes it.
    pub fn event(&self, publish: Publish) -> Result<Event, Problem> {
        self.write(publish).map(|write| write.event)
    }

    /// The same with how it is to be written. It has no idempotency key yet.
    pub fn write(&self, publish: Publish) -> Result<Write, Problem> {
        let Publish { topic, key, event_type, body, terms, fence } = publish;
        check_topic(&topic)?;
        if self.topics.kind(&topic) == Kind::State {
            if key.is_none() {
                let detail = format!(
                    "`{topic}` is a state topic: say which value this is, by `Bellwire-Key` or `key`"
                );
                return Err(Problem::new(Code::KeyMissing, detail));
            }
            if body.bytes().len() > STATE_VALUE_BYTES_MAX {
                let detail = format!("a state value has at most {STATE_VALUE_BYTES_MAX} bytes");
                return Err(Problem::new(Code::EventTooLarge, detail));
            }
        } else if terms != WriteTerms::default() {
            let detail =
                format!("`{topic}` is a stream: its events have no condition and no time to live");
            return Err(Problem::new(Code::KindMismatch, detail));
        }
        if fence.is_some()
            && self.topics.kind(&topic) == Kind::State
            && !self.topics.is_on_disk(&topic)
        {
            let detail = format!(
                "`{topic}` is in memory, where no producer is remembered: write a key as it was seen \
                 (`if_version`), or have the topic on the disk"
            );
            return Err(Problem::new(Code::KindMismatch, detail));
        }
        let event = Event { topic, key, event_type, time: clock::now(), body: Some(body) };
        Ok(Write { fence, terms, ..event.into() })
    }

    /// What a client asks of a topic, as an event of now.
    pub fn posted(&self, post: Post) -> Result<Write, Problem> {
        if !matches!(post, Post::Event(_)) {
            check_topic(post.topic())?;
        }
        match post {
            Post::Event(publish) => self.write(publish),
            Post::Last(publish) if self.is_in_memory(&publish.topic) => {
                let topic = publish.topic;
                let detail = format!(
                    "`{topic}` is in memory and its end is in the journal, so that a value and the end \
                     cannot be one: publish the value, then end the topic by itself"
                );
                Err(Problem::new(Code::KindMismatch, detail))
            }
            Post::Last(publish) => Ok(Write { is_last: true, ..self.write(publish)? }),
            Post::Closure(topic, closure) => Ok(closure.event(topic, clock::now()).into()),
        }
    }

    /// Whether it is a state topic that the journal has nothing of but its end.
    fn is_in_memory(&self, topic: &Topic) -> bool {
        self.topics.kind(topic) == Kind::State && !self.topics.is_on_disk(topic)
    }

    /// Whether somebody comes back to nothing: has been told of the end of all that these filters pass,
    /// and has what there was then.
    pub fn is_at_end(&self, filters: &FilterSet, start: Start) -> bool {
        ends::is_at_end(&*self.journal, filters, start)
            && self.states.has_all(self.journal.epoch(), filters, start)
    }

    /// What removes a key of a state topic that is as it has to be.
    pub fn deletion(
        &self,
        topic: Topic,
        key: &str,
        condition: Condition,
    ) -> Result<Write, Problem> {
        self.check_deletable(&topic)?;
        let terms = WriteTerms { condition, ttl: None };
        let (key, time) = (Some(key.into()), clock::now());
        let event = Event { topic, key, event_type: None, time, body: None };
        Ok(Write { terms, ..Write::from(event) })
    }

    fn check_deletable(&self, topic: &Topic) -> Result<(), Problem> {
        check_topic(topic)?;
        if self.topics.kind(topic) != Kind::State {
            let detail = format!("`{topic}` is a stream: its events go with its retention");
            return Err(Problem::new(Code::KindMismatch, detail));
        }
        Ok(())
    }

    /// Has a key of a state topic go after a time, from now on, if it is as it has to be. Its value
    /// and its version stay.
    pub async fn touch(
        &self,
        named: (Topic, &str),
        terms: WriteTerms,
    ) -> Result<Published, Problem> {
        let (done, answered) = answer();
        self.touch_then(named, terms, done)?;
        answered.await
    }

    /// The same without blocking: `done` is called now, or on the journal's writer once it is durable.
    /// An error says that it is not.
    pub fn touch_then(
        &self,
        (topic, key): (Topic, &str),
        terms: WriteTerms,
        done: impl FnOnce(Result<Published, Problem>) + Send + 'static,
    ) -> Result<(), Problem> {
        let Write { event, .. } = self.deletion(topic, key, Condition::Always)?;
        let touch = StateWrite { event, terms };
        let Some(expires_at) = expires_at(terms).filter(|_| self.topics.is_on_disk(touch.name().0))
        else {
            let touched = self.states.touch(&*self.journal, &touch);
            done(touched.map(|version| Published::State { version, end: None }));
            return Ok(());
        };
        let renewal = Append::renewal(touch.event.clone(), expires_at);
        let append = Append { condition: terms.condition, ..renewal };
        let (epoch, states) = (self.journal.epoch(), Arc::clone(&self.states));
        let figures = Arc::clone(&self.figures);
        let reply = move |result: Result<Vec<Appended>, Error>| {
            done(match result {
                Ok(appended) if appended[0].has_ended => {
                    Err(ends::refusal(Cursor::new(epoch, appended[0].offset)))
                }
                Ok(appended) if appended[0].duplicate => Err(touch.refusal(ChangeError::Missing)),
                Ok(appended) => {
                    states.note_expiry(expires_at);
                    let offset = appended[0].offset;
                    let version = KeyVersion::Journal { epoch, offset };
                    Ok(Published::State { version, end: None })
                }
                Err(Error::Condition(unmet)) => {
                    let error = change_error(unmet, epoch);
                    Err(error.map_or_else(identity, |error| touch.refusal(error)))
                }
                Err(error) => {
                    figures.journal_failures.add(1);
                    Err(error.into())
                }
            });
        };
        self.append(vec![append], Box::new(reply))
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Problem> {
        self.journal.append(batch, reply).map_err(|error| {
            self.figures.journal_failures.add(1);
            error.into()
        })
    }

    fn home(&self, Write { event, is_last, .. }: &Write) -> Home {
        let Event { topic, body, .. } = event;
        match self.topics.kind(topic) {
            Kind::Stream => match event.closure() {
                Some(closure) => Home::Closure(closure),
                None => Home::Stream { is_last: *is_last },
            },
            Kind::State => match event.closure() {
                Some(closure) => Home::Closure(closure),
                None if !self.topics.is_on_disk(topic) => Home::Memory,
                None if body.is_some() => Home::Disk { is_last: *is_last },
                None => Home::Deletion,
            },
        }
    }

    /// Publishes events, those that the journal keeps whole or not at all.
    pub async fn publish(&self, writes: Writes) -> Result<Results, Problem> {
        let (done, answered) = answer();
        self.publish_then(writes, done)?;
        answered.await
    }

    /// Publishes events without blocking, and calls `done` with the answer: now, or on the
    /// journal's writer once what the journal keeps is durable. An error says that nothing was
    /// done and that `done` is not called. Events of one caller keep their order.
    pub fn publish_then(
        &self,
        Writes { writes, is_atomic }: Writes,
        done: impl FnOnce(Result<Results, Problem>) + Send + 'static,
    ) -> Result<(), Problem> {
        let homes: Vec<Home> = writes.iter().map(|write| self.home(write)).collect();
        if is_atomic {
            check_one_home(&writes, &homes)?;
        }
        let is_end_in_memory = |write: &Write| {
            write.event.closure().is_some() && self.is_in_memory(&write.event.topic)
        };
        let ends_in_memory = writes.iter().any(is_end_in_memory);
        let sorted = sorted(Writes { writes, is_atomic }, &homes);
        let Sorted { kept, mut values, asked, places } = sorted;
        let of_state = kept.iter().filter(|append| append.keep == Keep::Newest);
        let room = self.states.reserve_room(of_state.map(|append| &append.event));
        let room = room.map_err(|error| Problem::new(Code::StateFull, error))?;
        // Refused before anything is done: a request must not fail after half of it.
        if !values.is_empty() && !self.states.has_room() {
            let detail = "subscribers' threads cannot keep up with the changes of state topics";
            return Err(Problem::new(Code::PublishersBusy, detail).retry_after(1));
        }
        if kept.is_empty() {
            let to = (&*self.states, &*self.journal);
            let each = |values| Ok(write_each(to, values));
            done(if is_atomic { write_all(to, values) } else { each(values) });
            return Ok(());
        }
        let (epoch, states) = (self.journal.epoch(), Arc::clone(&self.states));
        let journal = Arc::clone(&self.journal);
        // What a topic in memory is to have comes before its end.
        let early = if ends_in_memory { std::mem::take(&mut values) } else { Vec::new() };
        let early = write_each((&states, &*journal), early);
        let count = homes.len();
        let finish = move |appended: Vec<Appended>| -> Results {
            let mut appended = appended.into_iter();
            let later = write_each((&states, &*journal), values);
            let mut written = early.into_iter().chain(later);
            let mut next = || appended.next().expect("one result each");
            let result = |home| match home {
                Home::Memory => written.next().expect("one result each"),
                home => published(epoch, home, &mut next),
            };
            homes.into_iter().map(result).collect()
        };
        let (figures, states) = (Arc::clone(&self.figures), Arc::clone(&self.states));
        let first_over = kept.iter().filter_map(|append| append.expires_at).min();
        let reply = move |result: Result<Vec<Appended>, Error>| match result {
            Ok(appended) => {
                if let Some(uptime) = first_over {
                    states.note_expiry(uptime);
                }
                let is_refused = |appended: &Appended| {
                    appended.has_ended || (appended.fenced.is_some() && !appended.duplicate)
                };
                let taken = appended.iter().filter(|appended| !is_refused(appended));
                figures.events_published.add(taken.count() as u64);
                done(Ok(finish(appended)));
            }
            Err(Error::Condition(unmet)) => {
                let index = places[unmet.index];
                done(Err(of_request(refusal(&asked, (unmet, epoch)), (index, count))));
            }
            Err(error) => {
                figures.journal_failures.add(1);
                done(Err(error.into()));
            }
        };
        let settle = move |result: Result<Vec<Appended>, Error>| {
            // The table has what was taken.
            drop(room);
            reply(result);
        };
        self.append(kept, Box::new(settle))
    }
}

/// What goes where.
struct Sorted {
    /// What the journal is given.
    kept: Vec<Append>,
    /// Of that, what is under a condition.
    asked: Vec<Asked>,
    /// Of each that the journal is given, its place in the request.
    places: Vec<usize>,
    /// What the state table is given.
    values: Vec<StateWrite>,
}

fn sorted(Writes { writes, is_atomic }: Writes, homes: &[Home]) -> Sorted {
    let (mut kept, mut values) = (Vec::with_capacity(writes.len()), Vec::new());
    let (mut asked, mut places) = (Vec::new(), Vec::with_capacity(writes.len()));
    for (index, (write, home)) in writes.into_iter().zip(homes).enumerate() {
        let Write { event, idempotency_key, terms, fence, .. } = write;
        let condition = terms.condition;
        let append = match home {
            Home::Stream { .. } | Home::Closure(_) => Append::new,
            Home::Disk { .. } | Home::Deletion => Append::of_state,
            Home::Memory => {
                values.push(StateWrite { event, terms });
                continue;
            }
        };
        if condition != Condition::Always {
            let write = StateWrite { event: event.clone(), terms };
            asked.push(Asked { append: kept.len(), write });
        }
        let end = home.is_last().then(|| Closure::End.event(event.topic.clone(), event.time));
        let (append, expires_at) = (append(event, idempotency_key), expires_at(terms));
        let append = Append { condition, expires_at, fence, ..append };
        let end = end.map(|end| Append::new(end, None));
        for append in std::iter::once(append).chain(end) {
            kept.push(Append { must_be_made: is_atomic, ..append });
            places.push(index);
        }
    }
    Sorted { kept, asked, places, values }
}

/// A change under a condition.
struct Asked {
    /// Its place in what the journal is given.
    append: usize,
    write: StateWrite,
}

/// Why the journal has taken nothing of a request.
fn refusal(asked: &[Asked], (unmet, epoch): (Unmet, Epoch)) -> Problem {
    let error = match change_error(unmet, epoch) {
        Ok(error) => error,
        Err(problem) => return problem,
    };
    match asked.iter().find(|asked| asked.append == unmet.index) {
        Some(asked) => asked.write.refusal(error),
        None => Error::Condition(unmet).into(),
    }
}

/// Refuses a request for what is wrong with one of so many of its events.
fn of_request(problem: Problem, (index, events): (usize, usize)) -> Problem {
    if events == 1 {
        return problem;
    }
    let wrong = problem.as_item(Some(index));
    problem.of_whole(vec![wrong])
}

/// What is wrong with the change of a key, or, as a problem, with something else.
fn change_error(unmet: Unmet, epoch: Epoch) -> Result<ChangeError, Problem> {
    match unmet.found {
        Found::At(offset) => {
            Ok(ChangeError::Condition { found: Some(KeyVersion::Journal { epoch, offset }) })
        }
        Found::Nothing => Ok(ChangeError::Condition { found: None }),
        Found::Again => Ok(ChangeError::Again),
        Found::Ended(Some(at)) => Err(ends::refusal(Cursor::new(epoch, at))),
        Found::Ended(None) => {
            let detail = "the topic ends with an event before this one in the same request";
            Err(Problem::new(Code::TopicEnded, detail))
        }
        Found::Fenced(fenced) => Err(fenced::refusal(fenced)),
    }
}

/// At which uptime of the system a key goes that is written or renewed now.
fn expires_at(terms: WriteTerms) -> Option<Duration> {
    terms.ttl.map(|ttl| clock::uptime().saturating_add(ttl))
}

/// What became of something that the journal was to keep; `next` is what it says of the next append.
fn published(
    epoch: Epoch,
    home: Home,
    mut next: impl FnMut() -> Appended,
) -> Result<Published, Problem> {
    let Appended { offset, duplicate, has_ended, fenced } = next();
    let cursor = Cursor::new(epoch, offset);
    let end = home.is_last().then(|| Cursor::new(epoch, next().offset));
    if let Some(fenced) = fenced {
        return fenced::told(fenced);
    }
    match home {
        _ if has_ended => Err(ends::refusal(cursor)),
        Home::Stream { .. } => Ok(Published::Stream { cursor, duplicate, end }),
        Home::Closure(closure) => Ok(Published::Closed { closure, cursor, duplicate }),
        Home::Deletion if duplicate => Err(Problem::new(Code::KeyNotFound, "there is no such key")),
        Home::Deletion | Home::Disk { .. } | Home::Memory => {
            Ok(Published::State { version: KeyVersion::Journal { epoch, offset }, end })
        }
    }
}

/// Refuses what cannot be whole: the journal and the state table take their events one after the
/// other.
fn check_one_home(writes: &[Write], homes: &[Home]) -> Result<(), Problem> {
    let is_in_memory = |home: &Home| *home == Home::Memory;
    let other = homes.iter().position(|home| is_in_memory(home) != is_in_memory(&homes[0]));
    let Some(other) = other else { return Ok(()) };
    let (one, other) = (&writes[0].event.topic, &writes[other].event.topic);
    let detail = format!(
        "what is published as a whole is in the journal (streams, state topics on the disk) or in \
         memory (other state topics): `{one}` is the one, `{other}` the other"
    );
    Err(Problem::new(Code::KindMismatch, detail))
}

/// Writes values, each by itself.
fn write_each((states, journal): (&States, &dyn Journal), writes: Vec<StateWrite>) -> Results {
    let results = states.write_now(journal, writes).into_iter();
    let written = |version| Published::State { version, end: None };
    results.map(|result| result.map(written)).collect()
}

/// Writes all values, or none.
fn write_all(
    (states, journal): (&States, &dyn Journal),
    writes: Vec<StateWrite>,
) -> Result<Results, Problem> {
    let written = states.write_all_now(journal, writes);
    let versions = written.map_err(|(index, problem)| {
        let wrong = problem.as_item(Some(index));
        problem.of_whole(vec![wrong])
    })?;
    let written = |version| Ok(Published::State { version, end: None });
    Ok(versions.into_iter().map(written).collect())
}

/// What is called with the answer, and what waits for it. Where it is dropped uncalled the journal is
/// closed.
fn answer<T, E>()
-> (impl FnOnce(Result<T, E>) + Send + 'static, impl Future<Output = Result<T, E>> + Send)
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (reply, replied) = oneshot::channel();
    let done = move |result| {
        // A publisher that has left does not need its answer.
        let _ = reply.send(result);
    };
    (done, async move { replied.await.unwrap_or_else(|_| Err(Error::Unanswered.into())) })
}
