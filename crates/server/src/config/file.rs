//! The configuration file, `bellwire.toml`. Its errors carry line and column.

use std::ops::Range;
use std::path::Path;

use bellwire_model::duration;
use bellwire_model::limits::TOPIC_RULES_MAX;
use bellwire_shards::{Kind, StateDurability, TopicRule};
use serde::Deserialize;
use toml::Spanned;

use super::access;
use super::ingest;
use super::mqtt;
use super::samples;
use super::scrape;
use super::suggestion::did_you_mean;
use super::webhook;
use super::{Config, ConfigError, DURATION_FORM, SETTINGS, Setting, parse_bytes};
use crate::place::line_and_column;

/// The tables that say what topics are.
const TOPIC: &str = "topic";

/// The table that says who may come in.
const ACCESS: &str = "access";

/// The tables that say how what others post becomes events.
const WEBHOOK: &str = "webhook";

/// The table that says how what sources send is taken.
const INGEST: &str = "ingest";

/// The tables that say what is scraped.
const SCRAPE: &str = "scrape";

/// The table of the listener for MQTT.
const MQTT: &str = "mqtt";

/// The table that says what is remembered of series.
const SAMPLES: &str = "samples";

/// The keys of a `[[topic]]`.
const TOPIC_KEYS: [&str; 6] =
    ["match", "kind", "durability", "retention_age", "retention_bytes_max", "retention_events_max"];

/// One `[[topic]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicTable {
    r#match: Spanned<String>,
    kind: Option<Spanned<String>>,
    durability: Option<Spanned<String>>,
    retention_age: Option<Spanned<String>>,
    retention_bytes_max: Option<Spanned<String>>,
    retention_events_max: Option<u64>,
}

