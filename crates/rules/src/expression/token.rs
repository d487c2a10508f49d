//! The tokens of an expression, for their places alone: `promql-parser` reads the meaning.

use super::{ExpressionError, ExpressionReason};

/// Tokens that are read of one expression. Trees are as deep as they have tokens and are walked
/// by recursion, so this bounds the stack; the longest rules in the field have about 300.
pub(crate) const TOKENS_MAX: usize = 1_500;

/// A piece of an expression: the bytes `start..end` of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An identifier or a keyword.
    Word,
    /// A number or a duration.
    Number,
    /// A quoted text.
    String,
    /// An operator, a bracket, a comma.
    Mark,
}

/// Cuts an expression into tokens: at least one, brackets paired.
pub(crate) fn read(text: &str) -> Result<Vec<Token>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = match first {
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' | '\'' | '`' => (TokenKind::String, string_length(rest, first, at)?),
            '0'..='9' => (TokenKind::Number, number_length(rest)),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                (TokenKind::Number, number_length(rest))
            }
            ':' if open.last().is_some_and(|(bracket, _)| *bracket == '[') => (TokenKind::Mark, 1),
            c if is_letter(c) => {
                (TokenKind::Word, length_while(rest, |c| is_letter(c) || c.is_ascii_digit()))
            }
            c => (TokenKind::Mark, mark_length(rest, c, at)?),
        };
        pair(&mut open, first, at)?;
        if tokens.len() == TOKENS_MAX {
            return Err(ExpressionError { offset: at, reason: ExpressionReason::TooLong });
        }
        let word = &rest[..length];
        if is_duration(text, &tokens, &open) && word.parse().is_ok_and(|s: f64| !is_seconds(s)) {
            return Err(syntax(at, format!("`{word}` is no duration")));
        }
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    if let Some((bracket, offset)) = open.pop() {
        return Err(syntax(offset, format!("this `{bracket}` is not closed")));
    }
    if tokens.is_empty() {
        return Err(ExpressionError { offset: 0, reason: ExpressionReason::Empty });
    }
    Ok(tokens)
}

/// Keeps the brackets that are open; inside texts nothing counts.
fn pair(open: &mut Vec<(char, usize)>, mark: char, at: usize) -> Result<(), ExpressionError> {
    let opener = match mark {
        '(' | '{' | '[' => {
            open.push((mark, at));
            return Ok(());
        }
        ')' => '(',
        '}' => '{',
        ']' => '[',
        _ => return Ok(()),
    };
    match open.pop() {
        Some((bracket, _)) if bracket == opener => Ok(()),
        Some((bracket, _)) => Err(syntax(at, format!("this `{mark}` does not close `{bracket}`"))),
        None => Err(syntax(at, format!("this `{mark}` closes nothing"))),
    }
}

/// Whether the next token stands where durations do: in `[…]` or after `offset`.
fn is_duration(text: &str, tokens: &[Token], open: &[(char, usize)]) -> bool {
    let word = |token: &Token| &text[token.start..token.end];
    let before = tokens.iter().rev().map(word).find(|word| !matches!(*word, "+" | "-"));
    let is_after_offset = before.is_some_and(|word| word.eq_ignore_ascii_case("offset"));
    is_after_offset || open.last().is_some_and(|(bracket, _)| *bracket == '[')
}

/// Whether a number of seconds is a duration. The parser panics where it is none.
fn is_seconds(seconds: f64) -> bool {
    (0.0..1e15).contains(&seconds)
}

fn is_letter(c: char) -> bool {
    c == '_' || c == ':' || c.is_ascii_alphabetic()
}

fn length_while(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// The length of a number or duration; a sign after a decimal exponent's `e` belongs to it.
fn number_length(text: &str) -> usize {
    let belongs = |c: char| c == '_' || c == '.' || c.is_ascii_alphanumeric();
    let length = length_while(text, belongs);
    let is_exponent = text[..length].ends_with(['e', 'E']) && !text.starts_with("0x");
    if is_exponent && text[length..].starts_with(['+', '-']) {
        return length + 1 + length_while(&text[length + 1..], belongs);
    }
    length
}

fn string_length(text: &str, quote: char, at: usize) -> Result<usize, ExpressionError> {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return Ok(index + 1),
            _ => {}
        }
    }
    Err(syntax(at, "this text is not closed".into()))
}

fn mark_length(text: &str, first: char, at: usize) -> Result<usize, ExpressionError> {
    if ["==", "!=", ">=", "<=", "=~", "!~"].iter().any(|mark| text.starts_with(mark)) {
        return Ok(2);
    }
    if "+-*/%^=<>(){}[],@".contains(first) {
        return Ok(1);
    }
    Err(syntax(at, format!("unexpected character `{first}`")))
}

fn syntax(offset: usize, text: String) -> ExpressionError {
    ExpressionError { offset, reason: ExpressionReason::Syntax { text: text.into() } }
}
