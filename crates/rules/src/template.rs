//! Texts with places to fill in: `{{ $labels.site }} is at {{ $value | humanize }}`.
//!
//! This is the part of Go's templates that rules use, with the functions that Prometheus adds.
//! What it does not know is refused when the rule is loaded, never when it fires.

mod expand;
mod format;
mod function;
mod parse;
mod token;

use std::borrow::Cow;
use std::fmt;

use bellwire_model::Labels;
use thiserror::Error;

use self::parse::{Node, Operand};
use crate::evaluation::Element;
use crate::number::go_text;

/// A text with places to fill in.
#[derive(Clone)]
pub(crate) struct Template {
    text: Box<str>,
    nodes: Box<[Node]>,
    depends_on_value: bool,
}

/// What a template is filled in with.
#[derive(Clone, Copy)]
pub(crate) struct Fill<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) value: f64,
    pub(crate) externals: &'a Externals,
    pub(crate) queries: &'a dyn Queries,
}

/// What templates may name beside the labels and the value of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Externals {
    /// `$externalLabels`.
    pub labels: Labels,
    /// `$externalURL`.
    pub url: Box<str>,
}

impl Default for Externals {
    fn default() -> Self {
        Self { labels: Labels::empty(), url: Box::default() }
    }
}

/// Who answers `query "…"` in a template.
pub(crate) trait Queries {
    /// The elements that an expression comes to now.
    fn query(&self, expression: &str) -> Result<Vec<Element>, String>;
}

