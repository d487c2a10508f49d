//! What was read and is not taken yet: bounded in bytes, and in number.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::error::Error;
use crate::item::{Item, Status};

/// How many events and control events wait to be taken before no more are read.
const ITEMS_MAX: usize = 1_024;
/// How many bytes of them: room for the largest event, twice.
const BYTES_MAX: u32 = 16 * 1024 * 1024;
/// What an item takes beside its text.
const ITEM_BYTES: usize = 512;

/// Who was to take it is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

/// Something that waits, and the room that it takes.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) item: Result<Item, Error>,
    _room: OwnedSemaphorePermit,
}

/// The end that gives.
#[derive(Debug)]
pub(crate) struct Sink {
    items: mpsc::Sender<Waiting>,
    bytes: Arc<Semaphore>,
    is_live: watch::Sender<bool>,
}

/// The end that takes.
#[derive(Debug)]
pub(crate) struct Taker {
    pub(crate) items: mpsc::Receiver<Waiting>,
    /// It closes when all is over.
    pub(crate) is_live: watch::Receiver<bool>,
}

pub(crate) fn queue() -> (Sink, Taker) {
    let (sender, receiver) = mpsc::channel(ITEMS_MAX);
    let (is_live, live) = watch::channel(false);
    let bytes = Arc::new(Semaphore::new(BYTES_MAX as usize));
    (Sink { items: sender, bytes, is_live }, Taker { items: receiver, is_live: live })
}

impl Sink {
    /// Waits until there is room.
    pub(crate) async fn give(&self, item: Item) -> Result<(), Gone> {
        let text = match &item {
            Item::Event(event) => event.json().len(),
            Item::Control(control) => control.json().len(),
            Item::Status(status) => {
                self.is_live.send_replace(matches!(status, Status::Live));
                0
            }
        };
        self.put(Ok(item), text).await
    }

    /// The last of all.
    pub(crate) async fn fail(&self, error: Error) -> Result<(), Gone> {
        self.put(Err(error), 0).await
    }

    async fn put(&self, item: Result<Item, Error>, text: usize) -> Result<(), Gone> {
        let bytes = u32::try_from(text + ITEM_BYTES).unwrap_or(BYTES_MAX).min(BYTES_MAX);
        let room = Arc::clone(&self.bytes).acquire_many_owned(bytes);
        // Who takes nothing any more makes no room either.
        let room = tokio::select! {
            room = room => room.expect("it is never closed"),
            () = self.items.closed() => return Err(Gone),
        };
        self.items.send(Waiting { item, _room: room }).await.map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> Item {
        let data = "x".repeat(bytes);
        Item::read(format!("{{\"topic\":\"a\",\"data\":\"{data}\"}}")).expect("an event")
    }

    async fn taken(sink: &Sink, bytes: usize) -> usize {
        for count in 0.. {
            let giving = sink.give(event(bytes));
            if tokio::time::timeout(std::time::Duration::from_secs(1), giving).await.is_err() {
                return count;
            }
        }
        unreachable!("the loop has no end")
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_waits_than_there_is_room_for() {
        let (sink, mut taker) = queue();
        assert_eq!(taken(&sink, 10).await, ITEMS_MAX);
        assert!(taker.items.recv().await.is_some());
        assert_eq!(taken(&sink, 10).await, 1);

        let (sink, mut taker) = queue();
        let megabyte = 1024 * 1024;
        assert_eq!(taken(&sink, megabyte).await, 15);
        for _ in 0..3 {
            assert!(taker.items.recv().await.is_some());
        }
        assert_eq!(taken(&sink, megabyte).await, 3);
        drop(taker);
        assert!(sink.give(event(megabyte)).await.is_err());
    }

    #[tokio::test]
    async fn one_that_is_larger_than_all_room_passes_alone() {
        let (sink, mut taker) = queue();
        sink.give(event(2 * BYTES_MAX as usize)).await.expect("it is taken");
        assert!(taker.items.recv().await.expect("an event").item.is_ok());
    }
}
