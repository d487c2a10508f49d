//! Whatever the expression and the value: a value is a text.

use std::ops::ControlFlow;

use bellwire_model::{Matcher, Matchers, Operator};
use proptest::prelude::*;

use crate::claims::Claims;
use crate::template::{MatchersTemplate, TemplateError};

/// Stands for the variable where the expression is read without the template.
const MARK: &str = "\u{e000}";

fn template(expression: &str) -> Result<MatchersTemplate, TemplateError> {
    let escaped = expression.replace('\\', r"\\").replace('"', "\\\"");
    MatchersTemplate::parse(&format!("{{by=~\"{escaped}\"}}"))
}

/// The matchers of a subject of this name; none where they are refused.
fn filled(template: &MatchersTemplate, subject: &str) -> Option<Matchers> {
    let claims = Claims { subject: subject.into(), ..Claims::anonymous() };
    let mut found = None;
    template.resolve(&claims, |matchers| {
        found = Some(matchers);
        ControlFlow::Continue(())
    });
    found
}

fn passes(matchers: &Matchers, text: &str) -> bool {
    matchers.iter().all(|matcher| matcher.passes(text))
}

/// All texts that become this one when the value takes the mark's place.
fn marked(text: &str, value: &str, is_equal: fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), text)];
    while let Some((before, rest)) = open.pop() {
        let Some(next) = rest.chars().next() else {
            found.push(before);
            continue;
        };
        let head = rest.get(..value.len());
        if head.is_some_and(|head| is_equal(head, value)) {
            open.push((format!("{before}{MARK}"), &rest[value.len()..]));
        }
        open.push((format!("{before}{next}"), &rest[next.len_utf8()..]));
    }
    found
}

/// Pieces of expressions: all that has a meaning of its own somewhere, and variables among it.
const PIECES: &[&str] = &[
    "a",
    "k",
    "2",
    "5",
    "-",
    ",",
    ":",
    "]",
    "[",
    "[^",
    "[[",
    "^",
    "$",
    ".",
    "|",
    "(",
    ")",
    "(?:",
    "(?",
    "(?i)",
    "?",
    "*",
    "+",
    "{",
    "}",
    "{2}",
    "{2,",
    "\\",
    "\\\\",
    "\\Q",
    "\\E",
    "\\x",
    "\\x4",
    "\\0",
    "\\pL",
    "\\p",
    "[:digit:]",
    "[a-",
    "[!-[:digit:]",
    "{sub}",
    "{sub}",
    "{sub}",
    "{sub}",
    "{sub}",
];

fn any_expression() -> impl Strategy<Value = String> {
    let pieces = |count| prop::collection::vec(prop::sample::select(PIECES), count);
    let joined = |(before, behind): (Vec<&str>, Vec<&str>)| {
        format!("{}{{sub}}{}", before.concat(), behind.concat())
    };
    (pieces(0..4), pieces(0..4)).prop_map(joined)
}

fn any_value() -> impl Strategy<Value = String> {
    let letters = vec![
        "a", "k", "K", "2", "5", "12", "-", ",", ":", ":]", "]", "[", "^", ".", "|", ")", "(", "?",
        "*", "}", "{", "\\", "\\E", "i",
    ];
    prop::collection::vec(prop::sample::select(letters), 1..4).prop_map(|it| it.concat())
}

/// Texts that come near what an expression with this value may match.
fn any_text(value: String) -> impl Strategy<Value = String> {
    let first: String = value.chars().take(1).collect();
    let last: String = value.chars().skip(1).collect();
    let pieces =
        ["a", "k", "2", "5", "4", "\0", "-", "]", "[", "{", "}", ":", ","].map(ToOwned::to_owned);
    let pieces = [pieces.to_vec(), vec![value.clone(), value.clone(), value, first, last]].concat();
    prop::collection::vec(prop::sample::select(pieces), 0..5).prop_map(|it| it.concat())
}

fn any_case() -> impl Strategy<Value = (String, String, Vec<String>)> {
    (any_expression(), any_value()).prop_flat_map(|(expression, value)| {
        let texts = prop::collection::vec(any_text(value.clone()), 1..12);
        (Just(expression), Just(value), texts)
    })
}

#[test]
fn a_variable_is_a_character_of_its_own_or_refused() {
    let refused = |expression: &str| template(expression).expect_err(expression);
    for expression in [
        "[{sub}]",
        "[]{sub}]",
        "[^]{sub}]",
        "[[:digit:]{sub}]",
        "[!-[:digit:][]{sub}]",
        "[a-{sub}]",
        "[{sub}-~]",
        r"[\]{sub}]",
        r"\Q{sub}\E",
        r"a\Q{sub}",
        r"\{sub}",
    ] {
        assert_eq!(refused(expression), TemplateError::VariableWithinSyntax, "{expression}");
    }
    for expression in
        ["{sub}?", "{sub}*", "{sub}+", "{sub}{2}", "{sub}{2,}", "{sub}??", "a{sub}*", "{sub}(?i)*"]
    {
        assert_eq!(refused(expression), TemplateError::VariableRepeated, "{expression}");
    }
    // Whoever reads expressions refuses what a variable makes no sense in.
    for expression in
        ["(?{sub})", "(?i{sub}:a)", "(?P<{sub}>a)", r"\x{sub}", r"\x4{sub}", r"\p{sub}", "({sub}"]
    {
        let error = refused(expression);
        assert!(matches!(error, TemplateError::Matchers(_)), "{expression}: {error}");
    }
    for expression in [
        "{sub}",
        "a{sub}b",
        "{sub}|b",
        "({sub})?",
        "(?i){sub}",
        "(?i:{sub})",
        "[a]{sub}",
        "[]]{sub}",
        r"\Qa\E{sub}",
        r"\\{sub}",
        r"\0{sub}",
        "a{{sub}}",
        "{sub}{",
        ".*{sub}",
        "[[:digit:]]{sub}",
    ] {
        assert!(template(expression).is_ok(), "{expression}");
    }
}

#[test]
fn nothing_around_a_value_takes_a_part_of_it() {
    for (expression, value, text) in [
        ("a{{sub}}", "3", "aaa"),
        (r"\0{sub}", "12", "\n"),
        ("({sub})?", "ab", "a"),
        ("(?i)x|{sub}", "a|.*", "other"),
    ] {
        let template = template(expression).expect(expression);
        let filled = filled(&template, value).expect("a right");
        assert!(!passes(&filled, text), "{filled:?} lets {text:?} pass");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_filled_expression_matches_what_it_does_with_the_value_as_a_text(
        (expression, value, texts) in any_case(),
    ) {
        let Ok(template) = template(&expression) else { return Ok(()) };
        let read = expression.replace("{sub}", MARK);
        let read = Matcher::new("by", Operator::Matches, &read).expect("a template is an expression");
        let Some(filled) = filled(&template, &value) else {
            return Err(TestCaseError::fail("no right of a value that is a text"));
        };
        let ignores_case = expression.contains("(?i)");
        let is_equal: fn(&str, &str) -> bool =
            if ignores_case { str::eq_ignore_ascii_case } else { |one, other| one == other };
        // What is any character is the mark, too, and a value is more than one.
        let is_wide = expression.contains(['.', '^']);
        for text in texts {
            let found = passes(&filled, &text);
            let expected = marked(&text, &value, is_equal).iter().any(|text| read.passes(text));
            prop_assert!(!found || expected, "{filled:?} lets {text:?} pass");
            if !is_wide && !ignores_case {
                prop_assert_eq!(found, expected, "{:?} and {:?}", filled, text);
            }
        }
    }
}
