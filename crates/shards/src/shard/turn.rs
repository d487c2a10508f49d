//! The shard's loop: poll, take in what waits, visit who is touched, look at the wheel.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_hub::LaneId;
use bellwire_model::limits::{IDLE_INPUT_BYTES_MAX, LOOKS_PER_TURN_MAX, VISITS_PER_TURN};
use bellwire_process::crash;
use mio::Events;

use super::inbox::{News, Waiting};
use super::parts::{self, INBOX, Shard, ShardParts};
use super::{Surroundings, work};
use crate::feed::Batch;

/// Events of the poll that a turn looks at.
const EVENTS_PER_TURN: usize = 1024;

/// Starts a shard's thread.
pub fn spawn(
    index: usize,
    parts: ShardParts,
    surroundings: Arc<Surroundings>,
) -> io::Result<JoinHandle<()>> {
    let shard = Shard::new(index, parts, surroundings);
    crash::spawn_essential(format!("shard-{index}"), move || shard.run())
}

impl Shard {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while self.turn(&mut events) == Phase::Running {}
    }

    /// Waits until there is something to do, and does some of it.
    pub(super) fn turn(&mut self, events: &mut Events) -> Phase {
        let timeout = self.poll_timeout();
        if let Err(error) = self.poll.poll(events, Some(timeout)) {
            // Anything else says that the descriptor is broken: nobody could be served.
            assert_eq!(error.kind(), io::ErrorKind::Interrupted, "poll failed: {error}");
        }
        self.ledger.begin_turn(self.counts());
        for event in &*events {
            if event.token() == INBOX {
                let waiting = self.handle.0.take();
                if self.take_in(waiting) == Phase::Ended {
                    return Phase::Ended;
                }
            } else {
                self.on_socket_event(event);
            }
        }
        self.take_answers();
        self.release();
        self.close_who_hold_up();
        self.reconsider_some();
        self.tell_outage_to_some();
        self.adopt_some();
        let visited = self.visit_touched();
        self.admit_to_history();
        self.visit_queued();
        self.look_at_wheel(visited);
        self.report_lag();
        self.free_history();
        if self.agenda.is_clear() && !self.members.has_touched() {
            self.ledger.forget_segments();
        }
        self.report();
        Phase::Running
    }

    fn poll_timeout(&self) -> Duration {
        let has_work = self.pages.may_admit()
            || self.members.is_held_up()
            || self.members.has_touched()
            || self.outages.is_under_way()
            || self.reconsideration.is_in_round();
        if has_work {
            return Duration::ZERO;
        }
        let look_at =
            self.laggards.next_look().into_iter().chain(self.reconsideration.next_round());
        let wait = self.agenda.wait(look_at.min(), self.hub.next_release());
        // Nobody to attend to: the inbox wakes.
        wait.unwrap_or(Duration::from_hours(1))
    }

    fn take_in(&mut self, waiting: Waiting) -> Phase {
        self.push(waiting.batches);
        self.agenda.expect(waiting.adoptions);
        for page in waiting.pages {
            self.take_page(page);
        }
        self.agenda.put_answers(waiting.answers);
        for ticket in waiting.given_up {
            self.on_given_up(&ticket);
        }
        self.reconsideration.expect(waiting.changes);
        if let Some(News(outage)) = waiting.outage {
            self.outages.set(outage);
        }
        if waiting.drain_carried {
            self.drain_carried();
        }
        if waiting.drain {
            self.drain();
            return Phase::Ended;
        }
        Phase::Running
    }

    /// Tells clients what became of what they have asked. Who renews what they have shown has all that
    /// they follow looked at: behind so many looks the rest is told in the next turn.
    fn take_answers(&mut self) {
        let looked_before = self.work_of_turn().looks;
        while let Some(answered) = self.agenda.next_answer() {
            self.take_answer(answered);
            if self.work_of_turn().looks - looked_before >= LOOKS_PER_TURN_MAX as u64 {
                break;
            }
        }
    }

    /// Takes in what the feed has brought.
    pub(super) fn push(&mut self, batches: VecDeque<Batch>) {
        let mut touched = Vec::new();
        parts::push(&mut self.hub, batches, self.agenda.now_ms(), &mut touched);
        self.touch(touched);
    }

    /// Lets the values in that rates have held back until now.
    fn release(&mut self) {
        let mut touched = Vec::new();
        self.hub.release(self.agenda.now_ms(), &mut touched);
        self.touch(touched);
    }

    /// There is something new in these lanes.
    pub(super) fn touch(&mut self, mut touched: Vec<LaneId>) {
        touched.sort_unstable();
        touched.dedup();
        for lane in touched {
            self.members.touch(lane);
            if self.hub.wants_compaction(lane) {
                self.compact(lane);
            }
        }
    }

    /// Takes in some of the connections that wait, so that many of them do not hold up the others.
    fn adopt_some(&mut self) {
        for taken in 0..self.agenda.expected().min(VISITS_PER_TURN) {
            if taken > 0 && self.has_done_enough() {
                break;
            }
            let Some(handoff) = self.agenda.next_expected() else { break };
            self.adopt(handoff);
        }
    }

    fn on_socket_event(&mut self, event: &mio::event::Event) {
        let token = event.token().0;
        let Some(connection) = self.connections.get_mut(token) else { return };
        let mut is_wanted = event.is_writable() && connection.outlet.on_writable();
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            if let Some(websocket) = &mut connection.websocket {
                websocket.on_readable();
                is_wanted = true;
            } else if let Err(error) =
                connection.drop_input(self.input.scratch(), IDLE_INPUT_BYTES_MAX)
            {
                // One that closes its half has gone, too: it has nothing to say on such a stream.
                return self.fail(token, &error);
            }
        }
        if !is_wanted {
            return;
        }
        // The other half is for those who wait already.
        if self.work_of_turn().uses_up(&work::TURN.half()) {
            self.queue(token);
        } else {
            self.visit(token);
        }
    }

    /// Pumps the connections of touched lanes, some of each lane a turn; returns how many.
    pub(super) fn visit_touched(&mut self) -> usize {
        let mut visits = Vec::new();
        self.members.next_visits(&mut visits);
        let visited = visits.len();
        for token in visits {
            self.visit(token);
        }
        visited
    }

    /// Gives each connection that had more than its share another turn.
    fn visit_queued(&mut self) {
        for visited in 0..self.agenda.queued().min(VISITS_PER_TURN) {
            if visited > 0 && self.has_done_enough() {
                break;
            }
            let Some(token) = self.agenda.next_queued() else { break };
            if let Some(connection) = self.connections.get_mut(token)
                && std::mem::replace(&mut connection.is_queued, false)
            {
                self.visit(token);
            }
        }
    }

    /// Whether a turn has done so much that live events should come next. Of those who come, talk
    /// or catch up one is served in any case.
    fn has_done_enough(&self) -> bool {
        self.work_of_turn().uses_up(&work::TURN)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Ended,
}
