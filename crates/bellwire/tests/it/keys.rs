//! API keys over the API, and with the command: made, used, listed, taken back, across kills.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::made;
use crate::harness::{Answer, Request, Server, Stream, bellwire, post, request};

/// A server that asks, with an administrator and a guest.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) admin: String,
    pub(crate) guest: String,
    folder: TempDir,
}

impl House {
    /// With the usual roles, and what else the configuration has.
    pub(crate) fn start(more: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut text = format!(
            "{more}\n[[access.role]]\nname = \"sensor\"\npublish = [\"sensors/{{sub}}/**\"]\n\
             subscribe = [\"sensors/{{sub}}/**\"]\n"
        );
        let [admin, guest] = [("root", "admin"), ("guest", "sensor")].map(|(subject, role)| {
            let (key, table) = made(subject, role);
            text.push_str(&table);
            key
        });
        let path = folder.path().join("bellwire.toml");
        std::fs::write(&path, text).expect("written");
        let server = Server::start_with(&["--config", path.to_str().expect("text")]);
        Self { server, admin, guest, folder }
    }

    pub(crate) fn ask(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", authorization.as_str())];
        let (address, body) = (self.server.address(), body.as_bytes());
        request(address, Request { method, path, headers: &headers, body })
    }

    /// Makes a key of the role `sensor`: its id, and the key.
    pub(crate) fn make(&self, subject: &str) -> (String, String) {
        let body = json!({ "subject": subject, "roles": ["sensor"] }).to_string();
        let answer = self.ask(&self.admin, "POST", "/v1/keys", &body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        let text = |name: &str| answer.json()[name].as_str().expect("a text").to_owned();
        (text("id"), text("key"))
    }

    fn status(&self, key: &str) -> u16 {
        self.ask(key, "GET", "/v1/whoami", "").status
    }

    fn listed(&self, id: &str) -> Option<Value> {
        let listed = self.ask(&self.admin, "GET", "/v1/keys", "").json();
        let mut keys = listed["keys"].as_array().expect("a list").iter();
        keys.find(|key| key["id"] == id).cloned()
    }

    fn revoke(&self, id: &str) -> u16 {
        self.ask(&self.admin, "DELETE", &format!("/v1/keys/{id}"), "").status
    }
}

fn id_of(key: &str) -> &str {
    key.split('_').nth(1).expect("an id")
}

#[test]
fn a_key_counts_from_its_making_to_its_revocation_whatever_is_killed_between() {
    let mut house = House::start("");
    let (id, key) = house.make("boiler");
    assert_eq!(house.status(&key), 200);
    assert_eq!(house.ask(&key, "POST", "/v1/topics/sensors/boiler/a", "1").status, 201);
    assert_eq!(house.ask(&key, "POST", "/v1/topics/sensors/other/a", "1").status, 403);
    let listed = house.listed(&id).expect("it is there");
    assert_eq!((&listed["source"], &listed["made_by"]), (&json!("api"), &json!("root")));
    assert!(listed["last_used_at"].is_i64() && listed["made_at"].is_i64(), "{listed}");
    assert!(!listed.to_string().contains(&key[12..]), "{listed}");
    house.server.kill();
    house.server.restart();
    assert_eq!(house.status(&key), 200);
    // Verified a moment ago, and taken back since.
    assert_eq!((house.revoke(&id), house.status(&key)), (204, 401));
    assert_eq!(house.revoke(&id), 404);
    house.server.kill();
    house.server.restart();
    assert_eq!((house.status(&key), house.listed(&id)), (401, None));
}

#[test]
fn a_key_of_the_configuration_can_be_taken_back_too() {
    let mut house = House::start("");
    let guest = house.guest.clone();
    assert_eq!(house.status(&guest), 200);
    assert_eq!((house.revoke(id_of(&guest)), house.status(&guest)), (204, 401));
    house.server.kill();
    house.server.restart();
    assert_eq!(house.status(&guest), 401);
    let listed = house.listed(id_of(&guest)).expect("it is there");
    assert_eq!(listed["source"], json!("configuration"));
    assert!(listed["revoked_at"].is_i64(), "{listed}");
}

#[test]
fn the_streams_of_a_key_have_ended_when_its_revocation_is_answered() {
    let house = House::start("");
    let (id, key) = house.make("boiler");
    let (_, other) = house.make("pump");
    let open = |key: &str, subject: &str| {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", authorization.as_str())];
        let topic = format!("topic=sensors/{subject}/**");
        let mut stream = Stream::open_with(house.server.address(), &topic, &headers);
        stream.until_ready();
        stream
    };
    let (mut ends, mut stays) = (open(&key, "boiler"), open(&other, "pump"));
    assert_eq!(house.revoke(&id), 204);
    assert_eq!(ends.next_of("bye").json()["reason"], json!("credential_revoked"));
    assert!(ends.next().is_none(), "it has ended");
    assert_eq!(house.ask(&other, "POST", "/v1/topics/sensors/pump/a", "1").status, 201);
    assert_eq!(stays.events(1).len(), 1);
}

#[test]
fn an_orderly_end_keeps_when_keys_were_used() {
    let mut house = House::start("");
    let (id, key) = house.make("boiler");
    assert_eq!(house.status(&key), 200);
    let before = house.listed(&id).expect("it is there")["last_used_at"].clone();
    house.server.restart();
    let after = house.listed(&id).expect("it is there")["last_used_at"].clone();
    assert!(before.is_i64() && before == after, "{before} {after}");
}

#[test]
fn keys_are_administrators_business() {
    let house = House::start("");
    for (method, path) in [("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/x")] {
        assert_eq!(house.ask(&house.guest, method, path, "").status, 403, "{method}");
    }
    for (body, reason) in [
        (json!({ "subject": "a", "roles": ["gone"] }), "there is no role `gone`"),
        (json!({ "subject": "a", "roles": ["sensor"], "ends": 1 }), "unknown field"),
        (json!({ "subject": "a", "roles": ["sensor"], "ends_at": 1 }), "over already"),
        (json!({ "subject": "a\nb", "roles": ["sensor"] }), "cannot be seen"),
    ] {
        let answer = house.ask(&house.admin, "POST", "/v1/keys", &body.to_string());
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("body_invalid")));
        assert!(answer.text().contains(reason), "{}", answer.text());
    }
    let note = json!({ "subject": "a", "roles": ["sensor"], "note": "\u{1b}[2J" }).to_string();
    let twice = r#"{"subject":"a","roles":["sensor"],"claims":{"team":"a","team":"b"}}"#;
    for (body, reason) in [(&*note, "the note has characters"), (twice, "twice")] {
        let answer = house.ask(&house.admin, "POST", "/v1/keys", body);
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("body_invalid")));
        assert!(answer.text().contains(reason), "{}", answer.text());
    }
    let claims = json!({ "subject": "a", "roles": ["sensor"], "claims": { "team": ["x", "y"] } });
    let answer = house.ask(&house.admin, "POST", "/v1/keys", &claims.to_string());
    assert_eq!(answer.json()["claims"], json!({ "team": ["x", "y"] }));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// Else whoever reaches a server today would be its administrator on the day on which it asks.
