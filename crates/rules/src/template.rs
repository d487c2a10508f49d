//! Texts with places to fill in: `{{ $labels.site }} is at {{ $value }}`.
//!
//! Of Go's templates this reads what names a label or the value. Every other action is refused
//! when the rule is loaded, never when it fires.

use std::borrow::Cow;

use bellwire_model::Labels;
use thiserror::Error;

use crate::number::go_text;

/// Characters of an action that an error repeats.
const ACTION_CHARS_SHOWN: usize = 60;

/// A text with places to fill in.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(Box<str>),
    Label(Box<str>),
    Value,
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
    /// An action that is more than a label or the value.
    #[error(
        "`{{{{ {action} }}}}` is not supported yet: \
         only `{{{{ $labels.<name> }}}}` and `{{{{ $value }}}}` are"
    )]
    Unsupported {
        /// The action, without its braces.
        action: Box<str>,
    },
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut trims_next = false;
        while let Some((before, after)) = rest.split_once("{{") {
            let open = text.len() - after.len() - 2;
            let Some((action, tail)) = after.split_once("}}") else {
                return Err(TemplateError { offset: open, reason: TemplateReason::Unclosed });
            };
            // `{{-` and `-}}` take the white space beside them away.
            let inner = action.strip_prefix('-').filter(|a| a.starts_with(char::is_whitespace));
            let before = if trims_next { before.trim_start() } else { before };
            let before = if inner.is_some() { before.trim_end() } else { before };
            push_text(&mut parts, before);
            let inner = inner.unwrap_or(action);
            let trimmed = inner.strip_suffix('-').filter(|a| a.ends_with(char::is_whitespace));
            trims_next = trimmed.is_some();
            let inner = trimmed.unwrap_or(inner).trim();
            parts.push(Part::of_action(inner).ok_or_else(|| TemplateError {
                offset: open,
                reason: TemplateReason::Unsupported {
                    action: inner.chars().take(ACTION_CHARS_SHOWN).collect(),
                },
            })?);
            rest = tail;
        }
        push_text(&mut parts, if trims_next { rest.trim_start() } else { rest });
        Ok(Self { parts: parts.into() })
    }

    /// Whether the text depends on the value.
    pub(crate) fn uses_value(&self) -> bool {
        self.parts.contains(&Part::Value)
    }

    /// The text for a series and its value. A label that the series lacks reads as empty.
    pub(crate) fn fill<'a>(&'a self, series: &'a Labels, value: f64) -> Cow<'a, str> {
        let part_text = |part: &'a Part| match part {
            Part::Text(text) => Cow::Borrowed(&**text),
            Part::Label(name) => Cow::Borrowed(series.get(name).unwrap_or_default()),
            Part::Value => Cow::Owned(go_text(value)),
        };
        match &*self.parts {
            [] => Cow::Borrowed(""),
            [part] => part_text(part),
            parts => Cow::Owned(parts.iter().map(part_text).collect()),
        }
    }
}

impl Part {
    fn of_action(action: &str) -> Option<Self> {
        if matches!(action, "$value" | ".Value") {
            return Some(Self::Value);
        }
        let name = action.strip_prefix("$labels.").or_else(|| action.strip_prefix(".Labels."))?;
        let is_letter = |c: char| c == '_' || c.is_alphabetic();
        let starts_well = name.starts_with(is_letter);
        let is_name = starts_well && name.chars().all(|c| is_letter(c) || c.is_numeric());
        is_name.then(|| Self::Label(name.into()))
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_fill_in_labels_and_the_value() {
        let series = Labels::from_pairs([("site", "oslo"), ("_a1", "x"), ("__name__", "up")]);
        let series = series.expect("labels");
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
        ];
        for (text, expected) in table {
            let template = Template::parse(text).expect(text);
            assert_eq!(template.fill(&series, 21.5), expected, "{text}");
        }
    }

    #[test]
    fn other_actions_are_refused_where_they_stand() {
        let table = [
            ("a {{ humanize $value }}", 2, "`{{ humanize $value }}` is not supported yet"),
            ("{{ $value }}{{ $value | humanize }}", 12, "`{{ $value | humanize }}`"),
            ("{{ $labels }}", 0, "`{{ $labels }}`"),
            ("{{ $labels.a.b }}", 0, "`{{ $labels.a.b }}`"),
            ("{{ $labels.1 }}", 0, "`{{ $labels.1 }}`"),
            ("{{ with query \"x\" }}", 0, "`{{ with query \"x\" }}`"),
            ("{{}}", 0, "`{{  }}`"),
            ("ok {{ $value", 3, "this `{{` has no `}}`"),
        ];
        for (text, offset, reason) in table {
            let error = Template::parse(text).expect_err(text);
            assert_eq!(error.offset, offset, "{text}");
            assert!(error.to_string().starts_with(reason), "{text}: {error}");
        }
    }
}
