//! Where the events of a long poll go: into an answer instead of a socket.
//!
//! A collector takes pointers alone. Whoever asked encodes them, on a thread that serves nobody
//! else meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellwire_hub::{Delivery, Entries, Gap, Values};
use bellwire_journal::Ended;
use bellwire_model::limits::{PAGE_BYTES_MAX, PAGE_EVENTS_MAX, STATE_ANSWER_BYTES_MAX};
use bellwire_model::{Cursor, Event, FilterSet, Topic};
use bellwire_process::clock::Tick;
use bellwire_wire::problem::Problem;
use tokio::sync::oneshot;

use super::Token;
use super::marks::Marks;
use crate::frames::Frames;
use crate::poll::{Collected, Parts};

/// What stands around an event in JSON, about.
const ENVELOPE_BYTES: usize = 64;

/// Says which connection of its shard a poll is, once it is one.
#[derive(Debug)]
pub(crate) struct Ticket(AtomicUsize);

impl Ticket {
    const WAITING: Token = Token::MAX;

    pub(super) fn token(&self) -> Option<Token> {
        let token = self.0.load(Ordering::Relaxed);
        (token != Self::WAITING).then_some(token)
    }
}

/// Gathers what a poll is answered with.
#[derive(Debug)]
pub struct Collector {
    ticket: Arc<Ticket>,
    /// `None`: it has been answered.
    answer: Option<oneshot::Sender<Result<Collected, Problem>>>,
    pub(super) wait: Duration,
    /// From then on it is answered with what there is, be it nothing.
    pub(super) due: Tick,
    /// Whether its cursors are of state topics, too.
    pub(super) marks: Marks,
    /// Where it began, once it is a connection.
    began_at: Option<Cursor>,
    parts: Parts,
}

/// The other end of a collector.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) answer: oneshot::Receiver<Result<Collected, Problem>>,
    pub(super) ticket: Arc<Ticket>,
}

impl Collector {
    pub(super) fn new(wait: Duration) -> (Box<Self>, Asked) {
        let (sender, answer) = oneshot::channel();
        let ticket = Arc::new(Ticket(AtomicUsize::new(Ticket::WAITING)));
        let asked = Asked { answer, ticket: Arc::clone(&ticket) };
        let collector = Self {
            ticket,
            answer: Some(sender),
            wait,
            due: 0,
            marks: Marks::Off,
            began_at: None,
            parts: Parts::default(),
        };
        (Box::new(collector), asked)
    }

    /// It is this connection from now on, and begins behind this cursor.
    pub(super) fn become_one(&mut self, token: Token, began_at: Cursor) {
        self.ticket.0.store(token, Ordering::Relaxed);
        self.began_at = Some(began_at);
    }

    pub(super) fn is_of(&self, ticket: &Arc<Ticket>) -> bool {
        Arc::ptr_eq(&self.ticket, ticket)
    }

    /// Whether nobody waits for an answer any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(super) fn is_full(&self) -> bool {
        let Parts { entries, entry_bytes, .. } = &self.parts;
        let is_page = entries.len() >= PAGE_EVENTS_MAX || *entry_bytes >= PAGE_BYTES_MAX;
        is_page || (self.marks.is_on() && self.parts.values_left_out > 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        let Parts { values, entries, ends, gap, reset, .. } = &self.parts;
        values.is_empty()
            && entries.is_empty()
            && ends.is_empty()
            && gap.is_none()
            && reset.is_none()
    }

    /// Whether a gap can still stand before all events.
    pub(super) fn takes_gap(&self) -> bool {
        self.parts.entries.is_empty()
    }

    /// An answer has one gap: it begins with the first and ends with the last.
    pub(super) fn tell_gap(&mut self, gap: Gap, filters: &FilterSet) {
        let first = self.parts.gap.take();
        let gap = first.map_or(gap, |(first, _)| Gap { to: gap.to, ..first });
        self.parts.gap = Some((gap, filters.clone()));
    }

    /// These topics have ended, and no entry will tell it. Of some it may have been told already.
    pub(super) fn tell_ends(&mut self, ends: Vec<(Topic, Ended)>) {
        for (topic, end) in ends {
            let told = &mut self.parts.ends;
            if told.iter().all(|(other, _)| *other != topic) {
                told.push((topic, end.at));
            }
        }
    }

    /// All that the client has of state topics comes anew.
    pub(super) fn tell_reset(&mut self, cursor: Cursor, filters: &FilterSet) {
        self.parts.reset = Some((cursor, filters.clone()));
    }

    /// Takes values within a bound of their own, and counts the rest: a page full of them must not
    /// keep the stream from coming. Who can go on behind them gets the rest with the next answer.
    pub(super) fn take_values(
        &mut self,
        mut values: Values<'_, Frames>,
        delivery: &mut Delivery,
        share: &mut usize,
    ) {
        // Where values are out of order nothing can be said of the place behind some of them.
        let ordered_after = values.ordered_after();
        let has_pages =
            self.marks.is_on() && ordered_after.is_some_and(|it| it <= delivery.arrival());
        if !has_pages {
            self.marks = Marks::Off;
        }
        loop {
            if has_pages && self.parts.value_bytes >= STATE_ANSWER_BYTES_MAX {
                self.parts.values_left_out = values.count_max();
                if self.is_full() {
                    return;
                }
            }
            let Some((arrival, value)) = values.next() else { break };
            if *share == 0 {
                return;
            }
            *share -= 1;
            let parts = &mut self.parts;
            if parts.value_bytes < STATE_ANSWER_BYTES_MAX {
                parts.value_bytes += json_bytes(value.payload.event());
                parts.values.push(Arc::clone(value));
            } else {
                parts.values_left_out += 1;
            }
            delivery.took_value(arrival);
        }
        delivery.took_values(values.end());
    }

    /// Takes a stream's events up to a page.
    pub(super) fn take_entries(
        &mut self,
        mut entries: Entries<'_, Frames>,
        delivery: &mut Delivery,
        share: &mut usize,
    ) {
        for entry in entries.by_ref() {
            self.parts.entry_bytes += json_bytes(entry.payload.event());
            self.parts.entries.push(Arc::clone(entry));
            delivery.took_entry(entry.offset);
            *share = share.saturating_sub(1);
            if *share == 0 || self.is_full() {
                return;
            }
        }
        if let Entries::Page(_, end) = entries {
            delivery.took_page(end);
        }
    }

    /// Answers with what was collected, as of a cursor, and whether there is more.
    pub(super) fn answer(&mut self, (cursor, more): (Cursor, bool)) {
        let parts = std::mem::take(&mut self.parts);
        self.reply(Ok(Collected { parts, cursor, more }));
    }

    /// Answers with nothing, as of where it began: what was collected is not shown, and comes with the
    /// next answer as far as it may be seen then.
    pub(super) fn begin_again(&mut self) {
        if let Some(cursor) = self.began_at {
            self.parts = Parts::default();
            self.answer((cursor, true));
        }
    }

    pub(super) fn refuse(&mut self, problem: &Problem) {
        self.reply(Err(problem.clone()));
    }

    fn reply(&mut self, reply: Result<Collected, Problem>) {
        if let Some(answer) = self.answer.take() {
            // Who does not wait any more is told nothing.
            let _ = answer.send(reply);
        }
    }
}

fn json_bytes(event: &Event) -> usize {
    event.size_bytes() + ENVELOPE_BYTES
}
