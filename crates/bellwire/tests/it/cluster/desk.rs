//! Samples, rules and alerts of a cluster: one node has them, all do as if they had.

mod staying;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::{KINDS, Pair, history, try_get};
use crate::harness::{
    Answer, Engine, FailingDisk, Fault, Over, Process, Raw, Server, Stream, Webhook, get, post,
    until,
};

const RULES: &str = "
groups:
  - name: house
    rules:
      - {alert: DoorOpen, expr: door_open == 1, labels: {severity: info}}
      - {alert: Fire, expr: fire == 1, labels: {severity: critical}}
      - {record: doors, expr: sum(door_open)}
";

/// As many times the webhook may be told of four transitions, with room.
const STORIES_MAX: usize = 12;

/// Two nodes with the same rules and the same webhook.
pub(super) struct House {
    pub(super) pair: Pair,
    webhook: Webhook,
    /// Which node has the alerts.
    pub(super) keeper: usize,
}

impl House {
    pub(super) fn on(engine: Engine) -> Self {
        Self::configured(engine, "")
    }

    /// With this configuration of both.
    pub(super) fn configured(engine: Engine, of_both: &str) -> Self {
        Self::ruled(engine, of_both, RULES)
    }

    /// The same, with these rules.
    pub(super) fn ruled(engine: Engine, of_both: &str, rules: &str) -> Self {
        let webhook = Webhook::answering(&[]);
        let notify = format!(
            "route: {{receiver: ops, group_wait: 0s, group_interval: 200ms}}\n\
             receivers: [{{name: ops, webhook_configs: [{{url: '{}'}}]}}]\n",
            webhook.url()
        );
        let config = format!(
            "rules = [\"{{folder}}/rules.yml\"]\nalertmanager_config = \"{{folder}}/alertmanager.yml\"\n{of_both}"
        );
        let files = [("rules.yml", rules), ("alertmanager.yml", &*notify)];
        let pair = Pair::configured(engine, &config, &files);
        let mut house = Self { pair, webhook, keeper: 0 };
        house.keeper = house.named_keeper(&house.pair.nodes[1]).expect("one that has begun");
        house
    }

    /// The node that this one names, where it is awake.
    pub(super) fn named_keeper(&self, node: &Server) -> Option<usize> {
        let desk = nodes(node.address())?["desk"].clone();
        let is_it = |of: &Server| nodes(of.address()).is_some_and(|told| told["node"] == desk);
        self.pair.nodes.iter().position(is_it)
    }

    pub(super) fn keeper(&mut self) -> &mut Server {
        &mut self.pair.nodes[self.keeper]
    }

    /// Waits until the webhook was told, and the log says so: else another node tells it again.
    #[track_caller]
    fn told_webhook(&self, story: &str) {
        assert_eq!(self.webhook.next_story(), story);
        let told = "alerts/notifications/ops";
        until("it is told of", || history(self.other(), told).len() == 1);
        // The record stands right behind that, and before whatever is published later.
        post(self.pair.addresses()[self.keeper], "/v1/topics/lab/behind", "0").cursor();
    }

    pub(super) fn other(&self) -> SocketAddr {
        self.pair.addresses()[1 - self.keeper]
    }

    /// Waits until the other node has taken over.
    pub(super) fn pass_over(&mut self) {
        let other = self.other();
        until("the other has taken over", || {
            nodes(other).is_some_and(|told| told["node"] == told["desk"])
        });
        self.keeper = 1 - self.keeper;
    }
}

/// What a node says of its cluster; nothing while it begins anew.
pub(super) fn nodes(address: SocketAddr) -> Option<Value> {
    Some(try_get(address, "/v1/nodes").filter(|it| it.status == 200)?.json())
}

pub(super) fn on_each(test: impl Fn(House)) {
    KINDS.into_iter().filter_map(Engine::start).map(House::on).for_each(test);
}

fn try_post(address: SocketAddr, path: &str, body: &Value) -> Option<Answer> {
    let head = "Content-Type: application/json\r\n";
    Raw::try_connect(address).ok()?.try_post(path, head, body.to_string()).ok()
}

/// Sends until it is taken: while nobody has the alerts whoever sends is told to come again.
#[track_caller]
pub(super) fn sample(address: SocketAddr, name: &str, value: u8) {
    let sample = json!({ "name": name, "labels": { "site": "oslo" }, "value": value });
    until("the sample is taken", || {
        let Some(answer) = try_post(address, "/v1/samples", &sample) else { return false };
        if answer.status != 200 {
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
        }
        answer.status == 200
    });
}

