//! Stream tickets: how one is made, what it opens, and for whom.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::access::made;
use crate::harness::{Answer, Request, Server, Stream, request};

const APP: (&str, &str) = ("Origin", "https://app.example");

/// A server that pages of another site may use, and the key of a team.
struct Site {
    server: Server,
    key: String,
    /// The configuration, which is read again when the server starts again.
    folder: TempDir,
}

impl Site {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let (key, table) = made("red", "team");
        let text = "allowed_origins = [\"https://app.example\"]\n[[access.role]]\n\
                    name = \"team\"\nsubscribe = [\"teams/{sub}/**\"]\npublish = [\"teams/{sub}/**\"]\n";
        let path = folder.path().join("bellwire.toml");
        std::fs::write(&path, format!("{text}{table}")).expect("written");
        let server = Server::start_with(&["--config", path.to_str().expect("text")]);
        Self { server, key, folder }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let body = body.as_bytes();
        request(self.server.address(), Request { method, path, headers, body })
    }

    fn make(&self, headers: &[(&str, &str)], body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let headers = [headers, &[("Authorization", bearer.as_str())]].concat();
        self.ask("POST", "/v1/tickets", &headers, &body.to_string())
    }

    /// A ticket of a page of the other site.
    fn ticket(&self, topics: &[&str]) -> String {
        let made = self.make(&[APP], &json!({ "topics": topics }));
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.header("access-control-allow-origin"), Some(APP.1));
        made.json()["ticket"].as_str().expect("a ticket").to_owned()
    }

    fn publish(&self, topic: &str, text: &str) {
        let bearer = format!("Bearer {}", self.key);
        let path = format!("/v1/topics/{topic}");
        let answer = self.ask("POST", &path, &[("Authorization", &bearer)], text);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    fn refused(&self, query: &str, headers: &[(&str, &str)]) {
        let answer = self.ask("GET", &format!("/v1/events?{query}"), headers, "");
        let code = answer.json()["code"].as_str().map(ToOwned::to_owned);
        let refused = (answer.status, code.as_deref());
        assert_eq!(refused, (401, Some("credential_invalid")), "{query} {headers:?}");
        assert!(!answer.text().contains("bwt_"), "{}", answer.text());
    }
}

#[test]
fn a_page_of_another_site_follows_with_a_ticket_what_it_is_for() {
    let site = Site::start();
    let ticket = site.ticket(&["teams/red/**", "teams/blue/**"]);
    let query = format!("topic=teams/**&topic=teams/red/a&ticket={ticket}");
    site.refused(&query, &[APP]);
    let query = format!("topic=teams/red/a&ticket={ticket}");
    let mut stream = Stream::open_with(site.server.address(), &query, &[APP]);
    stream.until_ready();
    site.publish("teams/red/a", "1");
    assert_eq!(stream.events(1)[0].json()["topic"], json!("teams/red/a"));
}

