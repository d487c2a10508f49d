//! The pump: moves what one subscriber is missing from its hub to its outlet.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use bellwire_hub::{Delivery, Entries, Gap, Hub, LaneId, Next, Values};
use bellwire_journal::Journal;
use bellwire_model::limits::{LOOKS_PER_VISIT_MAX, WRITE_BYTES_MAX};
use bellwire_model::{Closure, Cursor, Offset};
use bellwire_wire::Control;
use bellwire_wire::durable_streams::Progress;
use bellwire_wire::request::RequestId;
use bytes::Bytes;

use super::connection::Connection;
use super::marks::{self, Claim, Marks, ValueMarks};
use super::outlet::{Account, Outlet};
use super::past::{PastPage, PastSource};
use super::past_reader::PastReader;
use super::segments::{Piece, Upto};
use super::speech::Speech;
use super::websocket::Added;
use crate::ends;
use crate::form::Form;
use crate::frames::{self, Frames, Mark};
use crate::topics::TopicRules;

/// What a pump works with, beside the connection.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    pub(super) hub: &'a mut Hub<Frames>,
    /// It knows which topics have ended.
    pub(super) journal: &'a dyn Journal,
    pub(super) topics: &'a TopicRules,
    pub(super) heartbeat_interval: Duration,
    /// What this turn may still look at for those who collect.
    pub(super) looks_left: usize,
    /// Where the past of series is read.
    pub(super) past: PastSource<'a>,
    /// How far the main subscription has come in that, if it wants it.
    pub(super) main_past: Option<Box<PastReader>>,
    pub(super) account: Account<'a>,
}

/// How a pump ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pumped {
    /// There is more, but others want their turn.
    pub(super) has_more: bool,
    /// A page of history is needed: of this lane, from here.
    pub(super) history: Option<(LaneId, Offset)>,
    /// This one of the subscriptions that are on their way has all there is, as has the main one.
    pub(super) complete: Option<usize>,
    /// The last words have been written.
    pub(super) has_ended: bool,
}

/// How far one subscription came.
enum Came {
    /// It has all there is.
    Complete,
    /// The socket is full.
    Full,
    /// It had its share.
    Share,
    /// It needs a page of history from here.
    History(Offset),
}

/// Writes until all subscriptions of the connection have all there is, the socket is full, or
/// they had their share.
pub(super) fn pump(connection: &mut Connection, tools: &mut Tools<'_>) -> io::Result<Pumped> {
    let mut pumped = Pumped::default();
    let Connection { outlet, main, websocket, .. } = connection;
    if outlet.has_said_all() {
        pumped.has_ended = outlet.flush(&mut tools.account)?;
        return Ok(pumped);
    }
    if let Some(websocket) = websocket {
        if !websocket.write_replies(outlet, &mut tools.account)? {
            return Ok(pumped);
        }
        // Behind a close frame nothing may come, and would be answered with a reset over its code.
        if websocket.has_ended() {
            return Ok(pumped);
        }
        if websocket.is_ending() {
            pumped.has_ended = true;
            return Ok(pumped);
        }
    }
    let added = websocket.as_mut().map_or(&mut [][..], |websocket| websocket.added_mut());
    let share = Share::of(1 + added.len());
    let mut past = tools.main_past.take();
    let stretch = Stretch { outlet, delivery: &mut main.delivery, id: None, past: &mut past };
    let came = stretch.pump(share, tools)?;
    tools.main_past = past;
    let main_is_complete = match came {
        Came::Full => return Ok(pumped),
        Came::Complete if outlet.is_broken() => {
            outlet.put_last(outlet.form.ending());
            pumped.has_ended = outlet.flush(&mut tools.account)?;
            return Ok(pumped);
        }
        Came::Complete if is_over(outlet, &main.delivery, tools) => {
            outlet.put_last(last_words(outlet, &main.delivery, tools.hub));
            pumped.has_ended = outlet.flush(&mut tools.account)?;
            return Ok(pumped);
        }
        came => pumped.note(&came, main.delivery.lane()),
    };
    for (index, added) in added.iter_mut().enumerate() {
        let Added { subscription, id, past, .. } = &mut *added;
        let delivery = &mut subscription.delivery;
        let came = Stretch { outlet, delivery, id: Some(id), past }.pump(share, tools)?;
        let is_complete = match came {
            Came::Full => return Ok(pumped),
            came => pumped.note(&came, added.subscription.delivery.lane()),
        };
        if is_complete && main_is_complete {
            let hub = &tools.hub;
            let both = [&main.delivery, &added.subscription.delivery];
            if both.into_iter().all(|delivery| hub.is_complete(delivery)) {
                pumped.complete = Some(index);
            } else {
                // Its cursor is ahead of this hub, which is a moment behind the journal.
                pumped.has_more = true;
            }
        }
    }
    Ok(pumped)
}

