//! Producers that say their epoch and sequence: each event counts exactly once, and a life that is over
//! writes nothing. And requests that are whole, whatever ends meanwhile.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::harness::{
    Answer, Lines, Over, Random, Raw, Request, Server, Spoken, WebSocket, closely, get, post,
    request,
};
use crate::state_on_disk::{board, start};

fn say(address: SocketAddr, topic: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let path = format!("/v1/topics/{topic}");
    request(address, Request { method: "POST", path: &path, headers, body: body.as_bytes() })
}

/// Publishes as a producer.
fn write(
    address: SocketAddr,
    topic: &str,
    (producer, epoch, sequence): (&str, u64, u64),
    body: &str,
) -> Answer {
    let (epoch, sequence) = (epoch.to_string(), sequence.to_string());
    let headers = [
        ("Producer-Id", producer),
        ("Producer-Epoch", &epoch),
        ("Producer-Seq", &sequence),
        ("Bellwire-Key", "key"),
    ];
    say(address, topic, &headers, body)
}

fn code(answer: &Answer) -> Value {
    answer.json()["code"].clone()
}

fn numbers(answer: &Answer, names: [&str; 2]) -> [Option<u64>; 2] {
    names.map(|name| answer.header(name).map(|number| number.parse().expect("a number")))
}

/// The data of a stream's events.
fn data(address: SocketAddr, topic: &str) -> Vec<Value> {
    let mut lines = Lines::open(address, &format!("topic={topic}&after=earliest"));
    let said = lines.until_ready().into_iter();
    said.filter(|said| said["control"].is_null()).map(|mut event| event["data"].take()).collect()
}

#[test]
fn what_a_producer_sends_again_counts_once_and_headers_say_where_it_is() {
    let (mut server, _folder) = start(&[]);
    for topic in ["log", "jobs/x"] {
        let address = server.address();
        let told = |answer: &Answer| numbers(answer, ["producer-epoch", "producer-seq"]);
        for sequence in 0..3 {
            let first = write(address, topic, ("p", 4, sequence), &sequence.to_string());
            assert_eq!((first.status, told(&first)), (201, [Some(4), Some(sequence)]), "{topic}");
            assert_eq!(first.json()["version"].is_string(), topic == "jobs/x");
        }
        let again = write(address, topic, ("p", 4, 1), "another");
        assert_eq!((again.status, again.body.len()), (204, 0));
        assert_eq!(told(&again), [Some(4), Some(2)], "the newest that is there");
        let early = write(address, topic, ("p", 4, 5), "early");
        assert_eq!((early.status, code(&early)), (409, json!("sequence_gap")));
        let expected = ["producer-expected-seq", "producer-received-seq"];
        assert_eq!(numbers(&early, expected), [Some(3), Some(5)]);
        assert_eq!(early.json()["expected_seq"], 3);
        let zombie = write(address, topic, ("p", 3, 3), "zombie");
        assert_eq!((zombie.status, code(&zombie)), (403, json!("producer_fenced")));
        assert_eq!((told(&zombie), &zombie.json()["producer_epoch"]), ([Some(4), None], &json!(4)));
        let late = write(address, topic, ("p", 5, 1), "late");
        assert_eq!((late.status, code(&late)), (400, json!("producer_invalid")));
        server.kill();
        server.restart();
        let address = server.address();
        assert_eq!(write(address, topic, ("p", 4, 2), "2").status, 204);
        assert_eq!(write(address, topic, ("p", 5, 0), "3").status, 201);
        assert_eq!(code(&write(address, topic, ("p", 4, 3), "x")), "producer_fenced");
    }
    assert_eq!(data(server.address(), "log"), [0, 1, 2, 3]);
    assert_eq!(board(server.address(), "jobs/x"), [("key".to_owned(), json!(3))].into());
}

