//! Clients that follow: each has a cursor, and goes on with it at whichever node.

use std::time::Duration;

use bellwire_cluster::ClusterJournal;
use bellwire_journal::{Journal as _, ReadLimit};
use bellwire_model::{Cursor, Epoch, Filter, FilterSet, Offset};

use crate::clients::body;
use crate::truth::Truth;

/// What is read at once.
const PAGE: ReadLimit = ReadLimit { events: 20, ..ReadLimit::PAGE };

/// What is followed, by the number of the client.
const FILTERS: [&str; 4] = ["**", "keyed/**", "plain/**", "brief/**"];

/// See the module.
#[derive(Debug)]
pub(crate) struct Follower {
    index: usize,
    filters: FilterSet,
    pattern: Filter,
    /// At which node it is.
    pub(crate) at: usize,
    pub(crate) due: Duration,
    cursor: Option<Cursor>,
    /// What it got in this epoch.
    got: Vec<Offset>,
    /// What it was told is missing: up to there.
    gap: Offset,
    pub(crate) gaps: u64,
    pub(crate) delivered: u64,
}

impl Follower {
    pub(crate) fn new(index: usize) -> Self {
        let pattern: Filter = FILTERS[index % FILTERS.len()].parse().expect("it is a filter");
        Self {
            index,
            filters: FilterSet::new([pattern.clone()]).expect("it is one"),
            pattern,
            at: 0,
            due: Duration::from_millis(50 * index as u64),
            cursor: None,
            got: Vec::new(),
            gap: Offset::ZERO,
            gaps: 0,
            delivered: 0,
        }
    }

    /// Where it is.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Gets what comes next. Returns whether there was something.
    pub(crate) fn read(&mut self, journal: &ClusterJournal, truth: &mut Truth) -> bool {
        let epoch = journal.epoch();
        let after = match self.cursor {
            Some(cursor) if cursor.epoch == epoch => cursor.offset,
            other => {
                // A cursor of another epoch is answered with a gap, and what there is.
                self.gaps += u64::from(other.is_some());
                self.got.clear();
                self.gap = Offset::ZERO;
                Offset::ZERO
            }
        };
        self.cursor = Some(Cursor::new(epoch, after));
        // It has seen more at another node: that comes here in a moment.
        if after > journal.bounds().tail {
            return false;
        }
        let page = match journal.read(after, &self.filters, PAGE) {
            Ok(page) => page,
            Err(error) => {
                truth.fail(format!("follower {}: {error}", self.index));
                return false;
            }
        };
        if page.trimmed > after {
            self.gap = page.trimmed;
            self.gaps += 1;
        }
        for entry in &page.entries {
            let last = self.got.last().copied().unwrap_or(Offset::ZERO);
            if entry.offset <= last || entry.offset <= after {
                let (text, index) = (body(&entry.event), self.index);
                truth.fail_in(
                    epoch,
                    format!("follower {index} got {text:?} at {} behind {last}", entry.offset),
                );
            }
            self.got.push(entry.offset);
        }
        self.delivered += page.entries.len() as u64;
        self.cursor = Some(Cursor::new(epoch, page.end.max(after)));
        !page.entries.is_empty()
    }

    /// Whether it has got all that there is, but for what a gap was told of.
    pub(crate) fn check(&self, epoch: Epoch, truth: &mut Truth) {
        let mut wrong = None;
        let mut got = self.got.iter().copied().peekable();
        for (offset, event) in truth.events(epoch) {
            if !self.pattern.matches(&event.topic) || event.key.is_some() {
                continue;
            }
            if got.next_if_eq(&offset).is_none() && offset > self.gap {
                let (text, index) = (body(event), self.index);
                wrong = Some(format!("follower {index} did not get {text:?} at {offset}"));
                break;
            }
        }
        let wrong = wrong.or_else(|| {
            got.next().map(|more| format!("follower {} got more at {more}", self.index))
        });
        if let Some(what) = wrong {
            truth.fail(what);
        }
    }
}
