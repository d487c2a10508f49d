//! Connections of those who show something newer of who they are.

use std::time::Duration;

use bellwire_hub::Start;
use bellwire_model::limits::RENEW_AHEAD;
use bellwire_model::{Filter, FilterSet, Principal, Scope, Sight};

use super::rig::{Client, NDJSON, PLAIN_WEBSOCKET, Rig, SSE, text};
use crate::form::Form;

const ADA: Principal = Principal(1);
const FORMS: [Form; 3] = [SSE, NDJSON, PLAIN_WEBSOCKET];

const TOLD: &str = r#"{"control":"narrowed","topics":["#;

/// The only connection's round of the wheel.
fn look_after(rig: &mut Rig) {
    let token = rig.shard.connections.iter().next().expect("it is there").0;
    let now = rig.shard.agenda.now();
    rig.shard.check_standing(token, now);
    rig.settle();
}

fn ends(rig: &Rig, left: Duration, tolerated: Duration) {
    *rig.guests.ends.lock().expect("not poisoned") = Some((left, tolerated));
}

#[test]
fn a_client_is_told_once_ahead_of_the_end_and_again_after_it_has_renewed() {
    for form in FORMS {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["a"], Start::Latest, form);
        rig.settle();
        let told = |client: &mut Client| client.count("\"control\":\"renew\"");
        ends(&rig, RENEW_AHEAD + Duration::from_secs(1), RENEW_AHEAD * 2);
        look_after(&mut rig);
        assert_eq!(told(&mut client), 0, "{form:?}");
        let left = Duration::from_secs(59);
        ends(&rig, left, left);
        for _ in 0..3 {
            look_after(&mut rig);
        }
        assert_eq!(told(&mut client), 1, "{form:?}");
        assert_eq!(client.count(r#""expires_in_ms":59000,"renews":"principal-1"}"#), 1);
        rig.renew(ADA, (&["a"], Sight::all()));
        rig.settle();
        assert_eq!(client.count(TOLD), 0, "nothing is lost");
        look_after(&mut rig);
        assert_eq!(told(&mut client), 2, "{form:?}");
        assert_eq!(rig.shard.surroundings.figures.credentials_tolerated.get(), 0);
        ends(&rig, Duration::ZERO, left);
        for _ in 0..2 {
            look_after(&mut rig);
        }
        assert_eq!(rig.shard.surroundings.figures.credentials_tolerated.get(), 1);
        rig.publish("a", "\"still\"");
        rig.settle();
        assert_eq!((told(&mut client), client.count("still")), (2, 1), "{form:?}");
        ends(&rig, Duration::ZERO, Duration::ZERO);
        look_after(&mut rig);
        assert_eq!(client.count("\"reason\":\"credential_expired\""), 1);
    }
}

/// Such as one of some seconds: its client is to be told in time, be the next heartbeat far off.
#[test]
fn who_renews_by_what_ends_soon_is_looked_after_ahead_of_its_end() {
    for form in FORMS {
        let mut rig = Rig::new();
        let _client = rig.connect(&["a"], Start::Latest, form);
        rig.settle();
        let left = Duration::from_secs(20);
        ends(&rig, left, left);
        rig.renew(ADA, (&["a"], Sight::all()));
        rig.settle();
        let (_, connection) = rig.shard.connections.iter().next().expect("it is there");
        let ahead = rig.shard.agenda.until(connection.due_at);
        assert!(ahead < Duration::from_secs(11), "{ahead:?} {form:?}");
    }
}

#[test]
fn what_new_rights_leave_less_of_goes_on_without_loss_and_the_rest_is_over() {
    for form in FORMS {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["a", "b/*"], Start::Latest, form);
        rig.settle();
        // In the inbox still when they renew, and pushed before or after it.
        rig.publish_all(&["a", "b/1", "b/2"], "\"before\"");
        rig.renew(ADA, (&["a", "b/1", "c"], Sight::all()));
        rig.settle();
        assert_eq!(client.count(r#"{"control":"narrowed","topics":["a","b/1"]}"#), 1, "{form:?}");
        rig.publish_all(&["a", "b/1", "b/2", "c"], "\"after\"");
        rig.settle();
        for topic in ["a", "b/1"] {
            for data in ["before", "after"] {
                let event = |text: &str| {
                    text.contains(&format!("\"topic\":\"{topic}\"")) && text.contains(data)
                };
                let all = client.take();
                let parts = all.split("{\"topic\"").skip(1);
                let events = parts.map(|part| format!("{{\"topic\"{part}"));
                assert_eq!(events.filter(|it| event(it)).count(), 1, "{topic} {data} {form:?}");
            }
        }
        let all = client.take();
        assert!(!all.contains("\"topic\":\"c\""), "what is gained is not added");
        let after = all.split("narrowed").nth(1).expect("told");
        assert!(!after.contains("\"topic\":\"b/2\""), "{form:?}: {after}");
        // One that was gained before, too: it is not asked for again.
        rig.renew(ADA, (&["**"], Sight::all()));
        rig.publish("b/2", "1");
        rig.settle();
        assert_eq!(client.count(TOLD), 1);
    }
}

#[test]
fn who_is_left_with_nothing_or_sees_something_else_is_told_good_bye() {
    let scope = Scope::of(vec!["team=a".parse().expect("matchers")]);
    let team = Sight { alerts: scope.clone(), series: scope };
    for form in FORMS {
        for (allowed, sight, reason) in
            [(&["b"][..], Sight::all(), "forbidden"), (&["**"], team.clone(), "rights_changed")]
        {
            let mut rig = Rig::new();
            let mut client = rig.connect(&["a", "alerts/**"], Start::Latest, form);
            rig.settle();
            rig.renew(ADA, (allowed, sight));
            rig.settle();
            rig.publish("a", "1");
            rig.settle();
            assert_eq!(client.count(&format!("\"reason\":\"{reason}\"")), 1, "{form:?}");
            assert_eq!((client.count("\"topic\":\"a\""), client.count(TOLD)), (0, 0));
            assert_eq!(rig.shard.surroundings.figures.rights_changed.get(), 1);
        }
    }
}

#[test]
fn who_renews_on_the_way_in_has_the_rights_that_are_new() {
    for form in FORMS {
        let mut rig = Rig::new();
        rig.renew(ADA, (&["a"], Sight::all()));
        let mut client = rig.connect(&["a", "b"], Start::Latest, form);
        let mut nothing = rig.connect(&["b"], Start::Latest, form);
        rig.settle();
        rig.publish_all(&["a", "b"], "1");
        rig.settle();
        assert_eq!(client.count(r#"{"control":"narrowed","topics":["a"]}"#), 1, "{form:?}");
        assert_eq!(client.count("\"topic\":\"a\""), 1);
        assert_eq!(client.count("\"topic\":\"b\""), 0);
        assert_eq!(nothing.take(), "");
    }
}

#[test]
fn what_is_lost_on_the_way_in_can_be_taken_back_as_it_was_asked_for() {
    let mut rig = Rig::new();
    rig.renew(ADA, (&["a"], Sight::all()));
    let mut client = rig.shake_hands(&["a", "b"], PLAIN_WEBSOCKET);
    rig.settle();
    client.send(&text(r#"{"request":"unsubscribe","id":1,"topics":["b"]}"#));
    rig.settle();
    assert_eq!(client.count(r#"{"control":"narrowed","topics":["a"]}"#), 1);
    assert_eq!(client.count(r#"{"reply":1}"#), 1, "{}", client.take());
}

#[test]
fn a_websocket_renews_itself_alone() {
    let mut rig = Rig::new();
    let mut client = rig.connect(&["a", "b"], Start::Latest, PLAIN_WEBSOCKET);
    let mut other = rig.connect(&["a", "b"], Start::Latest, PLAIN_WEBSOCKET);
    rig.settle();
    let allowed: FilterSet = "b".parse::<Filter>().expect("a filter").into();
    rig.guests.rights.lock().expect("not poisoned").insert(Principal(2), (allowed, Sight::all()));
    client.send(&text(r#"{"request":"subscribe","id":1,"topics":["c"]}"#));
    client.send(&text(r#"{"request":"renew","id":2,"token":"nobody"}"#));
    client.send(&text(r#"{"request":"renew","id":3,"token":"2"}"#));
    client.send(&text(r#"{"request":"renew","id":4}"#));
    rig.settle();
    rig.publish_all(&["a", "b", "c"], "1");
    rig.settle();
    let told =
        r#"{"reply":2,"error":{"code":"draining","detail":"nobody is here","retry_ms":3000}}"#;
    assert_eq!(client.count(told), 1);
    assert_eq!(client.count(r#"{"reply":3}"#), 1);
    assert_eq!(client.count(r#"{"reply":4,"error":{"code":"parameter_invalid""#), 1);
    assert_eq!(client.count(r#"{"control":"narrowed","topics":["b"]}"#), 1);
    assert_eq!(["a", "b", "c"].map(|it| client.count(&format!("\"topic\":\"{it}\""))), [0, 1, 0]);
    assert_eq!(["a", "b"].map(|it| other.count(&format!("\"topic\":\"{it}\""))), [1, 1]);
    // What was asked for can be taken back by its name.
    client.send(&text(r#"{"request":"unsubscribe","id":5,"topics":["a"]}"#));
    rig.settle();
    assert_eq!(client.count(r#"{"reply":5}"#), 1);
}

#[test]
fn one_whose_socket_is_full_is_told_when_it_has_room() {
    let mut rig = Rig::new();
    let mut client = rig.connect(&["a", "b"], Start::Latest, SSE);
    rig.settle();
    for _ in 0..40 {
        rig.publish("a", &format!("\"{}\"", "x".repeat(16_000)));
        rig.turn();
    }
    let token = rig.shard.connections.iter().next().expect("it is there").0;
    assert!(rig.shard.connections[token].outlet.is_full());
    rig.renew(ADA, (&["a"], Sight::all()));
    rig.publish_all(&["b", "a"], "\"last\"");
    rig.turn();
    while client.count("\"last\"") == 0 {
        rig.turn();
    }
    assert_eq!(client.count("\"topic\":\"a\""), 41, "nothing is lost");
    assert_eq!(client.count("\"topic\":\"b\""), 0);
    let all = client.take();
    let told = all.find(TOLD).expect("told");
    assert!(told < all.find("\"last\"").expect("it came"));
}
