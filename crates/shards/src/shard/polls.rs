//! Long polls: connections of a shard that are answered once.
//!
//! ```text
//! handler ── PollRequest ─▶ inbox ─▶ Shard ─▶ Collector: Hub::next, pointers
//!    ▲                                           │ there is something, or the time is up
//!    └────────────── Collected ◀─────────────────┘
//! ```
//!
//! A poll has a lane, a delivery, pages of history and a place on the wheel like any stream. It
//! has no socket: the handler encodes the answer, off the shard.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_hub::LaneKey;
use bellwire_hub::{Delivery, Next};
use bellwire_model::limits::LOOKS_PER_VISIT_MAX;
use bellwire_model::{EffectiveFilter, Grants, Offset, Principal};
use bellwire_process::clock::{TICK, Tick, ticks};
use bellwire_wire::problem::{Code, Problem};

use super::collector::{Asked, Collector, Ticket};
use super::connection::Connection;
use super::outlet::Outlet;
use super::pump::{Pumped, Tools};
use super::socket::Socket;
use super::turn::Shard;
use super::{Handoff, ShardHandle, Token};
use crate::form::{Coding, Encoding, Form, Framing, HttpForm};
use crate::poll::Collected;
use crate::stream_request::{PollRequest, StreamRequest};

/// A poll that a shard collects for. Whoever drops it gives it up.
#[derive(Debug)]
pub struct Pending {
    asked: Asked,
    shard: ShardHandle,
    is_answered: bool,
}

impl Pending {
    /// Asks a shard.
    pub(super) fn ask(shard: &ShardHandle, request: PollRequest) -> Result<Self, Problem> {
        let PollRequest { filters, start, wait } = request;
        let (collector, asked) = Collector::new(wait);
        // Its JSON is what a line has.
        let (encoding, coding, framing) = (Encoding::Ndjson, Coding::Identity, Framing::Plain);
        let form = Form::Http(HttpForm { encoding, coding, framing });
        let follows = EffectiveFilter::from(filters);
        let handoff = Handoff {
            socket: Socket::Collector(collector),
            request: StreamRequest { follows, start, form, allow_origin: None, handshake: None },
            principal: Principal::ANONYMOUS,
            early: Box::default(),
            place: None,
        };
        shard.adopt(handoff).map_err(|_| {
            let detail = "too many streams and polls come at once";
            Problem::new(Code::ConnectionsExhausted, detail).retry_after(1)
        })?;
        Ok(Self { asked, shard: shard.clone(), is_answered: false })
    }

