//! What Go's package `regexp` says of patterns, and what is said of them here.
//!
//! The cases were made by Go 1.26 from patterns that people write, from those in which its syntax
//! differs from Rust's, and from random ones. A case is `plain` where all matches are replaced by
//! the template, `replace` where it is expanded with what a match of the whole text holds, as in
//! `label_replace`, and `matcher` where the whole text must match, as in a selector.

use bellwire_re2::{Dot, Pattern, Regex};
use serde_json::{Value, json};

fn answer(case: &Value) -> Value {
    let text = |name: &str| case[name].as_str().expect(name);
    let (pattern, template) = (text("pattern"), text("template"));
    let texts = case["texts"].as_array().expect("texts");
    let texts = texts.iter().map(|text| text.as_str().expect("a text"));
    let answer = |regex: Result<Regex, _>, each: fn(&Regex, &str, &str) -> Value| {
        regex.map(|regex| texts.clone().map(|text| each(&regex, text, template)).collect())
    };
    let answers: Result<Value, _> = match text("kind") {
        "plain" => answer(Regex::new(pattern), |regex, text, template| {
            Value::from(regex.replace_all(text, template))
        }),
        "replace" => answer(Regex::new(&format!("^(?s:{pattern})$")), |regex, text, template| {
            Value::from(regex.expand(text, template))
        }),
        _ => Pattern::new(pattern, Dot::Every)
            .map(|pattern| texts.map(|text| Value::from(pattern.matches(text))).collect()),
    };
    answers.unwrap_or_else(|error| json!(error.to_string()))
}

#[test]
fn patterns_are_read_and_matched_as_in_go() {
    let cases = include_str!("go.jsonl");
    let mut failures = Vec::new();
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).expect(line);
        let answer = answer(&case);
        if answer != case["answer"] {
            failures.push(format!("{line}\n    here {answer}"));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