/// Whether all that a connection follows has ended, and its client knows it. A WebSocket has other
/// things to talk of, too.
fn is_over(outlet: &Outlet, delivery: &Delivery, tools: &Tools<'_>) -> bool {
    let may_be = match outlet.form {
        Form::Http(_) => outlet.has_passed_end(),
        // Its reader is told so at the end, wherever it has come from.
        Form::Durable(_) => true,
        Form::WebSocket(_) => false,
    };
    may_be
        && delivery.is_live()
        && ends::are_over(tools.journal, tools.hub.filters(delivery.lane()), delivery.offset())
}

/// What a stream ends with that is over.
fn last_words(outlet: &Outlet, delivery: &Delivery, hub: &Hub<Frames>) -> Bytes {
    let ending = outlet.form.ending();
    let Some(form) = outlet.form.durable() else { return ending };
    [form.place(outlet.place(hub, delivery), Progress::Closed), ending].concat().into()
}

impl Pumped {
    /// Takes note of what one subscription needs; returns whether it is complete. Only one page
    /// of history is waited for at a time: the next is asked for once it is there.
    fn note(&mut self, came: &Came, lane: LaneId) -> bool {
        match came {
            Came::Complete => return true,
            Came::Share => self.has_more = true,
            Came::History(after) => self.history = self.history.or(Some((lane, *after))),
            Came::Full => {}
        }
        false
    }
}

/// What one of a connection's subscriptions may use up in a visit.
#[derive(Clone, Copy, Debug)]
struct Share {
    bytes: usize,
    looks: usize,
}

impl Share {
    /// The share of each of so many.
    fn of(subscriptions: usize) -> Self {
        let (bytes, looks) = (WRITE_BYTES_MAX, LOOKS_PER_VISIT_MAX);
        Self { bytes: bytes / subscriptions, looks: looks / subscriptions }
    }
}

/// One subscription and the outlet of its connection.
struct Stretch<'a> {
    outlet: &'a mut Outlet,
    delivery: &'a mut Delivery,
    /// The request that began it, where it was not the connection's own: its controls name it,
    /// and its `ready` comes when it has become part of the main one.
    id: Option<&'a Option<RequestId>>,
    /// How far it has come in the past of series, while it is not ready.
    past: &'a mut Option<Box<PastReader>>,
}

