//! How a node stands to the shared log: what `/readyz` says, and what subscribers are told.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwire_shared_log::Position;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The log has not been reached yet.
    Starting,
    /// It is followed.
    Following {
        /// How far what was followed is behind the log's end, as of the last look. Nothing, where
        /// nothing more has come since.
        lag: u64,
    },
    /// The engine does not answer, or does not take anything.
    Away {
        /// What it says.
        why: Box<str>,
    },
    /// The log cannot be used: it is of something else, or set up otherwise.
    Unfit {
        /// What is wrong, and what to do.
        why: Box<str>,
    },
    /// The replica takes nothing: its disk is full, say. It is tried again and again.
    Stuck {
        /// What it says.
        why: Box<str>,
    },
    /// A newer Bellwire has written something that this one does not know. Nothing more is applied.
    TooOld {
        /// What that is.
        why: Box<str>,
    },
}

impl Standing {
    /// Whether what is published is taken, and what is shown is what others show.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Following { .. })
    }
}

/// Whether two are the same but for the lag.
fn is_alike(one: &Standing, other: &Standing) -> bool {
    one == other || one.is_well() && other.is_well()
}

/// Told of each standing that is another one, the lag apart, on a thread of the node's. Must not block.
pub type Watcher = Box<dyn Fn(&Standing) + Send + Sync>;

/// The standing as it is now.
pub(crate) struct Standings {
    now: Mutex<Now>,
    watcher: Watcher,
}

struct Now {
    /// Of who follows.
    following: Standing,
    /// What keeps appends from being stored meanwhile.
    appending: Option<Box<str>>,
    /// Up to where it was followed, or may be: behind the newest entry there may be holes.
    followed: Position,
    tail: Position,
    told: Standing,
}

impl fmt::Debug for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standings").field("now", &self.get()).finish()
    }
}

impl Standings {
    pub(crate) fn new(watcher: Watcher) -> Self {
        let now = Now {
            following: Standing::Starting,
            appending: None,
            followed: Position::START,
            tail: Position::START,
            told: Standing::Starting,
        };
        Self { now: Mutex::new(now), watcher }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub(crate) fn get(&self) -> Standing {
        self.now().get()
    }

    /// Who follows stands like that.
    pub(crate) fn set(&self, following: Standing) {
        self.change(|now| now.following = following);
    }

    /// What keeps appends from being stored, if something does.
    pub(crate) fn set_appending(&self, why: Option<Box<str>>) {
        self.change(|now| now.appending = why);
    }

    /// It was followed up to there.
    pub(crate) fn followed(&self, position: Position) {
        self.change(|now| {
            now.followed = position;
            now.tail = now.tail.max(position);
        });
    }

    /// Up to where it was.
    pub(crate) fn upto(&self) -> Position {
        self.now().followed
    }

    /// Nothing more is there now.
    pub(crate) fn drained(&self) {
        self.change(|now| now.followed = now.followed.max(now.tail));
    }

    /// Where the log ends.
    pub(crate) fn set_tail(&self, tail: Position) {
        self.change(|now| now.tail = tail);
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        let mut now = self.now();
        change(&mut now);
        let standing = now.get();
        if is_alike(&standing, &now.told) {
            return;
        }
        tracing::info!(?standing, "The node stands otherwise to the shared log.");
        now.told = standing.clone();
        // Told in order, so within the lock.
        (self.watcher)(&standing);
    }
}

impl Now {
    fn get(&self) -> Standing {
        match (&self.following, &self.appending) {
            (Standing::Following { .. }, Some(why)) => Standing::Away { why: why.clone() },
            (Standing::Following { .. }, None) => {
                let lag = self.tail.get().saturating_sub(self.followed.get());
                Standing::Following { lag }
            }
            (other, _) => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn whoever_watches_is_told_of_what_is_otherwise_and_of_no_lag() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&told);
        let standings = Standings::new(Box::new(move |standing| {
            seen.lock().expect("held for a moment").push(standing.clone());
        }));
        standings.set(Standing::Following { lag: 0 });
        standings.set_tail(Position::new(9));
        standings.followed(Position::new(4));
        assert_eq!(standings.get(), Standing::Following { lag: 5 });
        standings.set_appending(Some("no room".into()));
        standings.set_appending(None);
        standings.drained();
        assert_eq!(standings.get(), Standing::Following { lag: 0 });
        standings.set(Standing::TooOld { why: "of a kind".into() });
        standings.set_appending(Some("no room".into()));
        let told = told.lock().expect("held for a moment");
        let expected = [
            Standing::Following { lag: 0 },
            Standing::Away { why: "no room".into() },
            Standing::Following { lag: 5 },
            Standing::TooOld { why: "of a kind".into() },
        ];
        assert_eq!(*told, expected);
    }
}
