//! The engine of a cluster dies, comes back, and loses what it had.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{data, history, on_each, post_once, try_get};
use crate::harness::{Answer, Stream, StreamItem, WebSocket, get, post, until};
use crate::resume::Way;

/// What nodes say of the cluster; `None` while one begins anew.
fn nodes(address: SocketAddr) -> Option<Value> {
    try_get(address, "/v1/nodes").filter(|answer| answer.status == 200).map(|it| it.json())
}

fn epoch(address: SocketAddr) -> Option<String> {
    let said = nodes(address)?;
    Some(said["epoch"].as_str().expect("an epoch").to_owned())
}

#[track_caller]
fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["code"], "journal_unavailable", "{}", answer.text());
    assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
}

#[test]
fn without_the_engine_nothing_is_taken_in_and_all_is_well_once_it_is_back() {
    on_each(|mut pair| {
        let addresses = pair.addresses();
        let before = post(addresses[0], "/v1/topics/lab/a", "0").cursor();
        pair.settle();
        let mut streams = addresses.map(|address| Stream::open(address, "topic=lab/a"));
        for stream in &mut streams {
            drop(stream.until_ready());
        }
        pair.engine.kill();
        for (node, address) in addresses.into_iter().enumerate() {
            let key = node.to_string();
            let unsure = post_once(address, "lab/a", (&key, "\"unsure\""));
            is_unavailable(&unsure);
            assert_eq!(unsure.json()["may_be_taken"], true, "it was on its way");
            until("it says so", || get(address, "/readyz").status == 503);
            let said = get(address, "/readyz");
            assert!(said.text().contains("journal"), "{}", said.text());
            assert_eq!(get(address, "/healthz").status, 200);
            assert_eq!(data(&history(address, "lab/a"))[0], 0);
            is_unavailable(&get(address, "/v1/nodes"));
            let mut socket = WebSocket::open(address, "topic=lab/b");
            let ask = json!({ "request": "publish", "id": 1, "topic": "lab/b", "data": 1 });
            let error = &socket.call(&ask)["error"];
            assert_eq!(error["code"], "journal_unavailable");
            assert_eq!(error["may_be_taken"], false, "it is refused at once");
        }
        pair.engine.start_again();
        // Whether it was stored the first time or is now, it is so once.
        for (node, address) in addresses.into_iter().enumerate() {
            let key = node.to_string();
            until("it takes events", || {
                post_once(address, "lab/a", (&key, "\"unsure\"")).status < 300
            });
            until("it is ready", || get(address, "/readyz").status == 200);
        }
        let last = post(addresses[1], "/v1/topics/lab/a", "1").cursor();
        pair.settle();
        for (address, stream) in addresses.into_iter().zip(&mut streams) {
            let events = history(address, "lab/a");
            assert_eq!(data(&events), [json!(0), json!("unsure"), json!("unsure"), json!(1)]);
            assert_eq!(events[3]["cursor"], last.as_str());
            let seen: Vec<Value> = stream.events(3).iter().map(StreamItem::json).collect();
            assert_eq!(seen, events[1..]);
            for way in Way::ALL {
                let taken = way.take(address, "topic=lab/a", &before, 3);
                assert_eq!((taken.gap, &taken.events[..]), (None, &events[1..]), "{way:?}");
            }
        }
    });
}

#[test]
fn a_node_that_starts_while_the_engine_is_away_serves_nothing_that_is_old() {
    on_each(|mut pair| {
        let [one, other] = pair.addresses();
        post(one, "/v1/topics/lab/a", "0").cursor();
        pair.nodes[1].kill();
        post(one, "/v1/topics/lab/a", "1").cursor();
        pair.engine.kill();
        let url = pair.engine.url();
        let data_folder = pair.nodes[1].data().to_str().expect("UTF-8").to_owned();
        let process = crate::harness::Process::start(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            &data_folder,
            "--cluster",
            &url,
        ]);
        let (code, output, errors) = process.finish();
        assert_eq!((code, output.as_str()), (Some(1), ""), "{errors}");
        assert!(errors.contains("the engine of the cluster"), "{errors}");
        pair.engine.start_again();
        pair.nodes[1].restart();
        assert_eq!(data(&history(other, "lab/a")), [0, 1]);
    });
}

#[test]
fn nodes_whose_engine_has_lost_everything_begin_anew_in_one_new_epoch() {
    on_each(|mut pair| {
        let addresses = pair.addresses();
        let before = epoch(addresses[0]).expect("it is there");
        let old = post(addresses[0], "/v1/topics/lab/a", "0").cursor();
        post(addresses[1], "/v1/topics/lab/a", "1").cursor();
        pair.settle();
        let mut streams = addresses.map(|address| Stream::open(address, "topic=lab/a"));
        for stream in &mut streams {
            drop(stream.until_ready());
        }
        pair.engine.lose_everything();
        until("both follow in one new epoch", || {
            let [one, other] = addresses.map(epoch);
            one.is_some() && one == other && one.as_ref() != Some(&before)
        });
        // Who was there is sent away, and comes back.
        for stream in &mut streams {
            while let Some(item) = stream.next() {
                let kinds = ["degraded", "restored", "bye"];
                assert!(kinds.contains(&item.event_type.as_str()), "{item:?}");
            }
        }
        for (number, address) in addresses.into_iter().enumerate() {
            until("it takes events", || {
                let number = number.to_string();
                post_once(address, "lab/a", (&number, &number)).status < 300
            });
        }
        pair.settle();
        let events = history(addresses[0], "lab/a");
        let is_new =
            |event: &&Value| event["cursor"].as_str().is_some_and(|it| !it.starts_with(&before));
        assert!(events.iter().all(|event| is_new(&event)), "{events:?}");
        for address in addresses {
            assert_eq!(history(address, "lab/a"), events);
            for way in Way::ALL {
                let taken = way.take(address, "topic=lab/a", &old, events.len());
                let gap = taken.gap.unwrap_or_else(|| panic!("no gap from {way:?}"));
                assert_eq!(
                    (&gap["reason"], &gap["from"]),
                    (&json!("epoch"), &json!(old)),
                    "{way:?}"
                );
                assert_eq!(taken.events, events, "{way:?}");
            }
        }
    });
}