/// Applies the file at `path`; returns everything that is wrong with it.
pub(super) fn apply(config: &mut Config, path: &Path) -> Vec<ConfigError> {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            return vec![ConfigError { place: name, reason: format!("cannot be read: {error}") }];
        }
    };
    File { name: &name, text: &text }.apply(config)
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn apply(&self, config: &mut Config) -> Vec<ConfigError> {
        let table = match toml::de::DeTable::parse(self.text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                return vec![self.error(error.span().unwrap_or_default(), error.message())];
            }
        };
        let mut errors = Vec::new();
        // A table is sorted by its keys: mistakes are told in the order of the file.
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let result = match key.get_ref().as_ref() {
                TOPIC => self.topics(value).map(|topics| config.topics = topics),
                ACCESS => access::read(value)
                    .map(|access| config.access = Some(access))
                    .map_err(|(span, reason)| self.error(span, &reason)),
                WEBHOOK => webhook::read(value)
                    .map(|webhooks| config.webhooks = webhooks)
                    .map_err(|(span, reason)| self.error(span, &reason)),
                INGEST => ingest::read(value)
                    .map(|ingest| config.ingest = ingest)
                    .map_err(|(span, reason)| self.error(span, &reason)),
                SCRAPE => scrape::read(value)
                    .map(|jobs| config.scrape = jobs)
                    .map_err(|(span, reason)| self.error(span, &reason)),
                MQTT => mqtt::read(value)
                    .map(|mqtt| config.mqtt = Some(mqtt))
                    .map_err(|(span, reason)| self.error(span, &reason)),
                SAMPLES => samples::read(value)
                    .map(|rules| config.sample_history = rules)
                    .map_err(|(span, reason)| self.error(span, &reason)),
                name => self.setting(config, (name, key.span()), &value),
            };
            errors.extend(result.err());
        }
        errors
    }

    fn setting(
        &self,
        config: &mut Config,
        (name, place): (&str, Range<usize>),
        value: &Spanned<toml::de::DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == name) else {
            let tables = [TOPIC, ACCESS, INGEST, WEBHOOK, SCRAPE, MQTT, SAMPLES];
            let keys = SETTINGS.iter().map(|setting| setting.key).chain(tables);
            let mut hint = did_you_mean(name, keys);
            if hint.is_empty() {
                hint.push_str("; `bellwire serve --help` lists them");
            }
            return Err(self.error(place, &format!("`{name}` is no setting{hint}")));
        };
        texts(value.get_ref(), setting)
            .and_then(|values| setting.apply(config, &values))
            .map_err(|reason| self.error(value.span(), &format!("`{name}`: {reason}")))
    }

    fn topics(&self, value: Spanned<toml::de::DeValue<'_>>) -> Result<Vec<TopicRule>, ConfigError> {
        let span = value.span();
        self.topic_keys(value.get_ref())?;
        let deserializer = toml::de::ValueDeserializer::from(value);
        let tables = Vec::<TopicTable>::deserialize(deserializer)
            .map_err(|error| self.error(error.span().unwrap_or(span.clone()), error.message()))?;
        if tables.len() > TOPIC_RULES_MAX {
            return Err(
                self.error(span, &format!("there are at most {TOPIC_RULES_MAX} `[[topic]]`"))
            );
        }
        tables.into_iter().map(|table| self.topic(table)).collect()
    }

    /// What is no key of a `[[topic]]` gets the one that was meant, not a list of all.
    fn topic_keys(&self, value: &toml::de::DeValue<'_>) -> Result<(), ConfigError> {
        let tables = value.as_array().into_iter().flat_map(|array| array.iter());
        let mut keys =
            tables.filter_map(|table| table.get_ref().as_table()).flat_map(|table| table.keys());
        let Some(key) = keys.find(|key| !TOPIC_KEYS.contains(&key.get_ref().as_ref())) else {
            return Ok(());
        };
        let name = key.get_ref();
        let hint = did_you_mean(name, TOPIC_KEYS);
        let known = TOPIC_KEYS.join("`, `");
        let reason = format!("`{name}` is no key of `[[topic]]`{hint}; there are `{known}`");
        Err(self.error(key.span(), &reason))
    }

    fn topic(&self, table: TopicTable) -> Result<TopicRule, ConfigError> {
        let pattern = table
            .r#match
            .get_ref()
            .parse()
            .map_err(|error| self.error(table.r#match.span(), &format!("`match`: {error}")))?;
        let kind = match table.kind.as_ref().map(|kind| (kind.get_ref().as_str(), kind.span())) {
            None | Some(("stream", _)) => Kind::Stream,
            Some(("state", _)) => Kind::State,
            Some((other, span)) => {
                let reason = format!("`kind` is `stream` or `state`, not `{other}`");
                return Err(self.error(span, &reason));
            }
        };
        let durability = self.state_durability(kind, table.durability.as_ref())?;
        Ok(TopicRule {
            pattern,
            kind,
            durability,
            retention_age: self.read(
                table.retention_age.as_ref(),
                duration::parse,
                DURATION_FORM,
            )?,
            retention_bytes_max: self.read(
                table.retention_bytes_max.as_ref(),
                parse_bytes,
                "a size such as 1048576, 64MiB or 1GiB",
            )?,
            retention_events_max: table.retention_events_max,
        })
    }

    /// Where state topics are kept; streams are kept in the journal, as its `durability` says.
    fn state_durability(
        &self,
        kind: Kind,
        value: Option<&Spanned<String>>,
    ) -> Result<StateDurability, ConfigError> {
        let Some(value) = value else { return Ok(StateDurability::default()) };
        let reason = match (kind, value.get_ref().as_str()) {
            (Kind::State, "memory") => return Ok(StateDurability::Memory),
            (Kind::State, "disk") => return Ok(StateDurability::Disk),
            (Kind::State, other) => format!("`durability` is `memory` or `disk`, not `{other}`"),
            (Kind::Stream, _) => {
                "`durability` is of topics with `kind = \"state\"`: streams are in \
                                  the journal, as `durability` at the top of the file says"
                    .to_owned()
            }
        };
        Err(self.error(value.span(), &reason))
    }

    fn read<T>(
        &self,
        value: Option<&Spanned<String>>,
        parse: fn(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = value else { return Ok(None) };
        let parsed = parse(value.get_ref()).ok_or_else(|| {
            let reason = format!("expected {expected}; not `{}`", value.get_ref());
            self.error(value.span(), &reason)
        })?;
        Ok(Some(parsed))
    }

    fn error(&self, span: Range<usize>, reason: &str) -> ConfigError {
        let (line, column) = line_and_column(self.text, span.start);
        ConfigError { place: format!("{}:{line}:{column}", self.name), reason: reason.to_owned() }
    }
}

/// A value as the table of settings takes it: texts.
fn texts(value: &toml::de::DeValue<'_>, setting: &Setting) -> Result<Vec<String>, String> {
    use toml::de::DeValue;
    match value {
        DeValue::Array(values) if setting.is_list => {
            values.iter().map(|value| text(value.get_ref())).collect()
        }
        one => text(one).map(|text| vec![text]),
    }
}

fn text(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Boolean(answer) => Ok(answer.to_string()),
        _ => Err("expected a text or a number, in quotes where in doubt".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use bellwire_ingest::otlp::{Promoted, Strategy};

    fn read(text: &str) -> (Config, Vec<String>) {
        let mut config = Config::default();
        let errors = File { name: "bellwire.toml", text }.apply(&mut config);
        (config, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_example_of_the_documentation_is_valid() {
        let text = r#"
            listen = "127.0.0.1:9090"
            rules = ["rules/*.yml"]
            durability = "interval"

            [[topic]]
            match = "tickers/**"
            kind = "state"

            [[webhook]]
            name = "ci"
            topic = "ci/{project.path}"

            [[topic]]
            match = "chat/**"
            retention_age = "7d"
            retention_bytes_max = "1GiB"

            [[samples.history]]
            match = "samples/power"
            keep = "1h"
            points_max = 2000

            [ingest.remote_write]
            replica_label = "__replica__"

            [ingest.otlp]
            translation_strategy = "NoTranslation"
            promote_resource_attributes = ["host.name"]
            promote_scope_metadata = true
        "#;
        let (config, errors) = read(text);
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(config.listen.port(), 9090);
        assert_eq!(&*config.webhooks[0].name, "ci");
        assert_eq!(config.sample_history[0].window, Duration::from_hours(1));
        assert_eq!(config.sample_history[0].points_max, 2_000);
        let replicas = config.ingest.replicas.expect("a label");
        assert_eq!(
            (&*replicas.replica_label, replicas.cluster_labels),
            ("__replica__", vec!["cluster".into()])
        );
        let otlp = config.ingest.otlp;
        assert_eq!(otlp.translation_strategy, Strategy::NoTranslation);
        assert_eq!(otlp.promoted, Promoted::Only(["host.name".to_owned()].into()));
        assert!(otlp.promote_scope_metadata && !otlp.keep_identifying_resource_attributes);
        assert_eq!(config.topics[0].kind, Kind::State);
        assert_eq!(config.topics[1].retention_bytes_max, Some(1 << 30));
    }

    #[test]
    fn errors_say_where() {
        let cases = [
            ("listn = \"x\"", "bellwire.toml:1:1: `listn` is no setting; did you mean `listen`?"),
            ("[topics]", "bellwire.toml:1:2: `topics` is no setting; did you mean `topic`?"),
            ("colour = 1", "bellwire.toml:1:1: `colour` is no setting; `bellwire serve --help`"),
            ("\ndurability = \"maybe\"", "bellwire.toml:2:14: `durability`: expected `sync` or"),
            ("listen = [", "bellwire.toml:1:"),
            ("[[topic]]\nmatch = \"a//b\"", "bellwire.toml:2:9: `match`: a topic has no empty"),
            ("[[topic]]\nmatch = \"a\"\nkind = \"queue\"", "bellwire.toml:3:8: `kind` is"),
            ("[[topic]]\nmatch = \"a\"\nretention_age = \"long\"", "bellwire.toml:3:17: expected"),
            ("[[webhook]]\nname = \"a/b\"", "bellwire.toml:2:8: a webhook's name is the last part"),
            (
                "[[webhook]]\nname = \"a\"\ntopic = \"a//{b}\"",
                "bellwire.toml:3:9: `topic`: a topic",
            ),
            ("[[webhook]]\nname = \"a\"\nformat = \"grafna\"", "bellwire.toml:3:10: `format` is"),
            ("[[webhook]]\nname = \"a\"\nkeys = \"a\"", "bellwire.toml:3:1: unknown field `keys`"),
            (
                "[[webhook]]\nname = \"a\"\n[[webhook]]\nname = \"a\"",
                "bellwire.toml:4:8: there are two webhooks `a`",
            ),
            (
                "[ingest.otlp]\ntranslation_strategy = \"None\"",
                "bellwire.toml:2:24: a strategy is one of",
            ),
            (
                "[ingest.otlp]\nignore_resource_attributes = [\"a\"]",
                "bellwire.toml:2:30: it takes from",
            ),
            (
                "[ingest.otlp]\npromote_all_resource_attributes = true\n\
                 promote_resource_attributes = [\"a\"]",
                "bellwire.toml:3:31: `promote_all_resource_attributes` has",
            ),
            ("[ingest.otlp]\nstrategy = 1", "bellwire.toml:2:1: unknown field `strategy`"),
            (
                "[ingest.remote_write]\nreplica = \"r\"",
                "bellwire.toml:2:1: unknown field `replica`",
            ),
            (
                "[ingest.remote_write]\nfailover_timeout = \"1m\"",
                "bellwire.toml:2:20: `replica_label` says",
            ),
            (
                "[ingest.remote_write]\nreplica_label = \"r\"\nfailover_timeout = \"0s\"",
                "bellwire.toml:3:20: expected",
            ),
            (
                "[ingest.remote_write]\nreplica_label = \"r\"\ncluster_labels = []",
                "bellwire.toml:3:18: `cluster_labels` names",
            ),
            ("[[topic]]\nmatch = \"a\"\nretain = 1", "bellwire.toml:3:1: `retain` is no key"),
            ("[[scrape]]\nx = 1", "bellwire.toml:2:1: unknown field `x`"),
            ("[[scrape]]\njob_name = \"\"", "bellwire.toml:1:1: `job_name` is empty"),
            (
                "[[scrape]]\njob_name = \"a\"\n[[scrape]]\njob_name = \"a\"",
                "bellwire.toml:1:1: two `[[scrape]]` have the `job_name` `a`",
            ),
            (
                "[[topic]]\nmatch = \"a\"\nretention = \"1d\"",
                "bellwire.toml:3:1: `retention` is no key of `[[topic]]`; did you mean `retention_age`?",
            ),
        ];
        for (text, start) in cases {
            let (_, errors) = read(text);
            assert!(errors[0].starts_with(start), "{text:?}: {errors:?}");
        }
    }

    #[test]
    fn errors_of_histories_say_where() {
        let cases = [
            ("[[samples.history]]\nmatch = \"a\"", "bellwire.toml:1:1: missing field `keep`"),
            (
                "[[samples.history]]\nmatch = \"a\"\nkeep = \"2d\"",
                "bellwire.toml:3:8: `keep`: expected 0s or",
            ),
            (
                "[[samples.history]]\nmatch = \"a\"\nkeep = \"1h\"\npoints_max = 0",
                "bellwire.toml:4:14: `points_max` is",
            ),
            ("[samples]\nhistroy = 1", "bellwire.toml:2:1: unknown field `histroy`"),
        ];
        for (text, start) in cases {
            let (_, errors) = read(text);
            assert!(errors[0].starts_with(start), "{text:?}: {errors:?}");
        }
    }
}
