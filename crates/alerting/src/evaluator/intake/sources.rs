//! Where samples come from, and how much of the queue one source may take: who floods the rules
//! waits for its own samples, and the others for theirs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::limits::SAMPLES_OF_SOURCE_QUEUED_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who sends samples: an address, as connections are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// What comes from an address; all that comes from none is of one source.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address)
    }
}

/// The sources that have samples in the queue, or wait to have some. Strangers choose the keys, so
/// that their hashes are keyed.
#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<HashMap<Source, Allowance>>);

/// What a source may have in the queue.
#[derive(Debug)]
struct Allowance {
    places: Arc<Semaphore>,
    /// Requests that have some of it, or wait for some.
    visitors: usize,
}

/// A part of a source's room.
#[derive(Debug)]
pub(super) struct Share {
    _places: OwnedSemaphorePermit,
    _visit: Visit,
}

/// Keeps a source's room for as long as somebody is in it.
#[derive(Debug)]
struct Visit {
    sources: Arc<Sources>,
    source: Source,
}

impl Sources {
    /// So many places of those that the source may have, once they are free.
    pub(super) async fn share(self: &Arc<Self>, source: Source, places: u32) -> Share {
        let (room, visit) = self.visit(source);
        let places = room.acquire_many_owned(within(places)).await;
        Share { _places: places.expect("the semaphore is never closed"), _visit: visit }
    }

    /// So many places, where they are free now.
    pub(super) fn share_now(self: &Arc<Self>, source: Source, places: u32) -> Option<Share> {
        let (room, visit) = self.visit(source);
        let places = room.try_acquire_many_owned(within(places)).ok()?;
        Some(Share { _places: places, _visit: visit })
    }

    fn visit(self: &Arc<Self>, source: Source) -> (Arc<Semaphore>, Visit) {
        let mut rooms = self.rooms();
        let room = rooms.entry(source).or_insert_with(|| Allowance {
            places: Arc::new(Semaphore::new(SAMPLES_OF_SOURCE_QUEUED_MAX)),
            visitors: 0,
        });
        room.visitors += 1;
        (Arc::clone(&room.places), Visit { sources: Arc::clone(self), source })
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<Source, Allowance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut rooms = self.sources.rooms();
        let Some(room) = rooms.get_mut(&self.source) else { return };
        room.visitors -= 1;
        if room.visitors == 0 {
            rooms.remove(&self.source);
        }
    }
}

/// A request that is larger than a source's room takes all of it.
fn within(places: u32) -> u32 {
    places.min(SAMPLES_OF_SOURCE_QUEUED_MAX as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_floods_takes_its_own_room_and_is_forgotten_once_it_is_done() {
        let sources = Arc::new(Sources::default());
        let [flood, other] = [1, 2].map(|host| Source::of(Some(IpAddr::from([10, 0, 0, host]))));
        let half = (SAMPLES_OF_SOURCE_QUEUED_MAX / 2) as u32;
        let held: Vec<Share> =
            std::iter::from_fn(|| sources.share_now(flood, half)).take(9).collect();
        assert_eq!(held.len(), 2);
        let large = sources.share_now(other, u32::MAX).expect("another one has its own");
        assert!(sources.share_now(other, 1).is_none());
        drop(held);
        assert!(sources.share_now(flood, half).is_some());
        drop(large);
        assert!(sources.rooms().is_empty());
    }
}
