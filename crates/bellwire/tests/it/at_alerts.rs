//! Who has an alert open: `alerts/at/<fingerprint>`, seen by those who see the alert and by nobody
//! else, whatever they follow.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::made;
use crate::harness::{Answer, Request, Server, Stream, WebSocket, request};

const COUNT: &str = "~count";

/// A server on whose board each of two teams has an alert, and who comes to it.
struct Board {
    server: Server,
    /// The alert of the team red.
    red: String,
    blue: String,
    keys: BTreeMap<&'static str, String>,
    _folder: TempDir,
}

impl Board {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut text = String::from(
            r#"
            presence = ["alerts/active", "alerts/at/*"]
            presence_grace = "300ms"
            [[access.role]]
            name = "red"
            subscribe = ["alerts/active"]
            alerts = ['{team="red"}']
            [[access.role]]
            name = "blue"
            subscribe = ["**", "presence/**"]
            alerts = ['{team="blue"}']
            [[access.role]]
            name = "outsider"
            subscribe = ["alerts/events/**", "presence/**"]
            alerts = ['{}']
            "#,
        );
        let people = [("ada", "red"), ("bob", "red"), ("eve", "blue"), ("mallory", "outsider")];
        let keys = people.into_iter().chain([("root", "admin")]).map(|(subject, role)| {
            let (key, table) = made(subject, role);
            text.push_str(&table);
            (subject, format!("Bearer {key}"))
        });
        let keys: BTreeMap<_, _> = keys.collect();
        let path = folder.path().join("bellwire.toml");
        std::fs::write(&path, text).expect("written");
        let server = Server::start_with(&["--config", path.to_str().expect("text")]);
        let (red, blue) = (String::new(), String::new());
        let mut board = Self { server, red, blue, keys, _folder: folder };
        let alert = |team| json!({"labels": {"alertname": "Hot", "team": team}});
        let alerts = json!([alert("red"), alert("blue")]).to_string();
        assert_eq!(board.ask("root", "POST", "/api/v2/alerts", &alerts).status, 200);
        let shown = board.ask("root", "GET", "/v1/alerts", "").json();
        for alert in shown["alerts"].as_array().expect("an array") {
            let fingerprint = alert["fingerprint"].as_str().expect("text").to_owned();
            if alert["labels"]["team"] == "red" {
                board.red = fingerprint;
            } else {
                board.blue = fingerprint;
            }
        }
        board
    }

    fn ask(&self, who: &str, method: &str, path: &str, body: &str) -> Answer {
        let headers = [("Authorization", self.keys[who].as_str())];
        let (address, body) = (self.server.address(), body.as_bytes());
        request(address, Request { method, path, headers: &headers, body })
    }

    fn open(&self, who: &str, query: &str) -> Stream {
        Stream::open_with(self.server.address(), query, &[("Authorization", &self.keys[who])])
    }

    /// Opens an alert, as the page does.
    fn look(&self, who: &str, fingerprint: &str) -> Stream {
        self.open(who, &format!("topic=alerts/at/{fingerprint}&present={{}}"))
    }
}

/// What somebody is told of those who have alerts open, by topic and key.
struct Told {
    stream: Stream,
    values: BTreeMap<(String, String), Value>,
}

impl Told {
    fn open(board: &Board, who: &str, topic: &str) -> Self {
        let stream = board.open(who, &format!("topic={topic}"));
        Self { stream, values: BTreeMap::new() }
    }

    fn until(&mut self, is_so: impl Fn(&BTreeMap<(String, String), Value>) -> bool) {
        while !is_so(&self.values) {
            let event = self.stream.next().expect("it goes on").json();
            let Some(key) = event["key"].as_str() else { continue };
            let at = (event["topic"].as_str().expect("text").to_owned(), key.to_owned());
            if event["deleted"] == true {
                self.values.remove(&at);
            } else {
                self.values.insert(at, event["data"].clone());
            }
        }
    }

    fn until_there(&mut self, fingerprint: &str, followers: usize) {
        let at = (topic(fingerprint), COUNT.to_owned());
        self.until(|values| values.get(&at).is_some_and(|count| count["followers"] == followers));
    }
}

fn topic(fingerprint: &str) -> String {
    format!("presence/alerts/at/{fingerprint}")
}

