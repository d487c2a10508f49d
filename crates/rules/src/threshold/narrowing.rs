//! An expression of one part alone: with the labels of the part in each of its selectors.
//!
//! The text is changed by its tokens, and what comes out is read again: where its tree is not that of
//! the expression with those matchers, there is none.

use std::collections::BTreeMap;

use bellwire_model::Labels;
use serde_json::{Value, json};

use crate::expression::token::{self, Token, TokenKind};
use crate::expression::tree::syntax_tree;
use crate::plan::{PartitionKey, Plan};
use crate::rule::ALERT_NAME;

/// What comes to the part of an alert alone, where that can be followed. Labels that the alert has of
/// its rule tell no part.
pub(super) fn narrowed(
    text: &str,
    plan: &Plan,
    (alert, own): (&Labels, &[&str]),
) -> Option<String> {
    let part = PartitionKey::of(plan).part(alert);
    let is_of_part = |(name, _): &(&str, &str)| *name != ALERT_NAME && !own.contains(name);
    let labels: BTreeMap<&str, &str> = part.iter().filter(is_of_part).collect();
    let narrowed = with_matchers(text, &labels)?;
    let mut expected = syntax_tree(text).ok()?;
    add(&mut expected, &labels);
    let (plan, _) = Plan::standing(&narrowed).ok()?;
    let is_it = syntax_tree(&narrowed).ok()? == expected;
    (is_it && plan.check_followed().is_ok()).then_some(narrowed)
}

/// Adds matchers to all selectors of a tree, as the parser would have them.
fn add(tree: &mut Value, labels: &BTreeMap<&str, &str>) {
    match tree {
        Value::Array(values) => values.iter_mut().for_each(|value| add(value, labels)),
        Value::Object(node) => {
            let is_selector =
                node.get("type").and_then(Value::as_str).is_some_and(|it| it.ends_with("Selector"));
            let has_name =
                node.get("name").and_then(Value::as_str).is_some_and(|it| !it.is_empty());
            if is_selector
                && let Some(matchers) = node.get_mut("matchers").and_then(Value::as_array_mut)
            {
                // The name that stands before the brackets is the last of them.
                let name = if has_name { matchers.pop() } else { None };
                let added = labels
                    .iter()
                    .map(|(name, value)| json!({ "name": name, "type": "=", "value": value }));
                matchers.extend(added);
                matchers.extend(name);
            }
            node.values_mut().for_each(|value| add(value, labels));
        }
        _ => {}
    }
}

/// Words that stand alone and select nothing.
const WORDS: [&str; 13] = [
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "offset",
    "bool",
    "atan2",
    "inf",
];

/// Words behind which labels stand in brackets.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

fn with_matchers(text: &str, labels: &BTreeMap<&str, &str>) -> Option<String> {
    let tokens = token::read(text).ok()?;
    let word = |token: &Token| &text[token.start..token.end];
    let is_among = |token: &Token, words: &[&str]| {
        token.kind == TokenKind::Word && words.iter().any(|it| word(token).eq_ignore_ascii_case(it))
    };
    let matchers: Vec<String> = labels
        .iter()
        .map(|(name, value)| Some(format!("{}={}", written(name)?, quoted(value))))
        .collect::<Option<_>>()?;
    let matchers = matchers.join(",");
    let (mut out, mut copied, mut place) = (String::with_capacity(2 * text.len()), 0, 0);
    while let Some(token) = tokens.get(place) {
        let next = tokens.get(place + 1);
        let next_is = |mark: &str| next.is_some_and(|next| word(next) == mark);
        let is_word = token.kind == TokenKind::Word;
        let is_metric = is_word
            && !is_among(token, &WORDS)
            && !next_is("(")
            && !next.is_some_and(|next| is_among(next, &["by", "without"]));
        let mut at = token.end;
        if is_among(token, &BEFORE_LABELS) && next_is("(") {
            place = closing(&tokens[place + 1..], text)? + place + 1;
        } else if word(token) == "[" {
            place = closing_bracket(&tokens, place, text)?;
        } else if word(token) == "{" || (is_metric && next_is("{")) {
            let open = if is_metric { place + 1 } else { place };
            place = closing(&tokens[open..], text)? + open;
            at = tokens[place].start;
            let last = word(&tokens[place - 1]);
            out.push_str(&text[copied..at]);
            if last != "{" && last != "," && !matchers.is_empty() {
                out.push(',');
            }
            out.push_str(&matchers);
            copied = at;
        } else if is_metric && !matchers.is_empty() {
            out.push_str(&text[copied..at]);
            out.push('{');
            out.push_str(&matchers);
            out.push('}');
            copied = at;
        }
        place += 1;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Where the bracket closes that these begin with. Within there are no others of its kind.
fn closing(tokens: &[Token], text: &str) -> Option<usize> {
    let is_closing = |token: &Token| matches!(&text[token.start..token.end], ")" | "}");
    tokens.iter().position(is_closing)
}

/// A range or the steps of a subquery have durations alone.
fn closing_bracket(tokens: &[Token], open: usize, text: &str) -> Option<usize> {
    let is_closing = |token: &Token| &text[token.start..token.end] == "]";
    tokens[open..].iter().position(is_closing).map(|place| open + place)
}

/// The name of a label; one that is no word is quoted.
fn written(name: &str) -> Option<String> {
    let mut characters = name.chars();
    let first = characters.next()?;
    let is_word = (first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    Some(if is_word { name.to_owned() } else { quoted(name) })
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, alert: &[(&str, &str)], own: &[&str]) -> Option<String> {
        let plan = Plan::parse(text).expect(text);
        let alert = Labels::from_pairs(alert.iter().copied()).expect("labels");
        narrowed(text, &plan, (&alert, own))
    }

    #[test]
    fn an_expression_is_kept_to_the_part_of_an_alert() {
        let alert = [("alertname", "Hot"), ("site", "oslo"), ("severity", "page")];
        let cases = [
            ("temperature", r#"temperature{site="oslo"}"#),
            ("temperature{}", r#"temperature{site="oslo"}"#),
            (r#"temperature{a="b"}"#, r#"temperature{a="b",site="oslo"}"#),
            (r#"temperature{a="b",}"#, r#"temperature{a="b",site="oslo"}"#),
            (r#"{__name__="temperature"}"#, r#"{__name__="temperature",site="oslo"}"#),
            (
                "sum by (site) (rate(x[5m])) / on (site) count by (site) (y offset 5m)",
                r#"sum by (site) (rate(x{site="oslo"}[5m])) / on (site) count by (site) (y{site="oslo"} offset 5m)"#,
            ),
            ("max(x) by (job)", "max(x) by (job)"),
            ("sum(x)", "sum(x)"),
            ("max_over_time(x[5m:1m])", r#"max_over_time(x{site="oslo"}[5m:1m])"#),
            ("x + 2 * 1e3", r#"x{site="oslo"} + 2 * 1e3"#),
        ];
        for (text, expected) in cases {
            assert_eq!(told(text, &alert, &["severity"]).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(told("ALERTS", &alert, &[]), None, "it cannot be followed");
    }

    #[test]
    fn whatever_labels_hold_it_is_the_same_expression() {
        for value in ["\"", "\\", "a\nb", "<b>{}</b>", "\u{202e}x", "\u{1}", "'`", "\\n\\\""] {
            let told = told("temperature", &[("site", value)], &[]);
            let told = told.unwrap_or_else(|| panic!("{value:?}"));
            let tree = syntax_tree(&told).expect("an expression");
            assert_eq!(tree["matchers"][0]["value"], *value, "{told}");
        }
    }
}
