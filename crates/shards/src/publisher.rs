//! Publishing: streams into the journal, state topics into the table.

use std::sync::Arc;

use bellwire_journal::{Append, Appended, Error, Journal};
use bellwire_model::limits::{IDEMPOTENCY_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX};
use bellwire_model::{Cursor, Event, Topic};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::Publish;
use tokio::sync::oneshot;

use crate::figures::Figures;
use crate::state::States;
use crate::topics::{Kind, TopicRules};

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
    },
    /// It is the newest value of its key.
    State,
}

/// One for each event that was published together, in their order.
pub type Results = Vec<Result<Published, Problem>>;

/// Refuses topics that the server owns.
pub(crate) fn check_topic(topic: &Topic) -> Result<(), Problem> {
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
        let Publish { topic, key, event_type, body } = publish;
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
        }
        Ok(Event { topic, key, event_type, time: clock::now(), body: Some(body) })
    }

    /// What removes a key of a state topic, if it is there.
    pub fn deletion(&self, topic: Topic, key: &str) -> Result<Event, Problem> {
        check_topic(&topic)?;
        if self.topics.kind(&topic) != Kind::State {
            let detail = format!("`{topic}` is a stream: its events go with its retention");
            return Err(Problem::new(Code::KindMismatch, detail));
        }
        if !self.states.contains(&topic, key) {
            return Err(Problem::new(Code::KeyNotFound, format!("`{topic}` has no key `{key}`")));
        }
        Ok(Event { topic, key: Some(key.into()), event_type: None, time: clock::now(), body: None })
    }

    /// Publishes events, those of streams whole or not at all.
    pub async fn publish(&self, events: Vec<Append>) -> Result<Results, Problem> {
        let (reply, replied) = oneshot::channel();
        self.publish_then(events, move |results| {
            // A publisher that has left does not need its answer.
            let _ = reply.send(results);
        })?;
        replied.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }

    /// Publishes events without blocking, and calls `done` with the answer: now, or on the
    /// journal's writer once the events of streams are durable. An error says that nothing was
    /// done and that `done` is not called. Events of one caller keep their order.
    pub fn publish_then(
        &self,
        events: Vec<Append>,
        done: impl FnOnce(Result<Results, Problem>) + Send + 'static,
    ) -> Result<(), Problem> {
        let kind = |append: &Append| self.topics.kind(&append.event.topic);
        let kinds: Vec<Kind> = events.iter().map(kind).collect();
        let (mut streams, mut values) = (Vec::with_capacity(events.len()), Vec::new());
        for (append, kind) in events.into_iter().zip(&kinds) {
            match kind {
                Kind::Stream => streams.push(append),
                Kind::State => values.push(append.event),
            }
        }
        // Refused before anything is done: a request must not fail after half of it.
        if !values.is_empty() && !self.states.has_room() {
            let detail = "subscribers' threads cannot keep up with the changes of state topics";
            return Err(Problem::new(Code::PublishersBusy, detail).retry_after(1));
        }
        let (epoch, states) = (self.journal.epoch(), Arc::clone(&self.states));
        let finish = move |appended: Vec<Appended>| -> Results {
            let mut appended = appended.into_iter();
            let mut applied = states.apply_now(values).into_iter();
            let result = |kind| match kind {
                Kind::Stream => {
                    let Appended { offset, duplicate } = appended.next().expect("one result each");
                    Ok(Published::Stream { cursor: Cursor::new(epoch, offset), duplicate })
                }
                Kind::State => match applied.next().expect("one result each") {
                    Ok(()) => Ok(Published::State),
                    Err(error) => Err(Problem::new(Code::StateFull, error)),
                },
            };
            kinds.into_iter().map(result).collect()
        };
        if streams.is_empty() {
            done(Ok(finish(Vec::new())));
            return Ok(());
        }
        let figures = Arc::clone(&self.figures);
        let reply = move |result: Result<Vec<Appended>, Error>| match result {
            Ok(appended) => {
                figures.events_published.add(appended.len() as u64);
                done(Ok(finish(appended)));
            }
            Err(error) => {
                figures.journal_failures.add(1);
                done(Err(error.into()));
            }
        };
        self.journal.append(streams, Box::new(reply)).map_err(|error| {
            self.figures.journal_failures.add(1);
            error.into()
        })
    }
}
