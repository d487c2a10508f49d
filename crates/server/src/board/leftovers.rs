//! What another keeper had shown of samples, rules and queries, at the node that takes over from it while it runs.
//!
//! It stays as it is until this keeper shows its own, and goes after a while where it does not: so nobody is told
//! that a value is gone which comes again at once, and none stays of a series that has gone with the last keeper.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_alerting::NotShown;
use bellwire_model::limits::{MIRROR_PATIENCE, SHOWN_AT_ONCE_MAX};
use bellwire_model::{Event, FilterSet, NameSet, Topic};
use bellwire_process::clock;
use bellwire_shards::States;

/// Keys of state topics.
type Keys = NameSet<(Topic, Box<str>)>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Leftovers {
    states: Arc<States>,
    /// Held while one of them is shown anew, or goes: so that what is shown is never deleted as left over.
    keys: Mutex<Keys>,
    /// Whether there are any: once there are none nobody waits for anybody.
    are_there: AtomicBool,
}

impl Leftovers {
    /// All that is there now of these topics.
    pub(crate) fn of(states: &Arc<States>, topics: &FilterSet) -> Arc<Self> {
        let mut keys = Keys::default();
        states.read(topics, |value| {
            keys.insert((value.topic.clone(), (&*value.key).into()));
            ControlFlow::Continue(())
        });
        let are_there = AtomicBool::new(!keys.is_empty());
        Arc::new(Self { states: Arc::clone(states), keys: Mutex::new(keys), are_there })
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has these shown, which stand for what is left over of the same keys. What is there already as it is to be
    /// is told to nobody again. `E`: an event, and what else there is of it.
    pub(super) fn replace<E>(
        &self,
        events: Vec<E>,
        event_of: impl Fn(&E) -> &Event,
        show: impl FnOnce(Vec<E>) -> Vec<Result<(), NotShown>>,
    ) -> Vec<Result<(), NotShown>> {
        if !self.are_there.load(Ordering::Acquire) {
            return show(events);
        }
        let mut keys = self.keys();
        let mut is_new = |event: &Event| {
            let place = (event.topic.clone(), event.key.clone().unwrap_or_default());
            !(keys.remove(&place) && self.states.shows(event))
        };
        let shown: Vec<bool> = events.iter().map(|event| is_new(event_of(event))).collect();
        let kept = events.into_iter().zip(&shown).filter(|(_, is_new)| **is_new);
        let mut results = show(kept.map(|(event, _)| event).collect()).into_iter();
        drop(keys);
        let result = |is_new: bool| if is_new { results.next().unwrap_or(Ok(())) } else { Ok(()) };
        shown.into_iter().map(result).collect()
    }

    /// Deletes what this keeper has not shown, a while after it has begun.
    pub(crate) async fn clear(self: Arc<Self>) {
        tokio::time::sleep(MIRROR_PATIENCE).await;
        while self.are_there.load(Ordering::Acquire) {
            self.states.until_room().await;
            self.delete_some();
        }
    }

    fn delete_some(&self) {
        let (time, mut keys) = (clock::now(), self.keys());
        let some: Vec<_> = keys.iter().take(SHOWN_AT_ONCE_MAX).cloned().collect();
        let gone = some.into_iter().map(|place| {
            keys.remove(&place);
            let (topic, key) = place;
            (Event { topic, key: Some(key), event_type: None, time, body: None }, None)
        });
        let gone: Vec<_> = gone.collect();
        // One that is gone already is gone.
        drop(self.states.apply_measured(gone));
        self.are_there.store(!keys.is_empty(), Ordering::Release);
    }
}
