//! Places for requests that are passed on, of which no client has more than are left for all others.
//!
//! So one alone has half of them, two have a third each, and whoever comes finds some: many slow bodies of one
//! client keep nobody else out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::network_of;

/// See the module.
#[derive(Debug)]
pub(super) struct Places {
    count: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Of clients that have any.
    by_client: HashMap<Option<IpAddr>, usize>,
}

/// One place, for as long as this is held.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    client: Option<IpAddr>,
}

impl Places {
    /// So many.
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { count, taken: Mutex::default() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One for this client; nothing where it has as many as are left.
    pub(super) fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Place> {
        let client = client.map(network_of);
        let mut taken = self.taken();
        let left = self.count - taken.all;
        let own = taken.by_client.get(&client).copied().unwrap_or_default();
        if own >= left {
            return None;
        }
        taken.all += 1;
        taken.by_client.insert(client, own + 1);
        Some(Place { places: Arc::clone(self), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(own) = taken.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    fn take_all(places: &Arc<Places>, of: Option<IpAddr>) -> Vec<Place> {
        std::iter::from_fn(|| places.take(of)).collect()
    }

    #[test]
    fn one_has_half_of_them_and_who_comes_finds_some() {
        let places = Places::new(512);
        let mut held: Vec<Vec<Place>> = Vec::new();
        for (number, expected) in [(1, 256), (2, 128), (3, 64), (4, 32)] {
            held.push(take_all(&places, Some(client(number))));
            assert_eq!(held.last().map(Vec::len), Some(expected), "{number}");
        }
        assert_eq!(take_all(&places, None).len(), 16, "nobody knows whose these are");
        // Who had most gets no more while others have theirs, and all of its own once they have gone.
        assert!(places.take(Some(client(1))).is_none());
        held.truncate(1);
        assert!(places.take(Some(client(1))).is_none());
        held.clear();
        assert_eq!(take_all(&places, Some(client(1))).len(), 256);
        // Of IPv6 one has all addresses of a network.
        let [one, same] = ["2001:db8::1", "2001:db8::2"].map(|it| it.parse().ok());
        let held = take_all(&places, one);
        assert!(places.take(same).is_none());
        drop(held);
        assert_eq!(places.taken().by_client.len(), 0);
    }

    #[test]
    fn there_are_so_many_for_all() {
        let places = Places::new(8);
        let held: Vec<Place> =
            (0..=255).filter_map(|number| places.take(Some(client(number)))).collect();
        assert_eq!((held.len(), places.taken().all), (8, 8));
        drop(held);
        assert_eq!(places.taken().all, 0);
    }
}
