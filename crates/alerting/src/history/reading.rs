//! Pages of an alert's history.

use bellwire_alerts::past::{Happened, Place};
use bellwire_journal::{Error, Journal, ReadLimit};
use bellwire_model::limits::{ALERT_HISTORY_BYTES_MAX, ALERT_SERIES_TOLD_MAX, PAGE_BYTES_MAX};
use bellwire_model::{
    Alert, Entry, Filter, FilterSet, Fingerprint, Labels, Offset, Timestamp, Topic,
};
use bellwire_process::clock;
use bellwire_wire::json;

use super::History;
use super::telling::{Horizon, envelope};

/// How many events are read to learn what an alert is: the newest may be damaged.
const NEWEST_LOOKS_MAX: usize = 8;

/// Events of an alert.
#[derive(Debug)]
pub struct HistoryPage {
    /// The newest first. Of letters, what they say is left out.
    pub entries: Vec<Entry>,
    /// There are older ones: before this offset.
    pub next: Option<Offset>,
    /// What was before may be gone, in part or all of it; none where nothing is.
    pub complete_since: Option<Timestamp>,
    /// What was measured when it turned, of the page's time: the newest first.
    pub series: Vec<Measured>,
}

/// What was measured of a series up to some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// With its name.
    pub series: Labels,
    /// The oldest first.
    pub points: Vec<(Timestamp, f64)>,
}

impl History {
    /// An alert as its newest event has it; nothing where the journal has none.
    pub fn newest(&self, alert: Fingerprint) -> Result<Option<Alert>, Error> {
        let places: Vec<Place> = {
            let index = self.index();
            index.events.before(alert, Offset::MAX).take(NEWEST_LOOKS_MAX).collect()
        };
        let mut reader = self.reader();
        for place in places {
            let body = reader.read(place)?.and_then(|entry| entry.event.body);
            if let Some(Ok((alert, _))) = body.map(|body| json::read_shown_alert(body.bytes())) {
                return Ok(Some(alert));
            }
        }
        Ok(None)
    }

    /// Up to so many events of an alert that lie before `end`.
    pub fn page(
        &self,
        alert: Fingerprint,
        (end, limit): (Offset, usize),
        horizon: Horizon,
    ) -> Result<HistoryPage, Error> {
        let (places, has_more) = self.places(alert, (end, limit));
        let mut reader = self.reader();
        let (mut entries, mut next) = (Vec::new(), None);
        let (mut bytes, mut bytes_read) = (0, 0);
        for place in &places {
            let Some(Entry { offset, event, .. }) = reader.read(*place)? else { continue };
            bytes_read += event.size_bytes();
            let event = match place.what {
                Happened::Notified => envelope(event, alert, horizon),
                _ => event,
            };
            bytes += event.size_bytes();
            let is_full = bytes > PAGE_BYTES_MAX || bytes_read > ALERT_HISTORY_BYTES_MAX;
            if is_full && !entries.is_empty() {
                next = Some(Offset::new(offset.get() + 1));
                break;
            }
            entries.push(Entry::of_stream(offset, event));
        }
        if next.is_none() && has_more {
            next = places.last().map(|place| place.offset);
        }
        let gone = self.journal.trimmed(&self.filters);
        let complete_since = self.complete_since(gone, horizon.of(Some(alert)));
        let series = self.measured(alert, (next.unwrap_or(Offset::ZERO), end))?;
        Ok(HistoryPage { entries, next, complete_since, series })
    }

    /// What was measured of an alert between two places.
    fn measured(
        &self,
        alert: Fingerprint,
        (start, end): (Offset, Offset),
    ) -> Result<Vec<Measured>, Error> {
        let places: Vec<Place> = {
            let index = self.index();
            let places = index.series.before(alert, end);
            places.take_while(|place| place.offset >= start).take(ALERT_SERIES_TOLD_MAX).collect()
        };
        let topic: Filter = Topic::OF_SERIES_OF_ALERTS.parse().expect("a filter");
        let reader = Reader { journal: &*self.journal, all: &topic.into(), topic: None };
        let mut found = Vec::with_capacity(places.len());
        for place in places {
            let body = reader.read_of_any(place)?.and_then(|entry| entry.event.body);
            let series = body.and_then(|body| json::read_series_history(body.bytes()));
            found.extend(series.map(|(series, points)| Measured { series, points }));
        }
        Ok(found)
    }

    /// Where its events are, of both kinds, and whether there are more.
    fn places(&self, alert: Fingerprint, (end, limit): (Offset, usize)) -> (Vec<Place>, bool) {
        let index = self.index();
        let mut events = index.events.before(alert, end).peekable();
        let mut letters = index.letters.before(alert, end).peekable();
        let mut places: Vec<Place> = Vec::new();
        loop {
            let is_letter = match (events.peek(), letters.peek()) {
                (Some(event), Some(letter)) => letter.offset > event.offset,
                (event, letter) => event.is_none() && letter.is_some(),
            };
            let Some(place) = (if is_letter { letters.next() } else { events.next() }) else {
                return (places, false);
            };
            // One letter may name an alert twice.
            if places.last().is_some_and(|last| last.offset == place.offset) {
                continue;
            }
            if places.len() == limit {
                return (places, true);
            }
            places.push(place);
        }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { journal: &*self.journal, all: &self.filters, topic: None }
    }

    /// When the first event was behind all that is gone: of one alert, or of all. There may be none:
    /// then it is now.
    pub(super) fn complete_since(
        &self,
        trimmed: Offset,
        of: Option<Fingerprint>,
    ) -> Option<Timestamp> {
        let index = self.index();
        let gone = index.gone(trimmed);
        if gone == Offset::ZERO {
            return None;
        }
        let first = match of {
            None => index.events.first_behind(gone),
            Some(alert) => {
                let events = index.events.before(alert, Offset::MAX);
                events.take_while(|place| place.offset > gone).last()
            }
        };
        Some(first.map_or_else(clock::now, |place| place.time))
    }
}

/// Reads single events. Those of one alert are on one topic, so that each is looked for there.
pub(super) struct Reader<'a> {
    journal: &'a dyn Journal,
    all: &'a FilterSet,
    topic: Option<FilterSet>,
}

impl Reader<'_> {
    /// The event at a place of the alert that was read before, unless it is gone.
    pub(super) fn read(&mut self, place: Place) -> Result<Option<Entry>, Error> {
        if let Some(topic) = &self.topic
            && let Some(entry) = self.read_with(place.offset, topic)?
        {
            return Ok(Some(entry));
        }
        let found = self.read_of_any(place)?;
        if let Some(entry) = &found {
            let topic: Filter = entry.event.topic.as_str().parse().expect("a topic is a filter");
            self.topic = Some(topic.into());
        }
        Ok(found)
    }

    /// The same of whatever alert.
    pub(super) fn read_of_any(&self, place: Place) -> Result<Option<Entry>, Error> {
        self.read_with(place.offset, self.all)
    }

    fn read_with(&self, offset: Offset, filters: &FilterSet) -> Result<Option<Entry>, Error> {
        let before = Offset::new(offset.get().saturating_sub(1));
        let page = self.journal.read(before, filters, ReadLimit { events: 1, bytes: 1 })?;
        Ok(page.entries.into_iter().next().filter(|entry| entry.offset == offset))
    }
}
