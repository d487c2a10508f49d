//! The hub of those who wait in tasks instead of a shard: long polls.

use std::sync::{Arc, Mutex};

use bellwire_hub::{
    Arrival, Delivery, Entries, Gap, Hub, HubLimits, LaneEnd, LaneId, Next, Values,
};
use bellwire_journal::Journal;
use bellwire_journal::ReadLimit;
use bellwire_model::limits::{
    PAGE_BYTES_MAX, PAGE_EVENTS_MAX, POLL_READS_MAX, STATE_ANSWER_BYTES_MAX,
};
use bellwire_model::{Cursor, EffectiveFilter, FilterSet, NameHasher, Offset};
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, Semaphore, watch};

use crate::feed::{Batch, Destination};
use crate::frames::{self, Frames};
use crate::state::SharedTable;
use crate::stream_request::{PollRequest, begin};

/// A hub under a lock, and whom to wake for which lane.
#[derive(Debug)]
pub struct TaskHub {
    journal: Arc<dyn Journal>,
    table: SharedTable,
    inner: Mutex<Inner>,
    /// Pages that are read at a time.
    reads: Semaphore,
}

#[derive(Debug)]
struct Inner {
    hub: Hub<Frames>,
    waiting: FxHashMap<LaneId, Arc<Notify>>,
}

/// What one long poll is answered with.
#[derive(Debug)]
pub struct PollAnswer {
    pub events: Vec<Bytes>,
    pub cursor: Cursor,
    /// A gap before the events, and the filters that it touches.
    pub gap: Option<(Gap, FilterSet)>,
}

impl TaskHub {
    pub fn new(journal: Arc<dyn Journal>, table: SharedTable, name_hasher: NameHasher) -> Self {
        let tail = Cursor { epoch: journal.epoch(), offset: journal.bounds().tail };
        let hub = Hub::new(tail, HubLimits::default(), name_hasher);
        let inner = Mutex::new(Inner { hub, waiting: FxHashMap::default() });
        let reads = Semaphore::new(POLL_READS_MAX);
        Self { journal, table, inner, reads }
    }

    /// Answers as soon as there is something, and with nothing when the time is up or the server
    /// is about to end.
    pub async fn poll(
        self: &Arc<Self>,
        request: PollRequest,
        mut draining: watch::Receiver<bool>,
    ) -> Result<PollAnswer, Problem> {
        let mut subscriber = self.join(&request);
        let deadline = tokio::time::Instant::now() + request.wait;
        loop {
            // Registered before the look, so that what comes between is not missed.
            let notified = subscriber.notify.clone().notified_owned();
            match self.take(&mut subscriber) {
                Taken::History(after) => self.read_page(&subscriber, after).await?,
                Taken::Nothing if subscriber.answer_is_empty() => tokio::select! {
                    () = notified => {}
                    () = tokio::time::sleep_until(deadline) => return Ok(subscriber.answer()),
                    _ = draining.wait_for(|draining| *draining) => return Ok(subscriber.answer()),
                },
                Taken::Nothing | Taken::Full => return Ok(subscriber.answer()),
            }
        }
    }

    fn join(self: &Arc<Self>, request: &PollRequest) -> Subscriber {
        let begin = begin(self.journal.as_ref(), &request.filters, request.start);
        // The table's lock comes first, as for whoever changes it and tells this hub of it.
        let table = self.table.lock().expect("not poisoned");
        let mut inner = self.inner.lock().expect("not poisoned");
        let follows = EffectiveFilter::from(request.filters.clone());
        let snapshot = |_: &mut Hub<Frames>| table.snapshot(&request.filters);
        let (delivery, gap) = inner.hub.join(&follows, begin, snapshot);
        drop(table);
        let notify = Arc::clone(inner.waiting.entry(delivery.lane()).or_default());
        let cursor = inner.hub.cursor(&delivery);
        drop(inner);
        let gap = gap.map(|gap| (gap, request.filters.clone()));
        Subscriber {
            hub: Arc::clone(self),
            delivery,
            notify,
            cursor,
            gap,
            values: Vec::new(),
            value_bytes: 0,
            events: Vec::new(),
            size_bytes: 0,
        }
    }

    /// Takes what there is, up to a page.
    fn take(&self, subscriber: &mut Subscriber) -> Taken {
        let mut inner = self.inner.lock().expect("not poisoned");
        let hub = &mut inner.hub;
        loop {
            if subscriber.is_full() {
                subscriber.cursor = hub.cursor(&subscriber.delivery);
                return Taken::Full;
            }
            match hub.next(&mut subscriber.delivery) {
                Next::Nothing => {
                    subscriber.cursor = hub.cursor(&subscriber.delivery);
                    return Taken::Nothing;
                }
                Next::Later => {}
                Next::Ready(_) => subscriber.delivery.took_ready(),
                Next::History(after) => return Taken::History(after),
                Next::Gap(_) if !subscriber.events.is_empty() => {
                    // A gap stands before the events of an answer: this one is for the next.
                    subscriber.cursor = hub.cursor(&subscriber.delivery);
                    return Taken::Full;
                }
                Next::Gap(gap) => {
                    subscriber.delivery.took_gap(&gap);
                    let filters = hub.filters(subscriber.delivery.lane()).clone();
                    subscriber.tell_gap(gap, filters);
                }
                Next::Values(values) => subscriber.take_values(values),
                Next::Entries(entries) => subscriber.take_entries(entries),
            }
        }
    }

