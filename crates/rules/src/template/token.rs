//! The text of a template to tokens, as Go's `text/template/parse` cuts it.

use super::fault::{Parsed, TemplateError, TemplateReason, fault};

/// What a stretch of a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// What stands outside actions.
    Text,
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// White space within an action: it parts arguments.
    Space,
    /// A name; a keyword is one too.
    Word,
    /// `.site`.
    Field,
    Dot,
    Variable,
    /// `"…"`.
    Quoted,
    /// `` `…` ``.
    Raw,
    /// `'…'`.
    Character,
    Number,
    Declare,
    Assign,
    Pipe,
    LeftParen,
    RightParen,
    /// Any other printable character of ASCII: a comma, or a mistake.
    Mark,
    /// The end of the text.
    End,
}

/// A token with its text and where it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'t> {
    pub(super) token: Token,
    pub(super) offset: usize,
    pub(super) text: &'t str,
}

/// The white space that Go's templates know.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template. What is wrong with its end is told beside what came before, which may be
/// wrong itself.
pub(super) fn items(text: &str) -> (Vec<Item<'_>>, Option<TemplateError>) {
    let mut lexer = Lexer { text, at: 0, items: Vec::new() };
    let outcome = lexer.whole();
    (lexer.items, outcome.err())
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    items: Vec<Item<'t>>,
}

impl<'t> Lexer<'t> {
    fn whole(&mut self) -> Parsed<()> {
        while let Some(length) = self.rest().find("{{") {
            let open = self.at + length;
            let inside = &self.text[open + 2..];
            let trims = inside.starts_with('-') && inside[1..].starts_with(SPACES);
            let before = &self.rest()[..length];
            let before = if trims { before.trim_end_matches(SPACES) } else { before };
            if !before.is_empty() {
                self.push(Token::Text, before.len());
            }
            self.at = open;
            let marker_bytes = if trims { 2 } else { 0 };
            if inside[marker_bytes..].starts_with("/*") {
                self.comment(open + 2 + marker_bytes)?;
            } else {
                self.push(Token::Open, 2);
                self.at += marker_bytes;
                self.action(open)?;
            }
        }
        if !self.rest().is_empty() {
            self.push(Token::Text, self.rest().len());
        }
        self.push(Token::End, 0);
        Ok(())
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token, length: usize) {
        let text = &self.rest()[..length];
        self.items.push(Item { token, offset: self.at, text });
        self.at += length;
    }

    /// Passes over a comment, whose braces stand right beside its slashes.
    fn comment(&mut self, start: usize) -> Parsed<()> {
        let unclosed = || fault(self.at, TemplateReason::Unclosed);
        let end = start + 2 + self.text[start + 2..].find("*/").ok_or_else(unclosed)? + 2;
        let (close, trims) = closing(&self.text[end..]).ok_or_else(unclosed)?;
        self.at = end + close;
        if trims {
            self.trim();
        }
        Ok(())
    }

    fn trim(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(SPACES).len();
    }

