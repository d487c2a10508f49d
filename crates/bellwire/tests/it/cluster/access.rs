//! Keys, what is taken back, logins and tickets of a cluster: made at one node, they count at all.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{KINDS, Pair};
use crate::access::made;
use crate::harness::{Answer, Engine, Request, Server, Stream, request, until};

/// Two nodes that ask who comes, and the key of an administrator.
struct House {
    pair: Pair,
    admin: String,
}

impl House {
    fn on(engine: Engine) -> Self {
        let (admin, table) = made("root", "admin");
        let config = format!(
            "[access]\nsession = \"1h\"\n[[access.role]]\nname = \"sensor\"\n\
             publish = [\"sensors/{{sub}}/**\"]\nsubscribe = [\"sensors/{{sub}}/**\"]\n{table}"
        );
        Self { pair: Pair::configured(engine, &config, &[]), admin }
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        self.pair.addresses()
    }

    fn ask(&self, address: SocketAddr, method: &str, path: &str, body: &Value) -> Answer {
        asked(address, &self.admin, (method, path, body))
    }

    /// Makes a key of this subject: its id, and the key.
    fn make(&self, address: SocketAddr, subject: &str) -> (String, String) {
        let order = json!({ "subject": subject, "roles": ["sensor"] });
        let answer = self.ask(address, "POST", "/v1/keys", &order);
        assert_eq!(answer.status, 201, "{}", answer.text());
        let text = |name: &str| answer.json()[name].as_str().expect("a text").to_owned();
        (text("id"), text("key"))
    }
}

fn on_each(test: impl Fn(House)) {
    KINDS.into_iter().filter_map(Engine::start).map(House::on).for_each(test);
}

fn asked(address: SocketAddr, key: &str, (method, path, body): (&str, &str, &Value)) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [("Authorization", authorization.as_str())];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request(address, Request { method, path, headers: &headers, body: body.as_bytes() })
}

fn whoami(address: SocketAddr, header: (&str, &str)) -> u16 {
    let headers = [header];
    request(address, Request { method: "GET", path: "/v1/whoami", headers: &headers, body: b"" })
        .status
}

fn status(address: SocketAddr, key: &str) -> u16 {
    whoami(address, ("Authorization", &format!("Bearer {key}")))
}

fn follow(address: SocketAddr, key: &str, topic: &str) -> Stream {
    let authorization = format!("Bearer {key}");
    let query = format!("topic={topic}");
    let mut stream =
        Stream::open_with(address, &query, &[("Authorization", authorization.as_str())]);
    stream.until_ready();
    stream
}

/// Reads a stream to its end.
fn ends(mut stream: Stream) {
    while let Some(item) = stream.next() {
        assert!(item.event_type != "message", "{item:?}");
    }
}

/// Stops a node as a crash does, and starts it again.
fn killed(node: &mut Server) {
    node.kill();
    node.restart();
}

#[test]
fn a_key_that_one_node_makes_counts_at_all_and_what_one_takes_back_counts_at_none() {
    on_each(|mut house| {
        let [one, other] = house.addresses();
        let (id, key) = house.make(one, "boiler");
        assert_eq!(status(one, &key), 200);
        until("the other knows it", || status(other, &key) == 200);
        let stream = follow(other, &key, "sensors/boiler/a");
        let (second, pump) = house.make(other, "pump");
        until("both have both", || status(one, &pump) == 200);
        for node in &mut house.pair.nodes {
            killed(node);
            let address = node.address();
            assert_eq!([status(address, &key), status(address, &pump)], [200, 200]);
        }
        drop(stream);
        let stream = follow(other, &key, "sensors/boiler/a");
        let revoked = house.ask(one, "DELETE", &format!("/v1/keys/{id}"), &Value::Null);
        assert_eq!(revoked.status, 204, "{}", revoked.text());
        assert_eq!(status(one, &key), 401);
        ends(stream);
        assert_eq!(status(other, &key), 401);
        // Its use, which the other node has known of, does not bring it back.
        for node in &mut house.pair.nodes {
            node.restart();
            assert_eq!(status(node.address(), &key), 401);
            assert_eq!(status(node.address(), &pump), 200);
        }
        let listed = house.ask(one, "GET", "/v1/keys", &Value::Null);
        assert!(listed.text().contains(&second) && !listed.text().contains(&id));
        // Nobody but who asks for it is told what was made.
        for address in house.addresses() {
            for path in ["/v1/keys", "/v1/topics", "/v1/topics/$sys/audit?after=earliest"] {
                let answer = house.ask(address, "GET", path, &Value::Null);
                assert!(!answer.text().contains(&pump[12..]), "{}", answer.text());
            }
        }
    });
}