#[test]
fn those_who_have_an_alert_open_see_each_other_each_once_and_until_they_have_gone() {
    let board = Board::start();
    // To read the board is enough.
    let offered = board.ask("ada", "GET", "/v1/whoami", "").json();
    assert_eq!(offered["presence"], json!(["alerts/active", "alerts/at/*"]));
    let mut seen = Told::open(&board, "bob", &topic(&board.red));
    let tabs = [board.look("ada", &board.red), board.look("ada", &board.red)];
    seen.until_there(&board.red, 1);
    let ada = &seen.values[&(topic(&board.red), "ada".to_owned())];
    assert_eq!((&ada["subject"], &ada["shown"]), (&json!("ada"), &json!({})));
    assert_eq!(ada["labels"], json!({"alertname": "Hot", "team": "red"}));
    let _bob = board.look("bob", &board.red);
    seen.until_there(&board.red, 2);
    let [one, other] = tabs;
    drop(one);
    drop(other);
    seen.until_there(&board.red, 1);
    assert!(!seen.values.contains_key(&(topic(&board.red), "ada".to_owned())));
}

#[test]
fn nobody_learns_of_an_alert_that_they_do_not_see() {
    let board = Board::start();
    let mut all = Told::open(&board, "root", "presence/**");
    let _ada = board.look("ada", &board.red);
    all.until_there(&board.red, 1);
    // Of those who are there already, and of those who come.
    let mut seen = ["presence/**", "presence/alerts/at/*", &topic(&board.red)]
        .map(|topic| Told::open(&board, "eve", &format!("{topic}&topic=presence/alerts/active")));
    let _bob = board.look("bob", &board.red);
    all.until_there(&board.red, 2);
    let _eve = board.look("eve", &board.blue);
    all.until_there(&board.blue, 1);
    let _board = board.open("eve", "topic=alerts/active&present");
    for told in &mut seen {
        let at_board = ("presence/alerts/active".to_owned(), COUNT.to_owned());
        told.until(|values| values.contains_key(&at_board));
        assert!(!told.values.keys().any(|(topic, _)| topic.ends_with(&board.red)));
    }
    seen[0].until_there(&board.blue, 1);

    let read = |who: &str, of: &str| {
        let answer = board.ask(who, "GET", &format!("/v1/topics/{}", topic(of)), "");
        (answer.status, answer.json()["events"].as_array().map(Vec::len))
    };
    assert_eq!(read("ada", &board.red), (200, Some(3)));
    // What is not in sight is as what is not.
    assert_eq!(read("eve", &board.red), read("eve", "0123456789abcdef"));
    assert_eq!(read("mallory", &board.red).0, 403);
    let listed = board.ask("eve", "GET", "/v1/topics?prefix=presence/alerts/at", "").json();
    assert_eq!(listed["topics"], json!([]));
}

#[test]
fn whoever_does_not_see_an_alert_is_not_seen_there_nor_is_anybody_where_none_is() {
    let board = Board::start();
    let refused = |who: &str, fingerprint: &str| {
        let path = format!("/v1/events?topic=alerts/at/{fingerprint}&present");
        let answer = board.ask(who, "GET", &path, "");
        (answer.status, answer.json()["code"].clone())
    };
    for (who, fingerprint) in
        [("eve", &*board.red), ("eve", "0123456789abcdef"), ("root", "0123456789abcdef")]
    {
        let invalid = (400, json!("parameter_invalid"));
        assert_eq!(refused(who, fingerprint), invalid, "{who} {fingerprint}");
    }
    assert_eq!(refused("mallory", &board.red).0, 403);
    let mut all = Told::open(&board, "root", "presence/alerts/at/*");
    let key = board.keys["eve"].strip_prefix("Bearer ").expect("a key");
    let mut socket = WebSocket::open_bearing(board.server.address(), "present", key);
    let [red, blue] = [&board.red, &board.blue].map(|at| format!("alerts/at/{at}"));
    socket.subscribe(1, &[&red, &blue, "alerts/at/0123456789abcdef"], "latest");
    all.until_there(&board.blue, 1);
    assert!(!all.values.keys().any(|(topic, _)| *topic != self::topic(&board.blue)));
    socket.unsubscribe(&[&red]);
    let _ada = board.look("ada", &board.red);
    all.until_there(&board.red, 1);
    assert!(all.values.contains_key(&(topic(&board.blue), "eve".to_owned())));
    socket.unsubscribe(&[&blue]);
    all.until(|values| !values.keys().any(|(topic, _)| topic.ends_with(&board.blue)));
}