#[test]
fn in_a_batch_and_over_a_websocket_each_event_says_it_itself() {
    let (server, _folder) = start(&[]);
    let address = server.address();
    let event = |topic: &str, epoch: u64, sequence: u64| {
        json!({ "topic": topic, "key": "k", "data": sequence,
                "producer_id": "p", "producer_epoch": epoch, "producer_seq": sequence })
    };
    let batch = json!([
        event("log", 1, 0),
        event("jobs/x", 1, 0),
        event("log", 1, 0),
        event("log", 1, 2),
        event("log", 0, 0),
        { "topic": "log", "data": "x" },
    ]);
    let answer = post(address, "/v1/events", batch.to_string());
    let results = &answer.json()["results"];
    assert!(results[0]["cursor"].is_string() && results[1]["version"].is_string(), "{results}");
    assert_eq!(results[2], json!({ "duplicate": true, "producer_epoch": 1, "producer_seq": 0 }));
    let gap = &results[3]["error"];
    assert_eq!(gap["code"], "sequence_gap");
    assert_eq!((&gap["expected_seq"], &gap["received_seq"]), (&json!(1), &json!(2)));
    let fenced = &results[4]["error"];
    assert_eq!(
        (&fenced["code"], &fenced["producer_epoch"]),
        (&json!("producer_fenced"), &json!(1))
    );
    assert!(results[5]["cursor"].is_string(), "{results}");
    for (sequence, spoken) in (1..).zip(Spoken::BOTH) {
        let mut socket = WebSocket::open_as(address, "topic=other", spoken);
        socket.until_ready(&Value::Null);
        let mut ask = |epoch, sequence| {
            let mut publish = event("log", epoch, sequence);
            publish["request"] = "publish".into();
            publish["id"] = 7.into();
            socket.call(&publish)
        };
        assert!(ask(1, sequence)["cursor"].is_string());
        let known = json!({ "reply": 7, "duplicate": true, "producer_epoch": 1,
                            "producer_seq": sequence });
        assert_eq!(ask(1, 0), known);
        let gap = ask(1, sequence + 2)["error"].take();
        assert_eq!(
            (&gap["code"], &gap["expected_seq"]),
            (&json!("sequence_gap"), &json!(sequence + 1))
        );
        let fenced = ask(0, 0)["error"].take();
        assert_eq!(
            (&fenced["code"], &fenced["producer_epoch"]),
            (&json!("producer_fenced"), &json!(1))
        );
    }
    assert_eq!(data(address, "log"), [json!(0), json!("x"), json!(1), json!(2)]);
    // As a whole, one that is refused refuses all, and one that is known is no reason to.
    let whole = |events: Value| post(address, "/v1/events?atomic=true", events.to_string());
    let refused = whole(json!([event("log", 1, 3), event("jobs/x", 1, 2)]));
    assert_eq!((refused.status, code(&refused)), (409, json!("sequence_gap")));
    let wrong = &refused.json()["errors"];
    assert_eq!((&wrong[0]["index"], &wrong[0]["expected_seq"]), (&json!(1), &json!(1)));
    assert_eq!(whole(json!([event("log", 1, 2), event("jobs/x", 1, 1)])).status, 200);
    assert_eq!(data(address, "log").len(), 4);
    assert_eq!(board(address, "jobs/x"), [("k".to_owned(), json!(1))].into());
}

#[test]
fn what_is_said_wrongly_of_a_producer_is_refused() {
    let (server, _folder) = start(&[]);
    let address = server.address();
    let (long, most) = ("p".repeat(129), "9007199254740992");
    let (id, epoch, seq) = ("Producer-Id", "Producer-Epoch", "Producer-Seq");
    let full = [(id, "p"), (epoch, "0"), (seq, "0")];
    let with = |name: &'static str, value: &'static str| {
        full.map(|(known, said)| (known, if known == name { value } else { said })).to_vec()
    };
    for headers in [
        vec![(id, "p")],
        vec![(id, "p"), (epoch, "0")],
        vec![(epoch, "0"), (seq, "0")],
        vec![(id, long.as_str()), (epoch, "0"), (seq, "0")],
        with(id, ""),
        with(epoch, "-1"),
        with(epoch, "1.5"),
        with(epoch, "+1"),
        with(epoch, ""),
        with(seq, "one"),
        with(seq, most),
        [&full[..], &[("Idempotency-Key", "k")]].concat(),
    ] {
        let answer = say(address, "log", &headers, "1");
        assert_eq!((answer.status, code(&answer)), (400, json!("producer_invalid")), "{headers:?}");
    }
    let refused = |answer: Answer| (answer.status, code(&answer));
    let invalid = (400, json!("producer_invalid"));
    let end = [&full[..], &[("Bellwire-End", "true")]].concat();
    assert_eq!(refused(say(address, "log", &end, "")), invalid);
    let cloud_event = [&full[..], &[("ce-specversion", "1.0")]].concat();
    assert_eq!(refused(say(address, "log", &cloud_event, "1")), invalid);
    for (method, path) in [
        ("POST", "/v1/events"),
        ("DELETE", "/v1/topics/jobs/x?key=k"),
        ("PATCH", "/v1/topics/tickers/x?key=k&ttl=30s"),
    ] {
        let asked = Request { method, path, headers: &full, body: b"[]" };
        assert_eq!(refused(request(address, asked)), invalid, "{method}");
    }
    // Topics in memory remember no producer, and say so.
    let memory = [&full[..], &[("Bellwire-Key", "k")]].concat();
    let answer = say(address, "tickers/x", &memory, "1");
    assert_eq!(refused(answer), (409, json!("kind_mismatch")));
    for (member, value) in [
        ("producer_epoch", json!("1")),
        ("producer_epoch", json!(1.5)),
        ("producer_seq", json!(9_007_199_254_740_992_u64)),
        ("producer_seq", json!(null)),
        ("producer_id", json!("")),
    ] {
        let mut event = json!({ "topic": "log", "data": 1, "producer_id": "p",
                                "producer_epoch": 0, "producer_seq": 0 });
        event[member] = value;
        let answer = post(address, "/v1/events", json!([event]).to_string());
        let answer = answer.json();
        assert_eq!(answer["results"][0]["error"]["code"], "producer_invalid", "{event} {answer}");
        event["request"] = "publish".into();
        let mut socket = WebSocket::open(address, "topic=other");
        socket.until_ready(&Value::Null);
        event["id"] = 1.into();
        assert_eq!(socket.call(&event)["error"]["code"], "producer_invalid", "{event}");
    }
    assert_eq!(data(address, "log"), [Value::Null; 0]);
}

