//! What is scraped reaches the rules, people can see how it goes, and a reload changes it.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Answer, Server, Stream, get, post};

const RULES: &str = "
groups:
  - name: targets
    rules:
      - {alert: Up, expr: up == 1}
      - {alert: Down, expr: up == 0}
";

/// A server that scrapes others.
struct House {
    folder: TempDir,
    server: Server,
}

impl House {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [file, rules] = ["bellwire.toml", "rules.yml"].map(|name| folder.path().join(name));
        fs::write(&file, config).expect("written");
        fs::write(&rules, RULES).expect("written");
        let flags = ["--config", path(&file), "--rules", path(&rules)];
        Self { server: Server::start_with(&flags), folder }
    }

    fn reload(&self, config: &str) -> Answer {
        fs::write(self.folder.path().join("bellwire.toml"), config).expect("written");
        post(self.server.address(), "/-/reload", "")
    }

    fn targets(&self, query: &str) -> Value {
        let answer = get(self.server.address(), &format!("/api/v1/targets{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"].clone()
    }
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn scraping(target: &Server) -> String {
    format!(
        "[[scrape]]\njob_name = \"bells\"\nscrape_interval = \"200ms\"\n\
         static_configs = [{{ targets = [\"{}\"], labels = {{ site = \"oslo\" }} }}]\n\
         relabel_configs = [{{ source_labels = [\"__address__\"], regex = \"gone.*\", action = \"drop\" }}]\n",
        target.address()
    )
}

#[test]
fn an_alert_tells_of_a_target_that_is_gone() {
    let mut target = Server::start();
    let house = House::new(&scraping(&target));
    let mut alerts = Stream::open(house.server.address(), "topic=alerts/events/**&after=earliest");
    let told = |event: Value| {
        let labels = &event["data"]["labels"];
        assert_eq!((&labels["site"], &labels["job"]), (&"oslo".into(), &"bells".into()), "{event}");
        labels["alertname"].as_str().expect("a name").to_owned()
    };
    let mut next = || alerts.next_of("alert.firing").json();
    assert_eq!(told(next()), "Up");
    let up = house.targets("");
    assert_eq!(up["activeTargets"][0]["health"], "up");
    assert_eq!(up["activeTargets"][0]["scrapePool"], "bells");
    assert_eq!(up["activeTargets"][0]["scrapeInterval"], "200ms");
    assert_eq!(up["droppedTargetCounts"]["bells"], 0);
    assert_eq!(house.targets("?scrapePool=other")["activeTargets"], serde_json::json!([]));
    assert_eq!(house.targets("?state=dropped")["activeTargets"], serde_json::json!([]));
    assert_eq!(get(house.server.address(), "/api/v1/targets?state=x").status, 400);
    target.end();
    assert_eq!(told(next()), "Down");
    let down = &house.targets("")["activeTargets"][0];
    assert_eq!(down["health"], "down");
    assert!(!down["lastError"].as_str().expect("a text").is_empty(), "{down}");
    let metrics = get(house.server.address(), "/metrics");
    let count =
        r#"bellwire_source_requests_refused_total{source="scrape",reason="target_unreachable"} "#;
    assert!(metrics.text().contains(count), "{}", metrics.text());
}

#[test]
fn a_reload_changes_what_is_scraped_or_nothing() {
    let target = Server::start();
    let house = House::new("");
    assert_eq!(house.targets("")["activeTargets"], serde_json::json!([]));
    let mut alerts = Stream::open(house.server.address(), "topic=alerts/events/**");
    alerts.until_ready();
    assert_eq!(house.reload(&scraping(&target)).status, 200);
    assert_eq!(alerts.next_of("alert.firing").json()["data"]["labels"]["alertname"], "Up");
    let wrong = scraping(&target).replace("200ms", "fast");
    let refused = house.reload(&wrong);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("`scrape_interval`"), "{}", refused.text());
    assert_eq!(house.targets("")["activeTargets"][0]["health"], "up");
    assert_eq!(house.reload("").status, 200);
    assert_eq!(house.targets("")["activeTargets"], serde_json::json!([]));
    // Its series end, and its alert with them.
    assert_eq!(alerts.next_of("alert.resolved").json()["data"]["labels"]["alertname"], "Up");
}
