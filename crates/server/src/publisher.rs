//! Publishing: streams into the journal, state topics into the table.

use std::sync::Arc;

use bellwire_journal::{Append, Appended, Error, Journal};
use bellwire_model::{Cursor, Event, Topic};
use tokio::sync::oneshot;

use crate::observe::Figures;
use crate::problem::{Code, Problem};
use crate::state::States;
use crate::topics::{Kind, TopicRules};

/// Takes what clients publish.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) states: Arc<States>,
    pub(crate) topics: TopicRules,
    pub(crate) figures: Arc<Figures>,
}

/// What became of a published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// It is in the journal.
    Stream {
        cursor: Cursor,
        /// An earlier request with the same idempotency key had put it there.
        duplicate: bool,
    },
    /// It is the newest value of its key.
    State,
}

impl Publisher {
    /// Refuses topics that the server owns.
    pub(crate) fn check_topic(topic: &Topic) -> Result<(), Problem> {
        if topic.is_reserved() {
            let detail =
                format!("`{topic}` belongs to the server: publish under another first segment");
            return Err(Problem::new(Code::TopicReserved, detail));
        }
        Ok(())
    }

    /// Publishes events, stream events whole or not at all. One result each.
    pub(crate) async fn publish(
        &self,
        events: Vec<Append>,
    ) -> Result<Vec<Result<Published, Problem>>, Problem> {
        let is_state: Vec<bool> = events
            .iter()
            .map(|append| self.topics.kind(&append.event.topic) == Kind::State)
            .collect();
        let mut streams = Vec::with_capacity(events.len());
        let mut states = Vec::new();
        for (append, is_state) in events.into_iter().zip(&is_state) {
            if *is_state {
                states.push(append.event);
            } else {
                streams.push(append);
            }
        }
        // Refused before anything is done: a request must not fail after half of it.
        if !states.is_empty() && !self.states.has_room() {
            let detail = "subscribers' threads cannot keep up with the changes of state topics";
            return Err(Problem::new(Code::PublishersBusy, detail).retry_after(1));
        }
        let mut stream_results = self.append(streams).await?.into_iter();
        let mut state_results = self.apply(states).into_iter();
        let next = |is_state: &bool| {
            if *is_state {
                state_results.next().expect("one result each")
            } else {
                Ok(stream_results.next().expect("one result each"))
            }
        };
        Ok(is_state.iter().map(next).collect())
    }

    /// Appends to the journal and waits until it is durable.
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Published>, Problem> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, replied) = oneshot::channel();
        let reply = Box::new(move |result: Result<Vec<Appended>, Error>| {
            // A publisher that has left does not need its answer.
            let _ = reply.send(result);
        });
        let result = match self.journal.append(batch, reply) {
            Ok(()) => replied.await.unwrap_or(Err(Error::Closed)),
            Err(error) => Err(error),
        };
        let appended = result.inspect_err(|_| self.figures.journal_failures.add(1))?;
        self.figures.events_published.add(appended.len() as u64);
        let epoch = self.journal.epoch();
        let published = |Appended { offset, duplicate }| Published::Stream {
            cursor: Cursor { epoch, offset },
            duplicate,
        };
        Ok(appended.into_iter().map(published).collect())
    }

    fn apply(&self, events: Vec<Event>) -> Vec<Result<Published, Problem>> {
        if events.is_empty() {
            return Vec::new();
        }
        let results = self.states.apply(events).into_iter();
        let result = |result: Result<(), _>| {
            result.map(|()| Published::State).map_err(|error| Problem::new(Code::StateFull, error))
        };
        results.map(result).collect()
    }
}
