//! Who did what is on `$sys/audit`, for administrators, and no flood fills it.

use serde_json::{Value, json};

use crate::harness::{Request, Stream, WebSocket, request};
use crate::keys::House;

/// The audit from its beginning, as an administrator follows it.
struct Audit(Stream);

impl Audit {
    fn of(house: &House) -> Self {
        let authorization = format!("Bearer {}", house.admin);
        let headers = [("Authorization", authorization.as_str())];
        let query = "topic=$sys/audit&after=earliest";
        Self(Stream::open_with(house.server.address(), query, &headers))
    }

    /// The next deed of this kind.
    fn next(&mut self, kind: &str) -> Value {
        self.0.next_of(kind).payload()
    }
}

fn silence(house: &House) -> String {
    let body = json!({
        "matchers": [{ "name": "alertname", "value": "Down" }],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "somebody else",
        "comment": "",
    });
    let answer = house.ask(&house.admin, "POST", "/api/v2/silences", &body.to_string());
    answer.json()["silenceID"].as_str().expect("an id").to_owned()
}

#[test]
fn each_deed_is_there_with_who_did_it() {
    let mut house = House::start("");
    let mut audit = Audit::of(&house);
    let (id, key) = house.make("boiler");
    let made = audit.next("key_made");
    assert_eq!((&made["by"], &made["means"]), (&json!("root"), &json!("key")));
    assert_eq!((&made["target"], &made["subject"]), (&json!(id), &json!("boiler")));
    assert_eq!(made["address"], json!("127.0.0.1"));
    assert!(made["key"].is_string() && !made.to_string().contains(&key[12..]), "{made}");

    let admin = |method, path: &str, body: &str| {
        let answer = house.ask(&house.admin, method, path, body);
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer
    };
    admin("DELETE", &format!("/v1/keys/{id}"), "");
    assert_eq!(audit.next("key_revoked")["target"], json!(id));
    let revoked = admin("POST", "/v1/revocations", r#"{"subject":"ada"}"#).json();
    assert_eq!(audit.next("revoked")["target"], json!("ada"));
    let path = format!("/v1/revocations/{}", revoked["id"].as_str().expect("an id"));
    admin("DELETE", &path, "");
    assert_eq!(audit.next("revocation_deleted")["by"], json!("root"));
    let id = silence(&house);
    let silenced = audit.next("silenced");
    assert_eq!((&silenced["target"], &silenced["by"]), (&json!(id), &json!("root")));
    assert_eq!(silenced["matchers"], json!(r#"{alertname="Down"}"#));
    admin("DELETE", &format!("/api/v2/silence/{id}"), "");
    assert_eq!(audit.next("silence_ended")["target"], json!(id));
    admin("POST", "/-/reload", "");
    assert_eq!(audit.next("reloaded")["by"], json!("root"));

    let labels = json!({ "alertname": "Up" });
    let alert = json!([{ "labels": labels, "endsAt": "2099-01-01T00:00:00Z" }]);
    admin("POST", "/api/v2/alerts", &alert.to_string());
    let alerts = admin("GET", "/v1/alerts", "").json();
    let fingerprint = alerts["alerts"][0]["fingerprint"].as_str().expect("one").to_owned();
    let path = format!("/v1/alerts/{fingerprint}/ack");
    admin("POST", &path, r#"{"by":"somebody else"}"#);
    let acknowledged = audit.next("acknowledged");
    assert_eq!(
        (&acknowledged["target"], &acknowledged["by"]),
        (&json!(fingerprint), &json!("root"))
    );
    let mut socket = WebSocket::open_bearing(house.server.address(), "", &house.admin);
    socket.call(&json!({ "request": "unacknowledge", "id": 1, "fingerprint": fingerprint }));
    assert_eq!(audit.next("unacknowledged")["by"], json!("root"));
    house.server.kill();
    house.server.restart();
    assert_eq!(Audit::of(&house).next("unacknowledged")["target"], json!(fingerprint));
}

#[test]
fn logins_and_logouts_are_there_by_the_name_of_the_session() {
    let house = House::start("");
    let mut audit = Audit::of(&house);
    let login = house.ask(&house.guest, "POST", "/v1/session", "");
    let cookie = login.header("set-cookie").expect("a cookie").to_owned();
    let cookie = cookie.split(';').next().expect("a value");
    let told = audit.next("login");
    let session = &login.json()["session"];
    assert_eq!(
        (&told["by"], &told["session"], &told["shown"]),
        (&json!("guest"), session, &json!("key"))
    );
    assert!(!told.to_string().contains("bws_"), "{told}");
    let topics = r#"{"topics":["sensors/guest/**"]}"#;
    assert_eq!(house.ask(&house.guest, "POST", "/v1/tickets", topics).status, 201);
    let made = audit.next("ticket_made");
    assert_eq!((&made["by"], &made["target"]), (&json!("guest"), &json!("sensors/guest/**")));
    assert!(!made.to_string().contains("bwt_"), "{made}");
    let address = house.server.address();
    let mut stream = Stream::open_with(address, "topic=sensors/guest/**", &[("Cookie", cookie)]);
    stream.until_ready();
    let headers = [("Cookie", cookie), ("Sec-Fetch-Site", "same-origin")];
    let logout = Request { method: "DELETE", path: "/v1/session", headers: &headers, body: b"" };
    assert_eq!(request(address, logout).status, 204);
    assert_eq!(&audit.next("logout")["session"], session);
    assert_eq!(stream.next_of("bye").json()["reason"], json!("credential_revoked"));
}

#[test]
fn a_flood_of_refusals_is_a_few_events_and_a_count() {
    let mut house = House::start("");
    let secret = "bw_secretthatnobodymaysee";
    for number in 0..60 {
        // Of streams, which are refused at the door, and of all else.
        let path = if number % 2 == 0 { "/v1/events?topic=a" } else { "/v1/whoami" };
        assert_eq!(house.ask(secret, "GET", path, "").status, 401);
    }
    // What is yet to be counted is as the server ends.
    house.server.restart();
    let mut audit = Audit::of(&house);
    for _ in 0..5 {
        let told = audit.next("refused");
        assert!(told.get("by").is_none() && !told.to_string().contains("secret"), "{told}");
        assert_eq!((&told["shown"], &told["address"]), (&json!("key"), &json!("127.0.0.1")));
        assert_eq!(told["code"], json!("credential_invalid"));
    }
    assert_eq!(audit.next("refused"), json!({ "count": 55 }));
}

#[test]
fn what_rights_refuse_is_there_with_who_tried_it_on_every_transport() {
    let mut house = House::start("");
    let ask = |method, path, body: &str| house.ask(&house.guest, method, path, body);
    // By the route, by the topic, of a batch, of a stream, which is refused at the door.
    assert_eq!(ask("GET", "/v1/keys", "").status, 403);
    assert_eq!(ask("POST", "/v1/topics/not/mine", "1").status, 403);
    let batch = r#"[{"topic":"not/mine","data":1}]"#;
    let told = ask("POST", "/v1/events", batch);
    assert!(told.text().contains("forbidden"), "{}", told.text());
    assert_eq!(ask("GET", "/v1/events?topic=not/mine", "").status, 403);
    let mut socket = WebSocket::open_bearing(house.server.address(), "", &house.guest);
    let subscribe = json!({ "request": "subscribe", "id": 1, "topics": ["not/mine"] });
    assert_eq!(socket.call(&subscribe)["error"]["code"], json!("forbidden"));
    // The sixth is counted alone.
    assert_eq!(ask("GET", "/v1/keys", "").status, 403);
    let figures = house.ask(&house.admin, "GET", "/metrics", "");
    assert!(figures.text().contains("\nbellwire_requests_forbidden_total 6\n"));
    house.server.restart();
    let mut audit = Audit::of(&house);
    let routes = ["/v1/keys", "/v1/topics/{*topic}", "/v1/events", "/v1/events", "/v1/events"];
    for route in routes {
        let told = audit.next("forbidden");
        assert_eq!((&told["by"], &told["target"]), (&json!("guest"), &json!(route)), "{told}");
        assert!(told["detail"].as_str().expect("why").contains("you may"), "{told}");
    }
    assert_eq!(audit.next("forbidden"), json!({ "by": "guest", "count": 1 }));
}

#[test]
fn a_flood_by_a_guest_hides_nothing_of_what_an_administrator_does() {
    let mut house = House::start("");
    let topics = r#"{"topics":["sensors/guest/**"]}"#;
    for _ in 0..60 {
        assert_eq!(house.ask(&house.guest, "POST", "/v1/tickets", topics).status, 201);
    }
    let (id, _) = house.make("boiler");
    house.server.restart();
    let mut audit = Audit::of(&house);
    for _ in 0..20 {
        assert_eq!(audit.next("ticket_made")["by"], json!("guest"));
    }
    assert_eq!(audit.next("key_made")["target"], json!(id));
    assert_eq!(audit.next("ticket_made"), json!({ "by": "guest", "count": 40 }));
}

#[test]
fn what_a_websocket_shows_is_there_where_it_is_refused_and_where_it_renews() {
    let house = House::start("");
    let address = house.server.address();
    let mut socket = WebSocket::open(address, "credential=message");
    for token in ["bw_nobody", ""] {
        let shown = json!({ "request": "renew", "id": 1, "token": token });
        assert_eq!(socket.call(&shown)["error"]["code"], json!("credential_invalid"));
    }
    let mut audit = Audit::of(&house);
    let refused = audit.next("refused");
    assert_eq!(
        (&refused["shown"], &refused["target"], &refused["address"]),
        (&json!("key"), &json!("/v1/events"), &json!("127.0.0.1"))
    );
    audit.next("refused");
    let mut socket = WebSocket::open_bearing(address, "", &house.guest);
    let shown = |token: &str| json!({ "request": "renew", "id": 2, "token": token });
    assert_eq!(socket.call(&shown(&house.admin))["error"]["code"], json!("subject_differs"));
    let refused = audit.next("refused");
    assert_eq!((&refused["by"], &refused["code"]), (&json!("guest"), &json!("subject_differs")));
    for _ in 0..3 {
        assert!(socket.call(&shown(&house.guest)).get("error").is_none());
    }
    assert_eq!(audit.next("renewed")["by"], json!("guest"));
}

#[test]
fn a_ticket_that_is_shown_by_two_or_for_what_it_is_not_is_there() {
    let house = House::start("");
    let topics = r#"{"topics":["sensors/guest/**"]}"#;
    let made = house.ask(&house.guest, "POST", "/v1/tickets", topics).json();
    let ticket = made["ticket"].as_str().expect("a ticket");
    let query = |topic: &str| format!("topic=sensors/guest/{topic}&ticket={ticket}");
    let open = || Stream::open(house.server.address(), &query("a"));
    let mut audit = Audit::of(&house);
    let mut first = open();
    first.until_ready();
    let mut second = open();
    second.until_ready();
    let displaced = audit.next("ticket_displaced");
    assert_eq!(
        (&displaced["by"], &displaced["target"], &displaced["address"]),
        (&json!("guest"), &json!("sensors/guest/a"), &json!("127.0.0.1"))
    );
    let path = format!("/v1/events?topic=sensors/**&ticket={ticket}");
    assert_eq!(crate::harness::get(house.server.address(), &path).status, 401);
    let refused = audit.next("refused");
    assert_eq!((&refused["by"], &refused["shown"]), (&json!("guest"), &json!("ticket")));
    assert!(!refused.to_string().contains("bwt_"), "{refused}");
}

#[test]
fn reloads_by_a_signal_are_there_and_those_that_come_to_nothing() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, "groups: []").expect("written");
    let mut house = House::start(&format!("rules = [\"{}\"]", rules.display()));
    let mut audit = Audit::of(&house);
    house.server.process().signal("HUP");
    let told = audit.next("reloaded");
    assert_eq!((&told["signal"], told.get("by")), (&json!("SIGHUP"), None));
    std::fs::write(&rules, "groups: {").expect("written");
    house.server.process().signal("HUP");
    let told = audit.next("reload_failed");
    assert_eq!((&told["signal"], &told["code"]), (&json!("SIGHUP"), &json!("rules_invalid")));
    assert_ne!(house.ask(&house.admin, "POST", "/-/reload", "").status, 200);
    assert_eq!(audit.next("reload_failed")["by"], json!("root"));
}

#[test]
fn administrators_alone_read_it_and_nobody_writes_it() {
    let house = House::start("");
    house.make("boiler");
    // Who makes it does not wait for the audit.
    Audit::of(&house).next("key_made");
    let page = "/v1/topics/$sys/audit";
    assert_eq!(house.ask(&house.guest, "GET", page, "").status, 403);
    let told = house.ask(&house.admin, "GET", page, "");
    assert!(told.text().contains("boiler"), "{}", told.text());
    assert_eq!(house.ask(&house.admin, "POST", page, "1").status, 403);
    let open = crate::harness::Server::start();
    let listed = crate::harness::get(open.address(), page);
    assert!(!listed.text().contains("\"by\""), "{}", listed.text());
}
