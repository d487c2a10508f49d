//! From a sample to a webhook, over real sockets.

use std::path::Path;
use std::time::Duration;

use bellwire_model::limits::RESTART_GAP;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    FailingDisk, Fault, Port, Process, Server, Stream, Webhook, bellwire, get, post,
};

const RULES: &str = "
groups:
  - name: house
    rules:
      - alert: DoorOpen
        expr: door_open == 1
        labels: {severity: info}
        annotations: {summary: 'a door in {{ $labels.site }}'}
      - alert: Fire
        expr: fire == 1
        labels: {severity: critical}
";

/// Files in a folder of their own, and a server that is told of them.
struct House {
    server: Server,
    folder: TempDir,
}

impl House {
    fn new(alertmanager: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
        std::fs::write(path("rules.yml"), RULES).expect("written");
        std::fs::write(path("alertmanager.yml"), alertmanager).expect("written");
        let (rules, config) = (path("rules.yml"), path("alertmanager.yml"));
        let flags = ["--rules", &rules, "--alertmanager-config", &config];
        Self { server: Server::start_with(&flags), folder }
    }

    fn sample(&self, name: &str, value: f64) {
        let sample = json!({ "name": name, "labels": { "site": "oslo" }, "value": value });
        assert_eq!(post(self.server.address(), "/v1/samples", sample.to_string()).status, 200);
    }

    /// A webhook has a notification before the server has its answer.
    #[track_caller]
    fn wait_until_answered(&self, notifications: u64) {
        self.server.wait_for_figure("bellwire_notifications_total", notifications);
    }

    fn configure(&self, alertmanager: &str) {
        std::fs::write(self.folder.path().join("alertmanager.yml"), alertmanager).expect("written");
    }
}

/// A busy webhook's answer; whoever does not come back before the time would be told too early.
const BUSY: &str = "503 Slow\r\nRetry-After: 1200";

/// Nothing is told before another configuration is in force, however slow the machine is.
const LATER: &str = "group_wait: 1h, group_interval: 1h";

/// The first is told, and nothing more.
const ONCE: &str = "group_wait: 0s, group_interval: 1h";

/// One receiver, `ops`, with these webhooks.
fn to(urls: &[&str], timing: &str) -> String {
    let hooks: Vec<_> = urls.iter().map(|url| format!("{{url: '{url}'}}")).collect();
    format!(
        "route: {{receiver: ops, {timing}}}\n\
         receivers: [{{name: ops, webhook_configs: [{}]}}]\n",
        hooks.join(", ")
    )
}

const AT_ONCE: &str = "group_wait: 0s, group_interval: 200ms";

#[test]
fn a_webhook_is_told_what_fires_and_what_resolves() {
    let webhook = Webhook::answering(&[]);
    let house = House::new(&to(&[&webhook.url()], AT_ONCE));
    house.sample("door_open", 1.0);
    let payload = webhook.next();
    assert_eq!((&payload["version"], &payload["status"]), (&json!("4"), &json!("firing")));
    assert_eq!((&payload["receiver"], &payload["groupKey"]), (&json!("ops"), &json!("{}:{}")));
    assert_eq!(payload["commonLabels"]["site"], "oslo");
    let alert = &payload["alerts"][0];
    assert_eq!(alert["annotations"]["summary"], "a door in oslo");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");

    house.sample("fire", 1.0);
    assert_eq!(webhook.next_story(), "new alerts added: +DoorOpen +Fire");
    house.sample("door_open", 0.0);
    assert_eq!(webhook.next_story(), "some alerts resolved: -DoorOpen +Fire");
    house.sample("fire", 0.0);
    let payload = webhook.next();
    assert_eq!(
        (&payload["status"], &payload["notification_reason"]),
        (&json!("resolved"), &json!("all alerts resolved"))
    );
    assert_eq!(payload["alerts"][0]["fingerprint"].as_str().map(str::len), Some(16));
    assert_eq!(house.server.figure("bellwire_notifications_failed_total"), 0);
}