#[test]
fn a_ticket_is_for_its_page_its_topics_and_streams() {
    let site = Site::start();
    let ticket = site.ticket(&["teams/red/a"]);
    let own = format!("http://{}", site.server.address());
    let red = format!("topic=teams/red/a&ticket={ticket}");
    for headers in [
        &[][..],
        &[("Origin", "https://evil.example")],
        &[("Origin", "http://app.example")],
        &[("Origin", "null")],
        &[("Origin", &own)],
        &[APP, ("Accept", "application/json")],
        &[APP, ("Authorization", &format!("Bearer {ticket}"))],
    ] {
        site.refused(&red, headers);
    }
    for query in [
        format!("topic=teams/red/**&ticket={ticket}"),
        format!("topic=teams/red/a&topic=teams/red/b&ticket={ticket}"),
        format!("topic=teams/red/a&ticket={}", &ticket[..ticket.len() - 1]),
        format!("topic=teams/red/a&ticket={ticket}&ticket={ticket}"),
        "topic=teams/red/a&ticket=".to_owned(),
    ] {
        site.refused(&query, &[APP]);
    }
    for path in ["/v1/topics", "/v1/topics/teams/red/a", "/v1/whoami"] {
        let answer = site.ask("GET", &format!("{path}?ticket={ticket}"), &[APP], "");
        assert_eq!(answer.status, 401, "{path}");
    }
    let websocket = [
        APP,
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    site.refused(&red, &websocket);
}

/// Whoever has read a ticket in a log takes the stream away from its owner, who sees it.
#[test]
fn the_newest_connection_has_the_ticket() {
    let site = Site::start();
    let ticket = site.ticket(&["teams/red/a"]);
    let query = format!("topic=teams/red/a&ticket={ticket}");
    let open = || Stream::open_with(site.server.address(), &query, &[APP]);
    let mut first = open();
    first.until_ready();
    let mut second = open();
    second.until_ready();
    assert_eq!(first.next_of("bye").json()["reason"], json!("displaced"));
    assert!(first.next().is_none(), "it has ended");
    site.publish("teams/red/a", "1");
    second.events(1);
    drop(second);
    open().until_ready();
}

#[test]
fn a_ticket_ends_with_the_credential_behind_it() {
    let site = Site::start();
    let login = site.ask("POST", "/v1/session", &[], &json!({"token": site.key}).to_string());
    let cookie = login.header("set-cookie").and_then(|it| it.split(';').next()).expect("a cookie");
    let own = format!("http://{}", site.server.address());
    let headers = [("Cookie", cookie), ("Origin", own.as_str())];
    let body = json!({"topics": ["teams/red/a"]}).to_string();
    let made = site.ask("POST", "/v1/tickets", &headers, &body);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["ends_at"], login.json()["ends_at"]);
    // A page of the server itself says no origin as it opens its stream.
    let query =
        format!("topic=teams/red/a&ticket={}", made.json()["ticket"].as_str().expect("one"));
    let mut stream = Stream::open_with(site.server.address(), &query, &[]);
    stream.until_ready();
    assert_eq!(site.ask("DELETE", "/v1/session", &headers, "").status, 204);
    assert_eq!(stream.next_of("bye").json()["reason"], json!("credential_revoked"));
    site.refused(&query, &[]);
}

#[test]
fn a_ticket_has_the_roles_that_its_key_has_today() {
    let mut site = Site::start();
    let query = format!("topic=teams/red/a&ticket={}", site.ticket(&["teams/red/a"]));
    let path = site.folder.path().join("bellwire.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let other = text.replace("roles = [\"team\"]", "roles = [\"guest\"]");
    assert_ne!(text, other);
    let guest = "[[access.role]]\nname = \"guest\"\nsubscribe = [\"news\"]\n";
    std::fs::write(&path, format!("{other}\n{guest}")).expect("written");
    site.server.kill();
    site.server.restart();
    let answer = site.ask("GET", &format!("/v1/events?{query}"), &[APP], "");
    assert_eq!(answer.status, 403, "{}", answer.text());
    std::fs::write(&path, text).expect("written");
    site.server.kill();
    site.server.restart();
    Stream::open_with(site.server.address(), &query, &[APP]).until_ready();
}

#[test]
fn a_ticket_that_cannot_be_is_refused() {
    let site = Site::start();
    for (headers, body, code) in [
        (&[][..], json!({"topics": []}), "topic_invalid"),
        (&[], json!({"topic": "a"}), "body_invalid"),
        (&[], json!({"topics": ["a//b"]}), "topic_invalid"),
        (&[], json!({"topics": ["teams/blue/a"]}), "forbidden"),
        (
            &[],
            json!({"topics": ["teams/red/a"], "origin": "https://x.example"}),
            "origin_forbidden",
        ),
        (&[], json!({"topics": ["teams/red/a"], "origin": "app.example"}), "origin_forbidden"),
        (
            &[("Origin", "https://x.example")],
            json!({"topics": ["teams/red/a"]}),
            "origin_forbidden",
        ),
    ] {
        let answer = site.make(headers, &body);
        assert_eq!(answer.json()["code"], json!(code), "{body}");
    }
    let topics = json!({"topics": ["teams/red/a"]}).to_string();
    assert_eq!(site.ask("POST", "/v1/tickets", &[], &topics).status, 401);
    let ticket = site.ticket(&["teams/red/a"]);
    let path = format!("/v1/tickets?ticket={ticket}");
    assert_eq!(site.ask("POST", &path, &[APP], &topics).status, 401);
    let open = Server::start();
    let make =
        Request { method: "POST", path: "/v1/tickets", headers: &[], body: topics.as_bytes() };
    let answer = request(open.address(), make);
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("ticket_unavailable")));
}