    /// Waits for the answer.
    pub async fn collected(mut self) -> Result<Collected, Problem> {
        let reply = (&mut self.asked.answer).await;
        self.is_answered = true;
        reply.unwrap_or_else(|_| {
            let detail = "the poll could not keep up with what changes: ask again";
            Err(Problem::new(Code::ReadersBusy, detail).retry_after(1))
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_answered {
            // Before the shard is told: one that it is yet to take in, it leaves out.
            self.asked.answer.close();
            self.shard.give_up(Arc::clone(&self.asked.ticket));
        }
    }
}

impl Shard {
    /// Takes a poll in, and answers it if there is something.
    pub(super) fn adopt_poll(
        &mut self,
        mut collector: Box<Collector>,
        (request, principal): (&StreamRequest, Principal),
    ) {
        let token = self.connections.vacant_key();
        let followed = if collector.is_given_up() {
            None
        } else {
            let grants = Grants::of(principal);
            let key = LaneKey { follows: request.follows.clone(), grants };
            let begun = self.begin(token, &key, request.start);
            begun.map_err(|problem| collector.refuse(&problem)).ok()
        };
        let Some((main, gap)) = followed else { return self.handle.forget_poll() };
        if let Some(gap) = gap {
            collector.tell_gap(gap, request.follows.filters());
        }
        collector.become_one(token);
        let now = self.ticker.now();
        let has_time = !collector.wait.is_zero() && !self.handle.is_drained();
        // The tick has begun already: one more, so that no wait is cut short.
        let wait = if has_time { ticks(collector.wait + TICK) } else { 0 };
        collector.due = now + wait;
        let due = collector.due;
        let outlet = Outlet::new(Socket::Collector(collector), request.form, now);
        let key = self.connections.insert(Connection::new(outlet, main, None, None));
        assert_eq!(key, token, "the slot that was vacant");
        self.connections[token].due_at = self.wheel.insert(token, due);
        self.visit(token);
    }

    /// The client of a poll has gone.
    pub(super) fn on_given_up(&mut self, ticket: &Arc<Ticket>) {
        let Some(token) = ticket.token() else { return };
        let connection = self.connections.get(token);
        let collector = connection.and_then(|connection| connection.outlet.socket.collector());
        if collector.is_some_and(|collector| collector.is_of(ticket)) {
            self.close(token);
        }
    }

    /// A poll's time is up: it is answered as soon as it has what there is. Returns when it wants
    /// to be looked after again, as [`attend`](Self::attend) does.
    pub(super) fn attend_poll(&mut self, token: Token, due: Tick, now: Tick) -> Option<Tick> {
        if now < due {
            return Some(due);
        }
        self.visit(token);
        // History is on its way, and brings the answer.
        let interval = ticks(self.surroundings.timing.heartbeat_interval);
        self.connections.contains(token).then_some(now + interval)
    }

    /// Answers every poll with what there is.
    pub(super) fn drain_polls(&mut self) {
        let is_poll = |handoff: &Handoff| matches!(handoff.socket, Socket::Collector(_));
        let waiting = std::mem::take(&mut self.adoptions).into_iter();
        let (polls, others): (VecDeque<_>, VecDeque<_>) = waiting.partition(is_poll);
        self.adoptions = others;
        for poll in polls {
            self.adopt(poll);
        }
        let now = self.ticker.now();
        let mut tokens = Vec::new();
        for (token, connection) in &mut self.connections {
            if let Some(collector) = connection.outlet.socket.collector_mut() {
                collector.due = collector.due.min(now);
                tokens.push(token);
            }
        }
        for token in tokens {
            self.visit(token);
        }
    }
}

/// How far a poll came.
enum Came {
    /// It has all there is.
    Complete,
    /// The answer is full.
    Full,
    /// It had its share.
    Share,
    /// It needs a page of history from here.
    History(Offset),
}

/// Moves what a poll is missing to its collector, and answers when that is something.
pub(super) fn pump(
    collector: &mut Collector,
    delivery: &mut Delivery,
    tools: &mut Tools<'_>,
) -> Pumped {
    let mut pumped = Pumped { has_ended: collector.is_given_up(), ..Pumped::default() };
    if pumped.has_ended {
        return pumped;
    }
    match collect(collector, delivery, tools) {
        Came::Share => pumped.has_more = true,
        Came::History(after) => pumped.history = Some((delivery.lane(), after)),
        Came::Complete if collector.is_empty() && tools.account.now < collector.due => {}
        Came::Complete | Came::Full => {
            collector.answer(tools.hub.cursor(delivery));
            pumped.has_ended = true;
        }
    }
    pumped
}

/// What a poll may take though others have had all there is for one turn: small ones are answered.
const COLLECTED_AT_LEAST: usize = 64;

fn collect(collector: &mut Collector, delivery: &mut Delivery, tools: &mut Tools<'_>) -> Came {
    let granted = tools.looks_left.clamp(COLLECTED_AT_LEAST, LOOKS_PER_VISIT_MAX);
    let mut share = granted;
    let came = collect_within(&mut share, (collector, delivery), tools);
    tools.account.work.looks += (granted - share) as u64;
    came
}

fn collect_within(
    share: &mut usize,
    (collector, delivery): (&mut Collector, &mut Delivery),
    tools: &mut Tools<'_>,
) -> Came {
    let hub = &mut *tools.hub;
    loop {
        if collector.is_full() {
            return Came::Full;
        }
        if *share == 0 {
            return Came::Share;
        }
        match hub.next(delivery) {
            Next::Nothing => return Came::Complete,
            Next::Later => return Came::Share,
            Next::History(after) => return Came::History(after),
            Next::Ready(_) => delivery.took_ready(),
            // A gap stands before the events of an answer: this one is for the next.
            Next::Gap(_) if !collector.takes_gap() => return Came::Full,
            Next::Gap(gap) => {
                delivery.took_gap(&gap);
                collector.tell_gap(gap, hub.filters(delivery.lane()));
            }
            Next::Values(values) => collector.take_values(values, delivery, share),
            Next::Entries(entries) => collector.take_entries(entries, delivery, share),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_hub::{Begin, Hub, HubLimits, Start, StateLimits, StateTable};
    use bellwire_model::limits::LOOKS_PER_TURN_MAX;
    use bellwire_model::{Body, Cursor, Epoch, Event, Filter, FilterSet, NameHasher, Timestamp};

    use super::super::inbox::poll_and_handle;
    use super::super::outlet::Account;
    use super::super::segments::Segments;
    use super::super::work::Work;
    use super::*;
    use crate::frames::Frames;

    const KEYS: usize = 3 * LOOKS_PER_TURN_MAX;

    fn table() -> StateTable<Frames> {
        let room = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
        let mut table = StateTable::new(NameHasher::new([1, 2]));
        for key in 0..KEYS {
            let event = Event {
                topic: "board/1".parse().expect("a topic"),
                key: Some(key.to_string().into()),
                event_type: None,
                time: Timestamp::from_ms(1),
                body: Some(Body::Json(bytes::Bytes::from_static(b"{}"))),
            };
            let (topic, size_bytes) = (event.topic.clone(), event.size_bytes());
            let payload = (Frames::new(Epoch::new(7), None, event), size_bytes);
            table.put((&topic, &key.to_string()), payload, room).expect("room");
        }
        table
    }

    /// A poll may follow very many values: each turn of a shard takes some of them, as pointers,
    /// and encodes none.
    #[test]
    fn a_turn_takes_a_bounded_number_of_pointers_for_all_polls_and_encodes_nothing() {
        let table = table();
        let tail = Cursor { epoch: Epoch::new(7), offset: Offset::ZERO };
        let mut hub = Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]));
        let filters = FilterSet::from("board/**".parse::<Filter>().expect("a filter"));
        let mut changes: Vec<_> = table.values().cloned().collect();
        changes.sort_unstable_by_key(|value| value.version);
        hub.push_values(&changes, 0, &mut Vec::new());
        let begin = Begin { start: Start::Latest, tail: Offset::ZERO, trimmed: Offset::ZERO };
        let key = LaneKey::from(EffectiveFilter::from(filters.clone()));
        let mut polls: Vec<_> = (0..40)
            .map(|_| {
                let joined = hub.join(&key, begin, |_| table.snapshot(&filters));
                let (delivery, _) = joined.expect("room");
                (Collector::new(Duration::ZERO), delivery)
            })
            .collect();

        let mut segments = Segments::default();
        let mut turns = 0;
        while !polls.is_empty() {
            turns += 1;
            assert!(turns < 10_000, "everybody gets on");
            let mut work = Work::default();
            polls.retain_mut(|((collector, asked), delivery)| {
                let looks_left = LOOKS_PER_TURN_MAX.saturating_sub(work.looks as usize);
                let account = Account { now: 0, work: &mut work, segments: &mut segments };
                let heartbeat_interval = Duration::MAX;
                let mut tools = Tools { hub: &mut hub, heartbeat_interval, looks_left, account };
                if !pump(collector, delivery, &mut tools).has_ended {
                    return true;
                }
                let collected = asked.answer.try_recv().expect("an answer").expect("no problem");
                let values = &collected.parts.values;
                assert_eq!(values.len(), KEYS);
                assert!(!values.iter().any(|value| value.payload.is_encoded()));
                false
            });
            let bound = LOOKS_PER_TURN_MAX + 40 * COLLECTED_AT_LEAST;
            assert!(work.looks <= bound as u64, "{}", work.looks);
        }
        assert!(turns > KEYS / LOOKS_PER_VISIT_MAX, "{turns}");
    }

    #[test]
    fn a_poll_that_is_dropped_is_given_up() {
        let (_poll, shard) = poll_and_handle(mio::Token(0)).expect("a poll");
        let ask = || {
            let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
            let request = PollRequest { filters, start: Start::Latest, wait: Duration::ZERO };
            Pending::ask(&shard, request).expect("room")
        };
        let (kept, dropped) = (ask(), ask());
        drop(dropped);
        let waiting = shard.0.take();
        let given_up: Vec<bool> = waiting
            .adoptions
            .iter()
            .map(|handoff| handoff.socket.collector().expect("a poll").is_given_up())
            .collect();
        assert_eq!(given_up, [false, true]);
        let last = waiting.adoptions.back().and_then(|handoff| handoff.socket.collector());
        assert!(last.expect("a poll").is_of(&waiting.given_up[0]));
        assert_eq!(waiting.given_up.len(), 1);
        drop(kept);
    }
}
