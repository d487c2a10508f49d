//! The past of series, for those who ask for it: before they are ready, and behind all else that
//! there is.
//!
//! A page of it is read under the table's lock, with what waits in the inbox taken in, and written
//! in the same visit, behind the values that have come meanwhile: what comes of a series before its
//! past is in it, and what comes behind is newer. Of a page that the socket does not take, the rest is
//! read again in a later visit. So nothing is kept of it, however slow a reader is, but how far it has
//! come.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_hub::{Hub, LaneId, PastCopy, PastPageLimits, PastPlace, Payload as _, Value};
use bellwire_model::limits::PAST_PAGE_BYTES_MAX;
use bellwire_model::{Epoch, Event};

use super::inbox::ShardHandle;
use super::parts;
use super::past_reader::PastReader;
use super::segments::{Piece, Upto};
use crate::frames::Frames;
use crate::pasts::past_event;
use crate::state::SharedTable;

/// Where pasts are read.
#[derive(Debug)]
pub(super) struct PastSource<'a> {
    pub(super) table: &'a SharedTable,
    pub(super) inbox: &'a ShardHandle,
    pub(super) epoch: Epoch,
    pub(super) now_ms: u64,
    /// Numbers the events: they are nobody else's.
    pub(super) serial: &'a mut u64,
    /// Lanes that were touched by what was taken in.
    pub(super) touched: Vec<LaneId>,
}

/// The past of some series, as events.
#[derive(Debug)]
pub(super) struct PastPage {
    events: VecDeque<OfSeries>,
    next: Option<PastPlace>,
    /// Points that have been written of it.
    written: usize,
}

/// The past of one series.
#[derive(Debug)]
struct OfSeries {
    frames: Frames,
    serial: u64,
    /// Where a reader is that has it.
    behind: PastPlace,
    points: usize,
}

impl PastSource<'_> {
    /// The next of what a subscriber wants, and how many things were looked at for it. The hub has
    /// everything that there was when it was read.
    pub(super) fn read(
        &mut self,
        hub: &mut Hub<Frames>,
        lane: LaneId,
        reader: &PastReader,
        looks_max: usize,
    ) -> (PastPage, usize) {
        let limits = PastPageLimits {
            bytes_max: PAST_PAGE_BYTES_MAX,
            points_max: reader.points_max(),
            looks_max: looks_max.max(1),
        };
        // Changes come into the inbox under the table's lock: the two agree while it is held.
        let table = self.table.lock().expect("not poisoned");
        let batches = self.inbox.0.take_batches();
        let page = table.past_page(hub.filters(lane), reader.place(), limits);
        drop(table);
        parts::push(hub, batches, self.now_ms, &mut self.touched);
        let sight = hub.follows(lane).sight();
        let event = |value: &Arc<Value<Frames>>, past: &PastCopy| -> Option<Event> {
            let is_shown = sight.shows(&value.topic, || value.payload.labels());
            is_shown.then(|| past_event(value, past, reader.since()))?
        };
        let mut events = VecDeque::with_capacity(page.series.len());
        for (value, past, behind) in &page.series {
            if let Some(event) = event(value, past) {
                *self.serial += 1;
                let frames = Frames::new(self.epoch, None, event);
                let (serial, behind, points) = (*self.serial, behind.clone(), past.len());
                events.push_back(OfSeries { frames, serial, behind, points });
            }
        }
        (PastPage { events, next: page.next, written: 0 }, page.looks)
    }
}

impl PastPage {
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.events.iter().map(|OfSeries { frames, serial, .. }| {
            let upto = Upto::Past(*serial);
            Piece { frames, upto }
        })
    }

    /// The first so many have been written.
    pub(super) fn took(&mut self, count: usize, reader: &mut PastReader) {
        for OfSeries { behind, points, .. } in self.events.drain(..count) {
            self.written += points;
            reader.go_on(behind);
        }
    }

    /// Points that have been written of it.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Whether all of it has been written.
    pub(super) fn is_over(&self) -> bool {
        self.events.is_empty()
    }

    /// Where to go on behind it.
    pub(super) fn into_next(self) -> Option<PastPlace> {
        self.next
    }
}
