//! How targets are, for people to see.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_model::{Labels, Timestamp};

/// Whether a target answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It was not scraped yet.
    #[default]
    Unknown,
    /// All of its last scrape was taken.
    Up,
    /// Its last scrape failed.
    Down,
}

impl Health {
    /// As Prometheus names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The last scrape of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastScrape {
    /// How it went.
    pub health: Health,
    /// What was wrong; empty where nothing was.
    pub error: String,
    /// When it began.
    pub began_at: Option<Timestamp>,
    /// How long it took.
    pub took: Duration,
}

/// What is shared with the loop of a target.
#[derive(Debug, Default)]
pub(super) struct Status(Mutex<LastScrape>);

impl Status {
    pub(super) fn set(&self, last: LastScrape) {
        *self.lock() = last;
    }

    pub(super) fn get(&self) -> LastScrape {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, LastScrape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A target that is scraped.
#[derive(Clone, Debug)]
pub struct ActiveTarget {
    /// Its labels.
    pub labels: Labels,
    /// What discovery said of it.
    pub discovered: BTreeMap<String, String>,
    /// Where it is.
    pub url: String,
    /// How often it is scraped.
    pub interval: Duration,
    /// How long that may take.
    pub timeout: Duration,
    /// How it went.
    pub last: LastScrape,
}

/// The targets of a job.
#[derive(Clone, Debug, Default)]
pub struct JobTargets {
    /// Those that are scraped.
    pub active: Vec<ActiveTarget>,
    /// What discovery said of the first of those that relabeling drops.
    pub dropped: Vec<BTreeMap<String, String>>,
    /// How many it drops.
    pub dropped_count: usize,
}
