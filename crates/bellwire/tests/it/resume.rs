//! Going on where one was: on every transport, after every kind of end, from every distance.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{Lines, Raw, Request, Server, Spoken, Stream, WebSocket, get, post, request};

/// Publishes `{"n":…}` for each number, in one batch.
fn publish(address: SocketAddr, topic: impl Fn(u64) -> String, numbers: std::ops::Range<u64>) {
    let line = |n| format!("{{\"topic\":\"{}\",\"data\":{{\"n\":{n}}}}}\n", topic(n));
    let lines: String = numbers.map(line).collect();
    let answer = post(address, "/v1/events", lines);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("error"), "{}", answer.text());
}

fn number(event: &Value) -> u64 {
    event["data"]["n"].as_u64().unwrap_or_else(|| panic!("no number: {event}"))
}

fn poll(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Value {
    let path = format!("/v1/events?{query}");
    let accept = [("Accept", "application/json")];
    let headers: Vec<_> = accept.into_iter().chain(headers.iter().copied()).collect();
    let answer =
        request(address, Request { method: "GET", path: &path, headers: &headers, body: b"" });
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The ways to ask for events.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    SseHeader,
    SseParameter,
    Ndjson,
    PollHeader,
    PollParameter,
    WebSocketJson,
    WebSocketMsgpack,
    /// With a request over a WebSocket that follows something else already.
    Subscription,
    /// Of one topic alone.
    History,
}

impl Way {
    pub(crate) const ALL: [Self; 9] = [
        Self::SseHeader,
        Self::SseParameter,
        Self::Ndjson,
        Self::PollHeader,
        Self::PollParameter,
        Self::WebSocketJson,
        Self::WebSocketMsgpack,
        Self::Subscription,
        Self::History,
    ];

    /// The next events after the cursor, a gap before them, and the cursor to go on with.
    pub(crate) fn take(
        self,
        address: SocketAddr,
        filters: &str,
        after: &str,
        count: usize,
    ) -> Taken {
        let parameter = format!("{filters}&after={after}");
        match self {
            Self::SseHeader => of_sse(Stream::resume(address, filters, after), count),
            Self::SseParameter => of_sse(Stream::open(address, &parameter), count),
            Self::Ndjson => {
                let mut lines = Lines::open(address, &parameter);
                of_items(|| lines.next().expect("the stream goes on"), count)
            }
            Self::WebSocketJson | Self::WebSocketMsgpack => {
                let spoken = Spoken::BOTH[usize::from(matches!(self, Self::WebSocketMsgpack))];
                let mut socket = WebSocket::open_as(address, &parameter, spoken);
                of_items(|| socket.next(), count)
            }
            Self::Subscription => of_subscription(address, filters, after, count),
            // The header wins over the parameter.
            Self::PollHeader => {
                let wrong = format!("{filters}&wait=20s&after=latest");
                of_page(poll(address, &wrong, &[("Last-Event-ID", after)]), count)
            }
            Self::PollParameter => of_page(poll(address, &parameter, &[]), count),
            Self::History => {
                let topic = filters.strip_prefix("topic=").expect("one topic");
                let path = format!("/v1/topics/{topic}?after={after}&limit={count}");
                of_page(get(address, &path).json(), count)
            }
        }
    }
}

pub(crate) struct Taken {
    pub(crate) gap: Option<Value>,
    pub(crate) events: Vec<Value>,
    cursor: String,
}

fn of_sse(mut stream: Stream, count: usize) -> Taken {
    let (mut gap, mut events) = (None, Vec::new());
    let mut cursor = String::new();
    while events.len() < count {
        let item = stream.next().expect("the stream goes on");
        match item.event_type.as_str() {
            "gap" => {
                assert!(events.is_empty(), "a gap comes before what there is");
                gap = Some(item.json());
            }
            "ready" => panic!("ready after {} of {count} events", events.len()),
            "degraded" | "restored" => {}
            _ => {
                assert_eq!(item.json()["cursor"], item.id);
                cursor.clone_from(&item.id);
                events.push(item.json());
            }
        }
    }
    Taken { gap, events, cursor }
}

fn of_items(mut next: impl FnMut() -> Value, count: usize) -> Taken {
    let (mut gap, mut events) = (None, Vec::new());
    while events.len() < count {
        let item = next();
        match item["control"].as_str() {
            Some("gap") => gap = Some(item),
            Some("degraded" | "restored") => {}
            Some(other) => panic!("{other} after {} of {count} events", events.len()),
            None => events.push(item),
        }
    }
    let cursor = events.last().map_or_else(String::new, cursor_of);
    Taken { gap, events, cursor }
}

fn of_subscription(address: SocketAddr, filters: &str, after: &str, count: usize) -> Taken {
    let mut socket = WebSocket::open(address, "topic=something/else");
    socket.until_ready(&Value::Null);
    let topics: Vec<_> = filters.split('&').filter_map(|it| it.strip_prefix("topic=")).collect();
    socket.ask(&json!({
        "request": "subscribe", "id": "more", "topics": topics, "after": after,
    }));
    assert_eq!(socket.reply(&json!("more")), json!({ "reply": "more" }));
    let taken = of_items(|| socket.next(), count);
    if let Some(gap) = &taken.gap {
        assert_eq!(gap["id"], "more", "{gap}");
    }
    taken
}

/// As many events of a page as are asked for; the rest is asked for again.
fn of_page(page: Value, count: usize) -> Taken {
    let events = page["events"].as_array().expect("events");
    let events: Vec<_> = events.iter().take(count).cloned().collect();
    let cursor = events.last().map_or_else(String::new, cursor_of);
    let gap = page.get("gap").cloned();
    Taken { gap, events, cursor }
}

fn cursor_of(event: &Value) -> String {
    event["cursor"].as_str().expect("a cursor").to_owned()
}

#[test]
fn each_transport_goes_on_where_another_left_off() {
    const EACH: usize = 4;
    type TopicOf = fn(u64) -> String;
    let cases: [(&str, TopicOf); 4] = [
        ("topic=lab/one", |_| "lab/one".to_owned()),
        ("topic=lab/a&topic=lab/b", |n| format!("lab/{}", ["a", "b"][n as usize % 2])),
        ("topic=deep/*/x&topic=deep/2/y", |n| {
            format!("deep/{n}/{}", ["x", "x", "y"][usize::from(n == 2) * 2])
        }),
        ("topic=all/**", |n| format!("all{}", "/x".repeat(n as usize % 15))),
    ];
    let mut server = Server::start();
    let address = server.address();
    for (filters, topic) in cases {
        let ways = Way::ALL.len() - usize::from(filters != "topic=lab/one");
        let ways = &Way::ALL[..ways];
        let start = post(address, "/v1/topics/other", "0").cursor();
        let total = (ways.len() * EACH * 2) as u64;
        publish(address, topic, 0..total);
        publish(address, |_| "noise".to_owned(), 0..10);
        let (mut after, mut numbers) = (start, Vec::new());
        for round in 0..2 {
            for way in ways {
                let taken = way.take(address, filters, &after, EACH);
                assert_eq!(taken.gap, None, "{filters} {way:?}");
                assert_eq!(taken.events.len(), EACH, "{filters} {way:?}");
                numbers.extend(taken.events.iter().map(number));
                after = taken.cursor;
            }
            if round == 0 {
                // The second half comes from the disk.
                server.restart();
            }
        }
        assert_eq!(numbers, (0..total).collect::<Vec<_>>(), "{filters}");
    }
}

#[test]
fn ready_comes_once_and_is_a_place_to_resume_from() {
    let server = Server::start();
    let address = server.address();
    publish(address, |_| "lab/a".to_owned(), 0..3);
    let mut stream = Stream::open(address, "topic=lab/*&after=earliest");
    stream.events(3);
    let ready = stream.next_of("ready");
    assert_eq!(ready.json()["cursor"], ready.id);
    publish(address, |_| "lab/a".to_owned(), 3..6);
    let live: Vec<_> = (0..3).map(|_| stream.next().expect("it goes on")).collect();
    assert!(live.iter().all(|item| item.event_type == "message"), "{live:?}");

    let mut resumed = Stream::resume(address, "topic=lab/*", &ready.id);
    assert_eq!(resumed.events(3), live);
    let mut at_the_end = Stream::resume(address, "topic=lab/*", &live[2].id);
    assert_eq!(at_the_end.until_ready(), []);
}

#[test]
fn an_empty_last_event_id_is_none() {
    let server = Server::start();
    publish(server.address(), |_| "lab/a".to_owned(), 0..3);
    let mut stream = Stream::resume(server.address(), "topic=lab/a&after=earliest", "");
    assert_eq!(stream.events(3).len(), 3);
}

#[test]
fn long_polls_walk_the_whole_history_in_pages() {
    let server = Server::start();
    let address = server.address();
    publish(address, |n| format!("lab/{}", n % 2), 0..5_000);
    let (mut after, mut numbers) = ("earliest".to_owned(), Vec::new());
    while numbers.len() < 2_500 {
        let page = poll(address, &format!("topic=lab/1&after={after}"), &[]);
        let events = page["events"].as_array().expect("events");
        assert!(!events.is_empty() && events.len() <= 1_000, "{} events", events.len());
        numbers.extend(events.iter().map(number));
        page["cursor"].as_str().expect("a cursor").clone_into(&mut after);
    }
    assert_eq!(numbers, (0..2_500).map(|n| n * 2 + 1).collect::<Vec<_>>());
    let page = poll(address, &format!("topic=lab/1&after={after}"), &[]);
    assert_eq!(page["events"], json!([]));
}

#[test]
fn a_poll_waits_for_what_is_published_later() {
    let server = Server::start();
    let address = server.address();
    let start = poll(address, "topic=lab/later", &[])["cursor"].as_str().expect("one").to_owned();
    let waiting = std::thread::spawn(move || {
        poll(address, &format!("topic=lab/later&after={start}&wait=25s"), &[])
    });
    publish(address, |_| "lab/other".to_owned(), 0..3);
    publish(address, |_| "lab/later".to_owned(), 7..8);
    let page = waiting.join().expect("an answer");
    assert_eq!(number(&page["events"][0]), 7);
}

#[test]
fn more_events_than_the_ring_holds_are_read_from_the_journal() {
    let server = Server::start();
    let address = server.address();
    let total = bellwire_model::limits::RING_EVENTS_MAX as u64 + 5_000;
    // This one falls behind the ring while it is connected.
    let mut idle = Stream::open(address, "topic=long/*");
    for start in (0..total).step_by(10_000) {
        publish(address, |n| format!("long/{}", n % 3), start..total.min(start + 10_000));
    }
    let mut resumed = Stream::open(address, "topic=long/0&after=earliest");
    let third = resumed.until_ready();
    let expected: Vec<u64> = (0..total).filter(|n| n % 3 == 0).collect();
    let numbers: Vec<_> = third.iter().map(|item| number(&item.json())).collect();
    assert_eq!(numbers, expected);
    let numbers: Vec<_> =
        idle.events(total as usize).iter().map(|item| number(&item.json())).collect();
    assert_eq!(numbers, (0..total).collect::<Vec<_>>());
}

#[test]
fn hundreds_resume_at_once_from_different_places_though_others_leave_meanwhile() {
    const TOTAL: u64 = 3_000;
    const RESUMERS: u64 = 500;
    let mut server = Server::start();
    publish(server.address(), |n| format!("storm/{}", n % 10), 0..TOTAL);
    // Everything lies behind the ring now.
    server.restart();
    let address = server.address();
    let all = get(address, "/v1/topics/storm/0?limit=1").json();
    let first = cursor_of(&all["events"][0]);
    let (epoch, first) = first.split_once('-').expect("a cursor");
    let first: u64 = first.parse().expect("an offset");

    let mut resumers = Vec::new();
    for index in 0..RESUMERS {
        // Somebody with filters of his own asks for a page and leaves at once.
        let mut leaver = Raw::connect(address);
        leaver.send(format!(
            "GET /v1/events?topic=storm/1&topic=leaver/{index}&after=earliest HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        drop(leaver);
        let seen = index * 5;
        let filter = match index % 4 {
            0 => "topic=storm/**".to_owned(),
            1 => format!("topic=storm/{}", index % 10),
            2 => "topic=storm/3&topic=storm/4".to_owned(),
            _ => format!("topic=storm/7&topic=own/{index}"),
        };
        let cursor = format!("{epoch}-{}", first + seen);
        resumers.push((seen, index, Stream::resume(address, &filter, &cursor)));
    }
    for (seen, index, mut stream) in resumers {
        let follows = |n: &u64| match index % 4 {
            0 => true,
            1 => n % 10 == index % 10,
            2 => [3, 4].contains(&(n % 10)),
            _ => n % 10 == 7,
        };
        let numbers: Vec<_> =
            stream.until_ready().iter().map(|item| number(&item.json())).collect();
        let expected: Vec<_> = (seen + 1..TOTAL).filter(follows).collect();
        assert_eq!(numbers, expected, "resumer {index}");
    }
}

/// A server whose topics `short/**` keep few events.
fn forgetful(folder: &tempfile::TempDir) -> Server {
    let file = folder.path().join("bellwire.toml");
    let text = "[[topic]]\nmatch = \"short/**\"\nretention_events_max = 10\n";
    std::fs::write(&file, text).expect("written");
    Server::start_with(&["--config", file.to_str().expect("UTF-8")])
}

#[test]
fn what_retention_removed_is_a_gap_on_every_transport() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = forgetful(&folder);
    let address = server.address();
    let start = post(address, "/v1/topics/other", "0").cursor();
    publish(address, |_| "short/a".to_owned(), 0..500);
    publish(address, |_| "long/a".to_owned(), 0..5);
    // Retention is applied at the start, too.
    server.restart();
    let kept = (0..3_000).find_map(|_| {
        let page = get(address, "/v1/topics/short/a?limit=1000").json();
        let kept = page["events"].as_array().expect("events").clone();
        let is_trimmed = kept.len() < 500;
        if !is_trimmed {
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        is_trimmed.then_some(kept)
    });
    let kept = kept.expect("retention is applied");
    assert!(!kept.is_empty() && kept.len() <= 10, "{} events are kept", kept.len());
    for way in Way::ALL {
        let taken = way.take(address, "topic=short/a", &start, kept.len());
        assert_eq!(taken.events, kept, "{way:?}");
        let gap = taken.gap.unwrap_or_else(|| panic!("no gap from {way:?}"));
        assert_eq!(gap["control"], "gap", "{way:?}");
        assert_eq!(gap["reason"], "expired", "{way:?}");
        assert_eq!(gap["from"], start, "{way:?}");
        assert_eq!(gap["filters"], json!(["short/a"]), "{way:?}");
        // Who goes on from the gap's end misses nothing more.
        let to = gap["to"].as_str().expect("a cursor");
        let taken = way.take(address, "topic=short/a", to, kept.len());
        assert_eq!((taken.events, taken.gap), (kept.clone(), None), "{way:?}");
        // Nobody else lost anything.
        let taken = way.take(address, "topic=long/a", &start, 5);
        assert_eq!(taken.gap, None, "{way:?}");
        if matches!(way, Way::SseHeader | Way::PollHeader) {
            continue;
        }
        // Who asks for what there is does not miss what is gone.
        let taken = way.take(address, "topic=short/a", "earliest", kept.len());
        assert_eq!((taken.events, taken.gap), (kept.clone(), None), "{way:?}");
    }
}

#[test]
fn a_cursor_of_another_life_is_a_gap_then_what_there_is() {
    let mut deleted = Server::start();
    let old = post(deleted.address(), "/v1/topics/lab/a", "{\"n\":1}").cursor();
    deleted.kill();
    std::fs::remove_dir_all(deleted.data()).expect("a folder");
    deleted.restart();
    check_another_life(deleted.address(), &old);

    let mut memory = Server::start_with(&["--journal", "memory"]);
    let old = post(memory.address(), "/v1/topics/lab/a", "{\"n\":1}").cursor();
    memory.restart();
    check_another_life(memory.address(), &old);
}

fn check_another_life(address: SocketAddr, old: &str) {
    let new = post(address, "/v1/topics/lab/a", "{\"n\":1}").cursor();
    assert_ne!(new, old);
    publish(address, |_| "lab/a".to_owned(), 2..4);
    let (epoch, offset) = new.split_once('-').expect("a cursor");
    let offset: u64 = offset.parse().expect("a number");
    // So is one from the future: this journal has not given it out.
    for old in [old.to_owned(), format!("{epoch}-{}", offset + 1_000_000)] {
        for way in Way::ALL {
            let taken = way.take(address, "topic=lab/a", &old, 3);
            let numbers: Vec<_> = taken.events.iter().map(number).collect();
            assert_eq!(numbers, [1, 2, 3], "{way:?} after {old}");
            let gap = taken.gap.unwrap_or_else(|| panic!("no gap from {way:?} after {old}"));
            assert_eq!(gap["reason"], "epoch", "{way:?} after {old}");
            assert_eq!(gap["from"], old, "{way:?}");
        }
    }
}

#[test]
fn a_malformed_cursor_is_refused_on_every_transport() {
    let server = Server::start();
    let cursors = [
        "1",
        "e1",
        "e1-",
        "-1",
        "e-1",
        "e1-1-1",
        "e1--1",
        "x1-1",
        "e1-1.2",
        "e99999999999-1",
        "e1-99999999999999999999999",
        "e1-+1",
        " e1-1x",
        "earliestx",
        "null",
    ];
    for cursor in cursors {
        let encoded = cursor.replace('+', "%2B").replace(' ', "%20");
        let paths = [
            format!("/v1/events?topic=a&after={encoded}"),
            format!("/v1/topics/a?after={encoded}"),
        ];
        for path in &paths {
            let answer = get(server.address(), path);
            assert_eq!(answer.status, 400, "{path}");
            assert_eq!(answer.json()["code"], "cursor_invalid", "{path}");
        }
        for accept in ["text/event-stream", "application/x-ndjson", "application/json"] {
            let headers = [("Accept", accept), ("Last-Event-ID", cursor)];
            let path = "/v1/events?topic=a";
            let answer = request(
                server.address(),
                Request { method: "GET", path, headers: &headers, body: b"" },
            );
            assert_eq!(answer.status, 400, "{cursor} as {accept}");
        }
    }
}

#[test]
fn who_waits_for_a_page_gets_it_though_all_before_him_have_left() {
    const ATTEMPTS: usize = 60;
    let mut server = Server::start_with(&["--shards", "1"]);
    publish(server.address(), |n| format!("lab/{}", n % 2), 0..2_000);
    server.restart();
    let address = server.address();
    for attempt in 0..ATTEMPTS {
        let leavers: Vec<Raw> = (0..bellwire_model::limits::CATCH_UPS_PER_SHARD_MAX * 2)
            .map(|leaver| {
                let mut raw = Raw::connect(address);
                let path = format!("/v1/events?topic=lab/0&topic=a/{leaver}&after=earliest");
                raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
                raw
            })
            .collect();
        let mut stream = Stream::open(address, "topic=lab/1&after=earliest");
        drop(leavers);
        assert_eq!(stream.until_ready().len(), 1_000, "attempt {attempt}");
    }
}
