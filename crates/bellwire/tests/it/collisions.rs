//! Two teams whose alerts have the same FNV-1a, by which alerts were known once: one of the teams
//! has chosen its labels so.

use serde_json::json;
use tempfile::TempDir;

use crate::access::made;
use crate::harness::{Answer, Request, Server, request};

const ROLE: &str = r#"
[[access.role]]
name = "team"
subscribe = ["alerts/**"]
ingest = ['{team="{sub}"}']
alerts = ['{team="{sub}"}']
post_alerts = ['{team="{sub}"}']
"#;

const RULES: &str = "groups: [{name: g, rules: [{alert: Hot, expr: t > 90}]}]";

/// The label with which the alert `Hot` of each team has the same hash.
const UNITS: [(&str, &str); 2] = [("b", "wsaJ9gQaHxO"), ("a", "KHDEzVSiJKB")];

/// A server, and the key of each team.
fn start(rules: &str) -> (Server, [String; 2], TempDir) {
    let folder = TempDir::new().expect("a folder");
    let mut config = ROLE.to_owned();
    let keys = UNITS.map(|(team, _)| {
        let (key, table) = made(team, "team");
        config.push_str(&table);
        key
    });
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let (config, rules) = (write("bellwire.toml", &config), write("rules.yml", rules));
    (Server::start_with(&["--config", &config, "--rules", &rules]), keys, folder)
}

fn ask(server: &Server, key: &str, (method, path): (&str, &str), body: &str) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [("Authorization", authorization.as_str()), ("Accept", "application/json")];
    request(server.address(), Request { method, path, headers: &headers, body: body.as_bytes() })
}

/// Each team has its own alert, and sees nothing of the other's.
fn look(server: &Server, keys: &[String; 2]) {
    for (key, (team, unit)) in keys.iter().zip(UNITS) {
        let first = "/v1/events?topic=alerts/events/**&after=earliest&wait=30s";
        let told = ask(server, key, ("GET", first), "");
        assert_eq!(told.status, 200, "{team}: {}", told.text());
        assert!(told.text().contains(unit), "{team}: {}", told.text());
        let shown = ask(server, key, ("GET", "/v1/alerts"), "");
        for text in [told.text(), shown.text()] {
            for (_, other) in UNITS.iter().filter(|(other, _)| *other != team) {
                assert!(!text.contains(other), "{team}: {text}");
            }
        }
    }
}

#[test]
fn a_rules_alert_of_one_team_hides_none_of_another() {
    let (server, keys, _folder) = start(RULES);
    for (key, (team, unit)) in keys.iter().zip(UNITS) {
        let labels = json!({ "team": team, "unit": unit });
        let sample = json!([{ "name": "t", "labels": labels, "value": 99.0 }]).to_string();
        let answer = ask(&server, key, ("POST", "/v1/samples"), &sample);
        assert!(answer.status < 300, "{}", answer.text());
    }
    look(&server, &keys);
}

#[test]
fn a_posted_alert_of_one_team_hides_none_of_another() {
    let (server, keys, _folder) = start("groups: []");
    for (key, (team, unit)) in keys.iter().zip(UNITS) {
        let labels = json!({ "alertname": "Hot", "team": team, "unit": unit });
        let alerts = json!([{ "labels": labels }]).to_string();
        let answer = ask(&server, key, ("POST", "/api/v2/alerts"), &alerts);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    look(&server, &keys);
}
