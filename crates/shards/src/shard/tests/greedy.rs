//! Clients that ask for as much as they can: each turn of a shard does a bounded part of it, and
//! live events are never more than a turn away.

use bellwire_hub::Start;
use bellwire_model::limits::{
    IDLE_INPUT_BYTES_MAX, LOOKS_PER_TURN_MAX, LOOKS_PER_VISIT_MAX, TURN_DEFLATED_BYTES_MAX,
    TURN_INFLATED_BYTES_MAX, TURN_READ_BYTES_MAX, VISIT_INFLATED_BYTES_MAX,
    WEBSOCKET_MESSAGE_BYTES_MAX, WRITE_BYTES_MAX,
};
use bellwire_model::{Cursor, Epoch, Offset};
use bellwire_wire::Deflater;
use bellwire_wire::ws::Opcode;

use super::rig::{Client, EPOCH, Rig, SSE, SSE_GZIP, WEBSOCKET, text};

/// Someone who keeps up, and is served in the very turn in which something comes.
struct Witness {
    client: Client,
    events: usize,
}

impl Witness {
    fn new(rig: &mut Rig) -> Self {
        let mut client = rig.connect(&["witness"], Start::Latest, SSE);
        rig.turn();
        assert_eq!(client.count("event: ready"), 1);
        Self { client, events: 0 }
    }

    #[track_caller]
    fn is_served_by_a_turn(&mut self, rig: &mut Rig) {
        rig.publish("witness", "\"live\"");
        rig.turn();
        self.events += 1;
        assert_eq!(self.client.count("\"live\""), self.events, "after {} turns", rig.turns);
    }
}

