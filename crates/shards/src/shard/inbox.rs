//! A shard's inbox: the one place where other threads reach it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use bellwire_model::limits::{ADOPTIONS_QUEUED_MAX, FEED_BATCHES_MAX};
use mio::Waker;

use super::collector::Ticket;
use super::{Answered, Handoff, PageRead};
use crate::feed::{Batch, Destination};

/// What waits for a shard.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) batches: VecDeque<Batch>,
    pub(super) adoptions: VecDeque<Handoff>,
    pub(super) pages: VecDeque<PageRead>,
    pub(super) answers: VecDeque<Answered>,
    /// Polls whose clients have gone.
    pub(super) given_up: VecDeque<Arc<Ticket>>,
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
        }
    }

    fn put<T>(&self, put: impl FnOnce(&mut Waiting) -> T) -> T {
        let result = put(&mut self.waiting.lock().expect("not poisoned"));
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.waker.wake().expect("the poll's event descriptor works");
        }
        result
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
        let batches = std::mem::take(&mut self.waiting.lock().expect("not poisoned").batches);
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
    pub fn adopt(&self, handoff: Handoff) -> Result<(), Handoff> {
        self.0.put(|waiting| {
            let is_late = handoff.socket.is_pair() && self.is_drained();
            if is_late || waiting.adoptions.len() >= ADOPTIONS_QUEUED_MAX {
                return Err(handoff);
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
        self.0.put(|waiting| waiting.drain = true);
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
        self.0.put(|waiting| waiting.batches.push_back(batch.clone()));
    }
}

/// A poll and the handle that wakes it.
pub(super) fn poll_and_handle(token: mio::Token) -> io::Result<(mio::Poll, ShardHandle)> {
    let poll = mio::Poll::new()?;
    let waker = Waker::new(poll.registry(), token)?;
    Ok((poll, ShardHandle::new(waker)))
}