/// Of each alert what has become of it, as one node tells.
pub(super) fn told(address: SocketAddr) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let query = "topic=alerts/events/**&after=earliest";
    for event in Stream::open(address, query).until_ready() {
        let alert = event.payload();
        let name = alert["labels"]["alertname"].as_str().expect("a name");
        let state = alert["state"].as_str().expect("a state");
        told.entry(name.to_owned()).or_default().push(state.to_owned());
    }
    told
}

pub(super) fn story(of: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let states = |states: &[&str]| states.iter().map(ToString::to_string).collect();
    of.iter().map(|(name, of)| ((*name).to_owned(), states(of))).collect()
}

/// The names of the alerts on the board that have not resolved.
fn board(address: SocketAddr) -> Vec<String> {
    let answer = get(address, "/v1/topics/alerts/active");
    let events = answer.json()["events"].as_array().expect("events").clone();
    let goes_on = |event: &&Value| event["data"]["state"] != "resolved";
    let name = |event: &Value| event["data"]["labels"]["alertname"].as_str().map(str::to_owned);
    let mut names: Vec<String> = events.iter().filter(goes_on).filter_map(name).collect();
    names.sort();
    names
}

/// What is answered, but for what moves with the clock.
fn answered(address: SocketAddr, path: &str) -> (u16, Value) {
    let answer = get(address, path);
    let mut said = answer.json();
    for alert in said.as_array_mut().into_iter().flatten() {
        if alert["status"]["state"] == "active" {
            alert["endsAt"].take();
        }
    }
    (answer.status, said)
}

/// The label of the alert that is silenced.
const FIRES: (&str, &str) = ("alertname", "Fire");

/// Silences what has this label for good, and returns the silence's id.
#[track_caller]
pub(super) fn silence(address: SocketAddr, (name, value): (&str, &str)) -> String {
    let silence = json!({
        "matchers": [{ "name": name, "value": value, "isRegex": false }],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2999-01-01T00:00:00Z",
        "createdBy": "ada",
        "comment": "a drill",
    });
    let made = post(address, "/api/v2/silences", silence.to_string());
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["silenceID"].as_str().expect("an id").to_owned()
}

#[test]
fn what_is_asked_of_either_node_is_done_once_and_answered_alike() {
    on_each(|house| {
        let addresses = house.pair.addresses();
        let mut streams = addresses.map(|address| Stream::open(address, "topic=alerts/events/**"));
        for stream in &mut streams {
            stream.until_ready();
        }
        sample(house.other(), "door_open", 1);
        let seen = streams.each_mut().map(|stream| stream.events(1).remove(0));
        assert_eq!(seen[0].event_type, "alert.firing");
        assert_eq!(seen[0], seen[1]);
        assert_eq!(house.webhook.next_story(), "first notification: +DoorOpen");
        let id = silence(house.other(), FIRES);
        let fingerprint = seen[0].json()["key"].as_str().expect("a fingerprint").to_owned();
        let attended =
            post(house.other(), &format!("/v1/alerts/{fingerprint}/ack"), "{\"by\":\"ada\"}");
        assert!(attended.status < 300, "{}", attended.text());
        // The acknowledgement is the next event.
        for stream in &mut streams {
            assert_eq!(stream.events(1)[0].event_type, "alert.acknowledged");
        }
        for path in [
            "/api/v2/alerts",
            "/api/v2/silences",
            &format!("/api/v2/silence/{id}"),
            "/v1/silences",
            "/v1/alerts",
            &format!("/v1/alerts/{fingerprint}"),
            "/api/v1/series?match[]=door_open",
            "/api/v1/label/site/values",
            "/api/v1/nothing",
        ] {
            let [one, other] = addresses.map(|address| answered(address, path));
            assert_eq!(one, other, "{path}");
        }
        until("both have the board", || addresses.into_iter().all(|it| board(it) == ["DoorOpen"]));
        sample(house.other(), "door_open", 0);
        for stream in &mut streams {
            assert_eq!(stream.events(1)[0].event_type, "alert.resolved");
        }
        assert_eq!(house.webhook.next_story(), "all alerts resolved: -DoorOpen");
        until("the board is empty", || addresses.into_iter().all(|it| board(it).is_empty()));
        assert!(house.webhook.is_idle());
    });
}