fn subscribe_and_unsubscribe(id: usize, filter: &str) -> Vec<u8> {
    let subscribe =
        format!(r#"{{"request":"subscribe","id":{id},"topics":["{filter}"],"after":"earliest"}}"#);
    let unsubscribe = format!(r#"{{"request":"unsubscribe","id":{id},"topics":["{filter}"]}}"#);
    [text(&subscribe), text(&unsubscribe)].concat()
}

#[test]
fn who_subscribes_without_end_is_heard_a_budget_at_a_time() {
    const KEYS: usize = 1_000;
    const PAIRS: usize = 140;
    let mut rig = Rig::new();
    rig.put("board/1", 0..KEYS);
    let mut witness = Witness::new(&mut rig);
    let mut greedy = rig.connect(&[], Start::Latest, WEBSOCKET);
    rig.turn();
    for id in 0..PAIRS {
        greedy.send(&subscribe_and_unsubscribe(id, &format!("board/**\",\"own/{id}")));
    }
    assert!(greedy.has_sent());
    while greedy.count("\"reply\"") < 2 * PAIRS {
        witness.is_served_by_a_turn(&mut rig);
        assert!(rig.turns < 10 * PAIRS, "it gets on");
    }
    // What was begun is finished: one subscription more than the budget allows. It is visited for
    // what it sends, and once more because it waits.
    let bound = 2 * (LOOKS_PER_VISIT_MAX + 2 * (KEYS + 100));
    assert!(rig.most.looks <= bound as u64, "{} looks in one turn", rig.most.looks);
    assert!(rig.turns > PAIRS * KEYS / bound, "in {} turns", rig.turns);
    assert_eq!(rig.shard.hub.lanes(), 2, "nothing is left behind");
}

#[test]
fn many_who_talk_without_end_share_the_budget_of_a_turn() {
    const KEYS: usize = 1_000;
    let mut rig = Rig::new();
    rig.put("board/1", 0..KEYS);
    let mut witness = Witness::new(&mut rig);
    let mut greedy: Vec<Client> =
        (0..50).map(|_| rig.connect(&[], Start::Latest, WEBSOCKET)).collect();
    rig.turn();
    for (index, client) in greedy.iter_mut().enumerate() {
        for id in 0..10 {
            client.send(&subscribe_and_unsubscribe(id, &format!("board/*\",\"of/{index}/{id}")));
        }
    }
    while greedy.iter_mut().any(|client| client.count("\"reply\"") < 20) {
        witness.is_served_by_a_turn(&mut rig);
        assert!(rig.turns < 1_000, "everybody gets on");
    }
    let visit = LOOKS_PER_VISIT_MAX + 2 * (KEYS + 100);
    let bound = LOOKS_PER_TURN_MAX + visit;
    assert!(rig.most.looks <= bound as u64, "{} looks in one turn", rig.most.looks);
}

/// A compressed frame of a client.
fn compressed(payload: &[u8]) -> Vec<u8> {
    let frame = Deflater::default().frame(Opcode::Text, payload).expect("it pays");
    let length = frame.len() - 4;
    assert!((126..65_536).contains(&length), "{length}");
    // The length has two bytes, and a mask of zeros changes nothing.
    [&[frame[0], 0xFE][..], &frame[2..4], &[0; 4], &frame[4..]].concat()
}

#[test]
fn what_swells_when_it_is_inflated_is_heard_a_budget_at_a_time() {
    const MESSAGES: usize = 45;
    let mut rig = Rig::new();
    let mut witness = Witness::new(&mut rig);
    let mut greedy = rig.connect(&[], Start::Latest, WEBSOCKET);
    rig.turn();
    let message = compressed(&vec![b' '; 1024 * 1024]);
    assert!(message.len() < 2_000);
    greedy.send(&message.repeat(MESSAGES));
    while greedy.count("json_invalid") < MESSAGES {
        witness.is_served_by_a_turn(&mut rig);
        assert!(rig.turns < 10 * MESSAGES, "it gets on");
    }
    let bound = VISIT_INFLATED_BYTES_MAX + WEBSOCKET_MESSAGE_BYTES_MAX as u64;
    assert!(rig.most.inflated_bytes <= bound, "{} bytes in one turn", rig.most.inflated_bytes);

    let mut many: Vec<Client> =
        (0..20).map(|_| rig.connect(&[], Start::Latest, WEBSOCKET)).collect();
    rig.turn();
    for client in &mut many {
        client.send(&message.repeat(3));
    }
    while many.iter_mut().any(|client| client.count("json_invalid") < 3) {
        witness.is_served_by_a_turn(&mut rig);
        assert!(rig.turns < 100 * MESSAGES, "everybody gets on");
    }
    let bound = TURN_INFLATED_BYTES_MAX + bound;
    assert!(rig.most.inflated_bytes <= bound, "{} bytes in one turn", rig.most.inflated_bytes);
}

#[test]
fn many_who_send_without_end_are_read_a_budget_at_a_time() {
    let mut rig = Rig::new();
    let mut witness = Witness::new(&mut rig);
    let mut greedy: Vec<Client> =
        (0..60).map(|_| rig.connect(&[], Start::Latest, WEBSOCKET)).collect();
    rig.turn();
    let message = text(&" ".repeat(30_000));
    for client in &mut greedy {
        client.send(&message.repeat(5));
    }
    while greedy.iter_mut().any(|client| client.count("json_invalid") < 5) {
        Client::send_on(&mut greedy);
        witness.is_served_by_a_turn(&mut rig);
        assert!(rig.turns < 1_000, "everybody gets on");
    }
    let bound = TURN_READ_BYTES_MAX + 64 * 1024;
    assert!(rig.most.read_bytes <= bound, "{} bytes in one turn", rig.most.read_bytes);
    assert_eq!(rig.shard.input.hoards.bytes(), 0, "nothing is held that was heard");
}

#[test]
fn gzip_is_counted_by_what_it_compresses() {
    const EVENTS: usize = 400;
    let mut rig = Rig::new();
    let mut witness = Witness::new(&mut rig);
    for index in 0..EVENTS {
        rig.publish(&format!("lab/{}", index % 2), &"7".repeat(4_000));
    }
    rig.turn();
    // Runs of different filters are not the same: each has to be compressed.
    let mut greedy: Vec<Client> = (0..20)
        .map(|index| {
            let own = format!("own/{index}");
            rig.connect(&["lab/0", "lab/1", &own], Start::Earliest, SSE_GZIP)
        })
        .collect();
    let last = rig.publish("lab/0", "1");
    for index in 0..20 {
        // Nobody has a run in common with another.
        rig.publish(&format!("own/{index}"), "1");
    }
    for _ in 0..200 {
        witness.is_served_by_a_turn(&mut rig);
        for client in &mut greedy {
            client.take();
        }
    }
    assert!(rig.most.deflated_bytes > WRITE_BYTES_MAX as u64 / 2, "it was compressed");
    let bound = TURN_DEFLATED_BYTES_MAX + 2 * WRITE_BYTES_MAX as u64;
    assert!(rig.most.deflated_bytes <= bound, "{} bytes in one turn", rig.most.deflated_bytes);
    let behind = rig.shard.connections.iter().filter(|(_, it)| it.main.delivery.offset() < last);
    assert_eq!(behind.count(), 0, "everybody has got on");
}

#[test]
fn nobody_who_comes_makes_a_shard_walk_over_all_topics() {
    let mut rig = Rig::new();
    let foreign = Start::After(Cursor::new(Epoch::new(6), Offset::new(9)));
    let ahead = Start::After(Cursor::new(EPOCH, Offset::new(9)));
    for start in [Start::Earliest, foreign, ahead] {
        let mut stream = rig.connect(&["**"], start, SSE);
        let mut websocket = rig.connect(&["a/*"], start, WEBSOCKET);
        rig.turn();
        websocket.send(&text(r#"{"request":"subscribe","id":1,"topics":["b/**"],"after":"e6-9"}"#));
        rig.turn();
        let gaps = usize::from(start != Start::Earliest);
        assert_eq!(stream.count("event: gap"), gaps, "{}", stream.take());
        assert_eq!(stream.count("event: ready"), 1, "{}", stream.take());
        assert_eq!(websocket.count("\"control\":\"gap\""), gaps + 1, "{}", websocket.take());
    }
}

#[test]
fn who_hoards_is_sent_away_and_none_of_its_neighbours() {
    let mut rig = Rig::new();
    let whole = text(&format!(r#"{{"request":"subscribe","topics":["a","{}"]}}"#, "b".repeat(200)));
    // One that is slow, and was there before all others.
    let mut slow = rig.connect(&[], Start::Latest, WEBSOCKET);
    rig.turn();
    slow.send(&whole[..whole.len() / 2]);
    let large = text(&" ".repeat(200_000));
    let mut hoarders: Vec<Client> =
        (0..12).map(|_| rig.connect(&[], Start::Latest, WEBSOCKET)).collect();
    rig.turn();
    for client in &mut hoarders {
        client.send(&large[..large.len() - 10]);
    }
    for _ in 0..100 {
        Client::send_on(&mut hoarders);
        rig.turn();
    }
    let bytes_max = rig.shard.surroundings.held_bytes_max;
    assert!(rig.shard.input.hoards.bytes() <= bytes_max);
    // One that sends something large a little at a time, among them.
    let mut busy = rig.connect(&[], Start::Latest, WEBSOCKET);
    rig.turn();
    for piece in large.chunks(10_000) {
        busy.send(piece);
        rig.turn();
    }
    slow.send(&whole[whole.len() / 2..]);
    slow.send(&text(r#"{"request":"subscribe","id":1,"topics":["c"]}"#));
    rig.turn();
    rig.turn();
    assert_eq!(slow.count("\"reply\":1"), 1, "{}", slow.take());
    assert_eq!(busy.count("json_invalid"), 1, "{}", busy.take());
    let ended = hoarders
        .iter_mut()
        .filter_map(|client| client.take().contains("too much that is incomplete").then_some(()));
    assert!((1..12).contains(&ended.count()), "some of those who hoard");
}

#[test]
fn who_sends_byte_after_byte_to_a_stream_is_ended_as_who_sends_all_at_once() {
    let mut rig = Rig::new();
    let mut client = rig.connect(&["a"], Start::Latest, SSE);
    rig.turn();
    let token = rig.shard.connections.iter().next().expect("it is there").0;
    let mut scratch = vec![0; 1024];
    let mut left = IDLE_INPUT_BYTES_MAX;
    while left > 1 {
        let piece = (left - 1).min(1000);
        client.send(&vec![b'x'; piece]);
        left -= piece;
        rig.shard.connections[token]
            .drop_input(&mut scratch, IDLE_INPUT_BYTES_MAX)
            .expect("so much may be sent");
    }
    client.send(b"x");
    let ended = rig.shard.connections[token].drop_input(&mut scratch, IDLE_INPUT_BYTES_MAX);
    assert_eq!(ended.map_err(|error| error.kind()), Err(std::io::ErrorKind::InvalidInput));
}
