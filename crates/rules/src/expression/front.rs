//! Between the text of an expression and `promql-parser`.
//!
//! The parser's grammar is Prometheus', but it reads some tokens otherwise: texts in backticks,
//! `1_000`, and metrics that are called as a keyword. And its regular expressions are Rust's. So it
//! is given each token in a form that it cannot misread, and what it makes of them is put back into
//! its tree. Expressions are RE2's and are checked here; the parser sees a stand-in for each that
//! matches nothing where nothing does.

use std::borrow::Cow;

use bellwire_model::limits::EXPRESSION_REGEX_BYTES_MAX;
use bellwire_re2::Pattern;
use promql_parser::label::{Labels, MatchOp, Matcher};
use promql_parser::parser::{
    BinModifier, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};

use super::quoted::{quoted, unquoted};
use super::token::{Token, TokenKind};
use super::{ExpressionError, ExpressionReason};
use crate::patterns::Patterns;

/// Words that are keywords behind a selector, and names everywhere else. The parser knows them as
/// keywords only, so that as names they get something before them.
const LATE_KEYWORDS: [&str; 2] = ["anchored", "smoothed"];
const NAME_PREFIX: &str = "__bellwire_name_";

/// Words behind which an operand stands, so that what follows is a name.
const OPERATORS: [&str; 6] = ["and", "or", "unless", "atan2", "bool", "offset"];

/// An expression with tokens that the parser reads as Prometheus does.
pub(super) struct Plain {
    pub(super) text: String,
    /// What the regular expressions of its selectors take.
    regex_bytes: usize,
}

/// Reads an expression whose tokens are known; with it comes how many bytes its regular expressions
/// take. Where it is no `PromQL` the parser's words come back.
pub(super) fn parse(
    text: &str,
    tokens: &[Token],
    patterns: &mut Patterns,
) -> Result<Result<(Expr, usize), String>, ExpressionError> {
    let Plain { text: plain, regex_bytes } = plain(text, tokens, patterns)?;
    let parsed = promql_parser::parser::parse(&plain);
    Ok(parsed.map(|mut expression| {
        restore(&mut expression);
        (expression, regex_bytes)
    }))
}

/// The expression with other tokens, where the parser would misread its own.
pub(super) fn plain(
    text: &str,
    tokens: &[Token],
    patterns: &mut Patterns,
) -> Result<Plain, ExpressionError> {
    let mut plain = String::with_capacity(text.len());
    let mut regex_bytes = 0;
    let mut is_range = false;
    let mut end = 0;
    for (place, token) in tokens.iter().enumerate() {
        if token.start > end && end > 0 {
            plain.push(' ');
        }
        end = token.end;
        let written = &text[token.start..token.end];
        let before = place.checked_sub(1).map(|before| tokens[before]);
        let before = before.map(|before| (before.kind, &text[before.start..before.end]));
        let refusal = |text: String| ExpressionError {
            offset: token.start,
            reason: ExpressionReason::Syntax { text: text.into() },
        };
        if token.kind == TokenKind::Mark && matches!(written, "[" | "]") {
            is_range = written == "[";
        }
        match (token.kind, before) {
            (TokenKind::String, Some((TokenKind::Mark, "=~" | "!~"))) => {
                let value = unquoted(written).map_err(refusal)?;
                let pattern = patterns.compile(&value);
                let pattern = pattern.map_err(|error| refusal(error.to_string()))?;
                regex_bytes += pattern.bytes();
                if regex_bytes > EXPRESSION_REGEX_BYTES_MAX {
                    let reason = ExpressionReason::RegexesTooLarge;
                    return Err(ExpressionError { offset: token.start, reason });
                }
                plain.push_str(&quoted(&stand_in(&value, &pattern)));
            }
            (TokenKind::String, _) => {
                plain.push_str(&quoted(&unquoted(written).map_err(refusal)?));
            }
            (TokenKind::Number, _) => match number(written) {
                None => return Err(refusal(format!("`{written}` is no number"))),
                Some(number) if !is_zero(&number) => plain.push_str(&number),
                Some(_) if is_range => {
                    return Err(refusal("duration must be greater than 0".to_owned()));
                }
                // The parser takes no duration of zero, though an offset may be one.
                Some(_) => plain.push('0'),
            },
            (TokenKind::Word, before) if is_late_keyword(written) && is_name(before) => {
                plain.push_str(NAME_PREFIX);
                plain.push_str(written);
            }
            _ => plain.push_str(written),
        }
    }
    Ok(Plain { text: plain, regex_bytes })
}

