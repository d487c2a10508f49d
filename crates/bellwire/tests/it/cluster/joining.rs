//! A server that stood alone becomes the first node of a cluster, with all that it has.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::desk::silence;
use super::{KINDS, data, history, post_once, tail};
use crate::harness::{Answer, Engine, Process, Request, Server, Stream, get, post, request, until};
use crate::resume::Way;

const CONFIG: &str = "
rules = [\"{folder}/rules.yml\"]
[[topic]]
match = \"tickers/**\"
kind = \"state\"
durability = \"disk\"
";

const RULES: &str = "
groups:
  - name: house
    rules:
      - {alert: DoorOpen, expr: door_open == 1, labels: {severity: info}}
      - {alert: Late, expr: door_open == 1, for: 1h, labels: {severity: info}}
";

/// More than the places of one entry of the log, so that what comes behind is further on.
const EVENTS: usize = 20_000;

fn write_config(folder: &TempDir) -> String {
    let path = folder.path().to_str().expect("UTF-8");
    for (name, text) in [("bellwire.toml", CONFIG), ("rules.yml", RULES)] {
        std::fs::write(folder.path().join(name), text.replace("{folder}", path)).expect("written");
    }
    format!("{path}/bellwire.toml")
}

/// Runs `bellwire join`: code, output, and what it says.
fn join(data: &Path, flags: &[&str]) -> (Option<i32>, String, String) {
    let data = data.to_str().expect("UTF-8");
    Process::start(&[&["join", "--data", data], flags].concat()).finish()
}

#[track_caller]
fn joins(data: &Path, flags: &[&str]) -> String {
    let (code, output, errors) = join(data, flags);
    assert_eq!(code, Some(0), "{output}{errors}");
    output
}

#[track_caller]
fn refused(data: &Path, flags: &[&str], expected: &str) {
    let (code, output, errors) = join(data, flags);
    assert_eq!((code, &*output), (Some(1), ""), "{errors}");
    assert!(errors.contains(expected), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}

fn put(server: &Server, key: &str, ttl: Option<&str>) -> Answer {
    let mut headers = vec![("Bellwire-Key", key), ("Content-Type", "application/json")];
    headers.extend(ttl.map(|ttl| ("Bellwire-Ttl", ttl)));
    let path = "/v1/topics/tickers/x";
    let put = Request { method: "POST", path, headers: &headers, body: b"1" };
    let answer = request(server.address(), put);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer
}

fn values(server: &Server) -> Vec<Value> {
    let answer = get(server.address(), "/v1/topics/tickers/x").json();
    let keys = answer["events"].as_array().expect("events").iter().map(|it| it["key"].clone());
    keys.collect()
}

/// What is answered of alerts, but for what moves with the clock.
fn alerts(server: &Server) -> Value {
    let answer = get(server.address(), "/v1/alerts");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Has an alert fire, one of which is acknowledged and silenced, and one that waits.
fn alert(server: &Server) -> (String, String) {
    let address = server.address();
    let mut stream = Stream::open(address, "topic=alerts/events/**");
    stream.until_ready();
    let sample = json!({ "name": "door_open", "labels": { "site": "oslo" }, "value": 1 });
    assert_eq!(post(address, "/v1/samples", sample.to_string()).status, 200);
    let fired = stream.next_of("alert.firing").json();
    let fingerprint = fired["key"].as_str().expect("a fingerprint").to_owned();
    let acknowledged = post(
        address,
        &format!("/v1/alerts/{fingerprint}/ack"),
        "{\"by\":\"ada\",\"note\":\"mine\"}",
    );
    assert!(acknowledged.status < 300, "{}", acknowledged.text());
    (fingerprint, silence(address, ("site", "oslo")))
}

/// All that people see of alerts is at a node.
#[track_caller]
fn has_alerts(server: &Server, (fingerprint, silence): &(String, String)) {
    let address = server.address();
    until("the alert is there", || {
        get(address, &format!("/v1/alerts/{fingerprint}")).status == 200
    });
    let shown = get(address, &format!("/v1/alerts/{fingerprint}")).json()["alert"].clone();
    assert_eq!(shown["acknowledged"]["note"], "mine", "{shown}");
    assert_eq!(shown["silenced_by"], json!([silence]), "{shown}");
    let silence = get(address, &format!("/api/v2/silence/{silence}"));
    assert_eq!((silence.status, &silence.json()["comment"]), (200, &json!("a drill")));
    // It has fired once, and was told so once.
    let events = history(address, "alerts/events/info/DoorOpen");
    let states: Vec<_> = events.iter().map(|it| it["data"]["state"].clone()).collect();
    assert!(states.starts_with(&[json!("firing")]), "{states:?}");
    assert!(!states[1..].contains(&json!("firing")), "{states:?}");
}

#[test]
fn a_server_that_stood_alone_begins_a_cluster_and_its_clients_go_on_at_any_node() {
    for kind in KINDS {
        let Some(engine) = Engine::start(kind) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let config = write_config(&folder);
        let mut first = Server::start_with(&["--config", &config]);
        let address = first.address();
        let lines: String = (0..EVENTS)
            .map(|n| format!("{{\"topic\":\"lab/many\",\"data\":{n}}}"))
            .collect::<Vec<_>>()
            .join("\n");
        for part in lines.split_inclusive('\n').collect::<Vec<_>>().chunks(5_000) {
            let answer = post(address, "/v1/events", part.concat());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let cursor = post(address, "/v1/topics/lab/a", "1").cursor();
        post(address, "/v1/topics/lab/a", "2").cursor();
        let once = post_once(address, "lab/a", ("k", "3"));
        put(&first, "stays", None);
        put(&first, "lasts", Some("1h"));
        put(&first, "goes", Some("5s"));
        let alert = alert(&first);
        let story = history(address, "lab/a");

        let cluster = engine.url();
        let flags = ["--config", &config, "--cluster", &cluster];
        refused(first.data(), &flags, "is used by another server");
        first.end();
        let said = joins(first.data(), &flags);
        assert!(said.contains(&format!("the cluster begins with: {}", "20")), "{said}");
        assert!(said.contains("3 state values"), "{said}");
        assert!(first.data().join("alone-1/journal.sqlite").exists());
        // Once more, such as after a kill.
        assert!(joins(first.data(), &flags).contains("already"));

        first.restart_with(&flags);
        let second = Server::start_with(&flags);
        for node in [&first, &second] {
            let address = node.address();
            assert_eq!(history(address, "lab/a"), story);
            for way in Way::ALL {
                let taken = way.take(address, "topic=lab/a", &cursor, 2);
                assert_eq!((taken.gap, &taken.events[..]), (None, &story[1..]), "{way:?}");
            }
            // What counts once has counted.
            let again = post_once(address, "lab/a", ("k", "3"));
            assert_eq!(again.cursor(), once.cursor());
            let many = get(address, "/v1/topics/lab/many?after=earliest&limit=1").json();
            assert_eq!(data(many["events"].as_array().expect("events")), [json!(0)]);
            has_alerts(node, &alert);
        }
        until("its time is over", || {
            [&first, &second].iter().all(|node| values(node) == ["stays", "lasts"])
        });
        assert_eq!(alerts(&first), alerts(&second));
        // A client follows on at the second node, and hears what the first is told.
        let last = story.last().expect("one")["cursor"].as_str().expect("a cursor");
        let mut stream = Stream::resume(second.address(), "topic=lab/a", last);
        assert!(stream.until_ready().is_empty());
        let next = post(address, "/v1/topics/lab/a", "4").cursor();
        let seen = stream.events(1).remove(0);
        assert_eq!((seen.json()["data"].clone(), &seen.id), (json!(4), &next));
        // A rule that waits goes on to: what the directory has of them is the newest.
        let rules = get(first.address(), "/v1/rules").text().to_owned();
        assert!(rules.contains("Late") && rules.contains("pending"), "{rules}");
        let mut nodes = [first, second];
        for node in &mut nodes {
            node.kill();
            node.restart();
            assert_eq!(history(node.address(), "lab/a").len(), 4);
        }
        until("both have the same", || tail(nodes[0].address()) == tail(nodes[1].address()));
    }
}

#[test]
fn what_cannot_begin_a_cluster_is_refused_and_left_as_it_was() {
    for kind in KINDS {
        let Some(engine) = Engine::start(kind) else { continue };
        let (cluster, empty) = (engine.url(), tempfile::tempdir().expect("a folder"));
        let flags = ["--cluster", &cluster];
        refused(empty.path(), &flags, "just starts");
        let mut alone = Server::start();
        let cursor = post(alone.address(), "/v1/topics/lab/a", "1").cursor();
        alone.kill();
        refused(alone.data(), &[], "no cluster is named");
        refused(alone.data(), &[&flags[..], &["--journal", "memory"]].concat(), "stands alone");
        // As a node it would begin anew.
        let data = alone.data().to_str().expect("UTF-8").to_owned();
        let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--cluster", &cluster];
        for name in ["", "name-of-a-node\n"] {
            if !name.is_empty() {
                std::fs::write(alone.data().join("node"), name).expect("written");
            }
            let (code, output, errors) = Process::start(&serve).finish();
            assert_eq!((code, &*output), (Some(1), ""), "{errors}");
            assert!(errors.contains("bellwire join"), "{errors}");
        }
        // A cluster that has something.
        let node = Server::start_with(&flags);
        refused(alone.data(), &flags, "the cluster has begun already");
        post(node.address(), "/v1/topics/lab/b", "1").cursor();
        refused(alone.data(), &flags, "the cluster has begun already");
        refused(node.data(), &flags, "is the data directory of a node already");
        drop(node);
        alone.restart();
        let events = history(alone.address(), "lab/a");
        assert_eq!(events[0]["cursor"].as_str(), Some(&*cursor));
        assert!(!alone.data().join("alone-1").exists());
        // In another one of the same engine it is the first.
        alone.end();
        let other = [&flags[..], &["--cluster-name", "other"]].concat();
        joins(alone.data(), &other);
        // Nobody else begins that meanwhile, or with nothing.
        let (code, _, errors) = Process::start(
            &[
                &["serve", "--listen", "127.0.0.1:0", "--data"],
                &[empty.path().to_str().expect("UTF-8")][..],
                &other,
            ]
            .concat(),
        )
        .finish();
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("needs a snapshot"), "{errors}");
        alone.restart_with(&other);
        assert_eq!(history(alone.address(), "lab/a"), events);
        refused(alone.data(), &other, "is the data directory of a node already");
    }
}

#[test]
fn a_damaged_journal_begins_no_cluster() {
    let Some(engine) = Engine::start(KINDS[1]) else { return };
    let mut alone = Server::start();
    post(alone.address(), "/v1/topics/lab/a", "1").cursor();
    alone.end();
    let file = alone.data().join("journal.sqlite");
    std::fs::write(&file, []).expect("written");
    let cluster = engine.url();
    refused(alone.data(), &["--cluster", &cluster], "`bellwire repair`");
    assert_eq!(std::fs::metadata(&file).expect("there").len(), 0);
}

/// Nobody of it says a word meanwhile.
#[test]
fn a_node_of_another_cluster_is_refused_where_all_of_a_cluster_are_stopped() {
    for kind in KINDS {
        let Some(engine) = Engine::start(kind) else { continue };
        let url = engine.url();
        let mut nodes = ["one", "other"].map(|name| {
            let mut node = Server::start();
            post(node.address(), "/v1/topics/lab/a", format!("\"{name}\"")).cursor();
            node.end();
            let flags = ["--cluster", &url, "--cluster-name", name];
            joins(node.data(), &flags);
            node.restart_with(&flags);
            node
        });
        let stories = [&nodes[0], &nodes[1]].map(|node| history(node.address(), "lab/a"));
        nodes.iter_mut().for_each(Server::kill);
        let data = nodes[1].data().to_str().expect("UTF-8").to_owned();
        let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--cluster", &url];
        let serve = [&serve[..], &["--cluster-name", "one"]].concat();
        let (code, output, errors) = Process::start(&serve).finish();
        assert_eq!((code, &*output), (Some(1), ""), "{errors}");
        let where_it_is = format!("the data in {data} cannot follow the log of the cluster `one`");
        for said in [&*where_it_is, "is led to is of cluster", "`--data`"] {
            assert!(errors.contains(said), "{said}: {errors}");
        }
        for (node, story) in nodes.iter_mut().zip(stories) {
            node.restart();
            assert_eq!(history(node.address(), "lab/a"), story);
        }
    }
}
