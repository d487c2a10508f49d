//! Clients are told of outages: each once, with every event around it.

use bellwire_hub::Start;
use bellwire_model::limits::VISITS_PER_TURN;
use bellwire_model::{Filter, FilterSet, Principal, Sight};
use bellwire_wire::Outage;
use bellwire_wire::durable_streams::{Payload, StreamCursor};
use bellwire_wire::ws::{Compression, Subprotocol};

use super::rig::{Client, NDJSON, PLAIN_WEBSOCKET, Rig, SSE, SSE_GZIP, WEBSOCKET};
use crate::form::{DurableForm, Form, Framing, WebSocketForm};
use crate::shard::Pending;
use crate::stream_request::PollRequest;

const FORMS: [Form; 3] = [SSE, NDJSON, PLAIN_WEBSOCKET];
const AWAY: Option<Outage> = Some(Outage::EngineAway);

const DEGRADED: &str = r#"{"control":"degraded","reason":"engine_away","#;
const RESTORED: &str = r#"{"control":"restored"}"#;

/// How often it was told of each.
fn told(client: &mut Client) -> (usize, usize) {
    (client.count(DEGRADED), client.count(RESTORED))
}

/// Where the only connection is, and what its client was told of that.
fn place(rig: &Rig) -> (u64, u64) {
    let (_, connection) = rig.shard.connections.iter().next().expect("it is there");
    (connection.outlet.told.get(), connection.main.delivery.offset().get())
}

#[test]
fn each_is_told_once_of_an_outage_and_of_its_end_and_gets_every_event_in_order() {
    for form in FORMS {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["a"], Start::Latest, form);
        rig.settle();
        rig.publish("a", "\"0\"");
        rig.settle();
        let before = place(&rig);
        rig.tell(AWAY);
        rig.settle();
        assert_eq!(place(&rig), before, "{form:?}");
        // As where more than one look says so, be it for another reason.
        rig.tell(AWAY);
        rig.tell(Some(Outage::NodeStuck));
        rig.settle();
        assert_eq!(told(&mut client), (1, 0), "{form:?}");
        // In the inbox with it.
        rig.publish("a", "\"1\"");
        rig.tell(None);
        rig.publish("a", "\"2\"");
        rig.settle();
        rig.tell(None);
        rig.publish("a", "\"3\"");
        rig.settle();
        assert_eq!(told(&mut client), (1, 1), "{form:?}");
        let all = client.take();
        let place = |text: &str| all.find(text).unwrap_or_else(|| panic!("{text} in {all}"));
        let events = ["0", "1", "2", "3"].map(|it| format!("\"data\":\"{it}\""));
        assert!(events.iter().all(|event| all.matches(event.as_str()).count() == 1), "{all}");
        let places = events.each_ref().map(|event| place(event));
        assert!(places.is_sorted(), "{all}");
        assert!(places[0] < place(DEGRADED) && place(DEGRADED) < place(RESTORED), "{all}");
        assert_eq!(client.count("\"control\":\"ready\""), 1, "{form:?}");
    }
}

#[test]
fn it_is_said_as_each_transport_says_what_is_for_one_connection() {
    let mut rig = Rig::new();
    let msgpack =
        WebSocketForm { subprotocol: Subprotocol::Msgpack, compression: Compression::Off };
    let forms = [SSE, SSE_GZIP, WEBSOCKET, Form::WebSocket(msgpack)];
    let mut clients = forms.map(|form| rig.connect(&["a"], Start::Latest, form));
    rig.settle();
    rig.tell(AWAY);
    rig.settle();
    let [sse, gzip, websocket, msgpack] = &mut clients;
    let block = "event: degraded\ndata: {\"control\":\"degraded\",\"reason\":\"engine_away\",";
    assert_eq!(sse.count(block), 1);
    assert!(!sse.take().contains("id: \nevent: degraded"), "it says nothing of the cursor");
    // Small pieces are stored, and frames of the server's own are not compressed.
    assert_eq!((gzip.count(block), websocket.count(DEGRADED)), (1, 1));
    assert_eq!(msgpack.count("\u{a7}control\u{a8}degraded"), 0, "text has no such bytes");
    assert_eq!((msgpack.count("engine_away"), msgpack.count("{\"control\"")), (1, 0));
}

#[test]
fn who_comes_during_an_outage_is_told_behind_ready_and_who_comes_later_is_not() {
    for form in FORMS {
        let mut rig = Rig::new();
        rig.tell(AWAY);
        let mut early = rig.connect(&["a"], Start::Latest, form);
        rig.settle();
        let mut late = rig.connect(&["a"], Start::Latest, form);
        rig.settle();
        for client in [&mut early, &mut late] {
            assert_eq!(told(client), (1, 0), "{form:?}");
            let all = client.take();
            let ready = all.find("\"control\":\"ready\"").expect("ready");
            assert!(ready < all.find(DEGRADED).expect("told"), "{all}");
        }
        rig.tell(None);
        rig.settle();
        let mut after = rig.connect(&["a"], Start::Latest, form);
        rig.settle();
        for client in [&mut early, &mut late] {
            assert_eq!(told(client), (1, 1), "{form:?}");
        }
        assert_eq!(told(&mut after), (0, 0), "{form:?}");
    }
}

