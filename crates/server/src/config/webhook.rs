//! `[[webhook]]`: how what others post becomes events.

use std::ops::Range;

use bellwire_model::limits::WEBHOOKS_MAX;
use bellwire_wire::publish::{Mapping, MappingText};
use serde::Deserialize;
use toml::Spanned;

use super::suggestion::did_you_mean;

/// What is wrong, and where.
type Mistake = (Range<usize>, String);

/// One that is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// The last part of its path.
    pub name: Box<str>,
    /// How its bodies become events.
    pub mapping: Mapping,
}

/// One `[[webhook]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookTable {
    name: Spanned<String>,
    format: Option<Spanned<String>>,
    each: Option<Spanned<String>>,
    topic: Option<Spanned<String>>,
    r#type: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    id: Option<Spanned<String>>,
}

/// What goes without saying of the bodies of some senders.
struct Format {
    name: &'static str,
    each: Option<&'static str>,
    event_type: Option<&'static str>,
    key: Option<&'static str>,
    identity: Option<&'static str>,
}

/// An alert as Alertmanager tells it, which Grafana does in the same words: it is one event when it
/// begins to fire and one when it is resolved, however often it is told.
const fn of_alerts(name: &'static str) -> Format {
    Format {
        name,
        each: Some("alerts"),
        event_type: Some("{status}"),
        key: Some("{fingerprint}"),
        identity: Some("{fingerprint} {startsAt} {status}"),
    }
}

const FORMATS: [Format; 3] = [
    Format { name: "json", each: None, event_type: None, key: None, identity: None },
    of_alerts("alertmanager"),
    of_alerts("grafana"),
];

/// Reads all of them.
pub(super) fn read(value: Spanned<toml::de::DeValue<'_>>) -> Result<Vec<Webhook>, Mistake> {
    let span = value.span();
    let deserializer = toml::de::ValueDeserializer::from(value);
    let tables = Vec::<WebhookTable>::deserialize(deserializer)
        .map_err(|error| (error.span().unwrap_or(span.clone()), error.message().to_owned()))?;
    if tables.len() > WEBHOOKS_MAX {
        return Err((span, format!("there are at most {WEBHOOKS_MAX} `[[webhook]]`")));
    }
    let mut webhooks: Vec<Webhook> = Vec::with_capacity(tables.len());
    for table in tables {
        let place = table.name.span();
        let webhook = webhook(&table)?;
        if webhooks.iter().any(|other| other.name == webhook.name) {
            return Err((place, format!("there are two webhooks `{}`", webhook.name)));
        }
        webhooks.push(webhook);
    }
    Ok(webhooks)
}

fn webhook(table: &WebhookTable) -> Result<Webhook, Mistake> {
    let name = table.name.get_ref();
    let is_of_a_path = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(is_of_a_path) {
        let reason =
            "a webhook's name is the last part of its path: letters, digits, `-`, `_`, `.`";
        return Err((table.name.span(), reason.to_owned()));
    }
    let format = format(table)?;
    let default_topic = format!("webhooks/{name}");
    let text = MappingText {
        name,
        each: said(table.each.as_ref(), format.each),
        topic: said(table.topic.as_ref(), None).unwrap_or(&default_topic),
        event_type: said(table.r#type.as_ref(), format.event_type),
        key: said(table.key.as_ref(), format.key),
        identity: said(table.id.as_ref(), format.identity),
    };
    let mapping = Mapping::new(&text).map_err(|error| {
        let field = match error.field {
            "each" => &table.each,
            "topic" => &table.topic,
            "type" => &table.r#type,
            "key" => &table.key,
            _ => &table.id,
        };
        let place = field.as_ref().unwrap_or(&table.name).span();
        (place, format!("`{}`: {}", error.field, error.reason))
    })?;
    Ok(Webhook { name: name.as_str().into(), mapping })
}

/// What is said of something, or what goes without saying.
fn said<'a>(own: Option<&'a Spanned<String>>, usual: Option<&'a str>) -> Option<&'a str> {
    own.map(|own| own.get_ref().as_str()).or(usual)
}

fn format(table: &WebhookTable) -> Result<&'static Format, Mistake> {
    let Some(said) = &table.format else { return Ok(&FORMATS[0]) };
    let known = FORMATS.iter().find(|format| format.name == said.get_ref());
    known.ok_or_else(|| {
        let names = FORMATS.iter().map(|format| format.name);
        let hint = did_you_mean(said.get_ref(), names);
        let reason = format!("`format` is `json`, `alertmanager` or `grafana`{hint}");
        (said.span(), reason)
    })
}
