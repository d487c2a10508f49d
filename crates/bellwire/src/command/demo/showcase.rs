//! What the pages of the examples show: a market, an audience, a shop, a talk, an arcade and a builder.
//!
//! ```text
//! market, audience, shop ──▶ POST /v1/samples
//! talk, arcade, builder ───▶ POST /v1/events
//! ```
//!
//! Nothing below [`run`] reads a clock. One call of [`Showcase::step`] is a quarter of a second.

mod arcade;
mod audience;
mod builder;
mod market;
mod shop;
mod talk;

use std::time::Duration;

use anyhow::Result;
use bellwire_client::Client;
use bellwire_model::Filter;
use bellwire_process::clock;
use bellwire_server::{Kind, StateDurability, TopicRule};
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use self::arcade::Arcade;
use self::audience::Audience;
use self::builder::Builder;
use self::market::Market;
use self::shop::Shop;
use self::talk::Talk;
use super::random::Random;

/// Between two steps.
const STEP: Duration = Duration::from_millis(250);
const STEPS_PER_SECOND: u32 = 4;
/// It shows the same each time.
const SEED: u64 = 0x005B_0CA5;

/// State topics of the examples; all others of theirs are streams.
const STATE_TOPICS: [&str; 3] = ["leaderboard/*", "ticker/settings/*", "jobs"];
/// Streams of which a page that opens shows all that is kept, and so many events are.
const SHORT_STREAMS: [(&str, u64); 2] = [("comments/*", 200), ("notices", 20)];
/// Topics whose followers show themselves.
const PRESENCE: &str = "comments/*";

/// What the configuration says of the topics of the examples.
pub(super) fn topic_rules() -> Result<Vec<TopicRule>> {
    let states = STATE_TOPICS.map(|pattern| (pattern, Kind::State, None));
    let streams = SHORT_STREAMS.map(|(pattern, most)| (pattern, Kind::Stream, Some(most)));
    let rule = |(pattern, kind, retention_events_max): (&str, _, _)| {
        Ok(TopicRule {
            pattern: pattern.parse()?,
            kind,
            durability: StateDurability::Memory,
            retention_age: None,
            retention_bytes_max: None,
            retention_events_max,
        })
    };
    states.into_iter().chain(streams).map(rule).collect()
}

/// The topics whose followers the examples show.
pub(super) fn presence() -> Result<Filter> {
    Ok(PRESENCE.parse()?)
}

/// Feeds the pages for as long as it is polled. What cannot be posted is lost.
pub(super) async fn run(client: Client) -> Result<()> {
    let mut showcase = Showcase::new(SEED, clock::now().as_ms());
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        steps.tick().await;
        let Step { samples, events } = showcase.step();
        for (path, lines) in [("/v1/samples", samples), ("/v1/events", events)] {
            if lines.is_empty() {
                continue;
            }
            if let Err(error) = post(&client, path, lines).await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    path,
                    "A step of the examples is lost."
                );
            }
        }
    }
}

async fn post(client: &Client, path: &str, lines: String) -> Result<()> {
    let request = Request::post(path).header(CONTENT_TYPE, "application/x-ndjson");
    client.request(request.body(Bytes::from(lines))?).await?.bytes().await?;
    Ok(())
}

/// What a step comes to, as lines of JSON.
#[derive(Debug, Default, PartialEq)]
struct Step {
    samples: String,
    events: String,
}

impl Step {
    /// Adds a sample as of now.
    fn sample(&mut self, name: &str, labels: Value, value: f64) {
        let line = json!({ "name": name, "labels": labels, "value": value });
        self.samples.push_str(&line.to_string());
        self.samples.push('\n');
    }

    /// Adds an event of a stream.
    fn event(&mut self, topic: &str, data: Value) {
        self.line(&json!({ "topic": topic, "data": data }));
    }

    /// Adds the last event of a stream.
    fn last_event(&mut self, topic: &str, data: Value) {
        self.line(&json!({ "topic": topic, "data": data, "end": true }));
    }

