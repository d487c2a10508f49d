//! A shard's inbox: the one place where other threads reach it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use bellwire_model::limits::{
    ADOPTIONS_QUEUED_MAX, BATCHES_DEFERRED_BYTES_MAX, BATCHES_DEFERRED_MAX, FEED_BATCHES_MAX,
};
use bellwire_wire::Outage;
use mio::Waker;

use super::change::Change;
use super::collector::Ticket;
use super::{Answered, Handoff, PageRead};
use crate::feed::{Batch, Destination};

/// There is an outage from now on, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct News(pub(super) Option<Outage>);

/// What waits for a shard.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) batches: VecDeque<Batch>,
    /// Bytes of those of them that nobody was woken for.
    deferred_bytes: usize,
    pub(super) adoptions: VecDeque<Handoff>,
    pub(super) pages: VecDeque<PageRead>,
    pub(super) answers: VecDeque<Answered>,
    /// Polls whose clients have gone.
    pub(super) given_up: VecDeque<Arc<Ticket>>,
    /// Of whom something has changed.
    pub(super) changes: Vec<Change>,
    /// Whether there is an outage, where that is news.
    pub(super) outage: Option<News>,
    pub(super) drain_carried: bool,
    pub(super) drain: bool,
}

#[derive(Debug)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    room: Condvar,
    waker: Waker,
    /// Whether the shard has been woken and has not looked yet, so that a burst costs one wake.
    woken: AtomicBool,
    pub(super) connections: AtomicUsize,
    /// Those of them that are polls, and have no socket.
    polls: AtomicUsize,
    /// Whether no more pairs are taken, and polls are answered at once. Written under the lock of
    /// what waits.
    carried_drained: AtomicBool,
    /// Whether the shard is about to end, and takes nothing more. Written under the same lock.
    drained: AtomicBool,
}

impl Inbox {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            waiting: Mutex::default(),
            room: Condvar::new(),
            waker,
            woken: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
            carried_drained: AtomicBool::new(false),
            drained: AtomicBool::new(false),
        }
    }

    fn put<T>(&self, put: impl FnOnce(&mut Waiting) -> T) -> T {
        let result = put(&mut self.waiting.lock().expect("not poisoned"));
        self.wake();
        result
    }

    /// Has the shard look at what waits.
    pub(super) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.waker.wake().expect("the poll's event descriptor works");
        }
    }

    /// Whether a batch that waits already may go on waiting. Where nobody is, nobody is to be told
    /// of it: to wake the shard would cost whoever publishes more than all else that is done for
    /// it. It is taken in with whatever comes next, before anybody is, or once it is much.
    fn defers(&self, waiting: &mut Waiting, batch: &Batch) -> bool {
        if self.connections.load(Ordering::Relaxed) > 0 {
            return false;
        }
        waiting.deferred_bytes += batch.size_bytes();
        waiting.batches.len() < BATCHES_DEFERRED_MAX
            && waiting.deferred_bytes < BATCHES_DEFERRED_BYTES_MAX
    }

    /// Everything that waits. Called by the shard when it is woken.
    pub(super) fn take(&self) -> Waiting {
        // Reset first: what arrives from here on wakes again.
        self.woken.store(false, Ordering::Release);
        let waiting = std::mem::take(&mut *self.waiting.lock().expect("not poisoned"));
        self.tell_of_room(waiting.batches.len());
        waiting
    }

    /// The batches alone, ahead of a wake.
    pub(super) fn take_batches(&self) -> VecDeque<Batch> {
        let mut waiting = self.waiting.lock().expect("not poisoned");
        waiting.deferred_bytes = 0;
        let batches = std::mem::take(&mut waiting.batches);
        drop(waiting);
        self.tell_of_room(batches.len());
        batches
    }

    /// Only where so many were waiting may somebody wait for room; to tell nobody of it would be a
    /// call to the system, too, on the way of each event.
    fn tell_of_room(&self, taken: usize) {
        if taken >= FEED_BATCHES_MAX {
            self.room.notify_all();
        }
    }
}

