//! Descriptions, read from what a person wrote: TOML in a file, or the same as JSON.
//!
//! Both become nodes that know where they stand; one reader makes of them what they describe. So both
//! have the same keys, and the same is told of what is wrong with them.

use std::collections::BTreeSet;

use bellwire_model::duration;
use bellwire_model::limits::{
    ADVICE_BYTES_MAX, ADVICE_CONNECTIONS_MAX, ADVICE_FLOWS_MAX, ADVICE_LATENCY_MAX,
    ADVICE_NAME_BYTES_MAX, ADVICE_PAYLOAD_BYTES_MAX, ADVICE_RATE_MAX,
};
use serde_json::Value as Json;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::flow::{Client, Description, Flow, Infrastructure, Proxies, Team, WebSockets};

/// Why a description cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{reason}", place(*line, *column))]
pub struct ReadError {
    /// From 1; 0 where the text has no lines that say anything, as JSON has none.
    pub line: usize,
    /// From 1, in characters; 0 where the line is.
    pub column: usize,
    /// What is wrong, where it is, and what would be right.
    pub reason: String,
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!("{line}:{column}: ") }
}

/// The keys of a description, of its `[infrastructure]` and of each `[[flow]]`.
const KEYS: [&str; 2] = ["infrastructure", "flow"];
const INFRASTRUCTURE_KEYS: [&str; 4] = ["http2", "proxies", "websockets", "team"];
const FLOW_KEYS: [&str; 11] = [
    "name",
    "down",
    "up",
    "bytes",
    "up_bytes",
    "latency",
    "client",
    "connections",
    "binary",
    "proxies",
    "websockets",
];

/// A name of less likeness is another word.
const LIKENESS_MIN: f64 = 0.8;

const RATE_FORM: &str =
    "a rate: a number of events a second, or a text such as `5/s`, `2/min`, `1/h`";

/// The description that a text in TOML has.
pub fn read_toml(text: &str) -> Result<Description, ReadError> {
    let at = |offset: usize, reason: String| {
        let (line, column) = line_and_column(text, offset);
        ReadError { line, column, reason }
    };
    if text.len() > ADVICE_BYTES_MAX {
        return Err(at(0, too_long()));
    }
    let table = DeTable::parse(text)
        .map_err(|error| at(error.span().unwrap_or_default().start, error.message().to_owned()))?;
    let start = table.span().start;
    let node = Node { at: start, kind: of_toml_table(table.get_ref()) };
    description(&node).map_err(|Wrong { at: offset, reason }| at(offset, reason))
}

/// The description that a text in JSON has: `{"infrastructure":{…},"flow":[{…}]}`.
pub fn read_json(text: &[u8]) -> Result<Description, ReadError> {
    let wrong = |reason| ReadError { line: 0, column: 0, reason };
    if text.len() > ADVICE_BYTES_MAX {
        return Err(wrong(too_long()));
    }
    let json: Json = serde_json::from_slice(text).map_err(|error| ReadError {
        line: error.line(),
        column: error.column(),
        reason: "this is no JSON".to_owned(),
    })?;
    description(&of_json(&json)).map_err(|Wrong { reason, .. }| wrong(reason))
}

fn too_long() -> String {
    format!("a description has at most {ADVICE_BYTES_MAX} bytes: describe flows of one kind once")
}

/// What was written, wherever.
struct Node {
    /// Where it begins, in bytes; 0 in JSON.
    at: usize,
    kind: Kind,
}

enum Kind {
    Text(String),
    Number(f64),
    Truth(bool),
    List(Vec<Node>),
    Table(Vec<(String, usize, Node)>),
    /// A date, or `null`.
    Other,
}

/// What is wrong, and where.
struct Wrong {
    at: usize,
    reason: String,
}

fn of_toml(value: &Spanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            let parsed = i64::from_str_radix(&digits, number.radix());
            parsed.map_or(Kind::Number(f64::NAN), |number| Kind::Number(number as f64))
        }
        DeValue::Float(number) => {
            let digits = number.as_str().replace('_', "");
            Kind::Number(digits.parse().unwrap_or(f64::NAN))
        }
        DeValue::Boolean(truth) => Kind::Truth(*truth),
        DeValue::Datetime(_) => Kind::Other,
        DeValue::Array(array) => Kind::List(array.iter().map(of_toml).collect()),
        DeValue::Table(table) => of_toml_table(table),
    };
    Node { at: value.span().start, kind }
}

/// A table is sorted by its keys: what is wrong is told in the order of the text.
fn of_toml_table(table: &DeTable<'_>) -> Kind {
    let entry = |(key, value): (&Spanned<toml::de::DeString<'_>>, &Spanned<DeValue<'_>>)| {
        (key.get_ref().to_string(), key.span().start, of_toml(value))
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|(_, at, _)| *at);
    Kind::Table(entries)
}