    /// Adds a value of a state topic; with a time to live it goes by itself.
    fn value(&mut self, (topic, key): (&str, &str), data: Value, ttl: Option<&str>) {
        let mut line = json!({ "topic": topic, "key": key, "data": data });
        if let Some(ttl) = ttl {
            line["ttl"] = ttl.into();
        }
        self.line(&line);
    }

    fn line(&mut self, event: &Value) {
        self.events.push_str(&event.to_string());
        self.events.push('\n');
    }
}

/// All of them, and the time.
#[derive(Debug)]
struct Showcase {
    random: Random,
    now: u32,
    market: Market,
    audience: Audience,
    shop: Shop,
    talk: Talk,
    arcade: Arcade,
    builder: Builder,
}

impl Showcase {
    /// `began` tells the jobs of this run from those of others.
    fn new(seed: u64, began: i64) -> Self {
        Self {
            random: Random::new(seed),
            now: 0,
            market: Market::new(),
            audience: Audience::default(),
            shop: Shop::new(),
            talk: Talk::default(),
            arcade: Arcade::new(),
            builder: Builder::new(began),
        }
    }

    /// Lets a quarter of a second pass.
    fn step(&mut self) -> Step {
        let (now, random, mut step) = (self.now, &mut self.random, Step::default());
        self.market.step(random, &mut step);
        self.audience.step(now, random, &mut step);
        self.talk.step(now, random, &mut step);
        self.arcade.step(random, &mut step);
        self.builder.step(random, &mut step);
        if now.is_multiple_of(STEPS_PER_SECOND) {
            self.shop.step(random, &mut step);
        }
        self.now = self.now.wrapping_add(1);
        step
    }
}

/// One of several.
fn one_of<'a, T>(all: &'a [T], random: &mut Random) -> &'a T {
    &all[random.between(0, all.len() as u32) as usize]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn steps(count: usize) -> Vec<Step> {
        let mut showcase = Showcase::new(7, 1_000);
        (0..count).map(|_| showcase.step()).collect()
    }

    fn read(lines: &str) -> Vec<Value> {
        lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    #[test]
    fn the_same_seed_shows_the_same() {
        assert_eq!(steps(200), steps(200));
    }

    #[test]
    fn each_page_has_something_to_show_within_ten_seconds() {
        let (mut metrics, mut topics) = (BTreeSet::new(), BTreeSet::new());
        for step in steps(40) {
            for sample in read(&step.samples) {
                assert!(sample["value"].is_number(), "{sample}");
                metrics.insert(sample["name"].as_str().expect("a name").to_owned());
            }
            for event in read(&step.events) {
                topics.insert(event["topic"].as_str().expect("a topic").to_owned());
            }
        }
        let expected = [
            "audience_reactions",
            "market_price_dollars",
            "shop_orders_total",
            "shop_revenue_euros_total",
        ];
        assert!(metrics.iter().eq(expected), "{metrics:?}");
        for topic in
            ["comments/keynote", "leaderboard/arcade", "jobs", "jobs/1000-1", "jobs/1000-1/log"]
        {
            assert!(topics.contains(topic), "{topic} is not among {topics:?}");
        }
    }

    #[test]
    fn a_job_ends_with_its_log_and_nothing_comes_behind() {
        let mut ended = BTreeSet::new();
        for step in steps(600) {
            for event in read(&step.events) {
                let topic = event["topic"].as_str().expect("a topic").to_owned();
                assert!(!ended.contains(&topic), "{event} comes behind the end");
                if event["end"] == true {
                    ended.insert(topic);
                }
            }
        }
        assert!(ended.contains("jobs/1000-1") && ended.contains("jobs/1000-1/log"), "{ended:?}");
        assert!(ended.contains("jobs/1000-2"), "{ended:?}");
    }

    #[test]
    fn topics_of_the_configuration_can_be_read() {
        let rules = topic_rules().expect("patterns");
        assert_eq!(rules.len(), STATE_TOPICS.len() + SHORT_STREAMS.len());
        assert_eq!(presence().expect("a filter").as_str(), PRESENCE);
    }
}