    async fn read_page(
        self: &Arc<Self>,
        subscriber: &Subscriber,
        after: Offset,
    ) -> Result<(), Problem> {
        let lane = subscriber.delivery.lane();
        let (journal, filters) = {
            let inner = self.inner.lock().expect("not poisoned");
            (Arc::clone(&self.journal), inner.hub.filters(lane).clone())
        };
        let _permit = self.reads.acquire().await.expect("never closed");
        let read = move || journal.read(after, &filters, ReadLimit::PAGE);
        let page = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| Problem::new(Code::JournalUnavailable, error))??;
        let page = frames::history_page(self.journal.epoch(), (lane, after), page);
        self.inner.lock().expect("not poisoned").hub.push_history(page);
        Ok(())
    }
}

impl Destination for TaskHub {
    fn has_room(&self) -> bool {
        true
    }

    fn wait_for_room(&self) {}

    fn push(&self, batch: &Batch) {
        let mut touched = Vec::new();
        let mut inner = self.inner.lock().expect("not poisoned");
        match batch {
            Batch::Entries(entries) => inner.hub.push(entries, &mut touched),
            // Polls have no rates: nothing here waits for a time.
            Batch::Values(values) => inner.hub.push_values(values, 0, &mut touched),
        }
        touched.sort_unstable();
        touched.dedup();
        for lane in touched {
            if inner.hub.wants_compaction(lane) {
                // A poll begins with a snapshot: no earlier deletion concerns it.
                inner.hub.compact(lane, Arrival::MAX);
            }
            if let Some(notify) = inner.waiting.get(&lane) {
                notify.notify_waiters();
            }
        }
    }
}

/// How far a look at the hub came.
enum Taken {
    Nothing,
    Full,
    History(Offset),
}

/// One long poll while it waits. Leaves its lane when it is dropped, be it answered or gone.
struct Subscriber {
    hub: Arc<TaskHub>,
    delivery: Delivery,
    notify: Arc<Notify>,
    cursor: Cursor,
    gap: Option<(Gap, FilterSet)>,
    /// The current values of state topics, and their bytes.
    values: Vec<Bytes>,
    value_bytes: usize,
    events: Vec<Bytes>,
    size_bytes: usize,
}

impl Subscriber {
    fn is_full(&self) -> bool {
        self.events.len() >= PAGE_EVENTS_MAX || self.size_bytes >= PAGE_BYTES_MAX
    }

    /// Values come all, within a bound of their own: a page full of them must not keep the stream
    /// from coming.
    fn take_values(&mut self, values: Values<'_, Frames>) {
        let end = values.end();
        for (_, value) in values {
            if self.value_bytes < STATE_ANSWER_BYTES_MAX {
                let json = value.payload.json();
                self.value_bytes += json.len();
                self.values.push(json);
            }
        }
        self.delivery.took_values(end);
    }

    fn push(&mut self, json: Bytes) {
        self.size_bytes += json.len();
        self.events.push(json);
    }

    fn take_entries(&mut self, mut entries: Entries<'_, Frames>) {
        for entry in entries.by_ref() {
            self.push(entry.payload.json());
            self.delivery.took_entry(entry.offset);
            if self.is_full() {
                return;
            }
        }
        if let Entries::Page(_, end) = entries {
            self.delivery.took_page(end);
        }
    }

    /// An answer has one gap: it begins with the first and ends with the last.
    fn tell_gap(&mut self, gap: Gap, filters: FilterSet) {
        let first = self.gap.take().map_or(gap, |(first, _)| Gap { to: gap.to, ..first });
        self.gap = Some((first, filters));
    }

    fn answer_is_empty(&self) -> bool {
        self.events.is_empty() && self.values.is_empty() && self.gap.is_none()
    }

    fn answer(&mut self) -> PollAnswer {
        let mut events = std::mem::take(&mut self.values);
        events.append(&mut self.events);
        PollAnswer { events, cursor: self.cursor, gap: self.gap.take() }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let mut inner = self.hub.inner.lock().expect("not poisoned");
        if inner.hub.leave(&self.delivery) == LaneEnd::Ended {
            inner.waiting.remove(&self.delivery.lane());
            if inner.waiting.is_empty() {
                inner.hub.clear_history();
            }
        }
    }
}
