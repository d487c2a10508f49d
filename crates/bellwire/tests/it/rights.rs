//! What becomes of a stream with the rights of whoever has opened it.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::token;
use crate::harness::frames::{FIN, PING, text};
use crate::harness::{
    Answer, Frames, Http2, Lines, Request, Server, Stream, StreamItem, get, post, request,
};

/// A server whose strangers may read some topics, and publish to all of them.
fn with_strangers(more: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let text = format!(
        "[access]\nanonymous = \"guest\"\n{more}\n[[access.role]]\nname = \"guest\"\n\
         subscribe = [\"news/**\", \"own/*\"]\npublish = [\"news/**\", \"own/**\", \"other/**\"]\n"
    );
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), folder)
}

fn polled(server: &Server, query: &str) -> Answer {
    let path = format!("/v1/events?{query}");
    let headers = [("Accept", "application/json")];
    request(server.address(), Request { method: "GET", path: &path, headers: &headers, body: b"" })
}

#[test]
fn a_stream_is_told_first_of_what_it_follows_less_than_was_asked_for() {
    let (server, _folder) = with_strangers("");
    let address = server.address();
    let left = json!(["news/today", "own/*"]);
    let asked = "topic=own/**&topic=news/today&topic=other/**";

    let mut stream = Stream::open(address, &format!("{asked}&after=e1-1"));
    let told = stream.next().expect("a control");
    assert_eq!(told.json(), json!({"control": "narrowed", "topics": left}));
    assert_eq!((&*told.event_type, &*told.id), ("narrowed", ""));
    assert_eq!(stream.next().expect("a control").json()["control"], json!("gap"));
    stream.until_ready();
    let mut raw = Stream::open(address, &format!("{asked}&format=raw"));
    assert_eq!(raw.next().expect("a control").json()["topics"], left);
    let mut lines = Lines::open(address, asked);
    assert_eq!(lines.next().expect("a line"), json!({"control": "narrowed", "topics": left}));
    let mut http2 = Http2::plain(address);
    let mut carried = http2.stream(asked, &[]);
    assert_eq!(http2.next(&mut carried).expect("a control").json()["topics"], left);
    let mut socket = Frames::open(address, asked);
    assert_eq!(socket.next().json(), json!({"control": "narrowed", "topics": left}));
    let poll = polled(&server, asked).json();
    assert_eq!((&poll["narrowed"], &poll["events"]), (&left, &json!([])));

    for topic in ["other/a", "own/a/b", "own/a", "news/today"] {
        assert_eq!(post(address, &format!("/v1/topics/{topic}"), "1").status, 201);
    }
    let topics = |events: Vec<Value>| -> Vec<Value> {
        events.into_iter().map(|event| event["topic"].clone()).collect()
    };
    let events = stream.events(2).iter().map(StreamItem::json).collect();
    assert_eq!(topics(events), ["own/a", "news/today"]);
    lines.until_ready();
    assert_eq!(topics(lines.events(2)), ["own/a", "news/today"]);
}

