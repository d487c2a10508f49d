//! Places of those who wait for something that takes its time: so many in all, and a share of them for
//! each network, so that nobody takes all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::network;

/// The places that there are.
#[derive(Debug)]
pub(crate) struct Places {
    taken: Mutex<Taken>,
    most: usize,
    most_of_network: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Strangers choose their addresses: the hashes are keyed. As many entries as places at most.
    by_network: HashMap<IpAddr, usize>,
}

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    places: &'a Places,
    network: Option<IpAddr>,
}

impl Places {
    pub(crate) fn new(most: usize, most_of_network: usize) -> Self {
        Self { taken: Mutex::default(), most, most_of_network }
    }

    /// Takes one for whoever comes from this address, where one is known. `None`: there is none left,
    /// or none for that network.
    pub(crate) fn take(&self, from: Option<IpAddr>) -> Option<Place<'_>> {
        let network = from.map(network::counted);
        let mut taken = self.taken();
        if taken.all >= self.most {
            return None;
        }
        if let Some(network) = network {
            let of_network = taken.by_network.entry(network).or_default();
            if *of_network >= self.most_of_network {
                return None;
            }
            *of_network += 1;
        }
        taken.all += 1;
        Some(Place { places: self, network })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let Some(network) = self.network else { return };
        if let Some(of_network) = taken.by_network.get_mut(&network) {
            *of_network -= 1;
            if *of_network == 0 {
                taken.by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_and_leaves_the_others_theirs() {
        let places = Places::new(5, 2);
        let from = |text: &str| Some(text.parse().expect("an address"));
        let one = [from("2001:db8:7::1"), from("2001:db8:7:8::2")].map(|it| places.take(it));
        assert!(one.iter().all(Option::is_some));
        assert!(places.take(from("2001:db8:7:9::3")).is_none(), "it has its share");
        let others = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|it| places.take(from(it)));
        assert!(others.iter().all(Option::is_some));
        assert!(places.take(None).is_none(), "all are taken");
        drop((one, others));
        assert!(places.take(from("2001:db8:7:9::3")).is_some());
        assert!(places.taken().by_network.is_empty(), "nothing is kept of who has gone");
    }
}
