//! What of the log is kept for others: a snapshot is of a moment, and whoever gets it follows the log from
//! there, some time later. Once that node says itself what it has applied nothing is kept for it any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_shared_log::Position;

use crate::clock::Clock;

/// How long the log is kept after a snapshot was handed over: its receiver opens it, and catches up.
const PINNED_AFTER: Duration = Duration::from_mins(5);

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins(Arc<Mutex<Pinned>>);

#[derive(Debug, Default)]
struct Pinned {
    next: u64,
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    number: u64,
    /// For which node.
    node: Box<str>,
    at: Position,
    /// Until when it counts; nothing while it is held.
    until: Option<Duration>,
}

impl Pins {
    fn pinned(&self) -> MutexGuard<'_, Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what is behind there is kept, for this node.
    pub(crate) fn pin(&self, at: Position, node: &str, clock: &Clock) -> Pin {
        let mut pinned = self.pinned();
        let number = pinned.next;
        pinned.next += 1;
        pinned.places.push(Place { number, node: node.into(), at, until: None });
        Pin { number, pins: self.clone(), clock: clock.clone() }
    }

    /// For which nodes something is kept.
    pub(crate) fn nodes(&self) -> Vec<Box<str>> {
        self.pinned().places.iter().map(|place| place.node.clone()).collect()
    }

    /// A node says that it has applied so much.
    pub(crate) fn applied(&self, node: &str, position: Position) {
        self.pinned().places.retain(|place| *place.node != *node || place.at > position);
    }

    /// The least of what is kept and of `applied`.
    pub(crate) fn least(&self, now: Duration, applied: Position) -> Position {
        let mut pinned = self.pinned();
        pinned.places.retain(|place| place.until.is_none_or(|until| now < until));
        pinned.places.iter().fold(applied, |least, place| least.min(place.at))
    }
}

/// Keeps the log from being trimmed behind a place, for as long as it lives and some time longer.
#[derive(Debug)]
pub struct Pin {
    number: u64,
    pins: Pins,
    clock: Clock,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let until = self.clock.now().uptime.saturating_add(PINNED_AFTER);
        let mut pinned = self.pins.pinned();
        for place in pinned.places.iter_mut().filter(|place| place.number == self.number) {
            place.until = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use bellwire_journal::ClockReading;

    use super::*;

    #[test]
    fn what_is_pinned_is_kept_while_it_is_held_and_some_time_longer() {
        let now_s = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&now_s);
        let clock = Clock::told(move || {
            let uptime = Duration::from_secs(told.load(Ordering::Relaxed));
            ClockReading { uptime, ..ClockReading::default() }
        });
        let pins = Pins::default();
        let least = |applied| {
            let least = pins.least(clock.now().uptime, Position::new(applied));
            least.get()
        };
        let one = pins.pin(Position::new(10), "a", &clock);
        let other = pins.pin(Position::new(20), "b", &clock);
        assert_eq!((least(5), least(30)), (5, 10));
        drop(one);
        now_s.store(PINNED_AFTER.as_secs() - 1, Ordering::Relaxed);
        assert_eq!(least(30), 10);
        now_s.store(PINNED_AFTER.as_secs(), Ordering::Relaxed);
        assert_eq!(least(30), 20);
        // Who has got it says so.
        pins.applied("a", Position::new(30));
        pins.applied("b", Position::new(19));
        assert_eq!((least(30), pins.nodes()), (20, vec!["b".into()]));
        pins.applied("b", Position::new(20));
        assert_eq!(least(30), 30);
        drop(other);
        let other = pins.pin(Position::new(20), "b", &clock);
        drop(other);
        now_s.store(3 * PINNED_AFTER.as_secs(), Ordering::Relaxed);
        assert_eq!(least(30), 30);
    }
}