#[test]
fn the_last_event_of_a_topic_ends_it_once_and_a_zombie_ends_nothing() {
    let server = Server::start();
    let address = server.address();
    let last = |epoch: &str| {
        let headers = [
            ("Producer-Id", "p"),
            ("Producer-Epoch", epoch),
            ("Producer-Seq", "0"),
            ("Bellwire-End", "true"),
        ];
        say(address, "job", &headers, "\"done\"")
    };
    assert_eq!(write(address, "job", ("p", 1, 0), "1").status, 201);
    assert_eq!(code(&last("0")), "producer_fenced");
    assert_eq!(write(address, "job", ("p", 1, 1), "2").status, 201, "it has not ended");
    let ended = last("2");
    assert!(ended.status == 201 && ended.json()["end"].is_string(), "{}", ended.text());
    assert_eq!(last("2").status, 204);
    let behind = write(address, "job", ("p", 2, 1), "3");
    assert_eq!((behind.status, code(&behind)), (409, json!("topic_ended")));
}

const PRODUCERS: usize = 4;
const ROUNDS: u64 = 4;

/// A producer that sends each event until it is answered, over all kills.
#[derive(Debug, Default)]
struct Producer {
    epoch: u64,
    next: u64,
    /// Its epochs and how many events it sent in each, as far as it was answered.
    sent: Vec<(u64, u64)>,
}

impl Producer {
    /// Publishes until the server is gone. What was not answered is sent again by the next run.
    fn run(&mut self, name: usize, address: SocketAddr, mut random: Random, count: &AtomicU64) {
        let Ok(mut raw) = Raw::try_connect(address) else { return };
        loop {
            let headers = format!(
                "Producer-Id: {name}\r\nProducer-Epoch: {}\r\nProducer-Seq: {}\r\n",
                self.epoch, self.next
            );
            let body = format!("[{name},{},{}]", self.epoch, self.next);
            let Ok(answer) = raw.try_post("/v1/topics/log", &headers, body) else { return };
            assert!([201, 204].contains(&answer.status), "{}", answer.text());
            self.next += 1;
            count.fetch_add(1, Ordering::Relaxed);
            // Behind an answer: what was not answered is of this epoch still.
            if random.below(8) == 0 {
                self.sent.push((self.epoch, self.next));
                (self.epoch, self.next) = (self.epoch + 1, 0);
            }
        }
    }
}

#[test]
fn each_event_is_there_exactly_once_however_often_the_process_is_killed() {
    for durability in ["sync", "interval"] {
        let mut random = Random::announced();
        let mut server = Server::start_with(&["--durability", durability]);
        let mut producers: Vec<Producer> = (0..PRODUCERS).map(|_| Producer::default()).collect();
        for _ in 0..ROUNDS {
            let address = server.address();
            let (count, until) = (AtomicU64::new(0), 50 + random.below(400));
            std::thread::scope(|scope| {
                for (name, producer) in producers.iter_mut().enumerate() {
                    let (random, count) = (Random::new(random.seed()), &count);
                    scope.spawn(move || producer.run(name, address, random, count));
                }
                let killed = server.killed_in_the_end();
                closely("much is taken", || count.load(Ordering::Relaxed) >= until);
                drop(killed);
            });
            server.restart();
        }
        let events = data(server.address(), "log");
        for (name, producer) in producers.iter_mut().enumerate() {
            // The one that was sent last may be there without an answer.
            let own: Vec<&Value> = events.iter().filter(|event| event[0] == name).collect();
            let answered = write(
                server.address(),
                "log",
                (&name.to_string(), producer.epoch, producer.next),
                "[-1]",
            );
            let extra = u64::from(answered.status == 204);
            producer.sent.push((producer.epoch, producer.next + extra));
            let expected = producer.sent.iter().flat_map(|(epoch, count)| {
                (0..*count).map(move |sequence| json!([name, epoch, sequence]))
            });
            assert!(own.into_iter().cloned().eq(expected), "of producer {name}");
        }
    }
}

