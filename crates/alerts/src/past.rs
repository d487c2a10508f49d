//! Where in the journal it stands what became of each alert.
//!
//! ```text
//!  entries, in the journal's order:   a ◀── b     a ──▶ a     c     b
//!                                     ▲           │           │     │
//!  the newest of each alert:          └─ back ────┘   a ──────┘     └── b
//! ```
//!
//! The journal has no index by key. This one is in memory, of alerts' events alone: each entry knows
//! how far it is to the one before it and to the one behind it of the same alert.

use std::collections::VecDeque;

use bellwire_model::{Fingerprint, NameMap, Offset, Timestamp};

/// What an event tells of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It began to fire.
    Fired,
    /// It fires, and had begun to before: its data is back, or whoever posts it says so.
    FiresOn,
    /// Its series fell silent while it fired.
    LostData,
    /// It fires no more.
    Resolved,
    /// Somebody has taken it up.
    Acknowledged,
    /// Nobody has any more.
    Unacknowledged,
    /// Somebody is to see to it, or nobody any more, or has said something of it.
    Attended,
    /// What a webhook was to be told of it.
    Notified,
    /// What was measured of it.
    Measured,
}

/// An event that tells of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is in the journal.
    pub offset: Offset,
    /// Its time.
    pub time: Timestamp,
    /// What it tells.
    pub what: Happened,
}

/// An alert as its events told it at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Then {
    /// Whose it is.
    pub alert: Fingerprint,
    /// The newest event up to that time.
    pub before: Option<Place>,
    /// Where there is none before: the first one after it, which tells what was.
    pub after: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: Offset,
    time: Timestamp,
    alert: Fingerprint,
    /// How many entries back the one before of this alert is; 0 where there was none.
    back: u32,
    /// How many entries ahead the next one of this alert is; 0 where there is none yet.
    ahead: u32,
}

/// Events of alerts, up to so many: beyond that the oldest are forgotten.
#[derive(Debug)]
pub struct Past {
    entries: VecDeque<Entry>,
    /// One for each entry; beside them, since it takes a byte.
    happened: VecDeque<Happened>,
    /// How many have been forgotten, so that the entry with this number is the first.
    forgotten: u64,
    /// The number of the newest entry of each alert.
    newest: NameMap<Fingerprint, u64>,
    entries_max: usize,
    /// The newest event that is forgotten although it may still be in the journal.
    crowded_out: Option<Offset>,
}