#[test]
fn a_server_that_asks_nobody_makes_no_keys() {
    let server = Server::start();
    let body = json!({ "subject": "a", "roles": ["admin"] }).to_string();
    let answer = post(server.address(), "/v1/keys", &body);
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("access_open")));
}

#[test]
fn the_command_makes_lists_and_takes_back() {
    let house = House::start("");
    let (url, file) = (house.server.url(), house.folder.path().join("admin"));
    std::fs::write(&file, &house.admin).expect("written");
    let run = |arguments: &[&str]| {
        let more = ["--url", &url, "--token-file", file.to_str().expect("text")];
        let output = bellwire(&[&["key"], arguments, &more].concat()).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let make = ["make", "--subject", "pump", "--role", "sensor", "--note", "cellar"];
    let key = run(&[&make[..], &["--valid-for", "1h", "--claim", "site=oslo"]].concat());
    let key = key.trim_end();
    assert_eq!(house.status(key), 200);
    let list = run(&["list"]);
    let line = list.lines().find(|line| line.starts_with(id_of(key))).expect("a line");
    assert!(line.contains("pump") && line.contains("cellar") && line.contains("api"), "{line}");
    assert_eq!(run(&["revoke", id_of(key)]), "");
    assert_eq!(house.status(key), 401);
    assert!(!run(&["list"]).contains(id_of(key)));
    let without = bellwire(&["key", "make", "--subject", "a", "--role", "b", "--claim", "c=d"]);
    let told = { without }.output().expect("it runs");
    assert!(String::from_utf8_lossy(&told.stderr).contains("`--server` names it"));
}