#[test]
fn a_busy_webhook_is_asked_again_and_one_that_refuses_leaves_a_dead_letter() {
    let webhook =
        Webhook::answering(&["503 Slow", "429 Wait\r\nRetry-After: 1", "200 OK", "404 Gone"]);
    let house = House::new(&to(&[&webhook.url()], ONCE));
    let mut letters = Stream::open(house.server.address(), "topic=alerts/dead-letters/*");
    letters.until_ready();
    house.sample("door_open", 1.0);
    for _ in 0..3 {
        assert_eq!(webhook.next_story(), "first notification: +DoorOpen");
    }
    house.wait_until_answered(1);
    house.configure(&to(&[&webhook.url()], AT_ONCE));
    assert_eq!(post(house.server.address(), "/-/reload", "").status, 200);
    house.sample("fire", 1.0);
    assert_eq!(webhook.next_story(), "new alerts added: +DoorOpen +Fire");
    let event = letters.next_of("notification.failed");
    assert_eq!(event.json()["topic"], "alerts/dead-letters/ops");
    let letter = event.payload();
    assert_eq!((&letter["attempts"], &letter["last_status"]), (&json!(1), &json!(404)));
    assert_eq!(letter["payload"]["alerts"][1]["labels"]["alertname"], "Fire");
    // It is tried again with the group's next look, and taken.
    assert_eq!(webhook.next_story(), "new alerts added: +DoorOpen +Fire");
    assert_eq!(house.server.figure("bellwire_notification_requests_failed_total"), 3);
}

#[test]
fn killed_while_a_group_waits_it_is_told_once() {
    let webhook = Webhook::answering(&[]);
    let mut house = House::new(&to(&[&webhook.url()], LATER));
    let mut events = Stream::open(house.server.address(), "topic=alerts/events/**");
    events.until_ready();
    house.sample("door_open", 1.0);
    events.next_of("alert.firing");
    house.server.kill();
    assert!(webhook.is_idle(), "the group still waits");
    house.configure(&to(&[&webhook.url()], AT_ONCE));
    house.server.restart();
    assert_eq!(webhook.next_story(), "first notification: +DoorOpen");
    // What it was told is synced before long, and not told again by the next life.
    house.wait_until_answered(1);
    house.server.kill();
    house.server.restart();
    house.sample("fire", 1.0);
    assert_eq!(webhook.next_story(), "new alerts added: +DoorOpen +Fire");
}

/// What a webhook is told after a restart, which has answered so that an alert fires, and nothing
/// that it is told of the alert's end before.
fn told_after_a_restart(answer: &str, end: impl Fn(&mut Server)) -> String {
    let webhook = Webhook::answering(&[answer]);
    let mut house = House::new(&to(&[&webhook.url()], ONCE));
    let mut events = Stream::open(house.server.address(), "topic=alerts/events/**");
    events.until_ready();
    house.sample("door_open", 1.0);
    assert_eq!(webhook.next_story(), "first notification: +DoorOpen");
    house.sample("door_open", 0.0);
    events.next_of("alert.resolved");
    end(&mut house.server);
    house.configure(&to(&[&webhook.url()], AT_ONCE));
    house.server.restart();
    let told = webhook.next_story();
    // That is known, so that another restart tells nobody.
    house.wait_until_answered(1);
    house.server.kill();
    house.server.restart();
    house.sample("fire", 1.0);
    assert_eq!(webhook.next_story(), "first notification: +Fire");
    told
}

#[test]
fn what_a_busy_webhook_has_not_taken_is_owed_over_a_restart() {
    for end in [Server::kill, |server: &mut Server| assert!(server.end().success())] {
        assert_eq!(told_after_a_restart(BUSY, end), "all alerts resolved: -DoorOpen");
    }
}

