//! What is published at one node, at the others.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{data, history, on_each, post_once};
use crate::harness::{Request, Stream, StreamItem, WebSocket, get, post, request, until};
use crate::resume::Way;

/// Events of each publisher.
const EACH: usize = 60;

/// Reads what comes by asking again and again, each time where the last answer ended.
fn poll(address: SocketAddr, topic: &str, (after, count): (&str, usize)) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), after.to_owned());
    while events.len() < count {
        let path = format!("/v1/events?topic={topic}&wait=60s&after={cursor}");
        let headers = [("Accept", "application/json")];
        let asked = Request { method: "GET", path: &path, headers: &headers, body: b"" };
        let page = request(address, asked).json();
        assert_eq!(page.get("gap"), None, "{page}");
        events.extend(page["events"].as_array().expect("events").iter().cloned());
        page["cursor"].as_str().expect("a cursor").clone_into(&mut cursor);
    }
    events
}

#[test]
fn what_is_published_at_one_node_is_seen_at_each_in_one_order_and_once() {
    on_each(|pair| {
        let addresses = pair.addresses();
        let mut streams = addresses.map(|address| Stream::open(address, "topic=lab/a"));
        let mut sockets = addresses.map(|address| WebSocket::open(address, "topic=lab/a"));
        for stream in &mut streams {
            drop(stream.until_ready());
        }
        for socket in &mut sockets {
            drop(socket.until_ready(&Value::Null));
        }
        let (published, polled) = std::thread::scope(|scope| {
            let poll = |address| move || poll(address, "lab/a", ("earliest", 2 * EACH));
            let polls = addresses.map(|address| scope.spawn(poll(address)));
            let publish = |(node, address): (usize, SocketAddr)| {
                move || -> Vec<String> {
                    let body = |number| json!({ "node": node, "number": number }).to_string();
                    (0..EACH)
                        .map(|number| post(address, "/v1/topics/lab/a", body(number)).cursor())
                        .collect()
                }
            };
            let publishers: Vec<_> =
                addresses.into_iter().enumerate().map(|it| scope.spawn(publish(it))).collect();
            let published = publishers.into_iter().map(|it| it.join().expect("published"));
            let published: Vec<Vec<String>> = published.collect();
            (published, polls.map(|it| it.join().expect("polled")))
        });
        let expected = &polled[0];
        assert_eq!(expected, &polled[1]);
        for stream in &mut streams {
            let items = stream.events(2 * EACH);
            let seen: Vec<Value> = items.iter().map(StreamItem::json).collect();
            assert_eq!(&seen, expected);
            assert!(items.iter().all(|item| item.json()["cursor"] == item.id.as_str()));
        }
        for socket in &mut sockets {
            assert_eq!(&socket.events(2 * EACH), expected);
        }
        for (node, acknowledged) in published.iter().enumerate() {
            let own = || expected.iter().filter(|event| event["data"]["node"] == node);
            let cursors: Vec<_> = own().map(|event| event["cursor"].as_str()).collect();
            assert!(acknowledged.iter().map(|it| Some(it.as_str())).eq(cursors), "in its order");
            let numbers: Vec<_> = own().map(|event| event["data"]["number"].as_u64()).collect();
            assert!(numbers.into_iter().eq((0..EACH as u64).map(Some)));
        }
        for address in addresses {
            assert_eq!(&history(address, "lab/a"), expected);
        }
    });
}

#[test]
fn a_cursor_of_one_node_is_gone_on_from_at_the_other() {
    on_each(|pair| {
        let [one, other] = pair.addresses();
        for number in 0..6 {
            post([one, other][number % 2], "/v1/topics/lab/a", number.to_string()).cursor();
        }
        pair.settle();
        let all = history(one, "lab/a");
        for address in [one, other] {
            for (place, event) in all.iter().enumerate().take(5) {
                let cursor = event["cursor"].as_str().expect("a cursor");
                for way in Way::ALL {
                    let taken = way.take(address, "topic=lab/a", cursor, 5 - place);
                    assert_eq!(taken.gap, None, "{way:?}");
                    assert_eq!(taken.events, all[place + 1..], "{way:?}");
                }
            }
        }
    });
}