#[test]
fn what_is_taken_back_of_a_subject_at_one_node_counts_at_none_until_that_is_forgotten() {
    on_each(|mut house| {
        let [one, other] = house.addresses();
        let (_, key) = house.make(one, "boiler");
        until("the other knows it", || status(other, &key) == 200);
        let streams = house.addresses().map(|it| follow(it, &key, "sensors/boiler/a"));
        let revoke = json!({ "subject": "boiler" });
        // Both at once, who know nothing of each other yet.
        let made = std::thread::scope(|scope| {
            let both = house.addresses().map(|address| {
                let (admin, revoke) = (&*house.admin, &revoke);
                scope.spawn(move || asked(address, admin, ("POST", "/v1/revocations", revoke)))
            });
            both.map(|it| it.join().expect("asked"))
        });
        for made in made {
            assert_eq!(made.status, 201, "{}", made.text());
        }
        streams.into_iter().for_each(ends);
        let listed = |address| {
            let listed = house.ask(address, "GET", "/v1/revocations", &Value::Null).json();
            listed["revocations"].as_array().expect("a list").clone()
        };
        until("both know the same one", || listed(one).len() == 1 && listed(one) == listed(other));
        let id = listed(one)[0]["id"].as_str().expect("an id").to_owned();
        for node in &mut house.pair.nodes {
            killed(node);
            assert_eq!(status(node.address(), &key), 401);
        }
        let forgotten = house.ask(other, "DELETE", &format!("/v1/revocations/{id}"), &Value::Null);
        assert_eq!(forgotten.status, 204, "{}", forgotten.text());
        until("it counts again", || status(one, &key) == 200);
        // Neither of the two comes back.
        for node in &mut house.pair.nodes {
            killed(node);
            assert_eq!(status(node.address(), &key), 200);
        }
    });
}

#[test]
fn a_browser_is_logged_in_at_all_nodes_and_out_at_all() {
    on_each(|mut house| {
        let [one, other] = house.addresses();
        let log_in = |address| log_in(address, &house.admin);
        let log_out = |address, cookie: &str| {
            let headers = [("Cookie", cookie)];
            let path = "/v1/session";
            let logout = Request { method: "DELETE", path, headers: &headers, body: b"" };
            let logout = request(address, logout);
            assert_eq!(logout.status, 204, "{}", logout.text());
        };
        let cookies = [log_in(one), log_in(other), log_in(one)];
        for (cookie, address) in cookies.iter().flat_map(|it| [(it, one), (it, other)]) {
            assert_eq!(whoami(address, ("Cookie", cookie)), 200);
        }
        // Each at another node, at once: neither takes the other's away.
        std::thread::scope(|scope| {
            scope.spawn(|| log_out(one, &cookies[0]));
            scope.spawn(|| log_out(other, &cookies[1]));
        });
        let seen = |address, cookies: &[String]| -> Vec<u16> {
            cookies.iter().map(|cookie| whoami(address, ("Cookie", cookie))).collect()
        };
        for address in [one, other] {
            until("two are out", || seen(address, &cookies) == [401, 401, 200]);
        }
        for node in &mut house.pair.nodes {
            killed(node);
            assert_eq!(seen(node.address(), &cookies), [401, 401, 200]);
        }
    });
}

/// The cookie of a session that is begun here with this token or key.
fn log_in(address: SocketAddr, token: &str) -> String {
    let body = json!({ "token": token }).to_string();
    let path = "/v1/session";
    let login = Request { method: "POST", path, headers: &[], body: body.as_bytes() };
    let login = request(address, login);
    assert_eq!(login.status, 201, "{}", login.text());
    let cookie = login.header("set-cookie").expect("a cookie");
    cookie.split(';').next().expect("a pair").to_owned()
}

