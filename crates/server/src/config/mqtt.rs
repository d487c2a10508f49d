//! `[mqtt]`: where sensors publish, brokers that are gone to, and what topics and messages mean.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use bellwire_ingest::mqtt::json_path::JsonPath;
use bellwire_ingest::mqtt::mapping::{
    EventTarget, JsonPayload, JsonValue, Mapping, Payload, TimeUnit, TopicRule, Word,
};
use bellwire_ingest::mqtt::topic::Template;
use bellwire_model::limits::MQTT_BROKERS_MAX;
use bellwire_sources::mqtt::{BrokerConfig, BrokerTable};
use serde::Deserialize;
use toml::Spanned;

use super::listen::parse_listen;

/// What is configured of MQTT.
#[derive(Clone, Debug, PartialEq)]
pub struct MqttConfig {
    /// Where to accept connections; port 0 picks a free one. `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Brokers that the server is a client of.
    pub brokers: Vec<BrokerConfig>,
    /// What is published.
    pub mapping: Mapping,
}

/// `[mqtt]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MqttTable {
    listen: Option<Spanned<String>>,
    #[serde(default)]
    topics: Vec<Spanned<TopicsTable>>,
    #[serde(default)]
    broker: Vec<Spanned<BrokerTable>>,
}

/// `[[mqtt.topics]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicsTable {
    topic: Spanned<String>,
    payload: Option<Spanned<String>>,
    name: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    value: Option<Spanned<String>>,
    #[serde(default)]
    values: BTreeMap<String, Spanned<String>>,
    time: Option<Spanned<String>>,
    time_unit: Option<Spanned<String>>,
    #[serde(default)]
    words: BTreeMap<String, f64>,
    event: Option<Spanned<String>>,
    key: Option<String>,
}

/// What is wrong, and where.
type Mistake = (Range<usize>, String);

/// Reads the table.
pub(super) fn read(value: Spanned<toml::de::DeValue<'_>>) -> Result<MqttConfig, Mistake> {
    let span = value.span();
    let deserializer = toml::de::ValueDeserializer::from(value);
    let table = MqttTable::deserialize(deserializer)
        .map_err(|error| (error.span().unwrap_or(span.clone()), error.message().to_owned()))?;
    let listen = table.listen.as_ref().map(|listen| {
        parse_listen(listen.get_ref())
            .map_err(|reason| (listen.span(), format!("`listen`: {reason}")))
    });
    let listen = listen.transpose()?;
    let brokers = brokers(table.broker)?;
    if listen.is_none() && brokers.is_empty() {
        let reason = "nothing comes in: `listen` says where sensors publish, `[[mqtt.broker]]` which \
                      broker brings what they do";
        return Err((span, reason.to_owned()));
    }
    let rules = table.topics.into_iter().map(|topics| {
        let place = topics.span();
        rule(topics.into_inner(), place)
    });
    let rules: Vec<TopicRule> = rules.collect::<Result<_, _>>()?;
    if rules.is_empty() {
        let reason = "`[[mqtt.topics]]` says what is published: there is none";
        return Err((span, reason.to_owned()));
    }
    let mapping = Mapping::new(rules).map_err(|error| (span, error.to_string()))?;
    Ok(MqttConfig { listen, brokers, mapping })
}

fn brokers(tables: Vec<Spanned<BrokerTable>>) -> Result<Vec<BrokerConfig>, Mistake> {
    let mut brokers: Vec<BrokerConfig> = Vec::new();
    for table in tables {
        let at = table.span();
        let broker = table.into_inner().broker().map_err(|reason| (at.clone(), reason))?;
        if brokers.len() == MQTT_BROKERS_MAX {
            return Err((at, format!("there are at most {MQTT_BROKERS_MAX} `[[mqtt.broker]]`")));
        }
        let is_twice = |other: &BrokerConfig| {
            (&other.address, &other.client_id) == (&broker.address, &broker.client_id)
        };
        if brokers.iter().any(is_twice) {
            let reason = "this broker has a client of this `client_id` already: it knows one alone";
            return Err((at, reason.to_owned()));
        }
        brokers.push(broker);
    }
    Ok(brokers)
}

fn rule(table: TopicsTable, place: Range<usize>) -> Result<TopicRule, Mistake> {
    let topic = Template::parse(table.topic.get_ref())
        .map_err(|error| (table.topic.span(), format!("`topic`: {error}")))?;
    let name = table.name.as_deref().map(Into::into);
    let labels =
        table.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
    let labels = labels.collect();
    let words = |table: &TopicsTable| {
        let word =
            |(text, value): (&String, &f64)| Word { text: text.as_str().into(), value: *value };
        table.words.iter().map(word).collect::<Vec<_>>()
    };
    if table.words.values().any(|value| !value.is_finite()) {
        return Err((place, "`words` stand for finite numbers".to_owned()));
    }
    let kind = table.payload.as_ref().map_or("number", |kind| kind.get_ref());
    let has_paths = table.value.is_some() || !table.values.is_empty() || table.time.is_some();
    if has_paths && kind != "json" {
        return Err((
            place,
            "`value`, `values` and `time` are paths into `payload = \"json\"`".into(),
        ));
    }
    if table.event.is_some() && (table.payload.is_some() || !table.words.is_empty()) {
        return Err((
            place,
            "an `event` says what came: it has no `payload` and no `words`".into(),
        ));
    }
    if table.key.is_some() && table.event.is_none() {
        return Err((place, "`key` is that of an `event`".into()));
    }
    let payload = match kind {
        _ if table.event.is_some() => event(&table)?,
        "number" => Payload::Number { words: words(&table) },
        "json" => Payload::Json(JsonPayload::new(values(&table)?, words(&table), time(&table)?)),
        "sparkplug" => Payload::Sparkplug,
        other => {
            let reason = format!("`payload` is `number`, `json` or `sparkplug`, not `{other}`");
            return Err((table.payload.map_or(place, |payload| payload.span()), reason));
        }
    };
    Ok(TopicRule { topic, name, labels, payload })
}

fn event(table: &TopicsTable) -> Result<Payload, Mistake> {
    let (text, at) = match &table.event {
        Some(event) => (&**event.get_ref(), event.span()),
        None => ("", Range::default()),
    };
    let target = EventTarget::parse(text, table.key.as_deref());
    target.map(Payload::Event).map_err(|reason| (at, format!("`event`: {reason}")))
}

fn values(table: &TopicsTable) -> Result<Vec<JsonValue>, Mistake> {
    let one = table.value.iter().map(|at| (None, at));
    let named = table.values.iter().map(|(name, at)| (Some(name.as_str().into()), at));
    one.chain(named).map(|(name, at)| Ok(JsonValue { name, path: path(at)? })).collect()
}

fn time(table: &TopicsTable) -> Result<Option<(JsonPath, TimeUnit)>, Mistake> {
    let unit = match table.time_unit.as_ref().map(|unit| (unit.get_ref().as_str(), unit.span())) {
        None | Some(("ms", _)) => TimeUnit::Milliseconds,
        Some(("s", _)) => TimeUnit::Seconds,
        Some(("us", _)) => TimeUnit::Microseconds,
        Some(("ns", _)) => TimeUnit::Nanoseconds,
        Some((other, span)) => {
            return Err((span, format!("`time_unit` is `s`, `ms`, `us` or `ns`, not `{other}`")));
        }
    };
    table.time.as_ref().map(|at| Ok((path(at)?, unit))).transpose()
}

fn path(text: &Spanned<String>) -> Result<JsonPath, Mistake> {
    JsonPath::parse(text.get_ref()).map_err(|error| (text.span(), error.to_string()))
}
