//! What a board and an operator are told of the server: whether alerts are looked for, how rules go,
//! who follows and why others have gone.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::frames::text;
use crate::harness::{Answer, Frames, Request, Server, Stream, get, post, request};

const RULES: &str = "groups:\n- name: plant\n  rules:\n  - alert: Hot\n    expr: temperature > 90\n    \
                     labels: {severity: warning}\n  - {record: 'site:temperature:max', expr: max by \
                     (site) (temperature)}\n  - {alert: Misspelt, expr: temprature > 90}\n";

/// A server with these rules, and roles that see all, some and no alerts.
fn with_rules() -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES).expect("written");
    (Server::start_with(&["--rules", rules.to_str().expect("UTF-8")]), folder)
}

fn status(server: &Server) -> Value {
    get(server.address(), "/v1/status").json()
}

/// Figures of rules are told each second.
fn wait_for(server: &Server, is_there: impl Fn(&Value) -> bool) -> Value {
    loop {
        let status = status(server);
        if is_there(&status["rules"]) {
            return status;
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_status_says_whether_alerts_are_looked_for_at_all() {
    let none = Server::start();
    let told = status(&none);
    assert_eq!((&told["ready"], &told["rules"]["loaded"]), (&json!(true), &json!(0)));
    assert_eq!(told["rules"].get("last_sample_at"), None, "{told}");

    let (server, folder) = with_rules();
    let told = wait_for(&server, |rules| rules["without_series"] == json!(3));
    assert_eq!(told["rules"]["loaded"], json!(3));
    assert_eq!(told["rules"].get("last_sample_at"), None, "{told}");
    // No rule looks at it: it proves nothing.
    post(server.address(), "/v1/samples", r#"{"name":"other","value":1}"#);
    let hot = r#"{"name":"temperature","labels":{"site":"oslo"},"value":95}"#;
    assert_eq!(post(server.address(), "/v1/samples", hot).status, 200);
    let told = wait_for(&server, |rules| rules["last_sample_at"].is_i64());
    let (at, now) = (&told["rules"]["last_sample_at"], &told["time"]);
    assert!(at.as_i64() <= now.as_i64() && at.as_i64() > Some(1_700_000_000_000), "{told}");
    wait_for(&server, |rules| rules["without_series"] == json!(1));
    assert_eq!(server.figure("bellwire_rules_without_series"), 1);

    std::fs::write(folder.path().join("rules.yml"), "groups: [{name: 1").expect("written");
    assert_eq!(post(server.address(), "/-/reload", "").status, 422);
    let told = status(&server);
    assert_eq!((&told["ready"], &told["rules"]["reload_failing"]), (&json!(true), &json!(true)));
    assert!(told["rules"]["reload_failure"].is_string(), "{told}");
}

#[test]
fn rules_are_listed_with_where_they_stand_and_how_they_go() {
    let (server, _folder) = with_rules();
    let hot = r#"{"name":"temperature","labels":{"site":"oslo"},"value":95}
                 {"name":"temperature","labels":{"site":"bergen"},"value":5}"#;
    assert_eq!(post(server.address(), "/v1/samples", hot).status, 200);
    let listing = get(server.address(), "/v1/rules").json();
    let [hot, max, misspelt] = &listing["rules"].as_array().expect("rules")[..] else {
        panic!("{listing}");
    };
    assert_eq!(
        (&hot["name"], &hot["line"], &hot["kind"]),
        (&json!("Hot"), &json!(4), &json!("alerting"))
    );
    assert_eq!(hot["alerts"], json!({"pending": 0, "firing": 1, "data_lost": 0}));
    assert_eq!((&hot["mode"], &hot["health"]), (&json!("stream"), &json!("well")));
    assert_eq!(
        (&hot["series"], &hot["parts"], &hot["evaluations"]),
        (&json!(2), &json!(2), &json!(2))
    );
    assert!(hot["series_looked_at"].as_u64() >= Some(2) && hot["sample_at"].is_i64(), "{hot}");
    assert_eq!(
        (&max["kind"], &max["line"], &max["series"]),
        (&json!("recording"), &json!(7), &json!(2))
    );
    assert_eq!(max.get("alerts"), None);
    assert_eq!((&misspelt["health"], &misspelt["series"]), (&json!("unknown"), &json!(0)));
    assert_eq!(misspelt.get("sample_at"), None);
    assert_eq!(get(server.address(), "/v1/rules?group=plant").status, 400);
}

/// A server that asks who they are, with somebody who sees some alerts and somebody who sees none.
fn with_strangers(rights: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES).expect("written");
    let text =
        format!("[access]\nanonymous = \"guest\"\n[[access.role]]\nname = \"guest\"\n{rights}\n");
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    let flags =
        ["--config", path.to_str().expect("text"), "--rules", rules.to_str().expect("text")];
    (Server::start_with(&flags), folder)
}

#[test]
fn who_sees_some_or_no_alerts_is_told_no_more_than_that() {
    let (server, _folder) = with_strangers("alerts = ['{site=\"oslo\"}']\nsubscribe = [\"**\"]");
    let told = status(&server);
    assert_eq!((&told["rules"]["loaded"], &told["rules"]["seen"]), (&json!(3), &json!("some")));
    assert_eq!(get(server.address(), "/v1/rules").json()["rules"], json!([]));
    assert_eq!(get(server.address(), "/v1/connections").status, 403, "`**` has no `$sys`");

    let (server, _folder) = with_strangers("subscribe = [\"$sys/connections\"]");
    assert_eq!(status(&server).get("rules"), None);
    assert_eq!(get(server.address(), "/v1/rules").status, 403);
    assert_eq!(get(server.address(), "/v1/connections").status, 200);
}

fn connections(server: &Server) -> Value {
    get(server.address(), "/v1/connections").json()
}

fn open(told: &Value, transport: &str, encoding: &str) -> Value {
    let transports = told["transports"].as_array().expect("transports");
    let is_it = |it: &&Value| it["transport"] == transport && it["encoding"] == encoding;
    transports.iter().find(is_it).expect("it is told of")["open"].clone()
}

#[test]
fn streams_are_counted_and_those_that_end_are_told_of_with_why() {
    let server = Server::start();
    let address = server.address();
    let mut stream = Stream::open(address, "topic=chat/a&topic=chat/b");
    stream.until_ready();
    let mut raw = Stream::open(address, "topic=chat/**&format=raw");
    raw.until_ready();
    let mut socket = Frames::open(address, "topic=chat/c");
    assert_eq!(socket.next().json()["control"], json!("ready"));
    let told = connections(&server);
    assert_eq!(open(&told, "sse", "json"), json!(1));
    assert_eq!(open(&told, "sse", "raw"), json!(1));
    assert_eq!(open(&told, "websocket", "json"), json!(1));
    assert_eq!((&told["streams"], &told["closed"]), (&json!(3), &json!([])));

    drop(stream);
    server.wait_for_streams(2);
    // Text that is no request is answered; a frame of another kind ends the conversation.
    socket.send(text("{}"));
    let mut binary = text("{}");
    binary[0] = (binary[0] & 0xf0) | 2;
    socket.send(binary);
    assert_eq!(socket.closed().0, 1003);
    drop(socket);
    server.wait_for_streams(1);
    let told = connections(&server);
    let [violation, closed] = &told["closed"].as_array().expect("streams")[..] else {
        panic!("{told}");
    };
    assert_eq!(
        (&violation["reason"], &violation["transport"]),
        (&json!("protocol_violation"), &json!("websocket"))
    );
    assert_eq!(violation["filters"], json!(["chat/c"]));
    assert!(
        violation["connection"].as_str().is_some_and(|it| it.starts_with("127.0.0.1:")),
        "{told}"
    );
    assert_eq!((&closed["reason"], &closed["transport"]), (&json!("client_closed"), &json!("sse")));
    assert_eq!(closed["filters"], json!(["chat/a", "chat/b"]));
    assert!(closed["bytes"].as_u64() > Some(0), "{closed}");
    assert_eq!(told["closed_counts"], json!({"client_closed": 1, "protocol_violation": 1}));
    assert_eq!(open(&told, "sse", "json"), json!(0));
    let metrics: Answer =
        request(address, Request { method: "GET", path: "/metrics", headers: &[], body: b"" });
    let line = "bellwire_streams_closed_total{reason=\"protocol_violation\"} 1\n";
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

#[test]
fn a_listing_of_topics_says_when_the_last_event_came_and_how_often_values_changed() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, "[[topic]]\nmatch = \"tickers/*\"\nkind = \"state\"\n").expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    let address = server.address();
    post(address, "/v1/topics/chat/a", "1");
    for value in [&b"1"[..], b"2", b"3"] {
        let (path, headers) = ("/v1/topics/tickers/x", [("Bellwire-Key", "a")]);
        let put = Request { method: "POST", path, headers: &headers, body: value };
        assert!(request(address, put).status < 300);
    }
    let listing = get(address, "/v1/topics").json();
    let topics = listing["topics"].as_array().expect("topics");
    let of = |name: &str| topics.iter().find(|it| it["topic"] == name).expect("it is listed");
    assert!(of("chat/a")["last_event_at"].is_i64(), "{listing}");
    assert_eq!((&of("tickers/x")["changes"], &of("tickers/x")["keys"]), (&json!(3), &json!(1)));
}

#[test]
fn a_listing_has_the_streams_of_the_server_only_where_they_are_asked_for() {
    let (server, _folder) = with_rules();
    let mut own = Stream::open(server.address(), "topic=$alerts/series");
    own.until_ready();
    let hot = r#"{"name":"temperature","labels":{"site":"oslo"},"value":95}"#;
    assert_eq!(post(server.address(), "/v1/samples", hot).status, 200);
    own.events(1);
    let names = |query: &str| -> Vec<String> {
        let listing = get(server.address(), &format!("/v1/topics{query}")).json();
        let topics = listing["topics"].as_array().expect("topics").iter();
        topics.map(|it| it["topic"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("?prefix=$alerts"), ["$alerts/series"]);
    let all = names("");
    assert!(all.contains(&"alerts/events/warning/Hot".to_owned()), "{all:?}");
    assert!(all.iter().all(|name| !name.starts_with('$')), "{all:?}");
}
