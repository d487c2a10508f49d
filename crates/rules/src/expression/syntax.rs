//! Where an expression stops being `PromQL`.
//!
//! The parser says that it cannot read an expression, but not where. An expression is wrong at
//! the first token after which nothing that could follow makes it readable. So the text up to
//! each token is tried with what can complete it; only broken expressions pay for this.

use super::front::{self, Plain};
use super::token::{self, Token, TokenKind};
use super::{ExpressionError, ExpressionReason};
use crate::patterns::Patterns;

/// What the parser says of a text that does not follow the grammar. Whatever else it says is
/// about the meaning, so that the grammar was followed.
const NOT_THE_GRAMMAR: &str = "invalid promql query";

/// What can follow a readable start, the first of two parts.
const FIRST: [&str; 10] = ["", "x", "1", "x[5m]", "5m", "()", "=\"\"", "\"\"", "x=\"\"", "start()"];
/// The second part: after `by (a)` and the like an operand must follow. It stands before the
/// innermost bracket that is open is closed, or after it, or in both places.
const SECOND: [&str; 3] = ["", " x", " (x)"];

/// The error that `said` stands for.
pub(crate) fn error(
    text: &str,
    tokens: &[Token],
    said: &str,
    patterns: &mut Patterns,
) -> ExpressionError {
    let (offset, said) = if said == NOT_THE_GRAMMAR {
        unreadable(text, tokens, patterns)
    } else {
        (named(text, tokens, said).unwrap_or(tokens[0].start), said.to_owned())
    };
    ExpressionError { offset, reason: ExpressionReason::Syntax { text: said.into() } }
}

fn unreadable(text: &str, tokens: &[Token], patterns: &mut Patterns) -> (usize, String) {
    // Every start of a readable start is readable, so the longest one is found by halving.
    let lengths: Vec<usize> = (1..=tokens.len()).collect();
    let mut is_readable = |length: &usize| is_readable(text, &tokens[..*length], patterns);
    let readable = lengths.partition_point(&mut is_readable);
    match tokens.get(readable) {
        Some(token) => (token.start, format!("unexpected `{}`", &text[token.start..token.end])),
        None => (tokens[readable - 1].end, "the expression ends too early".to_owned()),
    }
}

/// Whether something can follow these tokens so that they are an expression.
fn is_readable(text: &str, tokens: &[Token], patterns: &mut Patterns) -> bool {
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
    let innermost = closers.pop().unwrap_or_default();
    let outer: String = closers.into_iter().rev().collect();
    FIRST.iter().any(|first| {
        SECOND.iter().any(|before| {
            SECOND.iter().any(|after| {
                let text = format!("{start} {first}{before}{innermost}{after}{outer}");
                follows_grammar(&text, patterns)
            })
        })
    })
}

fn follows_grammar(text: &str, patterns: &mut Patterns) -> bool {
    let plain = token::read(text).and_then(|tokens| front::plain(text, &tokens, patterns));
    let Ok(Plain { text: plain, .. }) = plain else { return false };
    if promql_parser::parser::lexer(&plain).is_err() {
        return false;
    }
    match promql_parser::parser::parse(&plain) {
        Ok(_) => true,
        Err(said) => said != NOT_THE_GRAMMAR,
    }
}

/// The place of what the parser names: a function in quotes.
fn named(text: &str, tokens: &[Token], said: &str) -> Option<usize> {
    let of = |token: &Token| &text[token.start..token.end];
    let name = said.split('\'').nth(1);
    let is_named = |token: &&Token| {
        token.kind == TokenKind::Word && name.is_some_and(|name| of(token) == name)
    };
    tokens.iter().find(is_named).map(|token| token.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A start of an expression that is taken for broken would put the fault too early.
    #[test]
    fn every_start_of_an_expression_is_readable() {
        let expressions = [
            "sum by (a, b) (rate(x{a=~\"b|c\",d!=\"\"}[5m])) / on (a) group_left (c) sum(y) > bool 1",
            "sum without () (x) unless ignoring (a) y or z and -w ^ +2 % 3 atan2 4",
            "topk(5, x offset -5m) == quantile(0.9, x @ 1600000000.5 offset 1h30m)",
            "max_over_time(rate(x[5m])[1h:1m] @ end() offset 1m) < bool on () group_right y",
            "histogram_quantile(0.99, sum(rate(x_bucket[5m])) by (le, \"dotted.name\",))",
            "label_replace(x, \"a\", \"$1\", 'b', `c`) != 0x1F * 1e-3 + Inf - NaN",
            "{\"dotted.name\", \"dotted.label\"=\"x\", job!~\"y\",} >= ignoring (a, b) group_left z",
            "absent_over_time({__name__=~\"a.*\"}[1h:]) or vector(time()) or hour()",
            "topk(1, max by (a) (x)) / ignoring (b) (min without (c) (y)) + sum(sum by (d) (z))",
            "count_values(\"version\", x) by (sum, on, bool) > 1 # why",
            "x @ start() > bool (((1)))",
            "avg(x) by (by) * on (by) (avg)",
        ];
        for text in expressions {
            let tokens = token::read(text).expect(text);
            assert!(promql_parser::parser::parse(text).is_ok(), "{text}");
            for length in 1..=tokens.len() {
                let start = &text[..tokens[length - 1].end];
                assert!(is_readable(text, &tokens[..length], &mut Patterns::default()), "{start}");
            }
        }
    }
}