/// Reaches a shard from other threads.
#[derive(Clone, Debug)]
pub struct ShardHandle(pub(super) Arc<Inbox>);

impl ShardHandle {
    /// A handle whose shard is yet to be spawned, woken by `waker`.
    pub(super) fn new(waker: Waker) -> Self {
        Self(Arc::new(Inbox::new(waker)))
    }

    /// Gives a connection to the shard, or gives it back where too many wait.
    pub fn adopt(&self, handoff: Handoff) -> Result<(), Box<Handoff>> {
        self.0.put(|waiting| {
            let is_late = handoff.socket.is_pair() && self.is_drained();
            if is_late || waiting.adoptions.len() >= ADOPTIONS_QUEUED_MAX {
                return Err(Box::new(handoff));
            }
            self.0.connections.fetch_add(1, Ordering::Relaxed);
            if handoff.socket.collector().is_some() {
                self.0.polls.fetch_add(1, Ordering::Relaxed);
            }
            waiting.adoptions.push_back(handoff);
            Ok(())
        })
    }

    /// Never blocks: a shard asks for a bounded number of pages.
    pub fn push_page(&self, page: PageRead) {
        self.0.put(|waiting| waiting.pages.push_back(page));
    }

    /// Never blocks: a connection has a bounded number of requests in flight.
    pub fn push_answer(&self, answered: Answered) {
        self.0.put(|waiting| waiting.answers.push_back(answered));
    }

    /// A poll's client has gone. Never blocks: each poll is given up once.
    pub(super) fn give_up(&self, ticket: Arc<Ticket>) {
        self.0.put(|waiting| waiting.given_up.push_back(ticket));
    }

    /// Asks the shard to say good-bye to its connections over pairs and to take no more of them,
    /// and to let no poll wait.
    pub fn drain_carried(&self) {
        self.0.put(|waiting| {
            self.0.carried_drained.store(true, Ordering::Relaxed);
            waiting.drain_carried = true;
        });
    }

    /// Whether it was asked to.
    pub(super) fn is_drained(&self) -> bool {
        self.0.carried_drained.load(Ordering::Relaxed)
    }

    /// A connection that was given to the shard has ended.
    pub(super) fn forget_connection(&self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// So has a poll.
    pub(super) fn forget_poll(&self) {
        self.0.polls.fetch_sub(1, Ordering::Relaxed);
        self.forget_connection();
    }

    /// Asks the shard to say good-bye to its connections and to end.
    pub fn drain(&self) {
        self.0.put(|waiting| {
            self.0.drained.store(true, Ordering::Relaxed);
            waiting.drain = true;
        });
    }

    /// Has the shard look anew at the connections of those of whom something has changed. Where it
    /// is about to end, all of them are.
    pub(super) fn reconsider(&self, change: Change) {
        self.0.put(|waiting| {
            if !self.0.drained.load(Ordering::Relaxed) {
                waiting.changes.push(change);
            }
        });
    }

    /// Has the shard tell its clients of an outage, or that it is over.
    pub(super) fn tell(&self, outage: Option<Outage>) {
        self.0.put(|waiting| waiting.outage = Some(News(outage)));
    }

    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Those of them that have a socket. A poll's is with whoever asks.
    pub fn sockets(&self) -> usize {
        self.connections().saturating_sub(self.0.polls.load(Ordering::Relaxed))
    }
}

impl Destination for ShardHandle {
    fn has_room(&self) -> bool {
        self.0.waiting.lock().expect("not poisoned").batches.len() < FEED_BATCHES_MAX
    }

    fn wait_for_room(&self) {
        let waiting = self.0.waiting.lock().expect("not poisoned");
        let is_full = |waiting: &mut Waiting| waiting.batches.len() >= FEED_BATCHES_MAX;
        drop(self.0.room.wait_while(waiting, is_full).expect("not poisoned"));
    }