#[test]
fn when_the_node_that_has_the_alerts_is_killed_another_goes_on_with_them() {
    on_each(|mut house| {
        sample(house.other(), "door_open", 1);
        house.told_webhook("first notification: +DoorOpen");
        let id = silence(house.other(), FIRES);
        house.pair.settle();
        let mut stream = Stream::open(house.other(), "topic=alerts/events/**&after=earliest");
        stream.events(1);
        house.keeper().kill();
        house.pass_over();
        let address = house.pair.addresses()[house.keeper];
        let silence = get(address, &format!("/api/v2/silence/{id}"));
        assert_eq!((silence.status, &silence.json()["comment"]), (200, &json!("a drill")));
        assert_eq!(board(address), ["DoorOpen"]);
        // It fires, and is silenced by what was made before.
        sample(address, "fire", 1);
        let fired = stream.events(1).remove(0);
        assert_eq!(
            (fired.event_type.as_str(), &fired.payload()["labels"]["alertname"]),
            ("alert.firing", &json!("Fire"))
        );
        sample(address, "door_open", 1);
        sample(address, "door_open", 0);
        assert_eq!(stream.events(1)[0].event_type, "alert.resolved");
        assert_eq!(house.webhook.next_story(), "all alerts resolved: -DoorOpen");
        let expected = story(&[("DoorOpen", &["firing", "resolved"]), ("Fire", &["firing"])]);
        assert_eq!(told(address), expected);
        // The one that was killed comes back as one of the others.
        let old = 1 - house.keeper;
        house.pair.nodes[old].restart();
        let old = house.pair.addresses()[old];
        until("it has all", || told(old) == expected && board(old) == ["Fire"]);
        sample(old, "fire", 0);
        until("it is told", || told(address)["Fire"] == ["firing", "resolved"]);
        until("the board is empty", || board(old).is_empty() && board(address).is_empty());
    });
}

/// A proxy takes whoever refuses a connection for dead.
#[test]
fn a_node_that_takes_over_refuses_no_connection() {
    on_each(|mut house| {
        let other = house.other();
        house.keeper().kill();
        let is_over = Over::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.is_so() {
                    TcpStream::connect(other).expect("somebody listens");
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            });
            let _beside = is_over.at_the_end();
            house.pass_over();
        });
    });
}

