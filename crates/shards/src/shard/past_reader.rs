//! Who wants the past of series, and how far they have come in it.

use std::time::Duration;

use bellwire_hub::PastPlace;
use bellwire_model::Timestamp;
use bellwire_model::limits::{PAST_PAGE_POINTS_MAX, PAST_PAGE_POINTS_MIN};
use bellwire_process::clock;
use rustc_hash::FxHashMap;

use super::Token;

/// How far a subscriber has come in the past that it wants.
#[derive(Debug)]
pub(super) struct PastReader {
    place: PastPlace,
    since: Timestamp,
    /// Points that are read for it at a time: about as many as its socket takes, since the rest is
    /// read again.
    points_max: usize,
}

impl PastReader {
    /// For somebody who wants as much.
    pub(super) fn begin(history: Duration) -> Self {
        let since = clock::now().saturating_sub(history);
        Self { place: PastPlace::default(), since, points_max: PAST_PAGE_POINTS_MAX }
    }

    /// Where it is.
    pub(super) fn place(&self) -> PastPlace {
        self.place.clone()
    }

    /// From when on it wants points.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// How many points are read for it next.
    pub(super) fn points_max(&self) -> usize {
        self.points_max
    }

    /// Goes on behind what it has got.
    pub(super) fn go_on(&mut self, next: PastPlace) {
        self.place = next;
    }

    /// It has got all that was read.
    pub(super) fn on_whole_page(&mut self) {
        self.points_max = (2 * self.points_max).min(PAST_PAGE_POINTS_MAX);
    }

    /// Of what was read it has got so many points, and its socket is full.
    pub(super) fn on_part_of_page(&mut self, points: usize) {
        self.points_max = points.clamp(PAST_PAGE_POINTS_MIN, PAST_PAGE_POINTS_MAX);
    }
}

/// Those of connections' main subscriptions: few, and for a moment.
#[derive(Debug, Default)]
pub(super) struct PastReaders(FxHashMap<Token, Box<PastReader>>);

impl PastReaders {
    pub(super) fn put(&mut self, token: Token, reader: Box<PastReader>) {
        self.0.insert(token, reader);
    }

    pub(super) fn take(&mut self, token: Token) -> Option<Box<PastReader>> {
        if self.0.is_empty() { None } else { self.0.remove(&token) }
    }
}