    fn push(&self, batch: &Batch) {
        let mut waiting = self.0.waiting.lock().expect("not poisoned");
        waiting.batches.push_back(batch.clone());
        // Under the lock: whoever is given to the shard meanwhile wakes it.
        let is_deferred = self.0.defers(&mut waiting, batch);
        drop(waiting);
        if !is_deferred {
            self.0.wake();
        }
    }
}

/// A poll and the handle that wakes it.
pub(super) fn poll_and_handle(token: mio::Token) -> io::Result<(mio::Poll, ShardHandle)> {
    let poll = mio::Poll::new()?;
    let waker = Waker::new(poll.registry(), token)?;
    Ok((poll, ShardHandle::new(waker)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_hub::{Entry, Start};
    use bellwire_model::{Body, Epoch, Event, FilterSet, Offset, Timestamp};
    use mio::Events;

    use super::*;
    use crate::frames::Frames;
    use crate::shard::Pending;
    use crate::stream_request::PollRequest;

    fn batch(body_bytes: usize) -> Batch {
        let event = Event {
            topic: "a".parse().expect("a topic"),
            key: None,
            event_type: None,
            time: Timestamp::from_ms(1),
            body: Some(Body::Json(vec![b'1'; body_bytes].into())),
        };
        let (topic, size_bytes) = (event.topic.clone(), event.size_bytes());
        let offset = Offset::new(1);
        let payload = Frames::new(Epoch::new(7), Some(offset), event);
        Batch::Entries([Arc::new(Entry { offset, topic, size_bytes, payload })].into())
    }

    /// Whether the shard was woken, which has then taken what waited.
    fn is_woken(poll: &mut mio::Poll, shard: &ShardHandle) -> Option<usize> {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("a poll");
        (!events.is_empty()).then(|| shard.0.take().batches.len())
    }

    #[test]
    fn a_shard_where_nobody_is_takes_much_in_at_once() {
        let (mut poll, shard) = poll_and_handle(mio::Token(0)).expect("a poll");
        for _ in 0..2 {
            for _ in 1..BATCHES_DEFERRED_MAX {
                shard.push(&batch(10));
                assert_eq!(is_woken(&mut poll, &shard), None);
            }
            shard.push(&batch(10));
            assert_eq!(is_woken(&mut poll, &shard), Some(BATCHES_DEFERRED_MAX));
        }
        for _ in 0..2 {
            for _ in 0..3 {
                shard.push(&batch(BATCHES_DEFERRED_BYTES_MAX / 4));
                assert_eq!(is_woken(&mut poll, &shard), None);
            }
            shard.push(&batch(BATCHES_DEFERRED_BYTES_MAX / 4));
            assert_eq!(is_woken(&mut poll, &shard), Some(4));
        }
    }

    #[test]
    fn what_was_deferred_is_there_before_whoever_comes_and_who_is_there_is_told_at_once() {
        let (mut poll, shard) = poll_and_handle(mio::Token(0)).expect("a poll");
        shard.push(&batch(10));
        shard.push(&batch(10));
        assert_eq!(is_woken(&mut poll, &shard), None);
        let filters = FilterSet::from("a".parse::<bellwire_model::Filter>().expect("a filter"));
        let request = PollRequest::new(filters.into(), Start::Latest, Duration::ZERO);
        let _pending =
            Pending::ask(&shard, request, crate::HeldPrincipal::anonymous()).expect("room");
        assert_eq!(is_woken(&mut poll, &shard), Some(2));
        shard.push(&batch(10));
        assert_eq!(is_woken(&mut poll, &shard), Some(1));
        shard.forget_poll();
        shard.push(&batch(10));
        assert_eq!(is_woken(&mut poll, &shard), None);
    }
}
