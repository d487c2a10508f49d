//! The engine loses what it had acknowledged: nodes go on with what their disks have, in another epoch.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::snapshots::{publish, trimmed_pair};
use super::{Pair, data, history, on_each, post_once, try_get};
use crate::harness::{get, post, until};
use crate::resume::Way;
use crate::state::put;

/// The epoch that nodes follow in, once they do in one that is none of these.
#[track_caller]
fn other_epoch(addresses: [SocketAddr; 2], before: &[&str]) -> String {
    let epoch = |address: SocketAddr| {
        let said = try_get(address, "/v1/nodes").filter(|answer| answer.status == 200)?.json();
        let is_well = said["standing"]["state"] == "following";
        said["epoch"].as_str().filter(|_| is_well).map(ToOwned::to_owned)
    };
    let mut found = None;
    until("both follow in one other epoch", || {
        let [one, other] = addresses.map(epoch);
        found = one.filter(|one| other.as_ref() == Some(one) && !before.contains(&&**one));
        found.is_some()
    });
    found.expect("it was found")
}

/// Without their cursors, which are of an epoch.
fn without_epoch(events: &[Value]) -> Vec<Value> {
    let plain = |event: &Value| {
        let cursor = event["cursor"].as_str().expect("a cursor");
        let offset = cursor.rsplit_once('-').map_or(cursor, |(_, offset)| offset);
        json!({ "topic": event["topic"], "data": event["data"], "offset": offset })
    };
    events.iter().map(plain).collect()
}

/// All that there was is there, at both, in its places, and so is what counts once.
#[track_caller]
fn has_its_history(pair: &Pair, (known, key): (&[Value], &str), old: &str) {
    let addresses = pair.addresses();
    for address in addresses {
        until("it takes events", || {
            post_once(address, "lab/once", (key, "\"again\"")).status < 300
        });
    }
    pair.settle();
    let events = history(addresses[0], "lab/a");
    assert_eq!(without_epoch(&events[..known.len()]), without_epoch(known));
    for address in addresses {
        assert_eq!(history(address, "lab/a"), events);
        assert_eq!(data(&history(address, "lab/once")), [json!("once")]);
        let values = get(address, "/v1/topics/tickers/x").json()["events"].clone();
        assert_eq!(values.as_array().map(Vec::len), Some(2), "{values}");
        for way in Way::ALL {
            let taken = way.take(address, "topic=lab/a", old, events.len());
            let gap = taken.gap.unwrap_or_else(|| panic!("no gap from {way:?}"));
            assert_eq!((&gap["reason"], &gap["from"]), (&json!("epoch"), &json!(old)), "{way:?}");
            assert_eq!(taken.events, events, "{way:?}");
        }
    }
}

#[test]
fn history_outlives_an_old_copy_of_the_engine_and_an_engine_without_anything() {
    on_each(|mut pair| {
        let addresses = pair.addresses();
        let first = other_epoch(addresses, &[]);
        let made = post_once(addresses[0], "lab/once", ("k", "\"once\""));
        assert!(made.status < 300, "{}", made.text());
        trimmed_pair(&pair);
        pair.engine.copy();
        let body = "\"after the copy\"";
        until("it takes events", || post_once(addresses[1], "lab/a", ("c", body)).status < 300);
        put(addresses[0], "tickers/x", "b", "2");
        publish(addresses, "lab/a", 20);
        pair.settle();
        let known = history(addresses[1], "lab/a");
        let old = known[known.len() - 3]["cursor"].as_str().expect("a cursor").to_owned();
        pair.engine.restore();
        let second = other_epoch(addresses, &[&first]);
        has_its_history(&pair, (&known, "k"), &old);
        // And once more, with nothing.
        let last = post(addresses[0], "/v1/topics/lab/a", "\"last\"").cursor();
        pair.settle();
        let known = history(addresses[1], "lab/a");
        pair.engine.lose_everything();
        other_epoch(addresses, &[&first, &second]);
        has_its_history(&pair, (&known, "k"), &last);
        // Whoever joins gets it as well, and so does who starts again.
        let late = pair.join();
        pair.nodes[1].kill();
        pair.nodes[1].restart();
        pair.settle();
        assert_eq!(history(late.address(), "lab/a"), history(addresses[0], "lab/a"));
    });
}

/// A node that slept through it gets a copy of what the others went on with.
#[test]
fn who_was_away_while_the_engine_lost_everything_has_what_the_others_have() {
    on_each(|mut pair| {
        let addresses = pair.addresses();
        let first = other_epoch(addresses, &[]);
        publish(addresses, "lab/a", 20);
        pair.settle();
        pair.nodes[1].kill();
        post(addresses[0], "/v1/topics/lab/a", "\"alone\"").cursor();
        let known = history(addresses[0], "lab/a");
        pair.engine.lose_everything();
        other_epoch([addresses[0]; 2], &[&first]);
        pair.nodes[1].restart();
        pair.settle();
        let events = history(addresses[1], "lab/a");
        assert_eq!(without_epoch(&events), without_epoch(&known));
        assert_eq!(events, history(addresses[0], "lab/a"));
        assert!(pair.nodes[1].process().errors().contains("The snapshot is in place"));
    });
}

/// It lacks what they go on with, and knows them by a secret that has gone with the log.
#[test]
fn who_sleeps_while_the_engine_loses_everything_and_others_start_again_has_what_they_have() {
    on_each(|mut pair| {
        let addresses = pair.addresses();
        let first = other_epoch(addresses, &[]);
        publish(addresses, "lab/a", 20);
        pair.settle();
        pair.nodes[1].process().signal("STOP");
        post(addresses[0], "/v1/topics/lab/a", "\"alone\"").cursor();
        let known = history(addresses[0], "lab/a");
        pair.nodes[0].kill();
        pair.engine.lose_everything();
        pair.nodes[0].restart();
        pair.nodes[1].process().signal("CONT");
        other_epoch(addresses, &[&first]);
        pair.settle();
        let events = history(addresses[1], "lab/a");
        assert_eq!(without_epoch(&events), without_epoch(&known));
        assert_eq!(events, history(addresses[0], "lab/a"));
    });
}
