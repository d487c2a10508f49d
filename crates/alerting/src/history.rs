//! What has become of alerts, as the journal tells it.
//!
//! ```text
//! journal ──page after page──▶ index (where what happened to which alert)
//!    ▲                            │
//!    └── the events of a page ◀───┘── of one alert, or of all at one time
//! ```
//!
//! The index is in memory and follows the journal as a reader, from its beginning at a start and then
//! once a second and for whoever asks. So it costs neither publishers nor the rules anything, and
//! nobody walks through the journal to answer a request.

mod board;
mod reading;
mod telling;

use std::sync::{Arc, Mutex, MutexGuard};

use bellwire_alerts::past::Past;
use bellwire_journal::{Error, Journal, ReadLimit};
use bellwire_model::limits::{
    ALERT_HISTORY_EVENTS_MAX, ALERT_HISTORY_INTERVAL, ALERT_HISTORY_LETTERS_MAX,
    ALERT_HISTORY_PAGES_MAX, ALERT_HISTORY_TRIM_INTERVAL, ALERT_SERIES_PLACES_MAX,
};
use bellwire_model::{Filter, FilterSet, Offset, Topic};
use bellwire_wire::problem::{Code, Problem};

pub use self::board::{AlertThen, AskedThen, BoardThen};
pub use self::reading::{HistoryPage, Measured};
pub use self::telling::Horizon;
use crate::events::{ALERTS_EVENTS, NOTIFICATIONS};
use crate::notifier::DEAD_LETTERS;

/// The alerts' past.
#[derive(Debug)]
pub struct History {
    journal: Arc<dyn Journal>,
    /// What tells of alerts, in the journal.
    filters: FilterSet,
    /// The same, and what was measured.
    followed: FilterSet,
    /// Held while a page is read, so that each is read once.
    index: Mutex<Index>,
}

#[derive(Debug)]
struct Index {
    /// What rules and people say of alerts.
    events: Past,
    /// What webhooks were told, and dead letters, of which each may tell of very many alerts: they must
    /// not crowd out the events. And what people say of alerts: neither changes what is on the board.
    letters: Past,
    /// What was measured when they turned. Where that is gone the history is complete all the same.
    series: Past,
    /// All up to here has been read.
    upto: Offset,
    /// The newest event of which a read has said that it is lost.
    lost: Offset,
}

impl History {
    /// Of a journal, of which nothing has been read yet.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        let below = |topic: &str| format!("{topic}/**").parse::<Filter>().expect("a filter");
        let told = [ALERTS_EVENTS, NOTIFICATIONS, DEAD_LETTERS].map(below);
        let filters = FilterSet::new(told.clone()).expect("a few");
        let series = Topic::OF_SERIES_OF_ALERTS.parse().expect("a filter");
        let followed = FilterSet::new(told.into_iter().chain([series])).expect("a few");
        let index = Index {
            events: Past::with_entries_max(ALERT_HISTORY_EVENTS_MAX),
            letters: Past::with_entries_max(ALERT_HISTORY_LETTERS_MAX),
            series: Past::with_entries_max(ALERT_SERIES_PLACES_MAX),
            upto: Offset::ZERO,
            lost: Offset::ZERO,
        };
        Self { journal, filters, followed, index: Mutex::new(index) }
    }

    /// Follows the journal for as long as the runtime runs.
    pub async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(ALERT_HISTORY_INTERVAL);
        let mut trims = tokio::time::interval(ALERT_HISTORY_TRIM_INTERVAL);
        loop {
            let work: fn(&Self) -> Result<Step, Error> = tokio::select! {
                _ = ticks.tick() => Self::step,
                _ = trims.tick() => Self::trim,
            };
            loop {
                let history = Arc::clone(&self);
                // The journal's own watch tells of its errors; the next tick tries again.
                match tokio::task::spawn_blocking(move || work(&history)).await {
                    Ok(Ok(Step::More)) => {}
                    Ok(Ok(Step::Done) | Err(_)) => break,
                    Err(error) => {
                        tracing::error!(%error, "The alerts' history failed within.");
                        break;
                    }
                }
            }
        }
    }

    /// Has read all that is durable now. Blocks on the disk, for so many pages at most: after a start
    /// there may be more, and whoever asks is told to come back.
    pub fn catch_up(&self) -> Result<(), Problem> {
        let tail = self.journal.bounds().tail;
        for _ in 0..ALERT_HISTORY_PAGES_MAX {
            if self.index().upto >= tail {
                return Ok(());
            }
            self.step()?;
        }
        if self.index().upto >= tail {
            return Ok(());
        }
        let detail = "what became of alerts before the start is still being read from the journal";
        Err(Problem::new(Code::ReadersBusy, detail).retry_after(2))
    }

    /// Reads a page.
    fn step(&self) -> Result<Step, Error> {
        let mut index = self.index();
        let tail = self.journal.bounds().tail;
        if index.upto >= tail {
            return Ok(Step::Done);
        }
        let page = self.journal.read(index.upto, &self.followed, ReadLimit::PAGE)?;
        for entry in &page.entries {
            index.note(entry);
        }
        if page.lost > 0 {
            index.lost = index.lost.max(page.trimmed);
        }
        index.upto = index.upto.max(page.end);
        Ok(if index.upto >= tail { Step::Done } else { Step::More })
    }

    /// Forgets what is older than all that retention has left.
    fn trim(&self) -> Result<Step, Error> {
        let one = ReadLimit { events: 1, bytes: 1 };
        let page = self.journal.read(Offset::ZERO, &self.filters, one)?;
        let first = page.entries.first().map_or(page.end, |entry| entry.offset);
        let mut index = self.index();
        index.events.forget_before(first);
        index.letters.forget_before(first);
        index.series.forget_before(first);
        Ok(Step::Done)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("nobody panics with the index in hand")
    }
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    More,
    Done,
}
