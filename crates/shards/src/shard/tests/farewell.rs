//! What those are told who are there when the server ends.

use bellwire_hub::Start;

use super::rig::{PLAIN_WEBSOCKET, Rig, SSE, WEBSOCKET};

#[test]
fn who_comes_as_the_server_ends_is_told_good_bye() {
    const CLIENTS: usize = 500;
    for form in [SSE, PLAIN_WEBSOCKET, WEBSOCKET] {
        let mut rig = Rig::new();
        rig.publish("a", "\"missed\"");
        let mut clients: Vec<_> =
            (0..CLIENTS).map(|_| rig.connect(&["a"], Start::Latest, form)).collect();
        rig.shard.handle.drain();
        // All of it comes in one turn, before anybody has been taken in.
        rig.turn();
        for client in &mut clients {
            assert_eq!(
                (client.count("\"ready\""), client.count("\"bye\"")),
                (1, 1),
                "{}",
                client.take()
            );
        }
    }
}