#[test]
fn a_page_changes_what_the_keeper_has_by_way_of_each_node_and_a_foreign_one_nothing() {
    on_each(|house| {
        let silence = json!({
            "matchers": [{ "name": "a", "value": "b", "isRegex": false, "isEqual": true }],
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "2099-01-01T00:00:00Z",
            "createdBy": "ada",
            "comment": "a test",
        });
        let body = silence.to_string();
        for address in house.addresses() {
            let cookie = log_in(address, &house.admin);
            let post = |page: &[(&str, &str)]| {
                let own = [("Cookie", &*cookie), ("Content-Type", "application/json")];
                let headers = [&own[..], page].concat();
                let path = "/api/v2/silences";
                let asked =
                    Request { method: "POST", path, headers: &headers, body: body.as_bytes() };
                request(address, asked)
            };
            until("the keeper works", || {
                house.ask(address, "GET", "/v1/alerts", &Value::Null).status == 200
            });
            for page in [
                [("Origin", &*format!("http://{address}")), ("Sec-Fetch-Mode", "cors")],
                [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")],
            ] {
                let made = post(&page);
                assert_eq!(made.status, 200, "{page:?} {}", made.text());
            }
            let foreign: [&[(&str, &str)]; 3] =
                [&[("Origin", "https://evil.example")], &[("Sec-Fetch-Site", "cross-site")], &[]];
            for page in foreign {
                let refused = post(page);
                assert!([401, 403].contains(&refused.status), "{page:?} {}", refused.text());
            }
        }
        let listed = house.ask(house.addresses()[0], "GET", "/api/v2/silences", &Value::Null);
        assert_eq!(listed.json().as_array().expect("a list").len(), 4, "{}", listed.text());
    });
}

#[test]
fn a_ticket_opens_at_any_node_and_whoever_opens_it_last_has_it() {
    on_each(|mut house| {
        let [one, other] = house.addresses();
        let (_, key) = house.make(one, "boiler");
        let order = json!({ "topics": ["sensors/boiler/a"] });
        let ticket = asked(one, &key, ("POST", "/v1/tickets", &order));
        assert_eq!(ticket.status, 201, "{}", ticket.text());
        let ticket = ticket.json()["ticket"].as_str().expect("a ticket").to_owned();
        let query = format!("topic=sensors/boiler/a&ticket={ticket}");
        let open = |address| {
            let mut stream = Stream::open(address, &query);
            stream.until_ready();
            stream
        };
        until("the other knows the key behind it", || status(other, &key) == 200);
        let mut at_one = open(one);
        let mut at_other = open(other);
        assert_eq!(at_one.next_of("bye").json()["reason"], "displaced");
        until("the audit has it", || {
            let audit = "/v1/topics/$sys/audit?after=earliest&limit=1000";
            let told = house.ask(other, "GET", audit, &Value::Null).json();
            let is_it = |event: &Value| {
                event["type"] == "ticket_displaced" && event["data"]["elsewhere"] == true
            };
            told["events"].as_array().is_some_and(|events| events.iter().any(is_it))
        });
        let publish =
            |address| asked(address, &key, ("POST", "/v1/topics/sensors/boiler/a", &json!(1)));
        assert_eq!(publish(one).status, 201);
        assert_eq!(at_other.events(1)[0].json()["data"], 1);
        // Taken up at the other one after a kill, by what nodes have told each other.
        house.pair.nodes[1].kill();
        let mut again = open(one);
        house.pair.nodes[1].restart();
        assert_eq!(publish(other).status, 201);
        assert_eq!(again.events(1)[0].json()["data"], 1);
        // It ends with what it was made of, wherever that is taken back.
        let revoked = house.ask(one, "POST", "/v1/revocations", &json!({ "subject": "boiler" }));
        assert_eq!(revoked.status, 201, "{}", revoked.text());
        ends(again);
        until("the other has heard of it", || status(other, &key) == 401);
        let headers = [("Accept", "text/event-stream")];
        for address in [one, other] {
            let path = format!("/v1/events?{query}");
            let refused = Request { method: "GET", path: &path, headers: &headers, body: b"" };
            assert_eq!(request(address, refused).status, 401);
        }
    });
}
