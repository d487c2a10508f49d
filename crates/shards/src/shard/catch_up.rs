//! Catching up: connections that are behind the ring wait for pages of history.
//!
//! A page is read by a reader's thread, encoded once, and shared by all who are on the same lane at
//! the same place. Few are read at a time: who needs another one waits for admission, so that a
//! reconnect storm does not starve live traffic.

use std::collections::VecDeque;

use bellwire_hub::LaneId;
use bellwire_journal::{Error, Page};
use bellwire_model::Offset;
use bellwire_model::limits::CATCH_UPS_PER_SHARD_MAX;
use bellwire_wire::problem::Problem;
use rustc_hash::{FxHashMap, FxHashSet};

use super::subscription::Subscription;
use super::turn::Shard;
use super::{PageRead, Token};
use crate::frames::{self, Frames};
use crate::history::PageRequest;

/// Who waits for which page of history.
#[derive(Debug, Default)]
pub(super) struct CatchUps {
    next_ticket: u64,
    /// Pages that a reader is reading.
    reading: FxHashMap<u64, CatchUp>,
    /// Connections that wait until fewer pages are read at once.
    admission: VecDeque<Token>,
    /// Connections whose sockets were full in the middle of a page.
    readers: FxHashSet<Token>,
}

#[derive(Debug)]
struct CatchUp {
    /// `None`: the lane ended meanwhile, and its number may name another. The page is still read.
    lane: Option<LaneId>,
    after: Offset,
    waiting: Vec<Token>,
}

impl CatchUps {
    /// Whether somebody waits although another page may be read.
    pub(super) fn may_admit(&self) -> bool {
        !self.admission.is_empty() && self.reading.len() < CATCH_UPS_PER_SHARD_MAX
    }

    /// A connection is in the middle of no page any more.
    pub(super) fn forget_reader(&mut self, token: Token) {
        // Mostly there is none.
        if !self.readers.is_empty() {
            self.readers.remove(&token);
        }
    }

    /// The lane has ended: nobody waits for its pages. Their places stay taken until they come.
    pub(super) fn abandon(&mut self, lane: LaneId) {
        for page in self.reading.values_mut().filter(|page| page.lane == Some(lane)) {
            page.lane = None;
            page.waiting = Vec::new();
        }
    }
}

impl Shard {
    /// Asks for a page of history, unless it is on its way or too many are.
    pub(super) fn catch_up(&mut self, token: Token, lane: LaneId, after: Offset) {
        let connection = &mut self.connections[token];
        if std::mem::replace(&mut connection.awaits_history, true) {
            return;
        }
        let mut reading = self.catch_ups.reading.values_mut();
        if let Some(same) = reading.find(|page| page.lane == Some(lane) && page.after == after) {
            same.waiting.push(token);
            return;
        }
        if self.catch_ups.reading.len() >= CATCH_UPS_PER_SHARD_MAX {
            self.catch_ups.admission.push_back(token);
            return;
        }
        let ticket = self.catch_ups.next_ticket;
        self.catch_ups.next_ticket += 1;
        self.catch_ups
            .reading
            .insert(ticket, CatchUp { lane: Some(lane), after, waiting: vec![token] });
        let filters = self.hub.filters(lane).clone();
        let handle = self.handle.clone();
        let reply = Box::new(move |page| handle.push_page(PageRead { ticket, page }));
        let request = PageRequest { after, filters, reply };
        self.surroundings.history.request(request);
    }

    pub(super) fn take_page(&mut self, read: PageRead) {
        let catch_up = self.catch_ups.reading.remove(&read.ticket);
        let CatchUp { lane, after, waiting } = catch_up.expect("a page was asked for");
        if let Some(lane) = lane {
            self.serve_page((lane, after), waiting, read.page);
        }
    }

    /// Gives a turn to as many of those who wait as there are pages that may be read. Some of them
    /// are served by the pages that have come meanwhile; the others have theirs read.
    pub(super) fn admit_to_history(&mut self) {
        let vacant = CATCH_UPS_PER_SHARD_MAX.saturating_sub(self.catch_ups.reading.len());
        for _ in 0..vacant {
            let Some(token) = self.catch_ups.admission.pop_front() else { return };
            self.resume([token]);
        }
    }

    /// Notes whether a connection is in the middle of a page: it goes on there when its socket
    /// takes more.
    pub(super) fn note_page(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        let reads = |it: &Subscription| self.hub.has_page(&it.delivery);
        if connection.outlet.is_full() && connection.subscriptions().any(reads) {
            self.catch_ups.readers.insert(token);
        } else {
            self.catch_ups.forget_reader(token);
        }
    }

    /// Frees the pages of history once nobody catches up.
    pub(super) fn free_history(&mut self) {
        let CatchUps { reading, admission, readers, .. } = &self.catch_ups;
        let is_needed = !reading.is_empty() || !admission.is_empty() || !readers.is_empty();
        if !is_needed && self.queued.is_empty() {
            self.hub.clear_history();
        }
    }

    fn serve_page(
        &mut self,
        (lane, after): (LaneId, Offset),
        waiting: Vec<Token>,
        page: Result<Page, Error>,
    ) {
        match page {
            Ok(page) => {
                let epoch = self.hub.tail().epoch;
                let page = frames::history_page(epoch, (lane, after), page);
                self.hub.push_history(page, Frames::encoded_bytes);
                let mut waiting = waiting.into_iter();
                if let Some(first) = waiting.next() {
                    self.resume([first]);
                    self.hurry(first);
                }
                self.resume(waiting);
            }
            Err(error) => {
                // Closing is honest: the client comes back with its cursor.
                tracing::error!(%error, "The journal cannot be read; subscribers are sent away.");
                let problem = Problem::from(error);
                for token in waiting {
                    let connection = self.connections.get_mut(token);
                    if let Some(collector) =
                        connection.and_then(|it| it.outlet.socket.collector_mut())
                    {
                        collector.refuse(&problem);
                    }
                    self.close(token);
                }
            }
        }
    }

    /// Queues connections that waited for history: they may be many, and live ones come between.
    fn resume(&mut self, tokens: impl IntoIterator<Item = Token>) {
        for token in tokens {
            // A slot may have been given to somebody else meanwhile, who then gets a visit more.
            if let Some(connection) = self.connections.get_mut(token)
                && std::mem::replace(&mut connection.awaits_history, false)
            {
                self.queue(token);
            }
        }
    }

    /// Whoever asked for a page goes on before others have theirs read, which may take its place:
    /// a page that nobody came to see would be read for nothing, and again.
    fn hurry(&mut self, token: Token) {
        if self.queued.back() == Some(&token) {
            self.queued.rotate_right(1);
        }
    }
}
