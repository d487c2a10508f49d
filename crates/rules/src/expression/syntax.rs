//! Where an expression stops being `PromQL`.
//!
//! The parser says that it cannot read an expression, but not where. An expression is wrong at
//! the first token after which nothing that could follow makes it readable. So the text up to
//! each token is tried with what can complete it; only broken expressions pay for this.

use super::token::{Token, TokenKind};
use super::{ExpressionError, ExpressionReason};

/// What the parser says of a text that does not follow the grammar. Whatever else it says is
/// about the meaning, so that the grammar was followed.
const NOT_THE_GRAMMAR: &str = "invalid promql query";

/// What can stand between a readable start and its closing brackets, so that it is an expression.
const COMPLETIONS: [&str; 14] = [
    "",
    "x",
    "1",
    "x[5m]",
    "(x)",
    "(x) x",
    "5m",
    "=\"\"",
    "\"\"",
    "x=\"\"",
    "start()",
    "\"\"=\"\"",
    "y(x)",
    "m",
];

/// The error that `said` stands for.
pub(super) fn error(text: &str, tokens: &[Token], said: &str) -> ExpressionError {
    let (offset, said) = if said == NOT_THE_GRAMMAR {
        unreadable(text, tokens)
    } else {
        (named(text, tokens, said).unwrap_or(tokens[0].start), said.to_owned())
    };
    ExpressionError { offset, reason: ExpressionReason::Syntax { text: said.into() } }
}

fn unreadable(text: &str, tokens: &[Token]) -> (usize, String) {
    let first = (1..=tokens.len()).find(|length| !is_readable(text, &tokens[..*length]));
    match first.map(|length| tokens[length - 1]) {
        Some(token) => (token.start, format!("unexpected `{}`", &text[token.start..token.end])),
        None => (tokens[tokens.len() - 1].end, "the expression ends too early".to_owned()),
    }
}

/// Whether something can follow these tokens so that they are an expression.
fn is_readable(text: &str, tokens: &[Token]) -> bool {
    let start = &text[..tokens[tokens.len() - 1].end];
    let mut closers = Vec::new();
    for token in tokens {
        match &text[token.start..token.end] {
            "(" => closers.push(")"),
            "{" => closers.push("}"),
            "[" => closers.push("]"),
            ")" | "}" | "]" => _ = closers.pop(),
            _ => {}
        }
    }
    let closers: String = closers.into_iter().rev().collect();
    // After `by (x)` and the like an operand must follow outside the brackets.
    COMPLETIONS.iter().any(|completion| {
        ["", " x", " (x)", " (x) x"].iter().any(|end| {
            let whole = format!("{start} {completion}{closers}{end}");
            follows_grammar(&whole)
        })
    })
}

fn follows_grammar(text: &str) -> bool {
    if promql_parser::parser::lexer(text).is_err() {
        return false;
    }
    match promql_parser::parser::parse(text) {
        Ok(_) => true,
        Err(said) => said != NOT_THE_GRAMMAR,
    }
}

/// The place of what the parser names: a function in quotes, or the text of a matcher.
fn named(text: &str, tokens: &[Token], said: &str) -> Option<usize> {
    let of = |token: &Token| &text[token.start..token.end];
    let regex = said.strip_prefix("illegal regex for ");
    let name = said.split('\'').nth(1);
    let is_named = |token: &&Token| match (token.kind, regex, name) {
        (TokenKind::String, Some(regex), _) => {
            promql_parser::util::unquote_string(of(token)).is_ok_and(|value| value == regex)
        }
        (TokenKind::Word, None, Some(name)) => of(token) == name,
        _ => false,
    };
    tokens.iter().find(is_named).map(|token| token.start)
}
