//! What a conversation needs, it has for as long as it needs it.

use bellwire_hub::Start;

use super::rig::{Client, PLAIN_WEBSOCKET, Rig, text};

fn holds_talk(rig: &Rig) -> bool {
    let (_, connection) = rig.shard.connections.iter().next().expect("it is there");
    connection.websocket.as_ref().expect("it is one").holds_talk()
}

/// Says something, and has it answered.
fn say(rig: &mut Rig, client: &mut Client, request: &str) {
    let before = client.take().len();
    client.send(&text(request));
    while client.take().len() == before || rig.shard.agenda.queued() > 0 {
        rig.turn();
        assert!(rig.turns < 1_000, "{request}");
    }
}

#[test]
fn a_websocket_that_only_listens_holds_nothing_of_a_conversation() {
    let mut rig = Rig::new();
    let mut client = rig.connect(&["lab/*"], Start::Latest, PLAIN_WEBSOCKET);
    rig.turn();
    assert!(!holds_talk(&rig), "nothing was said");
    for (request, holds) in [
        (r#"{"request":"subscribe","id":1,"topics":["a"]}"#, false),
        // Others cover it, and it counts again when they go.
        (r#"{"request":"subscribe","id":2,"topics":["lab/1"]}"#, true),
        (r#"{"request":"unsubscribe","id":3,"topics":["lab/1"]}"#, false),
        (r#"{"request":"nonsense","id":4}"#, false),
        (r#"{"request":"subscribe","id":5,"topics":["a/1","a/**"]}"#, true),
        (r#"{"request":"unsubscribe","id":6,"topics":["a/**"]}"#, false),
    ] {
        say(&mut rig, &mut client, request);
        assert_eq!(holds_talk(&rig), holds, "{request}: {}", client.take());
    }
    rig.publish("a/1", "\"of the narrower one\"");
    rig.publish("lab/2", "\"of the first one\"");
    rig.turn();
    assert_eq!(client.count("of the narrower one"), 1);
    assert_eq!(client.count("of the first one"), 1);
    assert!(!holds_talk(&rig));
}
