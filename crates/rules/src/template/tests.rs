//! Templates against what Prometheus' own make of them.

use bellwire_model::{Labels, Timestamp};
use serde_json::Value as Json;

use super::*;
use crate::evaluation::Element;

/// What Prometheus 3.14 made of templates, hand-made and random ones, a line each: the text, the
/// value, and what came out, or that it was refused. Made with its package `template`.
const CASES: &str = include_str!("tests/prometheus.ndjson");

/// Answers queries with three elements.
struct Three;

impl Queries for Three {
    fn query(&self, expression: &str) -> Result<Vec<Element>, String> {
        let element = |pairs: &[(&str, &str)], value| {
            let labels = Labels::from_pairs(pairs.iter().copied()).expect("labels");
            Element { labels, value }
        };
        match expression {
            "" => Err("the expression is empty".into()),
            "none" => Ok(Vec::new()),
            _ => Ok(vec![
                element(&[("__name__", "up"), ("host", "b")], 1.0),
                element(&[("__name__", "up"), ("host", "a")], 0.5),
                element(&[("__name__", "up"), ("__value__", "text"), ("host", "c")], -1_234_567.25),
            ]),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_123)
    }
}

fn filled(template: &Template, value: f64) -> String {
    let labels =
        [("__name__", "up"), ("_a1", "x"), ("host", "h.example:80"), ("n", "17"), ("site", "oslo")];
    let labels = Labels::from_pairs(labels).expect("labels");
    let externals = Externals {
        labels: Labels::from_pairs([("region", "north")]).expect("labels"),
        url: "https://example.org/bell/".into(),
    };
    let fill = Fill { labels: &labels, value, externals: &externals, queries: &Three };
    template.fill("Hot", &fill).into_owned()
}

#[test]
fn templates_come_to_what_they_come_to_in_prometheus() {
    let mut differences = Vec::new();
    let mut count = 0;
    for line in CASES.lines() {
        let case: Json = serde_json::from_str(line).expect("a case");
        let text = case["text"].as_str().expect("a text");
        let value = case["value"].as_f64().expect("a value");
        let expected = case["gives"].as_str().expect("an outcome");
        let is_refused = case["refused"].as_bool().unwrap_or_default();
        count += 1;
        let difference = match Template::parse(text) {
            Ok(_) if is_refused => "taken, and Prometheus refuses it".into(),
            Err(_) if is_refused => continue,
            Err(error) => format!("refused: {error}"),
            Ok(template) => filled(&template, value),
        };
        if difference != expected {
            differences.push(format!("{text}\n   is {difference}\n  not {expected}"));
        }
    }
    assert!(count > 500, "the table holds {count} cases");
    let number = differences.len();
    assert!(differences.is_empty(), "{number} of {count}:\n{}", differences.join("\n"));
}

#[test]
fn what_is_no_template_is_refused_where_it_stands() {
    let table = [
        ("a {{ humanise $value }}", 5, "there is no function `humanise`"),
        ("{{ $value }}{{ $valve }}", 15, "there is no variable `$valve`"),
        ("{{ $labels.1 }}", 10, "unexpected `.1`"),
        ("{{}}", 0, "this action ends too early"),
        ("{{ $value | }}", 0, "this action ends too early"),
        ("{{ $value ) }}", 10, "unexpected `)`"),
        ("{{ end }}", 3, "unexpected `end`"),
        ("x{{ if $value }}", 1, "this `{{ if }}` has no `{{ end }}`"),
        ("{{ if $value }}{{ else }}", 0, "this `{{ if }}` has no `{{ end }}`"),
        ("{{ define \"x\" }}", 0, "this `{{ define }}` has no `{{ end }}`"),
        ("{{ with $x := $value }}{{ end }}{{ $x }}", 35, "there is no variable `$x`"),
        ("{{ define \"x\" }}{{ $value }}{{ end }}", 19, "there is no variable `$value`"),
        ("ok {{ $value", 3, "this `{{` has no `}}`"),
        ("ok {{ \"$value }}", 6, "`\"` is no text"),
        ("{{ $value ? }}", 10, "unexpected `?`"),
        ("{{ break }}", 3, "`break` stands outside `range`"),
        ("{{ 1 | 2 }}", 7, "`2` takes no arguments"),
        ("{{ 1+2i }}", 3, "`1+2i` is a complex number, which templates of rules do not take"),
        ("{{ 99999999999999999999 }}", 3, "`99999999999999999999` is no number"),
        (
            "{{ define \"a\" }}1{{ end }}{{ define \"a\" }}2{{ end }}",
            26,
            "there are two templates `a`",
        ),
    ];
    for (text, offset, reason) in table {
        let error = Template::parse(text).expect_err(text);
        assert_eq!((error.offset, error.to_string().as_str()), (offset, reason), "{text}");
    }
    let deep = "{{ if true }}".repeat(50) + &"{{ end }}".repeat(50);
    assert!(matches!(Template::parse(&deep).expect_err("deep").reason, TemplateReason::TooDeep));
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000));
    assert!(matches!(Template::parse(&deep).expect_err("deep").reason, TemplateReason::TooDeep));
}

#[test]
fn what_would_not_end_is_told_in_the_text() {
    let table = [
        ("{{ range 1000000000 }}{{ end }}", "exceeded 500000 steps"),
        ("{{ range 1000000 }}{{ $x := query \"up\" }}{{ end }}", "exceeded 500000 steps"),
        ("{{ range 1000 }}{{ $x := match \"a\" \"b\" }}{{ end }}", "exceeded 500000 steps"),
        (
            "{{ range 1000 }}{{ $x := reReplaceAll \"a\" \"b\" \"c\" }}{{ end }}",
            "exceeded 500000 steps",
        ),
        ("{{ $x := \"ab\" }}{{ range 99 }}{{ $x = print $x $x }}{{ end }}", "exceeded 65536 bytes"),
        ("{{ range 99999 }}{{ $labels }}{{ end }}", "exceeded 65536 bytes of text"),
        ("{{ printf \"%999999d\" 1 }}", "is wider than 65536"),
        (
            "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
            "template depth (100)",
        ),
        ("{{ template \"__alert_Hot\" . }}", "exceeded maximum template depth (100)"),
    ];
    for (text, expected) in table {
        let text = filled(&Template::parse(text).expect(text), 1.0);
        assert!(text.starts_with("<error expanding template: "), "{text}");
        assert!(text.contains(expected), "{text} says {expected}");
    }
}

#[test]
fn only_texts_that_change_with_the_value_say_so() {
    let table = [
        ("{{ $labels.a }} {{ .Labels.b | title }}", false),
        ("{{ $value }}", true),
        ("{{ .Value }}", true),
        ("{{ $.Value }}", true),
        ("{{ now }}", true),
        ("{{ if true }}{{ with query \"x\" }}{{ end }}{{ end }}", true),
        ("{{ printf \"%s\" (humanize .Value) }}", true),
        ("{{ define \"a\" }}{{ .Value }}{{ end }}{{ template \"a\" . }}", true),
        ("{{ template \"a\" $labels }}{{ define \"a\" }}{{ .host }}{{ end }}", false),
    ];
    for (text, expected) in table {
        assert_eq!(Template::parse(text).expect(text).depends_on_value(), expected, "{text}");
    }
}