#[test]
fn of_two_lives_of_a_producer_the_newer_one_alone_goes_on() {
    let server = Server::start();
    let address = server.address();
    let is_over = Over::default();
    let written = std::thread::scope(|scope| {
        let old = scope.spawn(|| {
            let mut written = 0;
            while !is_over.is_so() {
                let answer = write(address, "log", ("p", 0, written), &format!("[0,{written}]"));
                if answer.status != 201 {
                    assert_eq!(code(&answer), "producer_fenced");
                    break;
                }
                written += 1;
            }
            written
        });
        let _beside = is_over.at_the_end();
        let mut sequence = 0;
        while sequence < 20 || !old.is_finished() {
            let answer = write(address, "log", ("p", 1, sequence), &format!("[1,{sequence}]"));
            assert_eq!(answer.status, 201, "{}", answer.text());
            sequence += 1;
            assert!(sequence < 10_000, "the old one goes on");
        }
        (old.join().expect("the old life"), sequence)
    });
    let old = (0..written.0).map(|sequence| json!([0, sequence]));
    let expected: Vec<Value> =
        old.chain((0..written.1).map(|sequence| json!([1, sequence]))).collect();
    assert_eq!(data(address, "log"), expected, "nothing of the old one behind the new one's");
}

#[test]
fn an_atomic_request_is_whole_whatever_ends_beside_it() {
    const REQUESTS: u64 = 60;
    let (server, _folder) = start(&[]);
    let address = server.address();
    let is_over = Over::default();
    let taken = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.is_so() {
                for end in ["true", "false"] {
                    say(address, "run/a", &[("Bellwire-End", end)], "");
                }
            }
        });
        let _beside = is_over.at_the_end();
        let publish = |name: u64| {
            (0..REQUESTS).filter_map(move |round| {
                let number = name * REQUESTS + round;
                let batch = json!([
                    { "topic": "run/b", "data": number },
                    { "topic": "jobs/x", "key": number.to_string(), "data": number },
                    { "topic": "run/a", "data": number },
                ]);
                let answer = post(address, "/v1/events?atomic=true", batch.to_string());
                if answer.status == 200 {
                    let results = answer.json();
                    assert!(!answer.text().contains("error"), "{results}");
                    return Some(number);
                }
                assert_eq!((answer.status, code(&answer)), (409, json!("topic_ended")));
                assert_eq!(answer.json()["errors"][0]["index"], 2);
                None
            })
        };
        let threads: Vec<_> =
            (0..3).map(|name| scope.spawn(move || publish(name).collect::<Vec<u64>>())).collect();
        let threads = threads.into_iter();
        let mut taken: Vec<u64> =
            threads.flat_map(|thread| thread.join().expect("a publisher")).collect();
        taken.sort_unstable();
        taken
    });
    let sorted = |mut numbers: Vec<u64>| {
        numbers.sort_unstable();
        numbers
    };
    let of = |topic| data(address, topic).iter().filter_map(Value::as_u64).collect();
    assert_eq!(sorted(of("run/a")), taken);
    assert_eq!(sorted(of("run/b")), taken);
    let values = board(address, "jobs/x");
    assert_eq!(sorted(values.values().filter_map(Value::as_u64).collect()), taken);
    // One that ends a topic in its midst and goes on with it changes nothing.
    say(address, "run/a", &[("Bellwire-End", "false")], "");
    let batch = json!([
        { "topic": "run/c", "data": 1 },
        { "topic": "run/a", "end": true },
        { "topic": "run/a", "data": 2 },
    ]);
    let refused = post(address, "/v1/events?atomic=true", batch.to_string());
    assert_eq!((refused.status, code(&refused)), (409, json!("topic_ended")));
    assert_eq!(refused.json()["errors"][0]["index"], 2);
    assert_eq!(data(address, "run/c"), [Value::Null; 0]);
    assert_eq!(get(address, "/v1/topics?prefix=run/a").json()["topics"][0].get("ended"), None);
}