/// Whether a number or a duration is nothing.
fn is_zero(number: &str) -> bool {
    let is_unit = |c: char| c.is_ascii_alphabetic() || c == '.';
    let mut digits = number.chars().filter(|c| !is_unit(*c));
    number.parse() == Ok(0.0) || digits.all(|digit| digit == '0')
}

fn is_late_keyword(word: &str) -> bool {
    LATE_KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// Whether a word behind this token is a name: it begins an operand, or stands in a list.
fn is_name(before: Option<(TokenKind, &str)>) -> bool {
    match before {
        None => true,
        Some((TokenKind::Mark, mark)) => !matches!(mark, "}" | "]"),
        Some((TokenKind::Word, word)) => {
            OPERATORS.iter().any(|operator| word.eq_ignore_ascii_case(operator))
        }
        Some(_) => false,
    }
}

/// A number or duration in a form that the parser reads as Prometheus does: without underscores, and
/// a zero before other digits makes it octal.
fn number(written: &str) -> Option<Cow<'_, str>> {
    let lower = written.to_ascii_lowercase();
    let is_hexadecimal = lower.starts_with("0x");
    let is_octal = lower.len() > 1
        && lower.starts_with('0')
        && lower.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if !is_hexadecimal && !is_octal && !lower.contains('_') {
        return Some(Cow::Borrowed(written));
    }
    let is_parted = ["__", "_.", "._", "_e"].iter().any(|pair| lower.contains(pair));
    if is_parted || lower.ends_with('_') {
        return None;
    }
    let digits = lower.replace('_', "");
    let integer = match digits.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None if is_octal => i64::from_str_radix(&digits, 8).ok(),
        None => digits.parse().ok(),
    };
    if let Some(integer) = integer {
        return Some(Cow::Owned(integer.to_string()));
    }
    let number: f64 = digits.parse().ok().filter(|_| !is_hexadecimal)?;
    Some(Cow::Owned(format!("{number:e}")))
}

/// What the parser sees in place of an expression: letters that stand for it, as an expression that
/// matches nothing where the expression does.
fn stand_in(value: &str, pattern: &Pattern) -> String {
    let mut letters = String::with_capacity(2 * value.len() + 6);
    letters.push('x');
    let letter = |half: u8| char::from(b'a' + half);
    letters.extend(value.bytes().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]));
    if pattern.matches("") { format!("(?:{letters})?") } else { letters }
}

/// The expression that letters stand for.
fn stood_for(letters: &str) -> Option<String> {
    let letters = letters.strip_prefix("(?:").and_then(|l| l.strip_suffix(")?")).unwrap_or(letters);
    let (halves, _) = letters.strip_prefix('x')?.as_bytes().as_chunks::<2>();
    let bytes = halves.iter().map(|[high, low]| ((high - b'a') << 4) | (low - b'a'));
    String::from_utf8(bytes.collect()).ok()
}