#[test]
fn who_may_know_that_an_alert_fires_is_told_its_end_over_a_restart() {
    for end in [Server::kill, |server: &mut Server| assert!(server.end().success())] {
        assert_eq!(told_after_a_restart("", end), "all alerts resolved: -DoorOpen");
    }
}

#[test]
fn what_was_owed_to_a_receiver_that_is_gone_is_a_dead_letter() {
    let restart = |house: &mut House| {
        house.server.kill();
        house.server.restart();
    };
    let reload = |house: &mut House| {
        assert_eq!(post(house.server.address(), "/-/reload", "").status, 200);
    };
    for change in [restart as fn(&mut House), reload] {
        let webhook = Webhook::answering(&[BUSY]);
        let mut house = House::new(&to(&[&webhook.url()], ONCE));
        house.sample("door_open", 1.0);
        assert_eq!(webhook.next_story(), "first notification: +DoorOpen");
        house.server.wait_for_figure("bellwire_notification_requests_failed_total", 1);
        house.configure("route: {receiver: others}\nreceivers: [{name: others}]\n");
        change(&mut house);
        let query = "topic=alerts/dead-letters/*&after=earliest";
        let mut letters = Stream::open(house.server.address(), query);
        let letter = letters.next_of("notification.failed");
        assert_eq!(letter.json()["topic"], "alerts/dead-letters/ops");
        let letter = letter.payload();
        let reason = "the configuration has no such receiver any more (alerts: 1)";
        assert_eq!((&letter["reason"], &letter["payload"]), (&json!(reason), &json!(null)));
        let alerts = get(house.server.address(), "/v1/alerts").json();
        assert_eq!(letter["fingerprints"], json!([alerts["alerts"][0]["fingerprint"]]));
        // It is told once: a letter stands for it, and nothing is owed any more.
        house.server.kill();
        house.server.restart();
        let mut letters = Stream::open(house.server.address(), query);
        assert_eq!(letters.until_ready().len(), 1);
    }
}

