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
use rustc_hash::FxHashMap;

use super::turn::Shard;
use super::{PageRead, Token};
use crate::frames;
use crate::history::PageRequest;

/// Who waits for which page of history.
#[derive(Debug, Default)]
pub(super) struct CatchUps {
    next_ticket: u64,
    /// Pages that a reader is reading.
    reading: FxHashMap<u64, CatchUp>,
    /// Connections that wait until fewer pages are read at once.
    admission: VecDeque<Token>,
}

#[derive(Debug)]
struct CatchUp {
    /// `None`: the lane ended meanwhile, and its number may name another. The page is still read.
    lane: Option<LaneId>,
    after: Offset,
    waiting: Vec<Token>,
}

impl CatchUps {
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
        // Many of those who wait may be served by the pages that have come meanwhile.
        while self.catch_ups.reading.len() < CATCH_UPS_PER_SHARD_MAX
            && let Some(token) = self.catch_ups.admission.pop_front()
        {
            self.resume([token]);
        }
    }

    /// Frees the pages of history once nobody catches up.
    pub(super) fn free_history(&mut self) {
        if self.catch_ups.reading.is_empty() && self.queued.is_empty() {
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
                self.hub.push_history(frames::history_page(epoch, (lane, after), page));
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
}