/// Why a text is no template, and where: `offset` counts bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct TemplateError {
    /// Where in the text.
    pub offset: usize,
    /// Why.
    pub reason: TemplateReason,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateReason {
    /// An action that does not end.
    #[error("this `{{{{` has no `}}}}`")]
    Unclosed,
    /// An `if`, `with` or `range` that does not end.
    #[error("this `{{{{ {0} }}}}` has no `{{{{ end }}}}`")]
    NoEnd(&'static str),
    /// Something where something else belongs.
    #[error("unexpected `{0}`")]
    Unexpected(Box<str>),
    /// An action that ends too early.
    #[error("this action ends too early")]
    TooShort,
    /// A function that does not exist.
    #[error("there is no function `{0}`")]
    Function(Box<str>),
    /// A variable that does not exist.
    #[error("there is no variable `{0}`")]
    Variable(Box<str>),
    /// A part of Go's templates that rules do not use.
    #[error("`{0}` is not supported in the templates of rules")]
    Unsupported(Box<str>),
    /// Blocks within blocks deeper than is read.
    #[error("a template has at most {} levels", parse::DEPTH_MAX)]
    TooDeep,
}

/// A template is what its text says.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Template {}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let nodes = parse::nodes(text)?;
        let depends_on_value = nodes.iter().any(Node::depends_on_value);
        Ok(Self { text: text.into(), nodes: nodes.into(), depends_on_value })
    }

    /// The template as written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the text may change although the labels do not.
    pub(crate) fn depends_on_value(&self) -> bool {
        self.depends_on_value
    }

    /// The text for an element. A label that it lacks reads as empty. What cannot be filled in is
    /// told in the text, as Prometheus does: an alert must not be lost for its annotation.
    pub(crate) fn fill<'a>(&'a self, fill: &Fill<'a>) -> Cow<'a, str> {
        match &*self.nodes {
            [] => return Cow::Borrowed(""),
            [Node::Text(text)] => return Cow::Borrowed(text),
            [Node::Print(pipeline)] => match pipeline.only_operand() {
                Some(Operand::Variable { name, fields }) if **name == *"labels" => {
                    if let [label] = &**fields {
                        return Cow::Borrowed(fill.labels.get(label).unwrap_or_default());
                    }
                }
                Some(Operand::Variable { name, fields })
                    if **name == *"value" && fields.is_empty() =>
                {
                    return Cow::Owned(go_text(fill.value));
                }
                _ => {}
            },
            _ => {}
        }
        match expand::expand(&self.nodes, fill) {
            Ok(text) => Cow::Owned(text),
            Err(reason) => Cow::Owned(format!("<error expanding template: {reason}>")),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every query with two elements.
    struct Two;

    impl Queries for Two {
        fn query(&self, expression: &str) -> Result<Vec<Element>, String> {
            if expression.is_empty() {
                return Err("the expression is empty".into());
            }
            let element = |host: &str, value| {
                let labels = Labels::from_pairs([("__name__", "up"), ("host", host)]);
                Element { labels: labels.expect("labels"), value }
            };
            Ok(vec![element("b", 1.0), element("a", 0.5)])
        }
    }

    fn filled(text: &str, value: f64) -> String {
        let labels = [("site", "oslo"), ("_a1", "x"), ("__name__", "up"), ("host", "h.example:80")];
        let labels = Labels::from_pairs(labels).expect("labels");
        let externals = Externals {
            labels: Labels::from_pairs([("region", "north")]).expect("labels"),
            url: "https://example.org/bell/".into(),
        };
        let fill = Fill { labels: &labels, value, externals: &externals, queries: &Two };
        Template::parse(text).expect(text).fill(&fill).into_owned()
    }

    #[test]
    fn templates_fill_in_labels_and_the_value() {
        let table = [
            ("", ""),
            ("plain }} text", "plain }} text"),
            ("{{ $labels.site }}", "oslo"),
            ("{{$labels.site}}", "oslo"),
            ("{{  $labels._a1\t}}!", "x!"),
            ("{{ .Labels.site }} is at {{ .Value }}", "oslo is at 21.5"),
            ("{{ $labels.__name__ }}={{$value}}", "up=21.5"),
            ("no {{ $labels.missing }} label", "no  label"),
            ("a {{- $value -}} b", "a21.5b"),
            ("a {{- $value }} b", "a21.5 b"),
            ("a\n{{ $value -}}\n b", "a\n21.5b"),
            ("{ {{ $value }} }", "{ 21.5 }"),
            ("a{{/* nothing }} of this */}}b", "ab"),
            ("{{ $externalLabels.region }} {{ .ExternalURL }}", "north https://example.org/bell/"),
            ("{{ \"}}\" }}{{ `{{` }}", "}}{{"),
        ];
        for (text, expected) in table {
            assert_eq!(filled(text, 21.5), expected, "{text}");
        }
    }

    #[test]
    fn templates_decide_repeat_and_compute() {
        let table = [
            ("{{ if gt $value 20.0 }}hot{{ else }}cold{{ end }}", "hot"),
            ("{{ if lt $value 20.0 }}a{{ else if eq $labels.site \"x\" \"oslo\" }}b{{ end }}", "b"),
            ("{{ if and (gt $value 1.0) (not $labels.none) }}yes{{ end }}", "yes"),
            ("{{ with $labels.none }}a{{ else }}none{{ end }}", "none"),
            ("{{ with $x := $labels.site }}{{ $x }}{{ . }}{{ end }}", "oslooslo"),
            ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
            ("{{ range query \"up\" }}{{ .Labels.host }}={{ .Value }} {{ end }}", "b=1 a=0.5 "),
            (
                "{{ range $i, $e := query \"up\" | sortByLabel \"host\" }}{{ $i }}{{ label \"host\" $e }}{{ end }}",
                "0a1b",
            ),
            ("{{ range query \"up\" }}{{ else }}none{{ end }}", ""),
            (
                "{{ with query \"up\" }}{{ . | first | value | humanizePercentage }}{{ end }}",
                "100%",
            ),
            ("{{ printf \"count(x{site=%q})\" $labels.site | query | len }}", "2"),
            ("{{ query \"\" }}", "<error expanding template: the expression is empty>"),
            ("{{ $labels.host | stripPort }} {{ stripDomain $labels.host }}", "h.example h:80"),
            (
                "{{ reReplaceAll \"o(.)\" \"0$1\" $labels.site }} {{ match \"^o\" $labels.site }}",
                "0slo true",
            ),
            ("{{ title \"two words\" }} {{ toUpper $labels.site }}", "Two Words OSLO"),
            (
                "{{ printf \"%.1f %5.2f|%-5s|%05d %d%% %v %e\" $value 1.5 \"ab\" 42 7 $value 1234.5 }}",
                "21.5  1.50|ab   |00042 7% 21.5 1.234500e+03",
            ),
            (
                "{{ parseDuration \"1h30m\" }} {{ externalURL }}{{ pathPrefix }}",
                "5400 https://example.org/bell//bell/",
            ),
            ("{{ graphLink \"up == 0\" }}", "/graph?g0.expr=up+%3D%3D+0&g0.tab=0"),
            ("{{ index $labels \"site\" }} {{ len $labels.site }}", "oslo 4"),
            ("{{ ($value) | print \"v\" }}", "v21.5"),
        ];
        for (text, expected) in table {
            assert_eq!(filled(text, 21.5), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        let table = [
            ("humanize", 0.0, "0"),
            ("humanize", 1234.567, "1.235k"),
            ("humanize", -999.99, "-1000"),
            ("humanize", 1e7, "10M"),
            ("humanize", 0.001_234_5, "1.234m"),
            ("humanize", f64::INFINITY, "+Inf"),
            ("humanize1024", 1_048_576.0, "1Mi"),
            ("humanize1024", 0.5, "0.5"),
            ("humanizeDuration", 0.0, "0s"),
            ("humanizeDuration", 59.12345, "59.12s"),
            ("humanizeDuration", 3600.0, "1h 0m 0s"),
            ("humanizeDuration", -90061.5, "-1d 1h 1m 1s"),
            ("humanizeDuration", 0.25, "250ms"),
            ("humanizePercentage", 0.123_456, "12.35%"),
            ("humanizeTimestamp", 1_435_065_584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
            ("humanizeTimestamp", 0.0, "1970-01-01 00:00:00 +0000 UTC"),
        ];
        for (function, value, expected) in table {
            let text = format!("{{{{ $value | {function} }}}}");
            assert_eq!(filled(&text, value), expected, "{function} of {value}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused_where_it_stands() {
        let table = [
            ("a {{ humanise $value }}", 5, "there is no function `humanise`"),
            ("{{ $value }}{{ $valve }}", 15, "there is no variable `$valve`"),
            ("{{ $labels.1 }}", 10, "unexpected `0.1`"),
            ("{{}}", 0, "this action ends too early"),
            ("{{ $value | }}", 0, "this action ends too early"),
            ("{{ $value ) }}", 10, "unexpected `)`"),
            ("{{ end }}", 0, "unexpected `end`"),
            ("x{{ if $value }}", 1, "this `{{ if }}` has no `{{ end }}`"),
            ("{{ if $value }}{{ else }}", 0, "this `{{ if }}` has no `{{ end }}`"),
            ("{{ define \"x\" }}", 0, "`define` is not supported in the templates of rules"),
            ("{{ with $x := $value }}{{ end }}{{ $x }}", 35, "there is no variable `$x`"),
            ("ok {{ $value", 3, "this `{{` has no `}}`"),
            ("ok {{ \"$value }}", 3, "this `{{` has no `}}`"),
            ("{{ $value ? }}", 10, "unexpected `?`"),
        ];
        for (text, offset, reason) in table {
            let error = Template::parse(text).expect_err(text);
            assert_eq!((error.offset, error.to_string().as_str()), (offset, reason), "{text}");
        }
        let deep = "{{ if true }}".repeat(50) + &"{{ end }}".repeat(50);
        assert!(matches!(
            Template::parse(&deep).expect_err("deep").reason,
            TemplateReason::TooDeep
        ));
    }

    #[test]
    fn only_texts_that_change_with_the_value_say_so() {
        let table = [
            ("{{ $labels.a }} {{ .Labels.b | title }}", false),
            ("{{ $value }}", true),
            ("{{ .Value }}", true),
            ("{{ if true }}{{ with query \"x\" }}{{ end }}{{ end }}", true),
            ("{{ printf \"%s\" (humanize .Value) }}", true),
        ];
        for (text, expected) in table {
            assert_eq!(Template::parse(text).expect(text).depends_on_value(), expected, "{text}");
        }
    }
}