/// Puts back what the parser was not shown.
fn restore(expression: &mut Expr) {
    match expression {
        Expr::Aggregate(aggregate) => {
            restore(&mut aggregate.expr);
            aggregate.param.iter_mut().for_each(|parameter| restore(parameter));
            aggregate.modifier.iter_mut().for_each(restore_labels_of);
        }
        Expr::Unary(unary) => restore(&mut unary.expr),
        Expr::Paren(paren) => restore(&mut paren.expr),
        Expr::Subquery(subquery) => restore(&mut subquery.expr),
        Expr::Binary(binary) => {
            restore(&mut binary.lhs);
            restore(&mut binary.rhs);
            binary.modifier.iter_mut().for_each(restore_modifier);
        }
        Expr::Call(call) => call.args.args.iter_mut().for_each(|argument| restore(argument)),
        Expr::VectorSelector(selector) => restore_selector(selector),
        Expr::MatrixSelector(matrix) => restore_selector(&mut matrix.vs),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn restore_modifier(modifier: &mut BinModifier) {
    modifier.matching.iter_mut().for_each(restore_labels_of);
    if let VectorMatchCardinality::ManyToOne(labels) | VectorMatchCardinality::OneToMany(labels) =
        &mut modifier.card
    {
        restore_labels(labels);
    }
}

fn restore_labels_of(modifier: &mut LabelModifier) {
    let (LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) = modifier;
    restore_labels(labels);
}

fn restore_labels(labels: &mut Labels) {
    labels.labels.iter_mut().for_each(restore_name);
}

fn restore_selector(selector: &mut VectorSelector) {
    selector.name.iter_mut().for_each(restore_name);
    let alternatives = selector.matchers.or_matchers.iter_mut().flatten();
    selector.matchers.matchers.iter_mut().chain(alternatives).for_each(restore_matcher);
}

fn restore_matcher(matcher: &mut Matcher) {
    restore_name(&mut matcher.name);
    if matches!(matcher.op, MatchOp::Re(_) | MatchOp::NotRe(_))
        && let Some(value) = stood_for(&matcher.value)
    {
        matcher.value = value;
    }
}

fn restore_name(name: &mut String) {
    if let Some(word) = name.strip_prefix(NAME_PREFIX).filter(|word| is_late_keyword(word)) {
        *name = word.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::token;

    fn read(text: &str) -> Result<Expr, String> {
        let tokens = token::read(text).map_err(|error| error.to_string())?;
        let patterns = &mut Patterns::default();
        let parsed = parse(text, &tokens, patterns).map_err(|error| error.to_string())?;
        parsed.map(|(expression, _)| expression)
    }

    /// What each expression is, in a form that the parser reads by itself.
    #[test]
    fn tokens_are_read_as_in_prometheus() {
        let table = [
            (r"x{a=`\d+`}", r#"x{a="\\d+"}"#),
            ("x > 1_000", "x > 1000"),
            ("0x_1F + 0X1F + 1e1_0 + 1_000.5 + 1_0e3", "31 + 31 + 1e10 + 1000.5 + 1e4"),
            ("010 + 08 + 0777 + 0 + 0.5 + .5 + 5.", "8 + 8 + 511 + 0 + 0.5 + 0.5 + 5"),
            ("x[1_000] offset 1_0", "x[1000] offset 10"),
            ("x[010]", "x[8]"),
            ("0s + 0h0m + 0.0 + x offset 0s", "0 + 0 + 0 + x offset 0"),
            (r#"x{a="\xc3\xa9"}"#, r#"x{a="é"}"#),
            ("x{ # c\n a='b' } # d", r#"x{a="b"}"#),
            (
                "label_replace(x, `a`, '$1', \"b\", `(.*)`)",
                r#"label_replace(x, "a", "$1", "b", "(.*)")"#,
            ),
        ];
        for (text, expected) in table {
            let expected = promql_parser::parser::parse(expected).expect(expected);
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in [
            "1__0",
            "1_",
            "0x1_e",
            "1_.5",
            "1_000m",
            "0x",
            "x[1_0m]",
            "x[0]",
            "x[5m:0s]",
            "x{a=~`a{1001}`}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_that_are_keywords_behind_a_selector_are_names_elsewhere() {
        for name in ["anchored", "smoothed", "Anchored", "step", "range", "start", "fill", "by"] {
            let texts = [
                name.to_owned(),
                format!("{name}{{a=\"b\"}}"),
                format!("1 + {name}"),
                format!("x and on ({name}) {name}"),
                format!("sum by ({name}, b) ({name}) / ignoring ({name}) group_left ({name}) y"),
                format!("x{{{name}=\"1\", a=\"b\", {name}!~\"2\"}}"),
            ];
            for text in texts {
                // The parser's own words for it have the name as often.
                let read = read(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let said = read.to_string();
                assert_eq!(said.matches(name).count(), text.matches(name).count(), "{said}");
                assert!(!said.contains(NAME_PREFIX), "{said}");
            }
        }
    }

    #[test]
    fn regular_expressions_are_whatever_re2_reads() {
        for regex in ["[a&&b]+", r"\Q.\E", "/api/{id}/.*", "[[]", r"\w{1000}", "é|", r"\<", ""] {
            let text = format!("x{{a=~{}}}", quoted(regex));
            let Ok(Expr::VectorSelector(selector)) = read(&text) else { panic!("{text}") };
            assert_eq!(selector.matchers.matchers[0].value, regex);
            // A selector that selects everything is refused.
            let alone = read(&format!("{{a=~{}}}", quoted(regex)));
            let is_everything = Patterns::default().compile(regex).expect(regex).matches("");
            assert_eq!(alone.is_err(), is_everything, "{regex}");
        }
    }
}
