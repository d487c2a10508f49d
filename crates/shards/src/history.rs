//! Readers of the journal for those who catch up: disk reads block, so they have their own threads.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use bellwire_journal::{Error, Journal, Page, ReadLimit};
use bellwire_model::limits::CATCH_UPS_PER_SHARD_MAX;
use bellwire_model::{FilterSet, Offset};
use bellwire_process::crash;

/// Threads that read pages.
const READERS: usize = 2;

/// Shards that there is room for in the readers' queue.
const SHARDS_MAX: usize = 1024;

/// A page that a shard asks for.
pub(crate) struct PageRequest {
    pub(crate) after: Offset,
    pub(crate) filters: FilterSet,
    /// Called with the page on a reader's thread, or at once where too many are asked for.
    pub(crate) reply: Box<dyn FnOnce(Result<Page, Error>) + Send>,
}

/// The readers; they end when this is dropped.
#[derive(Debug)]
pub struct HistoryReaders {
    requests: SyncSender<PageRequest>,
}

impl HistoryReaders {
    pub fn start(journal: &Arc<dyn Journal>) -> io::Result<Self> {
        let (requests, queue) = sync_channel(CATCH_UPS_PER_SHARD_MAX * SHARDS_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..READERS {
            let (queue, journal) = (Arc::clone(&queue), Arc::clone(journal));
            let read = move || read_pages(&queue, journal.as_ref());
            crash::spawn_essential(format!("history-{index}"), read)?;
        }
        Ok(Self { requests })
    }

    /// Queues a request. Never blocks: a shard has a bounded number of them on their way.
    pub(crate) fn request(&self, request: PageRequest) {
        match self.requests.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(request) | TrySendError::Disconnected(request)) => {
                (request.reply)(Err(Error::Busy));
            }
        }
    }
}

fn read_pages(queue: &Mutex<Receiver<PageRequest>>, journal: &dyn Journal) {
    loop {
        let next = queue.lock().expect("not poisoned").recv();
        let Ok(PageRequest { after, filters, reply }) = next else { return };
        reply(journal.read(after, &filters, ReadLimit::PAGE));
    }
}
