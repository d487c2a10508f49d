//! Topics that have ended, for those who may not wait for the disk: publishers and shards.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use bellwire_model::limits::ENDED_TOPIC_BYTES;
use bellwire_model::{Closure, NameMap, Offset, Topic};

use crate::{Append, Appended};

/// Where a topic has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The offset of its last entry, which says so.
    pub at: Offset,
    /// Whether that is still there to be read. Where retention has removed it, whoever has not got
    /// it has to be told in another way.
    pub is_kept: bool,
}

/// Locked for a moment only, by the writer and by whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// How many there are: mostly none, and then nobody is looked up.
    count: AtomicUsize,
    by_topic: RwLock<NameMap<Topic, Ended>>,
}

impl Ends {
    /// Where a topic has ended.
    pub(crate) fn of(&self, topic: &str) -> Option<Ended> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.by_topic.read().unwrap_or_else(PoisonError::into_inner).get(topic).copied()
    }

    /// No topic is known any more.
    pub(crate) fn clear(&self) {
        let mut by_topic = self.by_topic.write().unwrap_or_else(PoisonError::into_inner);
        by_topic.clear();
        self.count.store(0, Ordering::Release);
    }

    /// A topic has ended, or it goes on.
    pub(crate) fn set(&self, topic: &Topic, ended: Option<Ended>) {
        let mut by_topic = self.by_topic.write().unwrap_or_else(PoisonError::into_inner);
        match ended {
            Some(ended) => by_topic.insert(topic.clone(), ended),
            None => by_topic.remove(topic),
        };
        self.count.store(by_topic.len(), Ordering::Release);
    }
}

/// Where a topic stands when something is appended to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// Its newest event.
    pub(crate) last: Offset,
    /// The event that says that it has ended; [`Offset::ZERO`] where it has not.
    pub(crate) ended: Offset,
}

/// An event of a batch that was known, or that its fence has refused, until the next one comes.
#[derive(Debug, Default)]
pub(crate) struct Before(Option<(Topic, Appended)>);

impl Before {
    /// This was answered.
    pub(crate) fn note(&mut self, topic: &Topic, answer: Appended) -> Appended {
        self.0 = Some((topic.clone(), answer));
        answer
    }

    /// The answer to the event right before, if it was of this topic.
    pub(crate) fn take(&mut self, topic: &Topic) -> Option<Appended> {
        self.0.take().filter(|(before, _)| before == topic).map(|(_, answer)| answer)
    }
}

/// What is answered to an event that says this of a topic as a whole, or nothing of it, where that
/// adds nothing. An end that comes right behind an event that was known is repeated with it: the topic
/// may have been reopened since. Behind one that its fence has refused it is refused.
pub(crate) fn answer(
    closure: Option<Closure>,
    topic: Standing,
    before: Option<Appended>,
) -> Option<Appended> {
    let has_ended = topic.ended > Offset::ZERO;
    match closure {
        None => has_ended.then(|| Appended::refused(topic.ended)),
        Some(Closure::End) => before.filter(|before| !before.duplicate).or_else(|| {
            let known = before.map(|before| before.offset);
            has_ended.then_some(topic.ended).or(known).map(Appended::again)
        }),
        Some(Closure::Reopened) => (!has_ended).then(|| Appended::again(topic.last)),
    }
}

/// What a topic that has ended takes for as long as that is remembered.
pub(crate) fn bytes_of(topic: &Topic) -> usize {
    ENDED_TOPIC_BYTES + topic.as_str().len()
}

/// Whether there is room for the topics that a batch ends, where those that have take so many bytes and
/// may take so many. What ends none always has.
pub(crate) fn has_room(batch: &[Append], (known_bytes, bytes_max): (usize, usize)) -> bool {
    let ends = batch.iter().filter(|append| append.event.closure() == Some(Closure::End));
    let bytes: usize = ends.map(|append| bytes_of(&append.event.topic)).sum();
    bytes == 0 || known_bytes + bytes <= bytes_max
}