/// It comes sooner than what it has seen.
#[test]
fn who_comes_over_from_a_node_that_is_ahead_misses_nothing_and_has_no_gap() {
    on_each(|pair| {
        let [one, other] = pair.addresses();
        for number in 0..EACH {
            let cursor =
                post(one, "/v1/topics/lab/a", json!({ "seen": number }).to_string()).cursor();
            let query = format!("topic=lab/a&after={cursor}");
            let mut stream = Stream::open(other, &query);
            let mut socket = WebSocket::open(other, &query);
            let next = json!({ "next": number });
            std::thread::scope(|scope| {
                let polling = scope.spawn(|| poll(other, "lab/a", (&cursor, 1)));
                post(one, "/v1/topics/lab/a", next.to_string()).cursor();
                assert_eq!(data(&polling.join().expect("polled")), std::slice::from_ref(&next));
            });
            let first = std::iter::repeat_with(|| stream.next().expect("the stream goes on"));
            let first = first.into_iter().find(|item| item.event_type != "ready").expect("one");
            assert_eq!((first.event_type.as_str(), first.payload()), ("message", next.clone()));
            let first = std::iter::repeat_with(|| socket.next());
            let first = first.into_iter().find(|item| item["control"] != "ready").expect("one");
            assert_eq!(first["data"], next, "{first}");
        }
    });
}

#[test]
fn a_node_that_was_killed_has_what_came_meanwhile() {
    on_each(|mut pair| {
        let [one, other] = pair.addresses();
        let before = post(other, "/v1/topics/lab/a", "0").cursor();
        let mut stream = Stream::open(one, &format!("topic=lab/a&after={before}"));
        for round in 0..3 {
            pair.nodes[1].kill();
            for number in 0..20 {
                let number = 1 + round * 20 + number;
                post(one, "/v1/topics/lab/a", number.to_string()).cursor();
            }
            pair.nodes[1].restart();
            assert_eq!(history(other, "lab/a"), history(one, "lab/a"));
        }
        let expected: Vec<Value> = (1..=60).map(Value::from).collect();
        let seen: Vec<Value> = stream.events(60).iter().map(StreamItem::payload).collect();
        assert_eq!(seen, expected);
        for way in Way::ALL {
            let taken = way.take(other, "topic=lab/a", &before, 60);
            assert_eq!((taken.gap, data(&taken.events)), (None, expected.clone()), "{way:?}");
        }
    });
}

/// What it has acknowledged, too, whenever it is killed.
#[test]
fn what_a_node_has_acknowledged_is_at_the_others_when_it_is_killed() {
    on_each(|mut pair| {
        let [one, other] = pair.addresses();
        for number in 0..10 {
            let cursor = post(other, "/v1/topics/lab/a", number.to_string()).cursor();
            pair.nodes[1].kill();
            until("the other has it", || {
                history(one, "lab/a").last().is_some_and(|event| event["cursor"] == cursor.as_str())
            });
            pair.nodes[1].restart();
        }
        assert_eq!(data(&history(other, "lab/a")), (0..10).map(Value::from).collect::<Vec<_>>());
    });
}

#[test]
fn an_idempotency_key_counts_once_at_whichever_node() {
    on_each(|pair| {
        let addresses = pair.addresses();
        for number in 0..20 {
            let (key, body) = (format!("k{number}"), number.to_string());
            let once = |address| post_once(address, "lab/a", (&key, &body));
            let [first, second] = std::thread::scope(|scope| {
                let both = addresses.map(|address| scope.spawn(move || once(address)));
                both.map(|it| it.join().expect("published"))
            });
            assert_eq!(first.cursor(), second.cursor(), "at the same time");
            let later = addresses.map(|address| once(address).cursor());
            assert_eq!(later, [first.cursor(), first.cursor()], "and later");
        }
        pair.settle();
        for address in addresses {
            assert_eq!(
                data(&history(address, "lab/a")),
                (0..20).map(Value::from).collect::<Vec<_>>()
            );
        }
    });
}

#[test]
fn nodes_know_of_each_other() {
    on_each(|mut pair| {
        let mut names = BTreeSet::new();
        for node in &pair.nodes {
            let name = std::fs::read_to_string(node.data().join("node")).expect("a name");
            let addresses = (name.trim().to_owned(), format!("http://{}", node.address()));
            names.insert(addresses);
        }
        let told = |address| -> BTreeSet<(String, String)> {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let told = get(address, "/v1/nodes").json();
            let nodes = told["nodes"].as_array().expect("nodes").iter();
            nodes.map(|node| (text(&node["id"]), text(&node["address"]))).collect()
        };
        let [one, other] = pair.addresses();
        for address in [one, other] {
            until("both are named", || told(address) == names);
            let said = get(address, "/v1/nodes").json();
            assert_eq!(said["standing"]["state"], "following", "{said}");
            assert_eq!(said["cluster"], "bellwire");
        }
        let about = |address, name: &str| get(address, "/v1/nodes").json()[name].clone();
        assert_eq!(about(one, "epoch"), about(other, "epoch"));
        assert_ne!(about(one, "node"), about(other, "node"));
        // It is who it was.
        pair.nodes[1].kill();
        pair.nodes[1].restart();
        until("they are the same two", || told(one) == names && told(other) == names);
    });
}
