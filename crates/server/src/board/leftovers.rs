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

#[cfg(test)]
mod tests {
    use bellwire_model::{Body, Epoch, Life, NameHasher, Offset, Progress, Timestamp};
    use bellwire_shards::{Feed, PastRules, new_table};

    use super::*;

    /// What there is room for.
    const BYTES_MAX: usize = 1 << 20;

    fn states() -> Arc<States> {
        let life = Life::new(1);
        let feed = Feed::new(Vec::new(), (Offset::ZERO, life, Progress::ZERO));
        let table = (new_table(life, NameHasher::default()), BYTES_MAX);
        Arc::new(States::new(Epoch::new(1), table, Arc::new(feed), PastRules::default()))
    }

    fn value(key: &str, value: u8) -> Event {
        Event {
            topic: "samples/t".parse().expect("a topic"),
            key: Some(key.into()),
            event_type: None,
            time: Timestamp::from_ms(7),
            body: Some(Body::Json(value.to_string().into())),
        }
    }

    fn shown(states: &States) -> Vec<String> {
        let mut shown = Vec::new();
        let topics = "samples/**".parse::<bellwire_model::Filter>().expect("a filter").into();
        states.read(&topics, |value| {
            shown.push((*value.key).to_owned());
            ControlFlow::Continue(())
        });
        shown.sort();
        shown
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_shown_anew_stays_and_is_told_once_and_the_rest_goes() {
        let states = states();
        let before = ["a", "b", "c"].map(|key| value(key, 1)).to_vec();
        assert!(states.apply_now(before).iter().all(Result::is_ok));
        let topics = "samples/**".parse::<bellwire_model::Filter>().expect("a filter").into();
        let leftovers = Leftovers::of(&states, &topics);
        let show = |events: Vec<Event>| {
            let mut told = Vec::new();
            let results = leftovers.replace(
                events,
                |event| event,
                |events| {
                    told = events.iter().map(|event| event.key.clone().expect("a key")).collect();
                    states
                        .apply_now(events)
                        .into_iter()
                        .map(|it| it.map_err(|_| NotShown))
                        .collect()
                },
            );
            (results.len(), told)
        };
        // One is as it was, one is another value, and one is new.
        let anew = vec![value("a", 1), value("b", 2), value("d", 1)];
        assert_eq!(show(anew), (3, vec!["b".into(), "d".into()]));
        // It is this keeper's by now, and told whatever was there.
        assert_eq!(show(vec![value("a", 1)]), (1, vec!["a".into()]));
        Arc::clone(&leftovers).clear().await;
        assert_eq!(shown(&states), ["a", "b", "d"]);
        assert_eq!(show(vec![value("c", 1)]), (1, vec!["c".into()]));
        assert_eq!(shown(&states), ["a", "b", "c", "d"]);
    }
}
