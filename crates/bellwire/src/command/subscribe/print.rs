//! Events as lines: for programs, and for people.

use std::io::IsTerminal;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::output::harmless;

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printer {
    /// The event's JSON.
    Json,
    /// Its `data` alone: texts as they are, all else as JSON.
    DataOnly,
    /// Time, topic, type and data.
    Pretty(Colours),
}

/// Whether the terminal shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    On,
    Off,
}

/// The members of an event that are shown.
#[derive(Deserialize)]
struct Members<'a> {
    topic: String,
    key: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    time: i64,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

const DIM: &str = "2";
const TOPIC: &str = "36";
const TYPE: &str = "1";
const MS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

impl Printer {
    /// Pretty on a terminal, JSON elsewhere.
    pub(super) fn suited_to_output() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::Json;
        }
        // See https://no-color.org.
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self::Pretty(if is_plain { Colours::Off } else { Colours::On })
    }

    /// Appends an event's line, given its JSON.
    pub(super) fn event(self, json: &str, out: &mut Vec<u8>) {
        let line = match (self, serde_json::from_str::<Members<'_>>(json)) {
            (Self::DataOnly, Ok(members)) => plain(members.data),
            (Self::Pretty(colours), Ok(members)) => pretty(&members, colours),
            // What cannot be taken apart is printed as it is.
            (Self::Json, _) | (_, Err(_)) => json.to_owned(),
        };
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

fn plain(data: Option<&RawValue>) -> String {
    let json = data.map_or("null", RawValue::get);
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

fn pretty(members: &Members<'_>, colours: Colours) -> String {
    let painted = |text: &str, colour: &str| match colours {
        Colours::On => format!("\x1b[{colour}m{}\x1b[0m", harmless(text)),
        Colours::Off => harmless(text),
    };
    let mut line =
        format!("{}  {}", painted(&clock(members.time), DIM), painted(&members.topic, TOPIC));
    if let Some(key) = &members.key {
        line.extend([" ", &painted(key, DIM)]);
    }
    if let Some(event_type) = &members.event_type {
        line.extend(["  ", &painted(event_type, colour_of(event_type))]);
    }
    let data = members.data.map_or_else(|| "(deleted)".to_owned(), |data| plain(Some(data)));
    line.extend(["  ", &harmless(&data)]);
    line
}

fn colour_of(event_type: &str) -> &'static str {
    match event_type {
        "alert.firing" => "1;31",
        "alert.resolved" => "1;32",
        _ => TYPE,
    }
}

/// The time of day, in UTC: `13:45:07.123Z`.
fn clock(time_ms: i64) -> String {
    let ms = time_ms.rem_euclid(MS_PER_DAY);
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}Z", ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"topic":"a/b","key":"k","type":"t","time":1700000000123,"cursor":"e1-1","data":{"x": 1}}"#;
    const TEXT: &str = "{\"topic\":\"a\",\"time\":0,\"data\":\"h\u{f6}he\\u001b[2J\"}";

    fn printed(printer: Printer, json: &str) -> String {
        let mut out = Vec::new();
        printer.event(json, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn events_print_in_each_form() {
        let off = Printer::Pretty(Colours::Off);
        let cases = [
            (Printer::Json, EVENT, format!("{EVENT}\n")),
            (Printer::DataOnly, EVENT, "{\"x\": 1}\n".into()),
            (Printer::DataOnly, TEXT, "höhe\u{1b}[2J\n".into()),
            (off, EVENT, "22:13:20.123Z  a/b k  t  {\"x\": 1}\n".into()),
            (off, TEXT, "00:00:00.000Z  a  höhe\u{FFFD}[2J\n".into()),
            (
                off,
                r#"{"topic":"s","key":"k","time":0,"deleted":true}"#,
                "00:00:00.000Z  s k  (deleted)\n".into(),
            ),
            (off, "{}", "{}\n".into()),
        ];
        for (printer, json, expected) in cases {
            assert_eq!(printed(printer, json), expected, "{printer:?} {json}");
        }
    }

    #[test]
    fn colours_frame_texts() {
        let line = printed(Printer::Pretty(Colours::On), EVENT);
        assert!(line.contains("\u{1b}[36ma/b\u{1b}[0m"), "{line:?}");
    }
}
