//! The text of a template to stretches of text and actions, and actions to tokens.

use super::{TemplateError, TemplateReason};

pub(super) type Parsed<T> = Result<T, TemplateError>;

/// A piece of an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(Box<str>),
    /// `.site` right behind what it is a field of.
    Field(Box<str>),
    Dot,
    Variable(Box<str>),
    Text(Box<str>),
    Number(f64),
    Whole(i64),
    Mark(&'static str),
}

/// A stretch of text, or an action.
pub(super) enum Piece {
    Text(Box<str>),
    Action { offset: usize, tokens: Vec<(usize, Token)> },
}

/// Cuts a template into text and actions.
pub(super) fn pieces(text: &str) -> Parsed<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = 0;
    let mut trims_next = false;
    while let Some(open) = text[rest..].find("{{").map(|open| rest + open) {
        let mut before = &text[rest..open];
        if trims_next {
            before = before.trim_start();
        }
        let mut start = open + 2;
        // `{{-` and `-}}` take the white space beside them away.
        let trims =
            text[start..].strip_prefix('-').is_some_and(|a| a.starts_with(char::is_whitespace));
        if trims {
            before = before.trim_end();
            start += 1;
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        let action = action(text, open, start)?;
        trims_next = action.trims_next;
        rest = action.end;
        if !action.is_comment {
            pieces.push(Piece::Action { offset: open, tokens: action.tokens });
        }
    }
    let tail = if trims_next { text[rest..].trim_start() } else { &text[rest..] };
    if !tail.is_empty() {
        pieces.push(Piece::Text(tail.into()));
    }
    Ok(pieces)
}

struct Action {
    tokens: Vec<(usize, Token)>,
    is_comment: bool,
    trims_next: bool,
    end: usize,
}

/// Reads an action up to its braces.
fn action(text: &str, open: usize, start: usize) -> Parsed<Action> {
    let unclosed = || fault(open, TemplateReason::Unclosed);
    if text[start..].trim_start().starts_with("/*") {
        let close = text[start..].find("*/").ok_or_else(unclosed)? + start + 2;
        let end = text[close..].find("}}").ok_or_else(unclosed)? + close;
        let trims_next = text[close..end].trim() == "-";
        return Ok(Action { tokens: Vec::new(), is_comment: true, trims_next, end: end + 2 });
    }
    let mut tokens = Vec::new();
    let mut at = start;
    let mut after_space = true;
    loop {
        let rest = &text[at..];
        let first = rest.chars().next().ok_or_else(unclosed)?;
        if rest.starts_with("}}") {
            return Ok(Action { tokens, is_comment: false, trims_next: false, end: at + 2 });
        }
        if after_space && rest.starts_with("-}}") {
            return Ok(Action { tokens, is_comment: false, trims_next: true, end: at + 3 });
        }
        if first.is_whitespace() {
            at += first.len_utf8();
            after_space = true;
            continue;
        }
        let place = if after_space { Place::Apart } else { Place::Behind };
        let (token, length) = token(rest, place).ok_or_else(|| {
            if matches!(first, '"' | '`') {
                unclosed()
            } else {
                fault(at, TemplateReason::Unexpected(first.to_string().into()))
            }
        })?;
        tokens.push((at, token));
        at += length;
        after_space = false;
    }
}

/// Whether a token stands right behind the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Apart,
    Behind,
}

/// The token at the start of a text, and its length.
fn token(text: &str, place: Place) -> Option<(Token, usize)> {
    let first = text.chars().next()?;
    let word_length =
        |text: &str| text.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(text.len());
    match first {
        '$' => {
            let length = word_length(&text[1..]);
            Some((Token::Variable(text[1..=length].into()), length + 1))
        }
        '.' if !text[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let length = word_length(&text[1..]);
            let name = &text[1..=length];
            if name.is_empty() {
                return Some((Token::Dot, 1));
            }
            // Right behind something it is a field of that, else one of the dot.
            let token = if place == Place::Apart {
                Token::Word(text[..=length].into())
            } else {
                Token::Field(name.into())
            };
            Some((token, length + 1))
        }
        '"' | '`' => {
            let (value, rest) = crate::series_text::quoted(text)?;
            Some((Token::Text(value.into()), text.len() - rest.len()))
        }
        c if c == '_' || c.is_alphabetic() => {
            let length = word_length(text);
            Some((Token::Word(text[..length].into()), length))
        }
        c if c.is_ascii_digit() || matches!(c, '.' | '-' | '+') => number(text),
        _ => [":=", "=", "|", "(", ")", ","]
            .into_iter()
            .find(|mark| text.starts_with(mark))
            .map(|mark| (Token::Mark(mark), mark.len())),
    }
}

fn number(text: &str) -> Option<(Token, usize)> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    let mut length = 1 + text[1..].find(|c| !belongs(c)).unwrap_or(text.len() - 1);
    // The sign of an exponent.
    if text[..length].ends_with(['e', 'E']) && text[length..].starts_with(['+', '-']) {
        length += 1 + text[length + 1..].find(|c| !belongs(c)).unwrap_or(text.len() - length - 1);
    }
    let word = &text[..length];
    let token = match word.parse() {
        Ok(whole) => Token::Whole(whole),
        Err(_) => Token::Number(crate::number::read_number(word)?),
    };
    Some((token, length))
}

pub(super) fn fault(offset: usize, reason: TemplateReason) -> TemplateError {
    TemplateError { offset, reason }
}
