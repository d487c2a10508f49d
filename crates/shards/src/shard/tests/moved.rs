//! Connections that go on elsewhere from how they are described: nothing is missing, nothing twice.

use bellwire_hub::Start;
use bellwire_model::{Filter, FilterSet};

use super::rig::{Client, PLAIN_WEBSOCKET, Rig, SSE, WEBSOCKET, text};
use crate::shard::described::{Described, DescribedSubscription};

const EVENTS: usize = 1_000;

fn publish(rig: &mut Rig, number: usize) {
    let filling = "x".repeat(1_000);
    rig.publish(&format!("lab/{}", number % 3), &format!("\"n{number} {filling}\""));
}

/// The numbers of the events in what a client was sent.
fn numbers(sent: &str) -> Vec<usize> {
    let after = sent.split("\"data\":\"n").skip(1);
    after.map(|rest| rest.split(' ').next().expect("a number").parse().expect("one")).collect()
}

fn filters(subscription: &DescribedSubscription) -> Vec<String> {
    subscription.follows.filters().iter().map(ToString::to_string).collect()
}

fn go_on(rig: &mut Rig, described: &Described) -> Client {
    let filters = filters(&described.main);
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    rig.connect(&filters, Start::After(described.main.cursor), described.form)
}

#[test]
fn a_connection_goes_on_elsewhere_from_how_it_is_described() {
    let (mut here, mut elsewhere) = (Rig::new(), Rig::new());
    let forms = [SSE, PLAIN_WEBSOCKET];
    let mut clients = forms.map(|form| here.connect(&["lab/*"], Start::Latest, form));
    here.turn();
    // Some are taken; then the sockets are full.
    for number in 0..EVENTS {
        for rig in [&mut here, &mut elsewhere] {
            publish(rig, number);
        }
        here.turn();
        if number < 100 {
            for client in &mut clients {
                client.take();
            }
        }
    }
    elsewhere.turn();
    let described: Vec<Described> = here.shard.describe_all().collect();
    assert_eq!(described.len(), forms.len());
    for (client, described) in clients.iter_mut().zip(&described) {
        assert!(!described.unwritten.is_empty(), "its socket is full");
        let unwritten = String::from_utf8_lossy(&described.unwritten).into_owned();
        let mut other = go_on(&mut elsewhere, described);
        let mut sent = String::new();
        while numbers(&sent).len() < EVENTS {
            elsewhere.turn();
            sent = format!("{}{unwritten}{}", client.take(), other.take());
            assert!(elsewhere.turns < 10_000, "it gets on");
        }
        assert_eq!(numbers(&sent), (0..EVENTS).collect::<Vec<_>>(), "{:?}", described.form);
    }
}

#[test]
fn what_a_websocket_adds_is_described_beside_what_it_follows() {
    let mut rig = Rig::new();
    for number in 0..EVENTS {
        publish(&mut rig, number);
    }
    let mut client = rig.connect(&["a"], Start::Latest, WEBSOCKET);
    rig.turn();
    client.send(&text(r#"{"request":"subscribe","topics":["lab/*"],"after":"earliest"}"#));
    rig.turn();
    let described: Vec<Described> = rig.shard.describe_all().collect();
    let [described] = &described[..] else { panic!("{described:?}") };
    assert_eq!((described.name.as_str(), described.form), ("shard-0/0", WEBSOCKET));
    assert_eq!(filters(&described.main), ["a"]);
    let [added] = &described.added[..] else { panic!("{described:?}") };
    assert_eq!(filters(added), ["lab/*"]);
    assert!(added.cursor.offset < described.main.cursor.offset, "it is catching up");
    let expected: FilterSet = "lab/*".parse::<Filter>().expect("a filter").into();
    assert_eq!(*added.follows.filters(), expected);
}