fn of_json(value: &Json) -> Node {
    let kind = match value {
        Json::Null => Kind::Other,
        Json::Bool(truth) => Kind::Truth(*truth),
        Json::Number(number) => Kind::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::Text(text.clone()),
        Json::Array(array) => Kind::List(array.iter().map(of_json).collect()),
        Json::Object(object) => Kind::Table(
            object.iter().map(|(key, value)| (key.clone(), 0, of_json(value))).collect(),
        ),
    };
    Node { at: 0, kind }
}

fn description(node: &Node) -> Result<Description, Wrong> {
    let top = Table::of(node, "the description", &KEYS)?;
    let infrastructure = match top.get("infrastructure") {
        Some(node) => infrastructure(node)?,
        None => Infrastructure::default(),
    };
    let nothing = "there is no flow: describe one, as `[[flow]]` with a `name` and the rates \
                   `down` and `up`";
    let flows = match top.get("flow").map(|node| (&node.kind, node.at)) {
        None => return Err(Wrong { at: node.at, reason: nothing.to_owned() }),
        Some((Kind::List(list), at)) if list.is_empty() => {
            return Err(Wrong { at, reason: nothing.to_owned() });
        }
        Some((Kind::List(list), _)) => list,
        Some((_, at)) => {
            let reason = "`flow` is a list of tables: write `[[flow]]`, with two brackets";
            return Err(Wrong { at, reason: reason.to_owned() });
        }
    };
    if let Some(one_more) = flows.get(ADVICE_FLOWS_MAX) {
        let reason = format!(
            "there are at most {ADVICE_FLOWS_MAX} flows: describe those of one kind once, and \
             count their `connections`"
        );
        return Err(Wrong { at: one_more.at, reason });
    }
    let mut names = BTreeSet::new();
    let mut read = Vec::with_capacity(flows.len());
    for (index, node) in flows.iter().enumerate() {
        let flow = flow(node, index + 1)?;
        if !names.insert(flow.name.clone()) {
            let reason =
                format!("two flows are called `{}`: give each a name of its own", flow.name);
            return Err(Wrong { at: node.at, reason });
        }
        read.push(flow);
    }
    Ok(Description { infrastructure, flows: read })
}

fn infrastructure(node: &Node) -> Result<Infrastructure, Wrong> {
    let table = Table::of(node, "`[infrastructure]`", &INFRASTRUCTURE_KEYS)?;
    Ok(Infrastructure {
        http2: table.truth("http2")?,
        proxies: table.word("proxies", PROXIES)?.unwrap_or_default(),
        websockets: table.word("websockets", WEBSOCKETS)?.unwrap_or_default(),
        team: table.word("team", TEAMS)?.unwrap_or_default(),
    })
}

const PROXIES: &[(&str, Proxies)] = &[
    ("none", Proxies::None),
    ("stream", Proxies::Stream),
    ("buffer", Proxies::Buffer),
    ("unknown", Proxies::Unknown),
];
const WEBSOCKETS: &[(&str, WebSockets)] = &[
    ("pass", WebSockets::Pass),
    ("blocked", WebSockets::Blocked),
    ("unknown", WebSockets::Unknown),
];
const TEAMS: &[(&str, Team)] = &[("http", Team::Http), ("websocket", Team::Websocket)];
const CLIENTS: &[(&str, Client)] = &[
    ("browser", Client::Browser),
    ("app", Client::App),
    ("program", Client::Program),
    ("device", Client::Device),
];

/// What flows have that do not say otherwise: an event of JSON, a second, one client.
const BYTES: f64 = 200.0;
const LATENCY_MS: f64 = 1_000.0;

fn flow(node: &Node, number: usize) -> Result<Flow, Wrong> {
    let table = Table::of(node, &format!("flow {number}"), &FLOW_KEYS)?;
    let name = match table.get("name").map(|node| (&node.kind, node.at)) {
        Some((Kind::Text(name), at)) => {
            if name.trim().is_empty()
                || name.len() > ADVICE_NAME_BYTES_MAX
                || name.chars().any(char::is_control)
            {
                let reason = format!(
                    "flow {number}: `name` has 1 to {ADVICE_NAME_BYTES_MAX} bytes, and nothing that \
                     steers a terminal"
                );
                return Err(Wrong { at, reason });
            }
            name.clone()
        }
        Some((_, at)) => {
            return Err(Wrong { at, reason: format!("flow {number}: `name` is a text") });
        }
        None => {
            let reason = format!("flow {number} has no `name`: call it what people call it");
            return Err(Wrong { at: node.at, reason });
        }
    };
    let table = Table { what: format!("flow `{name}`"), ..table };
    let bytes = table.number("bytes", BYTES, (0.0, ADVICE_PAYLOAD_BYTES_MAX as f64))?;
    let flow = Flow {
        down_per_second: table.rate("down")?,
        up_per_second: table.rate("up")?,
        up_bytes: table.number("up_bytes", bytes, (0.0, ADVICE_PAYLOAD_BYTES_MAX as f64))?,
        bytes,
        latency_ms: table.latency()?,
        client: table.word("client", CLIENTS)?.unwrap_or_default(),
        connections: table.number("connections", 1.0, (1.0, ADVICE_CONNECTIONS_MAX as f64))?,
        binary: table.truth("binary")?,
        proxies: table.word("proxies", PROXIES)?,
        websockets: table.word("websockets", WEBSOCKETS)?,
        name,
    };
    if flow.down_per_second + flow.up_per_second == 0.0 {
        let reason = format!(
            "flow `{}`: nothing flows: `down` is how many events a client gets, `up` how many it \
             sends, such as `down = \"5/s\"`",
            flow.name
        );
        return Err(Wrong { at: node.at, reason });
    }
    Ok(flow)
}