#[test]
fn who_follows_all_that_was_asked_for_is_told_of_nothing() {
    let (server, _folder) = with_strangers("");
    let address = server.address();
    let asked = "topic=own/a&topic=news/**";
    let mut stream = Stream::open(address, asked);
    assert_eq!(stream.next().expect("a control").json()["control"], json!("ready"));
    let poll = polled(&server, asked).json();
    assert_eq!(poll.get("narrowed"), None, "{poll}");
    let mut socket = Frames::open(address, "");
    assert_eq!(socket.next().json()["control"], json!("ready"));
    socket.send(text(r#"{"request":"subscribe","id":1,"topics":["own/a"]}"#));
    assert_eq!(socket.reply(1), json!({"reply": 1}));
}

#[test]
fn a_subscription_says_in_its_reply_what_is_left_of_it() {
    let (server, _folder) = with_strangers("");
    let mut socket = Frames::open(server.address(), "topic=news/a");
    socket.send(text(r#"{"request":"subscribe","id":1,"topics":["own/**","other/**"]}"#));
    assert_eq!(socket.reply(1), json!({"reply": 1, "narrowed": ["own/*"]}));
    socket.send(text(r#"{"request":"subscribe","id":2,"topics":["other/**"]}"#));
    assert_eq!(socket.reply(2)["error"]["code"], json!("forbidden"));
    // It is taken back by the name that it was asked by.
    socket.send(text(r#"{"request":"unsubscribe","id":3,"topics":["own/**"]}"#));
    assert_eq!(socket.reply(3), json!({"reply": 3}));
}

#[test]
fn who_asks_for_more_is_refused_where_that_is_configured() {
    let (server, _folder) = with_strangers("wider = \"refuse\"");
    let address = server.address();
    for (asked, status) in [("topic=own/**", 403), ("topic=own/*", 200), ("topic=other/a", 403)] {
        assert_eq!(polled(&server, asked).status, status, "{asked}");
    }
    assert_eq!(get(address, "/v1/events?topic=own/**").json()["code"], json!("forbidden"));
    let mut socket = Frames::open(address, "topic=own/a");
    socket.send(text(r#"{"request":"subscribe","id":1,"topics":["own/**"]}"#));
    assert_eq!(socket.reply(1)["error"]["code"], json!("forbidden"));
    socket.send(text(r#"{"request":"subscribe","id":2,"topics":["news/**"]}"#));
    assert_eq!(socket.reply(2), json!({"reply": 2}));
}

/// A server that takes tokens of readers of teams, and where their secret is.
fn with_teams(more: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret of more than thirty-two bytes\n").expect("written");
    let text = format!(
        r#"
        [access]
        {more}

        [[access.role]]
        name = "reader"
        subscribe = ["teams/{{claim.team}}/**", "alerts/**"]
        publish = ["teams/**"]
        alerts = ['{{team="{{claim.sees}}"}}']

        [[access.role]]
        name = "watcher"
        admin = true

        [[access.issuer]]
        name = "me"
        audiences = ["bellwire"]
        roles = ["reader"]
        leeway = "0s"

        [[access.issuer.key]]
        secret_file = "{}"
        "#,
        secret.display()
    );
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), folder)
}

/// A token of somebody, for so long, with claims.
fn reader(folder: &TempDir, (subject, valid_for): (&str, &str), claims: &[&str]) -> String {
    let mut arguments = vec!["--issuer", "me", "--audience", "bellwire", "--subject", subject];
    arguments.extend(["--valid-for", valid_for]);
    for claim in claims {
        arguments.extend(["--claim", claim]);
    }
    token(folder, &arguments)
}

/// What a WebSocket is told next, pings aside.
fn heard(socket: &mut Frames) -> Value {
    loop {
        let frame = socket.next();
        if frame.first != FIN | PING {
            return frame.json();
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn renew(server: &Server, token: &str, renews: &Value) -> Answer {
    let (authorization, body) = (bearer(token), json!({"renews": renews}).to_string());
    let headers = [("Authorization", authorization.as_str())];
    let (path, body) = ("/v1/session/token", body.as_bytes());
    request(server.address(), Request { method: "POST", path, headers: &headers, body })
}

fn publish(server: &Server, token: &str, topic: &str) {
    let (authorization, path) = (bearer(token), format!("/v1/topics/{topic}"));
    let headers = [("Authorization", authorization.as_str())];
    let publish = Request { method: "POST", path: &path, headers: &headers, body: b"1" };
    assert_eq!(request(server.address(), publish).status, 201);
}

#[test]
fn all_streams_of_a_credential_go_on_under_a_newer_one() {
    let (server, folder) = with_teams("");
    let address = server.address();
    let short = reader(&folder, ("ada", "30s"), &["team=red", "team=blue"]);
    let authorization = bearer(&short);
    let headers = [("Authorization", authorization.as_str())];
    let asked = "topic=teams/red/*&topic=teams/blue/*";
    let mut stream = Stream::open_with(address, asked, &headers);
    let mut http2 = Http2::plain(address);
    let mut carried = http2.stream(asked, &headers);
    let line = format!("Authorization: {authorization}\r\n");
    let mut socket = Frames::open_with(address, asked, &line);
    // Others of the same subject are none of its business.
    let other = reader(&folder, ("ada", "1h"), &["team=red", "team=blue"]);
    let others = bearer(&other);
    let mut other = Stream::open_with(address, asked, &[("Authorization", &others)]);
    stream.until_ready();
    other.until_ready();
    assert_eq!(http2.next(&mut carried).expect("it").json()["control"], json!("ready"));
    assert_eq!(heard(&mut socket)["control"], json!("ready"));

    let told = stream.next_of("renew").json();
    assert!(told["expires_in_ms"].as_u64().is_some_and(|left| left <= 60_000), "{told}");
    let carried_told = http2.next_of(&mut carried, "renew").json();
    assert_eq!(carried_told["renews"], told["renews"], "one renewal is for all of them");
    assert_eq!(heard(&mut socket)["renews"], told["renews"]);

    let newer = reader(&folder, ("ada", "1h"), &["team=blue"]);
    let bob = reader(&folder, ("bob", "1h"), &["team=blue"]);
    let refused = renew(&server, &bob, &told["renews"]);
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("subject_differs")));
    for forged in [json!("bwr_x"), json!(""), json!(told["renews"].to_string())] {
        assert_eq!(renew(&server, &newer, &forged).status, 400, "{forged}");
    }
    assert_eq!(renew(&server, &newer, &json!(7)).json()["code"], json!("body_invalid"));
    let whoami = renew(&server, &newer, &told["renews"]);
    assert_eq!((whoami.status, &whoami.json()["subject"]), (200, &json!("ada")));
    for topic in ["teams/red/a", "teams/blue/a"] {
        publish(&server, &newer, topic);
    }
    let narrowed = json!({"control": "narrowed", "topics": ["teams/blue/*"]});
    assert_eq!(stream.next().expect("it goes on").json(), narrowed);
    assert_eq!(http2.next(&mut carried).expect("it goes on").json(), narrowed);
    assert_eq!(heard(&mut socket), narrowed);
    let blue = json!("teams/blue/a");
    assert_eq!(stream.next().expect("it goes on").json()["topic"], blue);
    assert_eq!(http2.next(&mut carried).expect("it goes on").json()["topic"], blue);
    assert_eq!(heard(&mut socket)["topic"], blue);
    let topics: Vec<_> = other.events(2).iter().map(|it| it.json()["topic"].clone()).collect();
    assert_eq!(topics, ["teams/red/a", "teams/blue/a"]);
    // Once more, with a token that leaves nothing.
    let nothing = reader(&folder, ("ada", "1h"), &["team=green"]);
    assert_eq!(renew(&server, &nothing, &told["renews"]).status, 200);
    assert_eq!(stream.next_of("bye").json()["reason"], json!("forbidden"));
    assert_eq!(stream.next(), None);
    assert_eq!(http2.next_of(&mut carried, "bye").json()["reason"], json!("forbidden"));
    assert_eq!(heard(&mut socket)["reason"], json!("forbidden"));
    assert_eq!(socket.closed().0, 1008);
}

#[test]
fn a_websocket_goes_on_by_itself_under_what_it_shows() {
    let (server, folder) = with_teams("");
    let of = |subject: &str, team: &str| reader(&folder, (subject, "1h"), &[team]);
    let line = format!("Authorization: Bearer {}\r\n", of("ada", "team=red"));
    let mut socket = Frames::open_with(server.address(), "topic=teams/red/**", &line);
    assert_eq!(heard(&mut socket)["control"], json!("ready"));
    let mut ask = |id: u64, token: &str| {
        socket.send(text(json!({"request": "renew", "id": id, "token": token}).to_string()));
        socket.reply(id)
    };
    assert_eq!(ask(1, "nonsense")["error"]["code"], json!("credential_invalid"));
    let bob = of("bob", "team=red");
    assert_eq!(ask(2, &bob)["error"]["code"], json!("subject_differs"));
    assert_eq!(ask(3, &of("ada", "team=red")), json!({"reply": 3}));
    publish(&server, &bob, "teams/red/a");
    assert_eq!(heard(&mut socket)["topic"], json!("teams/red/a"));
    let other = of("ada", "team=blue");
    socket.send(text(json!({"request": "renew", "token": other}).to_string()));
    assert_eq!(heard(&mut socket)["reason"], json!("forbidden"));
    assert_eq!(socket.closed().0, 1008);
}

#[test]
fn who_is_to_see_other_alerts_begins_anew() {
    let (server, folder) = with_teams("");
    let of = |team: &str, valid_for| reader(&folder, ("ada", valid_for), &[team]);
    let authorization = bearer(&of("sees=red", "30s"));
    let headers = [("Authorization", authorization.as_str())];
    let mut stream = Stream::open_with(server.address(), "topic=alerts/**", &headers);
    let told = stream.next_of("renew").json();
    let newer = of("sees=red", "30s");
    assert_eq!(renew(&server, &newer, &told["renews"]).status, 200);
    // The same may be seen: it goes on, and is told again ahead of its new end.
    let told = stream.next_of("renew").json();
    assert_eq!(renew(&server, &of("sees=blue", "1h"), &told["renews"]).status, 200);
    assert_eq!(stream.next_of("bye").json()["reason"], json!("rights_changed"));
}

#[test]
fn a_stream_outlives_its_token_for_as_long_as_it_is_let() {
    let (server, folder) = with_teams("expiry_grace = \"5m\"\nanonymous = \"watcher\"");
    let short = reader(&folder, ("ada", "8s"), &["team=red"]);
    let authorization = bearer(&short);
    let headers = [("Authorization", authorization.as_str())];
    let mut stream = Stream::open_with(server.address(), "topic=teams/red/*", &headers);
    stream.until_ready();
    let told = stream.next_of("renew").json();
    server.wait_for_figure("bellwire_streams_tolerated_total", 1);
    assert_eq!(renew(&server, &short, &told["renews"]).status, 401);
    let newer = reader(&folder, ("ada", "1h"), &["team=red"]);
    assert_eq!(renew(&server, &newer, &told["renews"]).status, 200);
    publish(&server, &newer, "teams/red/a");
    assert_eq!(stream.events(1)[0].json()["topic"], json!("teams/red/a"));
}

#[test]
fn the_first_message_of_a_websocket_says_whose_it_is() {
    let (server, folder) = with_teams("");
    let token = reader(&folder, ("ada", "1h"), &["team=red", "sees=red"]);
    let mut socket = Frames::open(server.address(), "credential=message");
    assert_eq!(socket.next().json()["control"], json!("ready"));
    let mut ask = |request: Value| {
        let id = request["id"].as_u64().expect("an id");
        socket.send(text(request.to_string()));
        socket.reply(id)
    };
    // Until then it may do nothing.
    let early = ask(json!({"request": "subscribe", "id": 1, "topics": ["teams/red/**"]}));
    assert_eq!(early["error"]["code"], json!("forbidden"));
    let early = ask(json!({"request": "publish", "id": 2, "topic": "teams/red/a", "data": 1}));
    assert_eq!(early["error"]["code"], json!("forbidden"));
    let wrong = ask(json!({"request": "renew", "id": 3, "token": "nonsense"}));
    assert_eq!(wrong["error"]["code"], json!("credential_invalid"));
    assert_eq!(ask(json!({"request": "renew", "id": 4, "token": token})), json!({"reply": 4}));
    let reply = ask(json!({"request": "subscribe", "id": 5, "topics": ["teams/red/**"]}));
    assert_eq!(reply, json!({"reply": 5}));
    let ready = socket.next().json();
    assert_eq!((&ready["control"], &ready["id"]), (&json!("ready"), &json!(5)));
    publish(&server, &token, "teams/red/a");
    assert_eq!(socket.next().json()["topic"], json!("teams/red/a"));
    // From now on it is somebody's.
    let bob = reader(&folder, ("bob", "1h"), &["team=red"]);
    socket.send(text(json!({"request": "renew", "id": 6, "token": bob}).to_string()));
    assert_eq!(socket.reply(6)["error"]["code"], json!("subject_differs"));
}

#[test]
fn who_does_not_say_who_they_are_is_not_waited_for() {
    let (server, _folder) = with_teams("");
    let address = server.address();
    let mut silent = Frames::open(address, "credential=message");
    for query in ["credential=message&topic=teams/red/a", "credential=header&topic=teams/red/a"] {
        for answer in [get(address, &format!("/v1/events?{query}")), polled(&server, query)] {
            let told = (answer.status, answer.json()["code"].clone());
            assert_eq!(told, (401, json!("credential_missing")), "{query}");
        }
    }
    let path = "/v1/alerts?credential=message";
    assert_eq!(get(address, path).json()["code"], json!("credential_missing"));
    // It is pinged meanwhile.
    let mut told = || loop {
        let frame = silent.next();
        if frame.first != FIN | PING {
            return frame.json();
        }
    };
    assert_eq!(told()["control"], json!("ready"));
    assert_eq!(told()["reason"], json!("credential_expired"));
    assert_eq!(silent.closed().0, 1008);
}

#[test]
fn who_sees_more_by_now_does_not_see_it_through_an_old_connection() {
    let (server, folder) = with_teams("");
    let red = reader(&folder, ("ada", "1h"), &["team=red", "sees=red"]);
    let both = reader(&folder, ("ada", "1h"), &["team=red", "sees=red", "sees=blue"]);
    let line = format!("Authorization: Bearer {red}\r\n");
    let mut socket = Frames::open_with(server.address(), "topic=alerts/a", &line);
    assert_eq!(socket.next().json()["control"], json!("ready"));
    let mut ask = |request: Value| {
        let id = request["id"].as_u64().expect("an id");
        socket.send(text(request.to_string()));
        socket.reply(id)
    };
    assert_eq!(ask(json!({"request": "renew", "id": 1, "token": both})), json!({"reply": 1}));
    let more = ask(json!({"request": "subscribe", "id": 2, "topics": ["alerts/b"]}));
    assert_eq!(more["error"]["code"], json!("forbidden"), "{more}");
    let more = ask(json!({"request": "subscribe", "id": 3, "topics": ["teams/red/**"]}));
    assert_eq!(more, json!({"reply": 3}));
    assert_eq!(get(server.address(), "/healthz").status, 200, "it is there");
}

#[test]
fn a_ticket_whose_stream_was_renewed_displaces_nobody() {
    let (server, folder) = with_teams("anonymous = \"watcher\"");
    let address = server.address();
    let token = reader(&folder, ("ada", "24s"), &["team=red"]);
    let shown = bearer(&token);
    let headers = [("Authorization", shown.as_str())];
    let body = json!({"topics": ["teams/red/**"]}).to_string();
    let body = body.as_bytes();
    let made =
        request(address, Request { method: "POST", path: "/v1/tickets", headers: &headers, body });
    let ticket = made.json()["ticket"].as_str().expect("a ticket").to_owned();
    let query = format!("topic=teams/red/**&ticket={ticket}");
    let mut stream = Stream::open(address, &query);
    let told = stream.next_of("renew").json();
    let newer = reader(&folder, ("ada", "1h"), &["team=red"]);
    assert_eq!(renew(&server, &newer, &told["renews"]).status, 200);
    drop(stream);
    server.wait_for_streams(0);
    // Somebody else gets the number that is free now.
    let bob = bearer(&reader(&folder, ("bob", "1h"), &["team=red"]));
    let mut bobs = Stream::open_with(address, "topic=teams/red/**", &[("Authorization", &bob)]);
    bobs.until_ready();
    let mut again = Stream::open(address, &query);
    again.until_ready();
    publish(&server, &newer, "teams/red/a");
    assert_eq!(bobs.events(1)[0].json()["topic"], json!("teams/red/a"));
    assert_eq!(again.events(1)[0].json()["topic"], json!("teams/red/a"));
}
