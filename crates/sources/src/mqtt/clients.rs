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

    /// Who holds the most of what is not whole, until they hold so much together.
    pub(super) fn largest(&self, bytes: usize) -> Vec<usize> {
        let held = self.all.iter().map(|(place, client)| (client.input.len(), place));
        let mut held: Vec<(usize, usize)> = held.filter(|(held, _)| *held > 0).collect();
        held.sort_unstable_by(|one, other| other.cmp(one));
        let mut sum = 0;
        let largest = held.into_iter().take_while(|(held, _)| {
            let is_needed = sum < bytes;
            sum += held;
            is_needed
        });
        largest.map(|(_, place)| place).collect()
    }

    /// A name for a client that has none, which nobody has.
    pub(super) fn free_name(&self, number: u64) -> Box<str> {
        let mut name = format!("#{number}");
        // Each step is a client that is connected and has chosen this.
        while self.by_name.contains_key(&*name) {
            name.push('.');
        }
        name.into()
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

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn who_holds_the_most_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let mut clients = Clients::default();
        let places = [10, 0, 300, 20, 300].map(|bytes| {
            let socket = TcpStream::connect(address).expect("a connection");
            let arrival =
                Arrival { socket, session: None, address: address.ip(), place: Box::new(()) };
            let place = clients.add(arrival, 0);
            clients.get(place).expect("it is there").input = vec![0; bytes];
            place
        });
        for (bytes, expected) in [
            (0, &[][..]),
            (1, &[4]),
            (300, &[4]),
            (301, &[4, 2]),
            (601, &[4, 2, 3]),
            (usize::MAX, &[4, 2, 3, 0]),
        ] {
            let expected: Vec<usize> = expected.iter().map(|number| places[*number]).collect();
            assert_eq!(clients.largest(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn who_has_no_name_gets_one_that_nobody_has() {
        let mut clients = Clients::default();
        assert_eq!(&*clients.free_name(7), "#7");
        clients.name("#7".into(), 0);
        clients.name("#7.".into(), 1);
        assert_eq!(&*clients.free_name(7), "#7..");
    }
}
