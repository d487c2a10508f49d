//! All clients, by their places and by their names.

use bellwire_model::NameMap;
use slab::Slab;

use super::client::Client;
use super::gate::Arrival;

/// All of them.
#[derive(Default)]
pub(super) struct Clients {
    /// In boxes: a place that is free is a pointer.
    all: Slab<Box<Client>>,
    by_name: NameMap<Box<str>, usize>,
    numbers: u64,
}

impl Clients {
    pub(super) fn add(&mut self, arrival: Arrival, now_s: u32) -> usize {
        self.numbers += 1;
        self.all.insert(Box::new(Client::new(arrival, self.numbers, now_s)))
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn places(&self) -> Vec<usize> {
        self.all.iter().map(|(place, _)| place).collect()
    }

    pub(super) fn get(&mut self, place: usize) -> Option<&mut Client> {
        self.all.get_mut(place).map(|client| &mut **client)
    }

    /// The client, where its place is not another's by now.
    pub(super) fn numbered(&mut self, (place, number): (usize, u64)) -> Option<&mut Client> {
        self.get(place).filter(|client| client.number == number)
    }

    /// Who has a name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn name(&mut self, name: Box<str>, place: usize) {
        self.by_name.insert(name, place);
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Client> {
        let client = self.all.try_remove(place)?;
        if let Some(known) = client.known()
            && self.by_name.get(&known.client_id) == Some(&place)
        {
            self.by_name.remove(&known.client_id);
        }
        if self.by_name.capacity() > 4 * self.by_name.len().max(64) {
            self.by_name.shrink_to_fit();
        }
        Some(*client)
    }
}