impl Past {
    /// With room for so many.
    pub fn with_entries_max(entries_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            happened: VecDeque::new(),
            forgotten: 0,
            newest: NameMap::default(),
            entries_max: entries_max.min(u32::MAX as usize),
            crowded_out: None,
        }
    }

    /// How many events are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The newest event that had to be forgotten for want of room.
    pub fn crowded_out(&self) -> Option<Offset> {
        self.crowded_out
    }

    /// Adds an event of an alert. Offsets never go back.
    pub fn note(&mut self, alert: Fingerprint, place: Place) {
        let Place { offset, time, what } = place;
        debug_assert!(self.entries.back().is_none_or(|last| last.offset <= offset));
        while self.entries.len() >= self.entries_max.max(1) {
            self.crowded_out = self.forget_first();
        }
        let number = self.forgotten + self.entries.len() as u64;
        let before = self.newest.insert(alert, number);
        let back = before.and_then(|before| u32::try_from(number - before).ok()).unwrap_or(0);
        if let Some(before) = before
            && let Some(entry) = self.entries.get_mut(self.position(before))
        {
            entry.ahead = back;
        }
        self.entries.push_back(Entry { offset, time, alert, back, ahead: 0 });
        self.happened.push_back(what);
    }

    /// Forgets all that is older than `first`: retention has removed it.
    pub fn forget_before(&mut self, first: Offset) {
        while self.entries.front().is_some_and(|entry| entry.offset < first) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) -> Option<Offset> {
        let (entry, _) = (self.entries.pop_front()?, self.happened.pop_front());
        if entry.ahead == 0 {
            self.newest.remove(&entry.alert);
        }
        self.forgotten += 1;
        Some(entry.offset)
    }

    fn position(&self, number: u64) -> usize {
        usize::try_from(number - self.forgotten).unwrap_or(usize::MAX)
    }

    /// The first event behind `offset`, of whatever alert.
    pub fn first_behind(&self, offset: Offset) -> Option<Place> {
        let position = self.entries.partition_point(|entry| entry.offset <= offset);
        (position < self.entries.len()).then(|| self.place(position))
    }

    /// The events of an alert that lie before `end`, the newest first.
    pub fn before(&self, alert: Fingerprint, end: Offset) -> impl Iterator<Item = Place> + '_ {
        let first = self.newest_before(alert, end);
        std::iter::successors(first, |position| self.back(*position))
            .map(|position| self.place(position))
    }

    /// The first event of an alert behind this one.
    pub fn next_behind(&self, alert: Fingerprint, offset: Offset) -> Option<Place> {
        let first = self.entries.partition_point(|entry| entry.offset < offset);
        let mut of_event = self.entries.range(first..).take_while(|it| it.offset == offset);
        let position = first + of_event.position(|entry| entry.alert == alert)?;
        self.ahead(position).map(|next| self.place(next))
    }

    /// Walks back from the newest of the alert and from `end` at once, so that neither an alert with
    /// very many events nor one with few among very many others makes it long.
    fn newest_before(&self, alert: Fingerprint, end: Offset) -> Option<usize> {
        let mut linked = self.position(*self.newest.get(&alert)?);
        let mut scanned = self.entries.partition_point(|entry| entry.offset < end);
        while self.entries[linked].offset >= end {
            linked = self.back(linked)?;
            scanned = scanned.checked_sub(1)?;
            if self.entries[scanned].alert == alert {
                return Some(scanned);
            }
        }
        Some(linked)
    }

    fn back(&self, position: usize) -> Option<usize> {
        let back = self.entries[position].back as usize;
        if back == 0 { None } else { position.checked_sub(back) }
    }

    fn ahead(&self, position: usize) -> Option<usize> {
        let ahead = self.entries[position].ahead as usize;
        (ahead > 0).then_some(position + ahead)
    }

    fn place(&self, position: usize) -> Place {
        let Entry { offset, time, .. } = self.entries[position];
        Place { offset, time, what: self.happened[position] }
    }

    /// Whether anything is known of an alert.
    pub fn has(&self, alert: Fingerprint) -> bool {
        self.newest.contains_key(&alert)
    }

    /// The alerts that may have fired at `time`, by fingerprint: those of which the newest event up to
    /// then does not say that they had resolved, and those of which the first event that is known comes
    /// later and is not that they began to fire. One look at each event.
    pub fn at(&self, time: Timestamp) -> Vec<Then> {
        let mut then: NameMap<Fingerprint, Then> = NameMap::default();
        for (position, entry) in self.entries.iter().enumerate() {
            let alert = entry.alert;
            if entry.time <= time {
                let is_newest =
                    self.ahead(position).is_none_or(|next| self.entries[next].time > time);
                if is_newest {
                    let before = Some(self.place(position));
                    then.insert(alert, Then { alert, before, after: None });
                }
            } else if self.back(position).is_none() && self.happened[position] != Happened::Fired {
                let after = Some(self.place(position));
                then.entry(alert).or_insert(Then { alert, before: None, after });
            }
        }
        let fired = |then: &Then| then.before.is_none_or(|place| place.what != Happened::Resolved);
        let mut then: Vec<Then> = then.into_values().filter(fired).collect();
        then.sort_unstable_by_key(|then| then.alert);
        then
    }
}

#[cfg(test)]
mod tests;
