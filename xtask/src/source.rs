//! A Rust source text, read just closely enough to count its code and to see its words.
//!
//! No parser: the checks need lines and identifiers, and must not be fooled by comments,
//! strings and tests.

/// How many lines are code: not blank, not comment, not in a test module at the end.
pub(crate) fn code_lines(text: &str) -> usize {
    blank_comments(before_tests(text)).lines().filter(|line| !line.trim().is_empty()).count()
}

/// The text up to the test module at its end.
pub(crate) fn before_tests(text: &str) -> &str {
    let mut start = 0;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let opens_module = |next: &&str| next.starts_with("mod ") && next.trim_end().ends_with('{');
        if line.trim_end() == "#[cfg(test)]" && lines.peek().is_some_and(opens_module) {
            return &text[..start];
        }
        start += line.len();
    }
    text
}

/// The text with comments blanked out, strings kept.
pub(crate) fn blank_comments(text: &str) -> String {
    blank(text, &[Piece::Comment])
}

/// The text with comments, strings and characters blanked out: only code is left.
pub(crate) fn code_only(text: &str) -> String {
    blank(text, &[Piece::Comment, Piece::Literal])
}

/// Identifiers and keywords, in order, of a text that `code_only` made.
pub(crate) fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[derive(PartialEq, Clone, Copy)]
enum Piece {
    Code,
    Comment,
    Literal,
}

/// Replaces all but line ends in pieces of the given kinds by spaces.
fn blank(text: &str, kinds: &[Piece]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while !rest.is_empty() {
        let (piece, length) = next_piece(rest, previous);
        let (taken, after) = rest.split_at(length);
        if kinds.contains(&piece) {
            result.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            result.push_str(taken);
        }
        previous = taken.chars().next_back().unwrap_or(' ');
        rest = after;
    }
    result
}

/// What the text starts with, and how many bytes of it.
fn next_piece(rest: &str, previous: char) -> (Piece, usize) {
    let in_word = previous.is_alphanumeric() || previous == '_';
    if rest.starts_with("//") {
        return (Piece::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Piece::Comment, block_comment_length(rest));
    }
    if rest.starts_with('"') {
        return (Piece::Literal, quoted_length(rest, '"'));
    }
    if !in_word && let Some(length) = raw_string_length(rest) {
        return (Piece::Literal, length);
    }
    if rest.starts_with('\'') && is_character(rest) {
        return (Piece::Literal, quoted_length(rest, '\''));
    }
    (Piece::Code, rest.chars().next().map_or(0, char::len_utf8))
}

/// Block comments nest.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut length = 0;
    while length < rest.len() {
        let here = &rest[length..];
        let step = if here.starts_with("/*") {
            depth += 1;
            2
        } else if here.starts_with("*/") {
            depth -= 1;
            2
        } else {
            here.chars().next().map_or(1, char::len_utf8)
        };
        length += step;
        if depth == 0 {
            break;
        }
    }
    length
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    rest.len()
}

fn raw_string_length(rest: &str) -> Option<usize> {
    let after_prefix = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r')?;
    let body = after_prefix.trim_start_matches('#');
    let hashes = after_prefix.len() - body.len();
    let body = body.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

/// A quote starts a character (`'a'`, `'\n'`) or a lifetime (`'a`).
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blank_lines_and_the_test_module_are_not_code() {
        for (text, lines) in [
            ("", 0),
            ("//! Doc.\n\nfn a() {}\n", 1),
            ("fn a() {\n    // why\n    b();\n}\n", 3),
            ("/* one\n   /* two */\n */ fn a() {}\n", 1),
            ("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n", 1),
            ("fn a() {}\n#[cfg(test)]\nmod tests;\nfn b() {}\n", 4),
            ("const A: &str = \"\n// not a comment\n\";\n", 3),
        ] {
            assert_eq!(code_lines(text), lines, "{text}");
        }
    }

    #[test]
    fn only_code_is_left() {
        for (text, code) in [
            ("a // b", "a     "),
            ("a(\"b\\\"c\")d", "a(      )d"),
            ("r#\"a\"b\"# c", "         c"),
            ("br\"a\" c", "      c"),
            ("for_r\"a\"", "for_r   "),
            ("fn a<'b>(c: &'b str)", "fn a<'b>(c: &'b str)"),
            ("match c { 'x' | '\\'' => '\"' }", "match c {     |      =>     }"),
            ("/* a /* b */ c */d", "                 d"),
        ] {
            assert_eq!(code_only(text), code, "{text}");
        }
    }

    #[test]
    fn identifiers_are_words_of_code() {
        let words: Vec<&str> = identifiers("let a_b = C::d(1);").collect();
        assert_eq!(words, ["let", "a_b", "C", "d", "1"]);
    }
}