#[test]
fn a_node_that_sleeps_while_another_takes_over_tells_nothing_when_it_wakes() {
    on_each(|mut house| {
        sample(house.other(), "door_open", 1);
        house.told_webhook("first notification: +DoorOpen");
        let sleeping = house.keeper;
        let asleep = house.pair.addresses()[sleeping];
        // It has got this when it wakes, and nobody else has.
        house.keeper().process().signal("STOP");
        let mut raw = Raw::connect(asleep);
        let body = json!({ "name": "fire", "labels": { "site": "oslo" }, "value": 1 }).to_string();
        raw.send(format!(
            "POST /v1/samples HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        house.pass_over();
        let address = house.pair.addresses()[house.keeper];
        sample(address, "door_open", 0);
        assert_eq!(house.webhook.next_story(), "all alerts resolved: -DoorOpen");
        house.pair.nodes[sleeping].process().signal("CONT");
        if let Ok(answer) = raw.try_answer() {
            assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
        }
        until("it is one of the others", || {
            house.named_keeper(&house.pair.nodes[sleeping]) == Some(house.keeper)
        });
        house.pair.settle();
        let resolved = story(&[("DoorOpen", &["firing", "resolved"])]);
        let through_it = match told(asleep) {
            // What it was sent came to the new keeper, by way of it.
            told if told.contains_key("Fire") => {
                story(&[("DoorOpen", &["firing", "resolved"]), ("Fire", &["firing"])])
            }
            _ => resolved,
        };
        assert_eq!((told(asleep), told(address)), (through_it.clone(), through_it));
        until("both have the same board", || board(asleep) == board(address));
    });
}

#[test]
fn a_node_that_ends_hands_over_at_once_and_the_rules_go_on() {
    on_each(|mut house| {
        sample(house.other(), "fire", 1);
        house.told_webhook("first notification: +Fire");
        for round in 0..2 {
            house.keeper().end();
            house.pass_over();
            let address = house.pair.addresses()[house.keeper];
            assert_eq!(told(address), story(&[("Fire", &["firing"])]), "round {round}");
            assert_eq!(board(address), ["Fire"]);
            house.pair.nodes[1 - house.keeper].restart();
        }
        let asked = house.other();
        sample(asked, "fire", 0);
        until("it is told", || told(asked) == story(&[("Fire", &["firing", "resolved"])]));
        assert_eq!(house.webhook.next_story(), "all alerts resolved: -Fire");
        assert_eq!(history(asked, "alerts/events/critical/Fire").len(), 2);
    });
}

#[test]
fn an_alert_that_fires_for_longer_than_events_are_kept_is_told_once_over_a_take_over() {
    let keep = "[[topic]]\nmatch = \"alerts/events/**\"\nretention_events_max = 2\n";
    let on = |engine| House::configured(engine, keep);
    KINDS.into_iter().filter_map(Engine::start).map(on).for_each(|mut house| {
        sample(house.other(), "door_open", 1);
        house.told_webhook("first notification: +DoorOpen");
        // Another fires and resolves, and the log has no transition of the first any more.
        for value in [1, 0, 1, 0] {
            sample(house.other(), "fire", value);
        }
        until("retention is applied", || {
            house.pair.addresses().into_iter().all(|it| !told(it).contains_key("DoorOpen"))
        });
        house.pair.settle();
        let events = get(house.other(), "/v1/topics/alerts/active").json()["events"].clone();
        let of_door = |event: &&Value| event["data"]["labels"]["alertname"] == "DoorOpen";
        let shown = events.as_array().expect("events").iter().find(of_door).expect("it is shown");
        let fired_at = shown["data"]["fired_at"].clone();
        house.keeper().kill();
        house.pass_over();
        let address = house.pair.addresses()[house.keeper];
        assert_eq!(board(address), ["DoorOpen"]);
        sample(address, "door_open", 1);
        sample(address, "door_open", 0);
        until("it has resolved", || told(address).contains_key("DoorOpen"));
        assert_eq!(told(address)["DoorOpen"], ["resolved"]);
        let transition = &history(address, "alerts/events/info/DoorOpen")[0]["data"];
        assert_eq!(transition["fired_at"], fired_at);
        let stories: Vec<_> = std::iter::repeat_with(|| house.webhook.next_story())
            .take(STORIES_MAX)
            .take_while(|story| !story.contains("-DoorOpen"))
            .collect();
        assert!(stories.len() < STORIES_MAX, "{stories:?}");
        // Of its group, which has not ended meanwhile, nobody is told as of a new one.
        assert!(stories.iter().all(|it| !it.starts_with("first notification")), "{stories:?}");
    });
}

#[test]
fn files_that_are_broken_when_a_node_takes_over_leave_in_force_what_there_was() {
    on_each(|mut house| {
        let file = house.pair.folder.path().join("rules.yml");
        std::fs::write(
            &file,
            "groups: [{name: house, rules: [{alert: DoorOpen, expr: door_open ==}]}]",
        )
        .expect("written");
        house.keeper().kill();
        house.pass_over();
        let address = house.pair.addresses()[house.keeper];
        sample(address, "door_open", 1);
        assert_eq!(house.webhook.next_story(), "first notification: +DoorOpen");
        let told = get(address, "/v1/rules").json()["reload_failure"]["detail"].clone();
        assert!(told.as_str().is_some_and(|told| told.contains("rules.yml")), "{told}");
        assert!(get(address, "/metrics").text().contains("\nbellwire_reload_failing 1\n"));
        // What was right last is what was read last.
        let more = format!("{RULES}      - {{record: fires, expr: sum(fire)}}\n");
        std::fs::write(&file, more).expect("written");
        assert_eq!(post(address, "/-/reload", "").status, 200);
        let rules = get(address, "/v1/rules");
        assert_eq!(rules.json()["reload_failure"], Value::Null);
        assert!(rules.text().contains("\"fires\""), "{}", rules.text());
    });
}

#[test]
fn a_node_that_is_still_catching_up_leaves_the_desk_to_others() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let Some(mut pair) = KINDS.into_iter().find_map(Pair::start) else { return };
    pair.nodes.iter_mut().for_each(Server::kill);
    // It writes its name, and then it is at the first of the log for a long time.
    disk.fail(Fault { kind: "sync", skip: 1, count: 1_000_000, errno: 0, sleep_ms: 20_000 });
    let (data, url) = (disk.data(), pair.engine.url());
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--cluster", &url];
    let _joiner = Process::spawn(disk.command(&arguments));
    until("it catches up", || disk.hits() > 0);
    pair.nodes[0].restart();
    let address = pair.nodes[0].address();
    let mut told = Value::Null;
    until("somebody has the desk", || {
        told = nodes(address).unwrap_or_default();
        !told["desk"].is_null()
    });
    assert_eq!(told["desk"], told["node"], "{told}");
}