#[test]
fn who_catches_up_is_told_behind_ready() {
    for form in FORMS {
        let mut rig = Rig::with_journal(100);
        for number in 0..10 {
            rig.append("a", &number.to_string());
        }
        rig.settle();
        rig.tell(AWAY);
        let mut client = rig.connect(&["a"], Start::Earliest, form);
        rig.settle();
        assert_eq!((told(&mut client), client.count("\"topic\":\"a\"")), ((1, 0), 10), "{form:?}");
        let all = client.take();
        let ready = all.find("\"control\":\"ready\"").expect("ready");
        assert!(ready < all.find(DEGRADED).expect("told"), "{all}");
    }
}

#[test]
fn a_slow_reader_is_told_of_what_is_so_when_it_reads() {
    for form in FORMS {
        for (then, expected) in [(None, (0, 0)), (AWAY, (1, 0))] {
            let mut rig = Rig::new();
            let mut client = rig.connect(&["a"], Start::Latest, form);
            rig.settle();
            for _ in 0..40 {
                rig.publish("a", &format!("\"{}\"", "x".repeat(16_000)));
                rig.turn();
            }
            let connections = &rig.shard.connections;
            let (_, connection) = connections.iter().next().expect("it is there");
            assert!(connection.outlet.is_full());
            for outage in [AWAY, None, AWAY, None, then] {
                rig.tell(outage);
                rig.settle();
            }
            while client.count("\"topic\":\"a\"") < 40 {
                rig.turn();
            }
            rig.settle();
            assert_eq!(told(&mut client), expected, "{form:?}");
        }
    }
}

/// Many are told in pieces, so that whoever waits for an event does not wait for all of them.
#[test]
fn very_many_are_told_some_a_turn_and_each_once() {
    let mut rig = Rig::new();
    let many = 3 * VISITS_PER_TURN + 1;
    let connect = |number: usize| (["a", "b"][number % 2], FORMS[number % 3]);
    let mut clients: Vec<Client> = (0..many)
        .map(|number| {
            let (topic, form) = connect(number);
            rig.connect(&[topic], Start::Latest, form)
        })
        .collect();
    while rig.shard.connections.len() < many {
        rig.turn();
    }
    rig.settle();
    let sum = |clients: &mut Vec<Client>| {
        let told = clients.iter_mut().map(told);
        told.fold((0, 0), |sum, told| (sum.0 + told.0, sum.1 + told.1))
    };
    rig.tell(AWAY);
    rig.turn();
    let (first, _) = sum(&mut clients);
    assert!((1..=VISITS_PER_TURN).contains(&first), "{first}");
    // Those who go and come meanwhile are told as all others are.
    clients.swap_remove(0);
    clients.push(rig.connect(&["a"], Start::Latest, SSE));
    rig.settle();
    assert_eq!(sum(&mut clients), (many, 0));
    rig.tell(None);
    rig.turn();
    // Of those who were told already that it is over, and of those who were not.
    rig.tell(AWAY);
    rig.settle();
    for client in &mut clients {
        let (degraded, restored) = told(client);
        assert_eq!(degraded, restored + 1);
    }
}

#[test]
fn who_renews_during_an_outage_is_told_of_its_end_and_not_of_it_again() {
    for form in FORMS {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["a", "b"], Start::Latest, form);
        rig.settle();
        rig.tell(AWAY);
        rig.settle();
        rig.renew(Principal(1), (&["a"], Sight::all()));
        rig.settle();
        assert_eq!(client.count(r#"{"control":"narrowed","topics":["a"]}"#), 1, "{form:?}");
        rig.tell(None);
        rig.settle();
        assert_eq!(told(&mut client), (1, 1), "{form:?}");
    }
}

/// A poll's answer says it by itself; readers of Durable Streams have no word for it.
#[test]
fn who_has_no_word_for_it_is_given_what_there_is() {
    let mut rig = Rig::new();
    let durable = DurableForm::new(Payload::Json, StreamCursor::default(), Framing::Plain);
    let mut reader = rig.connect(&["a"], Start::Latest, Form::Durable(durable));
    let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
    let request =
        PollRequest::new(filters.into(), Start::Latest, std::time::Duration::from_mins(1));
    let whose = crate::HeldPrincipal::anonymous();
    let pending = Pending::ask(&rig.shard.handle, request, whose).expect("room");
    rig.settle();
    let before = reader.take();
    rig.tell(AWAY);
    rig.settle();
    assert_eq!(reader.take(), before);
    rig.publish("a", "\"1\"");
    rig.settle();
    assert_eq!(reader.count("event: data\ndata:[\"1\"]"), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let collected = runtime.block_on(pending.collected()).expect("an answer");
    assert_eq!(collected.encode().events.len(), 1);
}