    /// Cuts an action up to its closing braces.
    fn action(&mut self, open: usize) -> Parsed<()> {
        let mut parens = 0_usize;
        loop {
            if let Some((length, trims)) = closing(self.rest()) {
                if parens > 0 {
                    return Err(fault(open, TemplateReason::Unexpected("}}".into())));
                }
                self.push(Token::Close, length);
                if trims {
                    self.trim();
                }
                return Ok(());
            }
            let rest = self.rest();
            let first = rest.chars().next().ok_or(fault(open, TemplateReason::Unclosed))?;
            let unexpected =
                || fault(self.at, TemplateReason::Unexpected(first.to_string().into()));
            match first {
                c if SPACES.contains(&c) => {
                    let length = rest.len() - rest.trim_start_matches(SPACES).len();
                    // The last space before `-}}` belongs to it.
                    let kept = usize::from(rest[length..].starts_with("-}}"));
                    self.push(Token::Space, length - kept);
                }
                '(' => {
                    parens += 1;
                    self.push(Token::LeftParen, 1);
                }
                ')' => {
                    parens = parens.checked_sub(1).ok_or_else(unexpected)?;
                    self.push(Token::RightParen, 1);
                }
                ':' if rest.starts_with(":=") => self.push(Token::Declare, 2),
                '=' => self.push(Token::Assign, 1),
                '|' => self.push(Token::Pipe, 1),
                '"' | '`' | '\'' => self.quoted(first)?,
                '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    self.named(Token::Field, Token::Dot)?;
                }
                '$' => self.named(Token::Variable, Token::Variable)?,
                '.' | '+' | '-' | '0'..='9' => self.number()?,
                c if is_word(c) => {
                    let length = word_length(rest);
                    self.terminated(length)?;
                    self.push(Token::Word, length);
                }
                ':' => return Err(unexpected()),
                c if c.is_ascii_graphic() => self.push(Token::Mark, 1),
                _ => return Err(unexpected()),
            }
        }
    }

    /// A text or a character; a quoted one has escapes and ends with its line.
    fn quoted(&mut self, quote: char) -> Parsed<()> {
        let mut is_escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                '\n' if quote != '`' => break,
                _ if is_escaped => is_escaped = false,
                '\\' if quote != '`' => is_escaped = true,
                c if c == quote => {
                    let token = match quote {
                        '"' => Token::Quoted,
                        '`' => Token::Raw,
                        _ => Token::Character,
                    };
                    self.push(token, at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(fault(self.at, TemplateReason::Text(quote.to_string().into())))
    }

    /// `.name` or `$name`, or the sign alone.
    fn named(&mut self, token: Token, alone: Token) -> Parsed<()> {
        let length = 1 + word_length(&self.rest()[1..]);
        self.terminated(length)?;
        self.push(if length == 1 { alone } else { token }, length);
        Ok(())
    }

    /// Whether a name ends where a name may end.
    fn terminated(&self, length: usize) -> Parsed<()> {
        let rest = &self.rest()[length..];
        match rest.chars().next() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => Ok(()),
            Some(c) if SPACES.contains(&c) || rest.starts_with("}}") => Ok(()),
            Some(c) => {
                Err(fault(self.at + length, TemplateReason::Unexpected(c.to_string().into())))
            }
        }
    }

    fn number(&mut self) -> Parsed<()> {
        let rest = self.rest();
        let length = number_length(rest);
        let word = |length: usize| -> Box<str> { rest[..length].into() };
        let next = rest[length..].chars().next();
        if rest[..length].ends_with('i') {
            return Err(fault(self.at, TemplateReason::Complex(word(length))));
        }
        match next {
            Some('+' | '-') => {
                let length = length + number_length(&rest[length..]);
                let reason = if rest[..length].ends_with('i') {
                    TemplateReason::Complex(word(length))
                } else {
                    TemplateReason::Number(word(length))
                };
                Err(fault(self.at, reason))
            }
            Some(c) if is_word(c) => {
                Err(fault(self.at, TemplateReason::Number(word(length + c.len_utf8()))))
            }
            _ => {
                self.push(Token::Number, length);
                Ok(())
            }
        }
    }
}

/// The bytes of `}}` or ` -}}` at the start of a text, and whether it trims.
fn closing(text: &str) -> Option<(usize, bool)> {
    if text.starts_with("}}") {
        return Some((2, false));
    }
    let marked = text.strip_prefix(SPACES)?;
    marked.starts_with("-}}").then_some((4, true))
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn word_length(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// The bytes that look like a number, as far as Go's lexer looks.
fn number_length(text: &str) -> usize {
    let mut at = 0;
    let bytes = text.as_bytes();
    let accept = |at: &mut usize, set: &[u8]| {
        let is_next = bytes.get(*at).is_some_and(|byte| set.contains(byte));
        *at += usize::from(is_next);
        is_next
    };
    let accept_run = |at: &mut usize, set: &[u8]| while accept(at, set) {};
    accept(&mut at, b"+-");
    let mut digits: &[u8] = b"0123456789_";
    let mut exponent: &[u8] = b"eE";
    if accept(&mut at, b"0") {
        if accept(&mut at, b"xX") {
            (digits, exponent) = (b"0123456789abcdefABCDEF_", b"pP");
        } else if accept(&mut at, b"oO") {
            (digits, exponent) = (b"01234567_", b"");
        } else if accept(&mut at, b"bB") {
            (digits, exponent) = (b"01_", b"");
        }
    }
    accept_run(&mut at, digits);
    if accept(&mut at, b".") {
        accept_run(&mut at, digits);
    }
    if accept(&mut at, exponent) {
        accept(&mut at, b"+-");
        accept_run(&mut at, b"0123456789_");
    }
    accept(&mut at, b"i");
    at
}