#[test]
fn a_dead_letter_waits_for_a_disk_that_is_full() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: no disk can be made to fail");
        return;
    };
    let webhook = Webhook::answering(&["404 Gone"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (data, rules, config) = (disk.data(), path("rules.yml"), path("alertmanager.yml"));
    std::fs::write(&rules, RULES).expect("written");
    let configure = |timing: &str| {
        std::fs::write(&config, to(&[&webhook.url()], timing)).expect("written");
    };
    configure(LATER);
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--rules", &rules];
    let mut command = disk.command(&arguments);
    command.args(["--alertmanager-config", &config, "--webhook-networks-allowed", "loopback"]);
    let mut process = Process::spawn(command);
    let line = process.line();
    let address = line.strip_prefix("listening on http://").and_then(|text| text.parse().ok());
    let address = address.expect("an address");
    let mut letters = Stream::open(address, "topic=alerts/dead-letters/*");
    letters.until_ready();
    let mut events = Stream::open(address, "topic=alerts/events/**");
    events.until_ready();
    let sample = json!({ "name": "door_open", "labels": { "site": "oslo" }, "value": 1 });
    assert_eq!(post(address, "/v1/samples", sample.to_string()).status, 200);
    events.next_of("alert.firing");
    let errno = rustix::io::Errno::NOSPC.raw_os_error();
    disk.fail(Fault { kind: "write", skip: 0, count: u64::MAX >> 1, errno, sleep_ms: 0 });
    configure(ONCE);
    assert_eq!(post(address, "/-/reload", "").status, 200);
    assert_eq!(webhook.next_story(), "first notification: +DoorOpen");
    process.wait_for_error("Dead letters are not kept yet");
    disk.heal();
    let letter = letters.next_of("notification.failed").payload();
    assert_eq!((&letter["receiver"], &letter["last_status"]), (&json!("ops"), &json!(404)));
}

#[test]
fn a_process_that_was_stopped_for_long_resolves_nothing_and_tells_nothing_twice() {
    let webhook = Webhook::answering(&[]);
    let mut house = House::new(&to(&[&webhook.url()], AT_ONCE));
    let mut events = Stream::open(house.server.address(), "topic=alerts/events/**");
    events.until_ready();
    house.sample("door_open", 1.0);
    events.next_of("alert.firing");
    assert_eq!(webhook.next_story(), "first notification: +DoorOpen");
    house.wait_until_answered(1);
    house.server.process().signal("STOP");
    // Nobody sends: this waits for longer than a pause that counts as none.
    let (_never, wait) = std::sync::mpsc::sync_channel::<()>(0);
    wait.recv_timeout(RESTART_GAP + Duration::from_secs(2)).expect_err("nobody sends");
    house.server.process().signal("CONT");
    house.server.process().wait_for_error("The process was stopped");
    for (name, value) in [("door_open", 1.0), ("fire", 1.0), ("door_open", 0.0)] {
        house.sample(name, value);
    }
    let told = events.events(2).into_iter().map(|event| {
        let alert = event.payload();
        let name = alert["labels"]["alertname"].as_str().expect("a name").to_owned();
        (name, alert["state"].as_str().expect("a state").to_owned())
    });
    let expected = [("Fire", "firing"), ("DoorOpen", "resolved")];
    assert_eq!(
        told.collect::<Vec<_>>(),
        expected.map(|(name, state)| (name.to_owned(), state.to_owned()))
    );
    let told = webhook.next_story();
    let both = ["new alerts added: +DoorOpen +Fire", "new alerts added: -DoorOpen +Fire"];
    assert!(both.contains(&told.as_str()), "{told}");
}

#[test]
fn a_dead_webhook_beside_a_good_one_harms_nobody() {
    // Nobody listens there.
    let dead = Port::new();
    let webhook = Webhook::answering(&[]);
    let house = House::new(&to(&[&format!("http://{}", dead.address()), &webhook.url()], AT_ONCE));
    house.sample("door_open", 1.0);
    assert_eq!(webhook.next_story(), "first notification: +DoorOpen");
    house.sample("door_open", 0.0);
    assert_eq!(webhook.next_story(), "all alerts resolved: -DoorOpen");
    // The dead one's is tried until the next would be due.
    house.server.wait_for_figure("bellwire_notifications_waiting", 1);
}

#[test]
fn a_wrong_file_changes_nothing_and_stops_a_start() {
    let (old, new) = (Webhook::answering(&[]), Webhook::answering(&[]));
    let house = House::new(&to(&[&old.url()], AT_ONCE));
    house.configure("route: {receiver: nobody}\nreceivers: []\n");
    let refused = post(house.server.address(), "/-/reload", "");
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains(":1:19: there is no receiver `nobody`"), "{}", refused.text());
    house.sample("door_open", 1.0);
    assert_eq!(old.next_story(), "first notification: +DoorOpen");
    house.wait_until_answered(1);
    house.configure(&to(&[&new.url()], AT_ONCE));
    assert_eq!(post(house.server.address(), "/-/reload", "").status, 200);
    house.sample("fire", 1.0);
    assert_eq!(new.next_story(), "new alerts added: +DoorOpen +Fire");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wrong.yml");
    std::fs::write(&path, "receivers: [{name: a, email_configs: []}]\n").expect("written");
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"][..]] {
        let output = run(arguments, &path);
        let reason = "wrong.yml:1:23: `email_configs`: notifications go out as webhooks only";
        assert!(output.contains(reason), "{arguments:?}: {output}");
    }
}

/// What the command says before it fails.
fn run(arguments: &[&str], alertmanager_config: &Path) -> String {
    let mut command = bellwire(arguments);
    command.arg("--alertmanager-config").arg(alertmanager_config);
    command.current_dir(alertmanager_config.parent().expect("a folder"));
    let (code, output, errors) = Process::spawn(command).finish();
    assert_eq!(code, Some(1));
    output + &errors
}
