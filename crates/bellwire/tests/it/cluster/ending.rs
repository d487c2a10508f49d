//! A node is asked to end at a moment when much waits for what is away.

use std::net::SocketAddr;

use serde_json::json;

use super::KINDS;
use super::desk::{House, on_each, sample, story, told};
use crate::harness::{Answer, Engine, Raw, get, post, until};

/// What a node says that ends without its engine.
const GIVEN_UP: &str = "does not take all that there is to say of alerts";

/// What one says whose log is another one.
const BEGINS_ANEW: [&str; 2] = ["all clients begin anew", "it begins with a snapshot"];

/// How the engine goes away.
const WAYS: [fn(&mut Engine); 2] = [Engine::kill, |engine| engine.pause()];

fn post_json(address: SocketAddr, path: &str, body: &str) -> Answer {
    let head = "Content-Type: application/json\r\n";
    Raw::connect(address).try_post(path, head, body).expect("an answer")
}

/// It is told to come again, and whether that may count twice.
#[track_caller]
fn is_unsure(answer: &Answer, code: &str) {
    let said = answer.json();
    assert_eq!((answer.status, &said["code"]), (503, &json!(code)), "{said}");
    assert_eq!(said["may_be_taken"], true, "{said}");
    assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
}

#[test]
fn a_keeper_without_its_engine_answers_who_waits_and_ends_when_it_is_asked_to() {
    for (kind, goes_away) in KINDS.into_iter().zip(WAYS) {
        let Some(mut house) = Engine::start(kind).map(House::on) else { continue };
        let keeper = house.pair.addresses()[house.keeper];
        sample(keeper, "door_open", 0);
        goes_away(&mut house.pair.engine);
        let silence = json!({
            "matchers": [{ "name": "alertname", "value": "DoorOpen", "isRegex": false }],
            "startsAt": "2020-01-01T00:00:00Z",
            "endsAt": "2999-01-01T00:00:00Z",
            "createdBy": "ada",
            "comment": "a drill",
        });
        std::thread::scope(|scope| {
            let fires = json!({ "name": "fire", "labels": { "site": "oslo" }, "value": 1 });
            let fires = fires.to_string();
            let sampled = scope.spawn(move || post_json(keeper, "/v1/samples", &fires));
            let silence = silence.to_string();
            let silenced = scope.spawn(move || post_json(keeper, "/api/v2/silences", &silence));
            is_unsure(&sampled.join().expect("an answer"), "desk_away");
            let refused = post(keeper, "/-/reload", "");
            assert_eq!(refused.json()["code"], "journal_unavailable", "{}", refused.text());
            assert_eq!(get(keeper, "/readyz").status, 503);
            // In the words of Alertmanager.
            let silenced = silenced.join().expect("an answer");
            assert_eq!(silenced.status, 503, "{}", silenced.text());
        });
        let ended = house.keeper().end();
        let said = house.keeper().process().errors();
        assert_eq!(ended.code(), Some(0), "{said}");
        assert!(said.contains(GIVEN_UP), "{said}");
        match kind {
            crate::harness::engine::Kind::Nats => house.pair.engine.start_again(),
            crate::harness::engine::Kind::Redis => house.pair.engine.resume(),
        }
        house.pass_over();
        // Its sender was told to send it again.
        let address = house.pair.addresses()[house.keeper];
        sample(address, "fire", 1);
        until("it fires", || told(address).contains_key("Fire"));
        let old = 1 - house.keeper;
        house.pair.nodes[old].restart();
        house.pair.settle();
        let expected = story(&[("Fire", &["firing"])]);
        assert_eq!((told(keeper), told(address)), (expected.clone(), expected));
    }
}

/// The keeper, which begins anew as its engine has lost everything, and was asked to end meanwhile; and a request
/// that it waits for.
fn asked_to_end(house: &mut House) -> Raw {
    sample(house.other(), "door_open", 0);
    let mut slow = Raw::connect(house.pair.addresses()[house.keeper]);
    let head = "POST /v1/topics/lab/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n";
    slow.try_send(format!("{head}1")).expect("it reads");
    house.pair.engine.lose_everything();
    until("the keeper begins anew", || {
        let said = house.keeper().process().errors();
        BEGINS_ANEW.iter().any(|it| said.contains(it))
    });
    let node = house.keeper().process();
    node.signal("TERM");
    node.wait_for_error("It ends where it was to begin anew");
    slow
}

#[test]
fn a_node_that_begins_anew_hears_that_it_is_to_end() {
    on_each(|mut house| {
        let mut slow = asked_to_end(&mut house);
        slow.try_send("23").expect("it reads");
        let node = house.keeper().process();
        let ended = node.wait();
        assert_eq!(ended.code(), Some(0), "{}", node.errors());
        // It does not keep the desk from others.
        sample(house.other(), "door_open", 1);
    });
}

#[test]
fn a_second_signal_ends_a_node_that_begins_anew_at_once() {
    let Some(mut house) = KINDS.into_iter().find_map(Engine::start).map(House::on) else { return };
    let _slow = asked_to_end(&mut house);
    let node = house.keeper().process();
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(130), "{}", node.errors());
}
