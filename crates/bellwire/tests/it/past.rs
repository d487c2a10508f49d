//! What has become of alerts: from the journal, for whoever may see them.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Request, Server, Stream, Webhook, delete, get, post, request};

const RULES: &str = "
groups:
  - name: house
    rules:
      - alert: DoorOpen
        expr: door_open > 0.5
        labels: {severity: info}
      - alert: Fire
        expr: fire > 0.5
        labels: {severity: critical}
";

/// A server with these rules and whatever else its configuration says.
fn house(more: &str, flags: &[&str]) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("rules.yml"), RULES).expect("written");
    std::fs::write(path("bellwire.toml"), more).expect("written");
    let (rules, config) = (path("rules.yml"), path("bellwire.toml"));
    let flags = [&["--rules", &rules, "--config", &config], flags].concat();
    (Server::start_with(&flags), folder)
}

/// Sends a sample; returns once the rules have seen it.
fn sample(server: &Server, (name, site): (&str, &str), value: f64) {
    let sample = json!({ "name": name, "labels": { "site": site }, "value": value });
    assert_eq!(post(server.address(), "/v1/samples", sample.to_string()).status, 200);
}

/// The fingerprint of an alert.
fn fingerprint(server: &Server, (name, site): (&str, &str)) -> String {
    let alerts = get(server.address(), "/v1/alerts").json();
    let is_it =
        |alert: &&Value| alert["labels"]["alertname"] == name && alert["labels"]["site"] == site;
    let alert = alerts["alerts"].as_array().expect("alerts").iter().find(is_it);
    alert.expect(name)["fingerprint"].as_str().expect("a text").to_owned()
}

