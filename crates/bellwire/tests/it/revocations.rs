//! What is taken back counts no more, on every path at once, and after every kill.

use serde_json::{Value, json};

use crate::harness::{Http2, Http2Stream, Raw, Request, Stream, WebSocket, request};
use crate::keys::House;

/// Somebody's streams, one of each kind.
struct Streams {
    stream: Stream,
    websocket: WebSocket,
    poll: Raw,
    http2: Http2,
    carried: Http2Stream,
}

fn open(house: &House, key: &str, subject: &str) -> Streams {
    let authorization = format!("Bearer {key}");
    let headers = [("Authorization", authorization.as_str())];
    let (address, query) = (house.server.address(), format!("topic=sensors/{subject}/**"));
    let mut stream = Stream::open_with(address, &query, &headers);
    stream.until_ready();
    let mut websocket = WebSocket::open_bearing(address, &query, key);
    assert_eq!(websocket.next()["control"], json!("ready"));
    let mut http2 = Http2::plain(address);
    let mut carried = http2.stream(&query, &headers);
    http2.next_of(&mut carried, "ready");
    let mut poll = Raw::connect(address);
    poll.send(format!(
        "GET /v1/events?{query}&wait=60s HTTP/1.1\r\nHost: x\r\n\
         Accept: application/json\r\nAuthorization: {authorization}\r\n\r\n"
    ));
    Streams { stream, websocket, poll, http2, carried }
}

impl Streams {
    fn end_as_revoked(mut self) {
        let reason = json!("credential_revoked");
        assert_eq!(self.stream.next_of("bye").json()["reason"], reason);
        assert!(self.stream.next().is_none(), "it has ended");
        assert_eq!(self.websocket.next()["reason"], reason);
        let bye = self.http2.next_of(&mut self.carried, "bye");
        assert_eq!(bye.json()["reason"], reason);
        assert_eq!(self.poll.answer().status, 401);
    }
}

fn take_back(house: &House, what: &Value) -> String {
    let answer = house.ask(&house.admin, "POST", "/v1/revocations", &what.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn status(house: &House, key: &str) -> u16 {
    house.ask(key, "GET", "/v1/whoami", "").status
}

#[test]
fn all_of_a_subject_ends_at_once_and_stays_so_until_that_is_forgotten() {
    let mut house = House::start("");
    let ((_, one), (_, other), (_, bobs)) =
        (house.make("ada"), house.make("ada"), house.make("bob"));
    let streams = [open(&house, &one, "ada"), open(&house, &other, "ada")];
    let mut bob = Stream::open_with(
        house.server.address(),
        "topic=sensors/bob/**",
        &[("Authorization", &*format!("Bearer {bobs}"))],
    );
    bob.until_ready();
    let id = take_back(&house, &json!({ "subject": "ada" }));
    streams.into_iter().for_each(Streams::end_as_revoked);
    assert_eq!((status(&house, &one), status(&house, &other)), (401, 401));
    assert_eq!(house.ask(&bobs, "POST", "/v1/topics/sensors/bob/a", "1").status, 201);
    assert_eq!(bob.events(1).len(), 1);
    // What is made from now on counts.
    let (_, new) = house.make("ada");
    assert_eq!(status(&house, &new), 200);
    house.server.kill();
    house.server.restart();
    assert_eq!((status(&house, &one), status(&house, &new)), (401, 200));
    let listed = house.ask(&house.admin, "GET", "/v1/revocations", "").json();
    let [only] = &listed["revocations"].as_array().expect("a list")[..] else { panic!("{listed}") };
    assert_eq!((&only["id"], &only["subject"]), (&json!(id), &json!("ada")));
    assert_eq!(only["made_by"], json!("root"));
    let path = format!("/v1/revocations/{id}");
    assert_eq!(house.ask(&house.admin, "DELETE", &path, "").status, 204);
    assert_eq!(house.ask(&house.admin, "DELETE", &path, "").status, 404);
    assert_eq!(status(&house, &one), 200);
}

#[test]
fn a_session_is_taken_back_and_no_other() {
    let house = House::start("");
    let address = house.server.address();
    let log_in = || {
        let answer = house.ask(&house.guest, "POST", "/v1/session", "");
        assert_eq!(answer.status, 201, "{}", answer.text());
        let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
        let id = answer.json()["session"].as_str().expect("its name").to_owned();
        (cookie.split(';').next().expect("a value").to_owned(), id)
    };
    let ((ended, id), (stays, _)) = (log_in(), log_in());
    let status = |cookie: &str| {
        let headers = [("Cookie", cookie)];
        let whoami = Request { method: "GET", path: "/v1/whoami", headers: &headers, body: b"" };
        request(address, whoami).status
    };
    let query = "topic=sensors/guest/**";
    let mut stream = Stream::open_with(address, query, &[("Cookie", &ended)]);
    stream.until_ready();
    assert_eq!((status(&ended), status(&stays)), (200, 200));
    take_back(&house, &json!({ "session": id }));
    assert_eq!(stream.next_of("bye").json()["reason"], json!("credential_revoked"));
    assert_eq!((status(&ended), status(&stays)), (401, 200));
}

#[test]
fn what_cannot_be_taken_back_is_told() {
    let house = House::start("");
    let ask = |key: &str, body: Value| house.ask(key, "POST", "/v1/revocations", &body.to_string());
    for body in [
        json!({}),
        json!({ "subject": "a", "session": "b" }),
        json!({ "subject": "" }),
        json!({ "session": "a b" }),
        json!({ "subject": "root" }),
        json!({ "user": "a" }),
    ] {
        let answer = ask(&house.admin, body.clone());
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!("body_invalid")),
            "{body}"
        );
    }
    assert_eq!(ask(&house.guest, json!({ "subject": "a" })).status, 403);
}
