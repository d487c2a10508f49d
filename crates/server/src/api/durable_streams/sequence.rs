//! `Stream-Seq`: in which order one writer after the other appends.
//!
//! What it says is the key of the event that it came with, so that the journal has it. It is looked for
//! there once in a while, and is known from then on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bellwire_journal::{Journal, ReadLimit};
use bellwire_model::{Fence, Filter, FilterSet, Offset, Topic};
use bellwire_wire::problem::{Code, Problem};

use crate::durable_streams::Stream;

/// Streams whose order is known; beyond that all are looked up again.
const KNOWN_MAX: usize = 10_000;

/// The orders of all streams.
#[derive(Debug, Default)]
pub(super) struct Sequences(Mutex<HashMap<Topic, Sequence>>);

/// What a stream has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Where the stream begins: another one of its topic has another order.
    begin: Offset,
    last: Option<Box<str>>,
    /// Who has appended that, where it is a producer.
    by: Option<Box<Fence>>,
}

impl Sequence {
    /// Whether something is there that does not come before this.
    pub(super) fn is_beyond(&self, sequence: &str) -> bool {
        self.last.as_deref().is_some_and(|last| last.as_bytes() >= sequence.as_bytes())
    }

    pub(super) fn last(&self) -> &str {
        self.last.as_deref().unwrap_or_default()
    }

    /// Whether a producer has appended this, and is not known to have begun anew since.
    pub(super) fn has(&self, fence: &Fence) -> bool {
        let is_of = |by: &Fence| {
            by.producer == fence.producer
                && by.epoch == fence.epoch
                && by.sequence >= fence.sequence
        };
        self.by.as_deref().is_some_and(is_of)
    }

    /// The newest that this producer has appended.
    pub(super) fn newest(&self, fence: &Fence) -> u64 {
        self.by.as_ref().map_or(fence.sequence, |by| by.sequence)
    }

    pub(super) fn followed_by(self, sequence: &str, by: Option<Box<Fence>>) -> Self {
        Self { last: Some(sequence.into()), by, ..self }
    }
}

impl Sequences {
    /// That of a stream. Whoever asks has its turn alone.
    pub(super) async fn of(
        &self,
        journal: &Arc<dyn Journal>,
        topic: &Topic,
        stream: &Stream,
    ) -> Result<Sequence, Problem> {
        let begin = stream.begin;
        let known = self.known().get(topic).filter(|known| known.begin == begin).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (journal, filters) = (Arc::clone(journal), FilterSet::from(Filter::from(topic)));
        let look = move || last_key(&*journal, &filters, begin);
        let last = tokio::task::spawn_blocking(look)
            .await
            .map_err(|error| Problem::new(Code::JournalUnavailable, error))??;
        Ok(Sequence { begin, last, by: None })
    }

    pub(super) fn note(&self, topic: &Topic, sequence: Sequence) {
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(topic.clone(), sequence);
    }

    /// Has that of a stream be looked for in the journal.
    pub(super) fn forget(&self, topic: &Topic) {
        self.known().remove(topic);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Topic, Sequence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest key behind an offset.
fn last_key(
    journal: &dyn Journal,
    filters: &FilterSet,
    begin: Offset,
) -> Result<Option<Box<str>>, bellwire_journal::Error> {
    let (mut after, mut last) = (begin, None);
    loop {
        let tail = journal.bounds().tail;
        let page = journal.read(after, filters, ReadLimit::PAGE)?;
        last = page.entries.into_iter().rev().find_map(|entry| entry.event.key).or(last);
        if page.end >= tail || page.end <= after {
            return Ok(last);
        }
        after = page.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_compared_byte_by_byte() {
        let sequence = |last: &str| {
            Sequence { begin: Offset::ZERO, last: None, by: None }.followed_by(last, None)
        };
        assert!(sequence("2").is_beyond("10") && sequence("2").is_beyond("2"));
        assert!(!sequence("09").is_beyond("10") && !sequence("B").is_beyond("a"));
        assert!(!Sequence { begin: Offset::ZERO, last: None, by: None }.is_beyond("0"));
    }
}
