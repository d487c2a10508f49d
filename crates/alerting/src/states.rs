//! The state topics, as alerts and rules need them.

use std::fmt;

use bellwire_model::{Event, Timestamp, Topic};
use thiserror::Error;

/// Where the newest values are kept and shown.
pub trait StateTopics: fmt::Debug + Send + Sync {
    /// Blocks until more can be shown. Call it without a lock in hand.
    fn wait_for_room(&self);

    /// Puts each event's body under its topic and key, or deletes the key where it has no body.
    /// What one call changes is seen together. One result each. Never blocks.
    fn apply_now(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>>;

    /// [`apply_now`](Self::apply_now) of newer values of what is shown, which may be shown a while later:
    /// of each key the newest counts. Where nothing is saved by that it is done at once.
    fn apply_soon(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>> {
        self.apply_now(events)
    }

    /// [`apply_now`](Self::apply_now) of events with the numbers that they tell of, where those are
    /// samples of a series: they are remembered for a while.
    fn apply_measured(&self, events: Vec<(Event, Option<f64>)>) -> Vec<Result<(), NotShown>>;

    /// The newest points that are remembered of a series, up to so many, the oldest first.
    fn past(&self, topic: &Topic, key: &str, points_max: usize) -> Vec<(Timestamp, f64)>;

    /// What is remembered of the series on a topic is of others than those that come.
    fn forget_pasts(&self, topic: &Topic);

    /// When the current value of `key` was measured.
    fn time(&self, topic: &Topic, key: &str) -> Option<Timestamp>;

    /// Deletes the values of samples that are older than `before`: their series are gone.
    fn expire_samples(&self, before: Timestamp);

    /// [`apply_now`](Self::apply_now), once there is room. Blocks until then.
    fn apply(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>> {
        self.wait_for_room();
        self.apply_now(events)
    }
}

/// A value that is not shown: there is as much as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("state topics hold as many keys or bytes as they may")]
pub struct NotShown;