fn told(server: &Server, fingerprint: &str, query: &str) -> Value {
    let answer = get(server.address(), &format!("/v1/alerts/{fingerprint}{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The types of the events of a history, the newest first.
fn types(told: &Value) -> Vec<&str> {
    let events = told["history"].as_array().expect("events").iter();
    events.map(|event| event["type"].as_str().expect("a type")).collect()
}

#[test]
fn an_alert_tells_all_that_has_become_of_it_over_a_kill() {
    let (mut server, _folder) = house("", &[]);
    sample(&server, ("door_open", "oslo"), 0.75);
    let oslo = fingerprint(&server, ("DoorOpen", "oslo"));
    let address = server.address();
    let ack = format!("/v1/alerts/{oslo}/ack");
    assert_eq!(post(address, &ack, r#"{"by":"ada","note":"on it"}"#).status, 200);
    assert_eq!(delete(address, &ack).status, 200);
    let silence = json!({
        "matchers": [{ "name": "site", "value": "oslo", "isRegex": false }],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2999-01-01T00:00:00Z",
        "createdBy": "grace", "comment": "painters",
    });
    assert_eq!(post(address, "/api/v2/silences", silence.to_string()).status, 200);
    // Another one's events are not its own.
    sample(&server, ("door_open", "rome"), 1.0);
    sample(&server, ("door_open", "oslo"), 0.0);
    sample(&server, ("door_open", "oslo"), 0.875);

    let look = |server: &Server| {
        let told = told(server, &oslo, "");
        assert_eq!(told["fingerprint"], *oslo);
        assert_eq!(
            types(&told),
            [
                "alert.firing",
                "alert.resolved",
                "alert.unacknowledged",
                "alert.acknowledged",
                "alert.firing"
            ]
        );
        let history = &told["history"];
        assert_eq!(history[0]["data"]["value"], 0.875);
        assert_eq!(history[4]["data"]["value"], 0.75);
        for transition in [0, 1, 4] {
            assert_eq!(history[transition]["data"]["expression"], "door_open > 0.5");
        }
        let by = &history[3]["data"]["acknowledged"];
        assert_eq!((&by["by"], &by["note"]), (&json!("ada"), &json!("on it")));
        assert_eq!(told["alert"]["state"], "silenced");
        let rule = &told["rule"];
        assert_eq!(
            (&rule["name"], &rule["expression"], &rule["for_ms"]),
            (&json!("DoorOpen"), &json!("door_open > 0.5"), &json!(0))
        );
        let silence = &told["silences"][0];
        assert_eq!(
            (&silence["created_by"], &silence["comment"], &silence["state"]),
            (&json!("grace"), &json!("painters"), &json!("active"))
        );
        assert_eq!(told["silences"].as_array().map(Vec::len), Some(1));
        let missing = (&told["next"], &told["complete_since"]);
        assert_eq!(missing, (&Value::Null, &Value::Null), "nothing is gone");
        links_lead_somewhere(server, &told["links"]);
        told["history"].clone()
    };
    let before = look(&server);
    server.kill();
    server.restart();
    assert_eq!(look(&server), before, "the same events, cursors and all");

    pages_have_each_event_once(&server, &oslo, &before);
    assert_eq!(
        types(&told(&server, &fingerprint(&server, ("DoorOpen", "rome")), "")),
        ["alert.firing"]
    );
    wrong_ones_are_refused(&server, &oslo);
}

/// The values that were measured of an alert's series, once there are so many.
fn measured(server: &Server, alert: &str, count: usize) -> Vec<f64> {
    loop {
        let told = told(server, alert, "");
        let series = &told["series"][0];
        let values = series["values"].as_array().cloned().unwrap_or_default();
        if values.len() >= count {
            assert_eq!(series["name"], "fire");
            assert_eq!(series["labels"], json!({ "site": "oslo" }));
            let times = series["timestamps"].as_array().expect("times").iter();
            assert!(times.map(|time| time.as_i64().expect("a time")).is_sorted());
            return values.iter().map(|value| value.as_f64().expect("a number")).collect();
        }
        pass_a_moment();
    }
}

#[test]
fn what_was_measured_around_a_crossing_is_told_over_a_kill_to_whoever_may_see_the_series() {
    let (looker, looks) = crate::access::made("looker", "looker");
    let (other, only_alerts) = crate::access::made("other", "only-alerts");
    let access = "[access]\nanonymous = \"all\"\n\
                  [[access.role]]\nname = \"all\"\nsubscribe = [\"**\"]\ningest = [\"{}\"]\nalerts = [\"{}\"]\n\
                  query = [\"{}\"]\nadmin = true\n\
                  [[access.role]]\nname = \"looker\"\nsubscribe = [\"$alerts/**\"]\nalerts = [\"{}\"]\nquery = ['{site=\"oslo\"}']\n\
                  [[access.role]]\nname = \"only-alerts\"\nsubscribe = [\"$alerts/**\"]\nalerts = [\"{}\"]\nquery = ['{site=\"rome\"}']\n";
    let (mut server, _folder) = house(&format!("{access}{looks}{only_alerts}"), &[]);
    for value in [0.125, 0.25, 0.375, 0.75] {
        sample(&server, ("fire", "oslo"), value);
        pass_a_moment();
    }
    let oslo = fingerprint(&server, ("Fire", "oslo"));
    assert_eq!(measured(&server, &oslo, 4), [0.125, 0.25, 0.375, 0.75]);
    for value in [0.875, 0.0625] {
        sample(&server, ("fire", "oslo"), value);
        pass_a_moment();
    }
    let all = [0.125, 0.25, 0.375, 0.75, 0.875, 0.0625];
    assert_eq!(measured(&server, &oslo, 6), all);
    // What was remembered in memory is gone then.
    server.kill();
    server.restart();
    let kept = measured(&server, &oslo, 2);
    assert!(kept.contains(&0.75) && kept.contains(&0.0625), "the samples that turned it: {kept:?}");
    let mut left = all.iter();
    assert!(kept.iter().all(|value| left.any(|it| it.total_cmp(value).is_eq())), "{kept:?}");

    for (key, sees) in [(looker, true), (other, false)] {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", &*authorization)];
        let ask = |path: &str| {
            let asked = Request { method: "GET", path, headers: &headers, body: b"" };
            let answer = request(server.address(), asked);
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()
        };
        let told = ask(&format!("/v1/alerts/{oslo}"));
        assert_eq!(told["series"].is_array(), sees);
        assert_eq!(types(&told), ["alert.resolved", "alert.firing"]);
        // The stream that they are on is no other way to them.
        let page = ask("/v1/topics/$alerts/series");
        let events = page["events"].as_array().expect("events");
        assert_eq!(events.len(), if sees { 2 } else { 0 }, "{page}");
        assert!(events.iter().all(|event| event["data"]["labels"]["site"] == "oslo"), "{page}");
    }
}

#[test]
fn an_expression_is_told_as_it_was() {
    let (server, folder) = house("", &[]);
    sample(&server, ("fire", "oslo"), 1.0);
    let oslo = fingerprint(&server, ("Fire", "oslo"));
    let changed = RULES.replace("fire > 0.5", "fire > 0.25");
    std::fs::write(folder.path().join("rules.yml"), changed).expect("written");
    assert_eq!(post(server.address(), "/-/reload", "").status, 200);
    sample(&server, ("fire", "oslo"), 0.5);
    sample(&server, ("fire", "oslo"), 0.0);
    let told = told(&server, &oslo, "");
    let expressions = told["history"].as_array().expect("events").iter();
    let expressions: Vec<_> = expressions.map(|event| &event["data"]["expression"]).collect();
    assert_eq!(expressions, ["fire > 0.25", "fire > 0.5"]);
    assert_eq!(told["rule"]["expression"], "fire > 0.25");
}

fn links_lead_somewhere(server: &Server, links: &Value) {
    for (name, link) in links.as_object().expect("links") {
        let link = link.as_str().expect("a path");
        // A stream has no end.
        if name == "events" {
            let query = link.strip_prefix("/v1/events?").expect("a stream");
            Stream::open(server.address(), query).until_ready();
        } else {
            assert_ne!(get(server.address(), link).status, 404, "{link}");
        }
    }
}

fn pages_have_each_event_once(server: &Server, alert: &str, all: &Value) {
    let (mut pages, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = told(server, alert, &query);
        pages.push(page["history"].as_array().expect("events").clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&before={next}");
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(json!(pages.concat()), *all);
}

fn wrong_ones_are_refused(server: &Server, alert: &str) {
    for (path, status) in [
        ("0123456789abcdef", 404),
        ("x", 404),
        (&*format!("{alert}?limit=0"), 400),
        (&format!("{alert}?limit=1001"), 400),
        (&format!("{alert}?after=e7-1"), 400),
        (&format!("{alert}?before=x"), 400),
        (&format!("{alert}?before=e7-1"), 400),
    ] {
        assert_eq!(get(server.address(), &format!("/v1/alerts/{path}")).status, status, "{path}");
    }
}

/// The same, with a receiver that is told at once, and each so many milliseconds.
fn house_that_tells(webhook: &Webhook, interval_ms: u32) -> (Server, [TempDir; 2]) {
    let folder = TempDir::new().expect("a folder");
    let config = folder.path().join("alertmanager.yml");
    let route =
        format!("route: {{receiver: ops, group_wait: 0s, group_interval: {interval_ms}ms}}\n");
    let receivers =
        format!("receivers: [{{name: ops, webhook_configs: [{{url: '{}'}}]}}]\n", webhook.url());
    std::fs::write(&config, format!("{route}{receivers}")).expect("written");
    let config = config.to_str().expect("UTF-8");
    let (server, own) = house("", &["--alertmanager-config", config]);
    (server, [own, folder])
}

#[test]
fn what_webhooks_have_taken_is_told_over_a_kill_with_how_often_it_was_tried() {
    let webhook = Webhook::answering(&["503 Slow\r\nRetry-After: 0"]);
    let (mut server, _folders) = house_that_tells(&webhook, 200);
    let mut letters = Stream::open(server.address(), "topic=alerts/notifications/*");
    letters.until_ready();
    sample(&server, ("fire", "oslo"), 1.0);
    let event = letters.next_of("notification.sent");
    assert_eq!(event.json()["topic"], "alerts/notifications/ops");
    let oslo = fingerprint(&server, ("Fire", "oslo"));
    let all = event.payload();
    assert_eq!((&all["firing"], &all["resolved"]), (&json!([oslo]), &json!([])));
    // Another one comes into the group, and this one ends.
    sample(&server, ("fire", "rome"), 1.0);
    letters.next_of("notification.sent");
    sample(&server, ("fire", "oslo"), 0.0);
    letters.next_of("notification.sent");

    let look = |server: &Server| {
        let told = told(server, &oslo, "");
        let sent = "notification.sent";
        assert_eq!(types(&told), [sent, "alert.resolved", sent, sent, "alert.firing"]);
        let letters = [0, 2, 3].map(|place: usize| told["history"][place]["data"].clone());
        let story = letters.each_ref().map(|letter| {
            ["told_as", "attempts", "notification_reason"].map(|name| letter[name].clone())
        });
        assert_eq!(
            json!(story),
            json!([
                ["resolved", 1, "some alerts resolved"],
                ["firing", 1, "new alerts added"],
                ["firing", 2, "first notification"],
            ])
        );
        for letter in letters {
            assert_eq!((&letter["receiver"], &letter["webhook"]), (&json!("ops"), &json!(0)));
            assert!(letter["sent_at"].as_i64() >= letter["due_at"].as_i64());
            for others in ["firing", "resolved", "alerts"] {
                assert_eq!(letter[others], Value::Null, "{others}");
            }
        }
        told["history"].clone()
    };
    let before = look(&server);
    server.kill();
    server.restart();
    assert_eq!(look(&server), before);
}

#[test]
fn what_a_webhook_could_not_be_told_of_an_alert_is_told_without_the_others() {
    let webhook = Webhook::answering(&["404 Gone"]);
    let (server, _folders) = house_that_tells(&webhook, 3_600_000);
    let mut letters = Stream::open(server.address(), "topic=alerts/dead-letters/*");
    letters.until_ready();
    sample(&server, ("fire", "oslo"), 1.0);
    letters.next_of("notification.failed");

    let told = told(&server, &fingerprint(&server, ("Fire", "oslo")), "");
    assert_eq!(types(&told), ["notification.failed", "alert.firing"]);
    let letter = &told["history"][0]["data"];
    assert_eq!((&letter["receiver"], &letter["last_status"]), (&json!("ops"), &json!(404)));
    assert_eq!((&letter["payload"], &letter["fingerprints"]), (&Value::Null, &Value::Null));
    assert!(letter["given_up_at"].is_i64());
}

/// The alerts that fired at a time, as `alertname/site/state`.
fn board(server: &Server, at: i64) -> (Vec<String>, Value) {
    let answer = get(server.address(), &format!("/v1/alerts?at={at}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let board = answer.json();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alerts = board["alerts"].as_array().expect("alerts").iter().map(|alert| {
        let labels = &alert["labels"];
        [&labels["alertname"], &labels["site"], &alert["state"]].map(word).join("/")
    });
    let mut alerts: Vec<String> = alerts.collect();
    alerts.sort_unstable();
    (alerts, board)
}

/// What comes next has another time.
fn pass_a_moment() {
    std::thread::park_timeout(std::time::Duration::from_millis(5));
}

#[test]
fn the_board_is_told_as_it_was() {
    let (mut server, _folder) = house("", &[]);
    sample(&server, ("door_open", "oslo"), 1.0);
    pass_a_moment();
    let oslo = fingerprint(&server, ("DoorOpen", "oslo"));
    let ack = format!("/v1/alerts/{oslo}/ack");
    assert_eq!(post(server.address(), &ack, r#"{"by":"ada","note":"on it"}"#).status, 200);
    pass_a_moment();
    sample(&server, ("fire", "rome"), 1.0);
    pass_a_moment();
    sample(&server, ("door_open", "oslo"), 0.0);
    pass_a_moment();
    let silence = json!({
        "matchers": [{ "name": "site", "value": "rome", "isRegex": false }],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2999-01-01T00:00:00Z",
        "createdBy": "grace", "comment": "painters",
    });
    assert_eq!(post(server.address(), "/api/v2/silences", silence.to_string()).status, 200);
    let silences = get(server.address(), "/v1/silences").json();
    let silenced_at = silences["silences"][0]["starts_at"].as_i64().expect("a time");

    let look = |server: &Server| {
        let history = told(server, &oslo, "");
        let time = |index: usize| history["history"][index]["time"].as_i64().expect("a time");
        let (resolved, acknowledged, fired) = (time(0), time(1), time(2));
        let of = |at| board(server, at).0;
        assert_eq!(of(fired - 1), [""; 0]);
        assert_eq!(of(fired), ["DoorOpen/oslo/firing"]);
        assert_eq!(of(acknowledged), ["DoorOpen/oslo/acknowledged"]);
        let (_, then) = board(server, acknowledged);
        let alert = &then["alerts"][0];
        assert_eq!(alert["acknowledged"]["by"], "ada");
        assert_eq!((&alert["value"], &alert["told_at"]), (&json!(1), &json!(acknowledged)));
        assert_eq!((&then["at"], &then["complete_since"]), (&json!(acknowledged), &Value::Null));
        assert_eq!(of(resolved - 1), ["DoorOpen/oslo/acknowledged", "Fire/rome/firing"]);
        assert_eq!(of(resolved), ["Fire/rome/firing"]);
        assert_eq!(of(silenced_at), ["Fire/rome/silenced"]);
        resolved
    };
    look(&server);
    server.kill();
    server.restart();
    let resolved = look(&server);

    let at = resolved - 1;
    let first = get(server.address(), &format!("/v1/alerts?at={at}&limit=1")).json();
    let next = first["next"].as_str().expect("there is another one");
    let second = get(server.address(), &format!("/v1/alerts?at={at}&limit=1&after={next}")).json();
    assert_eq!(json!([first["alerts"][0], second["alerts"][0]]), board(&server, at).1["alerts"]);
    assert_eq!(second["next"], Value::Null);
    let old = get(server.address(), "/v1/alerts?at=2020-01-01T00:00:00Z").json();
    assert_eq!((&old["alerts"], &old["silences_unknown"]), (&json!([]), &json!(true)));
    for wrong in ["at=x", "at=9999999999999", "at=1&limit=0", "at=1&after=x", "at=1&before=2"] {
        let status = get(server.address(), &format!("/v1/alerts?{wrong}")).status;
        assert_eq!(status, 400, "{wrong}");
    }
}

#[test]
fn what_retention_has_removed_is_told_and_not_made_up() {
    let keep = "[[topic]]\nmatch = \"alerts/events/**\"\nretention_events_max = 4\n";
    let (mut server, _folder) = house(keep, &[]);
    sample(&server, ("fire", "oslo"), 1.0);
    sample(&server, ("fire", "rome"), 1.0);
    let (oslo, fires) = {
        let alerts = get(server.address(), "/v1/alerts").json();
        let alerts = alerts["alerts"].as_array().expect("alerts").clone();
        let oslo = alerts.iter().find(|alert| alert["labels"]["site"] == "oslo").expect("oslo");
        let since = alerts.iter().map(|alert| alert["fired_at"].as_i64().expect("a time")).max();
        (oslo["fingerprint"].as_str().expect("a text").to_owned(), since.expect("two"))
    };
    pass_a_moment();
    for number in 0..20 {
        sample(&server, ("door_open", "kiel"), f64::from(number % 2));
    }
    pass_a_moment();
    // The end of one is kept, its beginning is not; of the other nothing is.
    sample(&server, ("fire", "rome"), 0.0);
    server.restart();
    let gone = (0..3_000).find_map(|_| {
        let told = told(&server, &oslo, "");
        if told["complete_since"].is_null() {
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        told["complete_since"].as_i64().map(|since| (told, since))
    });
    let (told, since) = gone.expect("retention is applied");
    assert_eq!((types(&told), &told["alert"]["state"]), (vec![], &json!("firing")));
    assert!(since > fires, "{since} {fires}");
    let (alerts, then) = board(&server, fires);
    assert_eq!(alerts, ["Fire/oslo/firing", "Fire/rome/firing"]);
    for alert in then["alerts"].as_array().expect("alerts") {
        assert_eq!(alert["resolved_at"], Value::Null);
        assert!(alert["fired_at"].as_i64() <= Some(fires));
    }
    assert_eq!(then["complete_since"], since);
}