impl Stretch<'_> {
    fn pump(mut self, share: Share, tools: &mut Tools<'_>) -> io::Result<Came> {
        let mut page = None;
        let came = self.pump_with(&mut page, share, tools);
        if let (Some(page), Some(reader)) = (page, self.past) {
            // The rest is read again in a later visit.
            reader.on_part_of_page(page.written());
        }
        came
    }

    /// `page`: what was read of the past and is yet to be written.
    fn pump_with(
        &mut self,
        page: &mut Option<PastPage>,
        mut share: Share,
        tools: &mut Tools<'_>,
    ) -> io::Result<Came> {
        if self.marks().is_on() && self.delivery.is_in_snapshot() {
            if !self.outlet.flush(&mut tools.account)? {
                return Ok(Came::Full);
            }
            self.tell_page(tools.hub);
        }
        loop {
            if !self.outlet.flush(&mut tools.account)? {
                return Ok(Came::Full);
            }
            if self.tell_place(tools) {
                continue;
            }
            if self.outlet.is_broken() {
                return Ok(Came::Complete);
            }
            // What was looked for is written, or it would be looked for again in each visit.
            if share.bytes == 0 || (share.looks == 0 && page.is_none()) {
                return Ok(Came::Share);
            }
            if self.tell_cursor(tools.hub) {
                continue;
            }
            let before = (tools.account.work.written_bytes, frames::deflated_bytes());
            let looks_before = tools.hub.looks();
            let claim = self.marks().claim(tools.hub, self.delivery);
            match tools.hub.next_within(self.delivery, share.looks) {
                Next::Nothing => return Ok(Came::Complete),
                Next::Later => return Ok(Came::Share),
                Next::History(after) => return Ok(Came::History(after)),
                Next::Ready(_) if self.past.is_some() => {
                    let looks = self.write_past(page, tools, share.looks)?;
                    share.looks = share.looks.saturating_sub(looks);
                }
                Next::Ready(_) if self.id.is_some() => return Ok(Came::Complete),
                Next::Ready(_) => {
                    let heartbeat_interval = tools.heartbeat_interval;
                    self.delivery.took_ready();
                    let cursor = self.outlet.tell(tools.hub, self.delivery);
                    let ready = Control::Ready { cursor, heartbeat_interval };
                    let ready = self.outlet.form.control(&ready, None);
                    let gone = self.tell_gone(tools, cursor);
                    self.outlet.put(if gone.is_empty() {
                        ready
                    } else {
                        [gone, ready].concat().into()
                    });
                }
                Next::Gap(gap) => self.tell_gap(&gap, tools),
                Next::Entries(entries) => {
                    self.write_entries((entries, claim), &mut tools.account)?;
                }
                Next::Values(values) => {
                    self.write_values((values, claim), &mut tools.account)?;
                }
            }
            let written = tools.account.work.written_bytes - before.0;
            // What is compressed costs what it was before.
            let deflated = frames::deflated_bytes() - before.1;
            share.bytes = share.bytes.saturating_sub(written.max(deflated) as usize);
            let looks = tools.hub.looks() - looks_before;
            share.looks = share.looks.saturating_sub(looks as usize);
        }
    }

    /// Reads a page of the past of series, or writes the one that was read: which is asked for once
    /// all that was there then has been written. Returns how many things were looked at.
    fn write_past(
        &mut self,
        page: &mut Option<PastPage>,
        tools: &mut Tools<'_>,
        looks_max: usize,
    ) -> io::Result<usize> {
        let Some(reader) = self.past else { return Ok(0) };
        let Some(held) = page else {
            let lane = self.delivery.lane();
            let (read, looks) = tools.past.read(tools.hub, lane, reader, looks_max);
            *page = Some(read);
            tools.account.work.looks += looks as u64;
            return Ok(looks);
        };
        let mut taken = 0;
        self.outlet.write(held.pieces(), &mut tools.account, |_| taken += 1)?;
        held.took(taken, reader);
        if held.is_over() {
            reader.on_whole_page();
            match page.take().and_then(PastPage::into_next) {
                Some(next) => reader.go_on(next),
                None => *self.past = None,
            }
        }
        Ok(0)
    }

    /// Tells a reader of Durable Streams where it is, behind what it was given; returns whether it does.
    /// Whoever has all that has ended is told by the last words.
    fn tell_place(&mut self, tools: &Tools<'_>) -> bool {
        let Some(form) = self.outlet.form.durable() else { return false };
        if !self.outlet.take_owed_place() {
            return false;
        }
        let is_up_to_date = tools.hub.is_complete(self.delivery);
        if is_up_to_date {
            self.delivery.took_ready();
            if is_over(self.outlet, self.delivery, tools) {
                return false;
            }
        }
        let place = self.outlet.place(tools.hub, self.delivery);
        let progress = if is_up_to_date { Progress::UpToDate } else { Progress::Behind };
        self.outlet.put(form.place(place, progress));
        true
    }

    /// Tells a client that would have to go back far if it came back now of a newer cursor; returns
    /// whether it does. Values bring none, and the socket of one that they keep busy may be full
    /// whenever a heartbeat is due.
    fn tell_cursor(&mut self, hub: &Hub<Frames>) -> bool {
        let told = self.outlet.told;
        let is_old = told < hub.half_ring() && told < hub.offset(self.delivery);
        let is_due = is_old && self.delivery.is_live();
        if is_due && self.id.is_none() && self.outlet.form.durable().is_none() {
            let cursor = self.outlet.tell(hub, self.delivery);
            self.outlet.put(self.outlet.form.heartbeat(Some(cursor)));
            return true;
        }
        false
    }

    /// Tells a client that is in the middle of a snapshot which it resumes where that is: with each
    /// visit, so that one which is cut goes on about there.
    fn tell_page(&mut self, hub: &Hub<Frames>) {
        let cursor = hub.full_cursor(self.delivery);
        if cursor.state.is_some() && cursor.offset >= self.outlet.told {
            let cursor = self.outlet.tell(hub, self.delivery);
            self.outlet.put(self.outlet.form.heartbeat(Some(cursor)));
        }
    }

    /// Tells of what is missed, and of the ends among that: `ready` tells of those to whoever is yet
    /// to have it.
    fn tell_gap(&mut self, gap: &Gap, tools: &Tools<'_>) {
        self.delivery.took_gap(gap);
        if self.outlet.form.durable().is_some() {
            // It has no word for that: whoever asks again is told by a status.
            return self.outlet.note_break();
        }
        let filters = tools.hub.filters(self.delivery.lane());
        let control = crate::controls::gap(gap, filters);
        let mut told = self.outlet.form.control(&control, self.id.and_then(Option::as_ref));
        if self.delivery.is_live() {
            let missed = ends::missed(tools.journal, filters, gap);
            if !missed.is_empty() {
                let cursor = self.outlet.tell(tools.hub, self.delivery);
                told = [told, self.outlet.tell_ends(&missed, (cursor, None))].concat().into();
            }
        }
        self.outlet.put(told);
    }

    /// Tells of the ends that no entry tells any more, and of those that are owed.
    fn tell_gone(&mut self, tools: &Tools<'_>, cursor: Cursor) -> Bytes {
        let held = (tools.hub.filters(self.delivery.lane()), tools.topics);
        let upto = (self.delivery.offset(), self.outlet.take_owed_ends());
        let gone = ends::at_ready(tools.journal, held, upto);
        self.outlet.tell_ends(&gone, (cursor, None))
    }

    /// Of what is not ready the client keeps no cursor.
    fn marks(&self) -> Marks {
        if self.id.is_none() { self.outlet.marks() } else { Marks::Off }
    }

    fn write_entries(
        &mut self,
        (entries, claim): (Entries<'_, Frames>, Claim),
        account: &mut Account<'_>,
    ) -> io::Result<()> {
        let page_end = match &entries {
            Entries::Page(_, end) => Some(*end),
            Entries::Lane(_) => None,
        };
        let (end, reopened) = (Cell::new(Offset::MAX), Cell::new(Offset::MAX));
        let pieces = entries.map(|entry| {
            let mark = marks::of_entry(&entry.payload, claim);
            match entry.payload.event().closure() {
                Some(Closure::End) => end.set(end.get().min(entry.offset)),
                Some(Closure::Reopened) => reopened.set(reopened.get().min(entry.offset)),
                None => {}
            }
            Piece { frames: &entry.payload, upto: Upto::Entry(entry.offset, mark) }
        });
        let (mut newest, mut marks) = (self.outlet.told, self.marks());
        let is_all = self.outlet.write(pieces, account, |upto| {
            if let Upto::Entry(offset, mark) = upto {
                self.delivery.took_entry(offset);
                newest = newest.max(offset);
                marks.note(mark);
            }
        })?;
        if end.get() <= self.delivery.offset() {
            self.outlet.note_end();
        }
        let is_reopened = reopened.get() <= self.delivery.offset() && self.outlet.has_passed_end();
        if is_reopened && self.outlet.form.durable().is_some() {
            // It may have been deleted, and what comes then is another stream, which may begin there:
            // its reader is at the end. Who comes back from there knows that it goes on.
            newest = Offset::new(reopened.get().get() - 1);
            self.outlet.note_break();
        }
        if self.id.is_none() {
            // Of what is not ready the client keeps no cursor.
            self.outlet.told = newest;
            self.outlet.set_marks(marks);
        }
        if let Some(end) = page_end.filter(|_| is_all) {
            self.delivery.took_page(end);
        }
        Ok(())
    }

    fn write_values(
        &mut self,
        (mut values, claim): (Values<'_, Frames>, Claim),
        account: &mut Account<'_>,
    ) -> io::Result<()> {
        let mut marks = self.marks();
        let in_order_after = values.in_order_after().filter(|_| marks.is_on());
        let told = self.outlet.told;
        let of_value = ValueMarks { in_order_after, told, offset: claim.offset };
        let snapshot = self.delivery.deletions_seen();
        let newest = Cell::new(told);
        let pieces = values.by_ref().map(|(arrival, value)| {
            let mark = of_value.of(arrival, &value.payload);
            if mark == Mark::Marked {
                // What is not taken now comes again, with the same.
                newest.set(value.payload.stamp().map_or(told, |stamp| stamp.offset));
            }
            Piece { frames: &value.payload, upto: Upto::Value(arrival, mark) }
        });
        let is_all = self.outlet.write(pieces, account, |upto| {
            if let Upto::Value(arrival, mark) = upto {
                self.delivery.took_value(arrival);
                if arrival > snapshot {
                    marks.note_value(mark);
                }
            }
        })?;
        if self.id.is_none() {
            self.outlet.told = newest.get();
            self.outlet.set_marks(marks);
        }
        if is_all {
            self.delivery.took_values(values.end());
        }
        Ok(())
    }
}
