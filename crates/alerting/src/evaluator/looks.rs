//! Those who look at the engine: they get turns between its steps, and no alert waits for long.
//!
//! Whoever has much to look at does it in pieces. While samples wait, those who look get a part of
//! the time; when nothing waits, all of it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bellwire_rules::Engine;
use tokio::sync::OwnedSemaphorePermit;

/// Of the time for which samples wait, those who look get one part, and the samples this many.
const PARTS_OF_SAMPLES: u32 = 3;

/// How long a turn lasts at least while there is something to look at, and with one more piece at
/// most: those who wait for each other take no time.
const TURN: Duration = Duration::from_micros(200);

/// Takes a piece of what there is to look at.
pub(super) type Look = Box<dyn FnMut(&mut Engine) -> Progress + Send>;

/// How far a look has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    GoesOn,
    Complete,
}

/// Those who look, and their places in the intake.
#[derive(Default)]
pub(super) struct Looks {
    waiting: VecDeque<(Look, OwnedSemaphorePermit)>,
    /// When the last turn ended, and how long it took.
    ended_at: Duration,
    took: Duration,
}

impl fmt::Debug for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting, ended_at, took } = self;
        let waiting = waiting.len();
        f.debug_struct("Looks").field("waiting", &waiting).field("at", &(ended_at, took)).finish()
    }
}

impl Looks {
    pub(super) fn push(&mut self, look: Look, place: OwnedSemaphorePermit) {
        self.waiting.push_back((look, place));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether it is their turn although samples wait; `passed` is the time since some beginning.
    pub(super) fn is_their_turn(&self, passed: Duration) -> bool {
        let since = passed.saturating_sub(self.ended_at);
        !self.is_empty() && since >= self.took * PARTS_OF_SAMPLES
    }

    /// One piece, or some small ones.
    pub(super) fn turn(&mut self, engine: &mut Engine, passed: impl Fn() -> Duration) {
        let began_at = passed();
        for _ in 0..self.waiting.len() {
            let Some((mut look, place)) = self.waiting.pop_front() else { break };
            if look(engine) == Progress::GoesOn {
                self.waiting.push_back((look, place));
            }
            self.ended_at = passed();
            self.took = self.ended_at.saturating_sub(began_at);
            if self.took >= TURN {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use bellwire_rules::RuleSet;
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn while_samples_wait_those_who_look_have_a_part_of_the_time() {
        let places = Arc::new(Semaphore::new(2));
        let place = || Arc::clone(&places).try_acquire_owned().expect("a place");
        let (mut engine, mut looks) = (Engine::new(RuleSet::default()), Looks::default());
        let mut left = 3;
        let three_pieces = move |_: &mut Engine| {
            left -= 1;
            if left == 0 { Progress::Complete } else { Progress::GoesOn }
        };
        looks.push(Box::new(three_pieces), place());
        looks.push(Box::new(|_| Progress::Complete), place());
        // A millisecond passes between two looks at the clock.
        let clock = Cell::new(Duration::ZERO);
        let passed = || {
            clock.set(clock.get() + Duration::from_millis(1));
            clock.get()
        };
        assert!(looks.is_their_turn(clock.get()));
        // A piece takes longer than a turn, so that the other one waits for the next.
        looks.turn(&mut engine, passed);
        assert_eq!(looks.waiting.len(), 2);
        assert!(!looks.is_their_turn(clock.get()));
        clock.set(clock.get() + Duration::from_millis(3));
        assert!(looks.is_their_turn(clock.get()));
        looks.turn(&mut engine, passed);
        assert_eq!((looks.waiting.len(), places.available_permits()), (1, 1));
        looks.turn(&mut engine, passed);
        looks.turn(&mut engine, passed);
        assert!(looks.is_empty() && !looks.is_their_turn(Duration::MAX));
    }
}
