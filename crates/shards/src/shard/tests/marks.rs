//! What those are told who resume state topics, where events cannot tell it.

use std::time::Duration;

use bellwire_hub::Start;
use bellwire_model::{Cursor, Version};
use bellwire_process::clock::ticks;

use super::rig::{NDJSON, PLAIN_WEBSOCKET, Rig, SSE};

/// The newest cursor that somebody was told by a control event.
fn told(text: &str) -> Cursor {
    let newest = text.rsplit("\"cursor\":\"").next().expect("there is one");
    let cursor = newest.split('"').next().expect("its end");
    cursor.parse().expect("a cursor")
}

/// What the rig puts has no stamp, so that no value can have a cursor.
#[test]
fn what_values_cannot_tell_a_heartbeat_does_and_once() {
    for form in [SSE, NDJSON, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let mut client = rig.connect_keeping(&["board/*"], Start::Latest, form);
        let mut other = rig.connect(&["board/*"], Start::Latest, form);
        rig.settle();
        assert_eq!(told(&client.take()).to_string(), "e7-0.s5-0", "{form:?}");
        rig.put("board/1", 0..3);
        rig.settle();
        let due = rig.shard.agenda.now() + ticks(Duration::from_hours(2));
        for round in 0..2 {
            let tokens: Vec<_> = rig.shard.connections.iter().map(|(token, _)| token).collect();
            for token in tokens {
                rig.shard.attend(token, due).expect("it is there");
            }
            rig.settle();
            assert_eq!(client.count("heartbeat\","), 1, "{form:?} {round}");
        }
        assert_eq!(told(&client.take()).to_string(), "e7-0.s5-3", "{form:?}");
        let others = other.take();
        assert!(!others.contains(".s5") && !others.contains("reset"), "{others}");
    }
}

#[test]
fn a_snapshot_that_is_cut_goes_on_about_there() {
    const KEYS: usize = 10_000;
    for form in [SSE, NDJSON, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        rig.put_json("board/1", 0..KEYS, &format!("\"{}\"", "x".repeat(200)));
        let mut client = rig.connect_keeping(&["board/*"], Start::Latest, form);
        for _ in 0..4 {
            rig.turn();
            client.take();
        }
        let came = client.take();
        assert!(!came.contains("\"ready\""), "{form:?}");
        let heard = came.matches("\"topic\"").count();
        let cursor = told(&came);
        let mark = cursor.state.expect("it is in the middle");
        assert!(mark.version < mark.since, "{cursor}");
        drop(client);
        rig.put("board/1", KEYS..=KEYS);
        let mut client = rig.connect_keeping(&["board/*"], Start::After(cursor), form);
        for _ in 0..200 {
            rig.turn();
            client.take();
        }
        let came = client.take();
        assert!(came.contains("\"ready\"") && !came.contains("\"reset\""), "{form:?}");
        let rest = came.matches("\"topic\"").count();
        assert_eq!(rest, KEYS + 1 - mark.version.get() as usize, "{form:?}");
        // It has heard of a visit's share that it was not told of yet.
        assert!(heard + rest > KEYS && heard + rest < KEYS + 2_000, "{heard} and {rest}");
        // A cursor that says nothing of state brings all of it, and a reset.
        let plain = Cursor::new(cursor.epoch, cursor.offset);
        let mut anew = rig.connect_keeping(&["board/*"], Start::After(plain), form);
        let mut as_before = rig.connect(&["board/*"], Start::After(cursor), form);
        for _ in 0..200 {
            rig.turn();
            anew.take();
            as_before.take();
        }
        assert_eq!(anew.count("\"reset\""), 1, "{form:?}");
        assert_eq!(as_before.count("\"reset\""), 0, "{form:?}");
        assert_eq!(anew.count("\"topic\""), KEYS + 1, "{form:?}");
        assert_eq!(as_before.count("\"topic\""), KEYS + 1, "{form:?}");
    }
}

/// An entry says what was before it only to those who have all of that.
#[test]
fn an_entry_has_a_mark_for_those_alone_who_resume_state_and_have_what_it_claims() {
    let mut rig = Rig::new();
    let mut keeping = rig.connect_keeping(&["a", "board/*"], Start::Latest, SSE);
    let mut other = rig.connect(&["a", "board/*"], Start::Latest, SSE);
    rig.settle();
    rig.put("board/1", 0..3);
    for version in [0, 3, 4] {
        rig.publish_behind("a", Version::new(version));
    }
    rig.settle();
    let ids = |text: &str| -> Vec<String> {
        let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.map(str::to_owned).collect()
    };
    // Nothing of the fourth change has come to this shard yet.
    assert_eq!(ids(&keeping.take()), ["e7-0.s5-0", "e7-1.s5-0", "e7-2.s5-3", "e7-3"]);
    assert_eq!(ids(&other.take()), ["e7-0", "e7-1", "e7-2", "e7-3"]);
}