/// A table whose keys are known.
struct Table<'a> {
    what: String,
    entries: &'a [(String, usize, Node)],
}

impl<'a> Table<'a> {
    fn of(node: &'a Node, what: &str, keys: &[&str]) -> Result<Self, Wrong> {
        let Kind::Table(entries) = &node.kind else {
            return Err(Wrong { at: node.at, reason: format!("{what} is a table") });
        };
        if let Some((key, at, _)) = entries.iter().find(|(key, ..)| !keys.contains(&&**key)) {
            let near = nearest(key, keys).map(|near| format!("; did you mean `{near}`?"));
            let known = keys.join("`, `");
            let key: String = key.chars().take(ADVICE_NAME_BYTES_MAX).collect();
            let reason = format!(
                "{what}: `{}` is no key{}; there are `{known}`",
                key.escape_debug(),
                near.unwrap_or_default()
            );
            return Err(Wrong { at: *at, reason });
        }
        Ok(Self { what: what.to_owned(), entries })
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(known, ..)| known == key).map(|(_, _, node)| node)
    }

    fn wrong(&self, node: &Node, key: &str, expected: &str) -> Wrong {
        let written = match &node.kind {
            Kind::Text(text) => {
                let text: String = text.chars().take(ADVICE_NAME_BYTES_MAX).collect();
                format!("`{}`", text.escape_debug())
            }
            Kind::Number(number) => format!("{number}"),
            Kind::Truth(truth) => format!("{truth}"),
            Kind::List(_) => "a list".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
            Kind::Other => "this".to_owned(),
        };
        let reason = format!("{}: `{key}` is {expected}; not {written}", self.what);
        Wrong { at: node.at, reason }
    }

    fn truth(&self, key: &str) -> Result<bool, Wrong> {
        match self.get(key) {
            None => Ok(false),
            Some(Node { kind: Kind::Truth(truth), .. }) => Ok(*truth),
            Some(node) => Err(self.wrong(node, key, "true or false")),
        }
    }

    fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Wrong> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let written = if let Kind::Text(text) = &node.kind { &**text } else { "" };
        let known = words.iter().find(|(word, _)| *word == written);
        known.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let (last, others) = words.split_last().expect("there are words");
            self.wrong(node, key, &format!("{} or {last}", others.join(", ")))
        })
    }

    fn number(&self, key: &str, default: f64, (least, most): (f64, f64)) -> Result<f64, Wrong> {
        match self.get(key) {
            None => Ok(default),
            Some(Node { kind: Kind::Number(number), .. }) if (least..=most).contains(number) => {
                Ok(*number)
            }
            Some(node) => Err(self.wrong(node, key, &format!("a number from {least} to {most}"))),
        }
    }

    fn rate(&self, key: &str) -> Result<f64, Wrong> {
        let Some(node) = self.get(key) else { return Ok(0.0) };
        let rate = match &node.kind {
            Kind::Number(number) => Some(*number),
            Kind::Text(text) => rate(text),
            _ => None,
        };
        let rate = rate.ok_or_else(|| self.wrong(node, key, RATE_FORM))?;
        if (0.0..=ADVICE_RATE_MAX).contains(&rate) {
            return Ok(rate);
        }
        Err(self.wrong(node, key, &format!("from 0 to {ADVICE_RATE_MAX} events a second")))
    }

    fn latency(&self) -> Result<f64, Wrong> {
        let Some(node) = self.get("latency") else { return Ok(LATENCY_MS) };
        let form = "how late an event may be, such as `100ms`, `1s` or `5m`; a day at most";
        let wrong = || self.wrong(node, "latency", form);
        let Kind::Text(text) = &node.kind else { return Err(wrong()) };
        let latency = duration::parse(text).ok_or_else(wrong)?;
        if latency.is_zero() || latency > ADVICE_LATENCY_MAX {
            return Err(wrong());
        }
        Ok(latency.as_secs_f64() * 1_000.0)
    }
}

/// Events a second, of `5/s`, `2/min` or `1/h`.
fn rate(text: &str) -> Option<f64> {
    // A number alone is one a second, whether it stands in quotes or not.
    let (count, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    let count: f64 = count.trim().parse().ok()?;
    Some(count / seconds)
}

fn nearest<'a>(written: &str, keys: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    let likeness = |key: &&&str| strsim::jaro_winkler(&written, key);
    let best = keys.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) >= LIKENESS_MIN).then_some(best)
}

/// Line and column, both from 1; the column counts characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
