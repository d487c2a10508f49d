//! Catching up: connections that are behind the ring get pages of history.

use bellwire_hub::LaneId;
use bellwire_journal::{Error, Page};
use bellwire_model::Offset;
use bellwire_wire::problem::Problem;
use rustc_hash::FxHashSet;

use super::page_queue::{Reading, Wait};
use super::parts::Shard;
use super::subscription::Subscription;
use super::{PageRead, Token};
use crate::closed::CloseReason;
use crate::frames::{self, Frames};
use crate::history::PageRequest;

impl Shard {
    /// Asks for a page of history, unless it is on its way or too many are.
    pub(super) fn catch_up(&mut self, token: Token, lane: LaneId, after: Offset) {
        let connection = &mut self.connections[token];
        if std::mem::replace(&mut connection.awaits_history, true) {
            return;
        }
        let Wait::ToRead(ticket) = self.pages.wait(token, lane, after) else { return };
        let follows = self.hub.follows(lane).clone();
        let handle = self.handle.clone();
        let reply = Box::new(move |page| handle.push_page(PageRead { ticket, page }));
        let request = PageRequest { after, follows, reply };
        self.surroundings.history.request(request);
    }

    pub(super) fn take_page(&mut self, read: PageRead) {
        let Reading { lane, after, waiting } = self.pages.take(read.ticket);
        if let Some(lane) = lane {
            self.serve_page((lane, after), waiting, read.page);
        }
    }

    /// Gives a turn to as many of those who wait as there are pages that may be read. Some of them
    /// are served by the pages that have come meanwhile; the others have theirs read.
    pub(super) fn admit_to_history(&mut self) {
        for _ in 0..self.pages.vacant() {
            let Some(token) = self.pages.admit() else { return };
            self.resume([token]);
        }
    }

    /// Notes whether a connection is in the middle of a page: it goes on there when its socket
    /// takes more.
    pub(super) fn note_page(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        let reads = |it: &Subscription| self.hub.has_page(&it.delivery);
        if connection.outlet.is_full() && connection.subscriptions().any(reads) {
            self.pages.note_reader(token);
        } else {
            self.pages.forget_reader(token);
        }
    }

    /// Frees the pages of history once nobody catches up.
    pub(super) fn free_history(&mut self) {
        if self.pages.is_empty() && self.agenda.is_clear() {
            self.hub.clear_history();
        }
    }

    fn serve_page(
        &mut self,
        (lane, after): (LaneId, Offset),
        waiting: FxHashSet<Token>,
        page: Result<Page, Error>,
    ) {
        match page {
            Ok(page) => {
                let epoch = self.hub.tail().epoch;
                let page = frames::history_page(epoch, (lane, after), page, self.hub.state());
                self.hub.push_history(page, Frames::encoded_bytes);
                let mut waiting = waiting.into_iter();
                if let Some(first) = waiting.next() {
                    // Before others have theirs read, which may take its place: a page that
                    // nobody came to see would be read for nothing, and again.
                    self.resume([first]);
                    self.agenda.hurry(first);
                }
                self.resume(waiting);
            }
            Err(error) => {
                // Closing is honest: the client comes back with its cursor.
                tracing::error!(%error, "The journal cannot be read; subscribers are sent away.");
                let problem = Problem::from(error);
                for token in waiting {
                    let Some(connection) = self.connections.get_mut(token) else { continue };
                    let needs_page = |it: &Subscription| {
                        it.delivery.lane() == lane && it.delivery.offset() == after
                    };
                    if !connection.subscriptions().any(needs_page) {
                        // The slot is somebody else's by now, or it needs another page.
                        self.resume([token]);
                        continue;
                    }
                    if let Some(collector) = connection.outlet.socket.collector_mut() {
                        collector.refuse(&problem);
                    }
                    self.close(token, CloseReason::JournalUnreadable);
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
