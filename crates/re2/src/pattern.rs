//! Expressions that must match all of a text, as those of label matchers.

use std::sync::Arc;

use regex_syntax::hir::literal::{Extractor, Seq};
use regex_syntax::hir::{Dot as AnyCharacter, Hir, HirKind, Repetition};

use crate::automaton::Automaton;
use crate::error::Error;
use crate::parse::{self, Flags};
use crate::tables::Tables;

/// Texts that are compared one by one; more of them are left to an automaton.
const TEXTS_MAX: usize = 256;

/// Bytes of such a text; longer ones are left to an automaton.
const TEXT_BYTES_MAX: usize = 512;

/// What `.` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dot {
    /// Every character: so in Prometheus.
    Every,
    /// Every character but a line break: so in Alertmanager.
    WithinLine,
}

/// An expression that must match all of a text.
#[derive(Clone, Debug)]
pub struct Pattern {
    shape: Shape,
    bytes: usize,
    /// No text that is shorter matches.
    length_min: usize,
}

/// Most expressions that people write need no automaton.
#[derive(Clone, Debug)]
enum Shape {
    /// `.*`, where `.` is every character.
    Everything,
    /// `.+`, likewise.
    NotEmpty,
    /// `a|b|c`, sorted.
    OneOf(Box<[Box<str>]>),
    /// `a.*b`, `a.+b`, either end of which may be missing, and where `.` is every character.
    Around { start: Box<str>, between: usize, end: Box<str> },
    /// Shared by its clones.
    Automaton(Arc<Automaton>),
}

impl Pattern {
    /// Compiles an expression, with all that makes it fast.
    pub fn new(text: &str, dot: Dot) -> Result<Self, Error> {
        Self::compiled(text, dot, Automaton::new)
    }

    /// Compiles one of very many expressions: what makes it fast is made once it has been asked for
    /// long, and counts among the tables.
    pub fn growing(text: &str, dot: Dot, tables: &Arc<Tables>) -> Result<Self, Error> {
        Self::compiled(text, dot, |hir| Automaton::growing(hir, tables))
    }

    fn compiled(
        text: &str,
        dot: Dot,
        automaton: impl FnOnce(&Hir) -> Result<Automaton, Error>,
    ) -> Result<Self, Error> {
        let flags = Flags { dot_is_newline: dot == Dot::Every, ..Flags::NONE };
        let parsed = parse::parse(text, flags)?;
        let length_min = parsed.hir.properties().minimum_len().unwrap_or(0);
        let shape = match Shape::without_automaton(&parsed.hir) {
            Some(shape) => shape,
            None => Shape::Automaton(Arc::new(automaton(&parsed.hir)?)),
        };
        Ok(Self { bytes: shape.bytes(), shape, length_min })
    }

    /// Whether it matches all of the text.
    pub fn matches(&self, text: &str) -> bool {
        text.len() >= self.length_min && self.shape.matches(text)
    }

    /// Whether it matches all of the text; nothing where that takes more steps than are left. A step
    /// takes some nanoseconds.
    pub fn matches_within(&self, text: &str, steps: &mut usize) -> Option<bool> {
        if text.len() < self.length_min {
            return Some(false);
        }
        match &self.shape {
            Shape::Automaton(automaton) => automaton.matches_within(text, steps),
            shape => Some(shape.matches(text)),
        }
    }

    /// Makes now what makes it fast, if it is [growing](Self::growing), and its clones with it; says
    /// how many bytes that took, which is as much where it was in vain.
    pub fn make_table(&self) -> usize {
        match &self.shape {
            Shape::Automaton(automaton) => automaton.make_table(),
            _ => 0,
        }
    }

    /// Every text that it matches, where they are few: sorted.
    pub fn texts(&self) -> Option<&[Box<str>]> {
        match &self.shape {
            Shape::OneOf(texts) => Some(texts),
            _ => None,
        }
    }

    /// Bytes that it takes, without a table that it may get yet. Where a table was tried in vain it
    /// counts as if that were the largest.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Shape {
    fn without_automaton(hir: &Hir) -> Option<Self> {
        if *hir == any(0) {
            return Some(Self::Everything);
        }
        if *hir == any(1) {
            return Some(Self::NotEmpty);
        }
        if let Some(texts) = texts(hir) {
            return Some(Self::OneOf(texts));
        }
        let (start, between, end) = around(hir)?;
        Some(Self::Around { start, between, end })
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::NotEmpty => !text.is_empty(),
            Self::OneOf(texts) => texts.binary_search_by(|known| (**known).cmp(text)).is_ok(),
            Self::Around { start, between, end } => {
                text.len() >= start.len() + between + end.len()
                    && text.starts_with(&**start)
                    && text.ends_with(&**end)
            }
            Self::Automaton(automaton) => automaton.matches(text),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Everything | Self::NotEmpty => 0,
            Self::OneOf(texts) => texts.iter().map(|text| size_of_val(text) + text.len()).sum(),
            Self::Around { start, end, .. } => start.len() + end.len(),
            Self::Automaton(automaton) => automaton.bytes(),
        }
    }
}

/// `.*` or `.+`.
fn any(min: u32) -> Hir {
    let sub = Box::new(Hir::dot(AnyCharacter::AnyChar));
    Hir::repetition(Repetition { min, max: None, greedy: true, sub })
}

/// What texts begin with, how many bytes follow at least, and what they end with, where that is all
/// that an expression says.
fn around(hir: &Hir) -> Option<(Box<str>, usize, Box<str>)> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let literal = |part: &Hir| match part.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(Box::from),
        _ => None,
    };
    let least = |part: &Hir| (0..=1).find(|min| *part == any(*min)).map(|min| min as usize);
    match &parts[..] {
        [between, end] if least(between).is_some() => {
            Some((Box::default(), least(between)?, literal(end)?))
        }
        [start, between] => Some((literal(start)?, least(between)?, Box::default())),
        [start, between, end] => Some((literal(start)?, least(between)?, literal(end)?)),
        _ => None,
    }
}

/// All texts that an expression matches, where they are few.
fn texts(hir: &Hir) -> Option<Box<[Box<str>]>> {
    let is_plain = hir.properties().look_set().is_empty();
    let is_short = hir.properties().maximum_len().is_some_and(|length| length <= TEXT_BYTES_MAX);
    if !is_plain || !is_short {
        return None;
    }
    let mut extractor = Extractor::new();
    extractor
        .limit_class(16)
        .limit_repeat(16)
        .limit_literal_len(TEXT_BYTES_MAX)
        .limit_total(TEXTS_MAX);
    let found: Seq = extractor.extract(hir);
    if !found.is_exact() {
        return None;
    }
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Box::from);
    let texts = found.literals()?.iter().map(|literal| text(literal.as_bytes()));
    let mut texts: Vec<Box<str>> = texts.collect::<Option<_>>()?;
    texts.sort_unstable();
    texts.dedup();
    Some(texts.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Regex;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text, Dot::Every).expect(text)
    }

    #[test]
    fn what_most_people_write_needs_no_automaton() {
        for text in [
            ".*",
            ".+",
            "",
            "a|b|c",
            "(?:oslo|bergen)",
            "[45]xx",
            "(?i)GET",
            "a{3}",
            "a.*",
            ".+b",
            "a.+b",
        ] {
            assert!(pattern(text).bytes() < 1024, "{text}: {} bytes", pattern(text).bytes());
        }
        let hosts: Vec<String> = (0..200).map(|number| format!("host-{number}")).collect();
        let hosts_pattern = pattern(&hosts.join("|"));
        assert!(matches!(hosts_pattern.shape, Shape::OneOf(_)));
        assert!(hosts.iter().all(|host| hosts_pattern.matches(host)));
        assert!(!hosts_pattern.matches("host-200") && !hosts_pattern.matches("host-1|host-2"));
    }

    #[test]
    fn what_is_around_anything_needs_no_automaton_and_matches_as_one_would() {
        let texts =
            ["", "a", "b", "ab", "aab", "abb", "a\nb", "aé", "éb", "aéb", "ba", "abab", "aaa"];
        for text in ["a.*", "a.+", ".*b", ".+b", "a.*b", "a.+b", "ab.*ab", "aa.*aa", "a(?:.*)b"] {
            let around = pattern(text);
            assert!(matches!(around.shape, Shape::Around { .. }), "{text}: {around:?}");
            let automaton = Regex::new(&format!("^(?s:{text})$")).expect(text);
            for matched in texts {
                let expected = automaton.is_match(matched);
                assert_eq!(around.matches(matched), expected, "{text}: {matched:?}");
            }
        }
        for text in ["a.*b.*", ".*a.*", "(?i)a.*", "a.?", "a[^b]*"] {
            assert!(!matches!(pattern(text).shape, Shape::Around { .. }), "{text}");
        }
        assert!(matches!(
            Pattern::new("a.*", Dot::WithinLine).expect("a pattern").shape,
            Shape::Automaton(_)
        ));
    }

    #[test]
    fn a_dot_is_a_line_break_where_it_is_asked_for() {
        for text in ["a.b", ".*", ".+", "a.*"] {
            assert!(Pattern::new(text, Dot::Every).expect(text).matches("a\nb"), "{text}");
            assert!(!Pattern::new(text, Dot::WithinLine).expect(text).matches("a\nb"), "{text}");
        }
    }

    #[test]
    fn what_is_compiled_is_bounded() {
        for text in [r"\w{1000}", ".{1000}", "[^x]{900}", r"\pL{20}"] {
            let bytes = pattern(text).bytes();
            assert!(bytes < 4 * crate::REGEX_BYTES_MAX, "{text}: {bytes} bytes");
        }
        let many = r"\pL".repeat(5_000);
        for text in [r"\pL{1000}", "(?:.{999}|x.{1000}y){1}.{1000}.{1000}.{1000}.{1000}", &many] {
            assert_eq!(Pattern::new(text, Dot::Every).expect_err(text), Error::TooLarge);
        }
    }

    #[test]
    fn what_groups_are_noted_for_is_bounded() {
        let text = "ab".repeat(2_000);
        let many = Regex::new(&"(a?)".repeat(100)).expect("a hundred groups");
        assert_eq!(many.expand(&text, "$1-$2").as_deref(), Some("a-"));
        assert_eq!(Regex::new("(.{1000})").map(|regex| regex.is_match(&text)), Ok(true));
        assert_eq!(Regex::new(&"(a?)".repeat(7_000)).expect_err("too many"), Error::TooLarge);
        // Nobody asks what the groups of a pattern have matched.
        let groups = pattern(&"(a?)".repeat(2_000)).bytes();
        let none = pattern(&"(?:a?)".repeat(2_000)).bytes();
        assert!(groups < none + 1024, "{groups} bytes, without groups {none}");
        assert!(pattern(&"(a|[bc]{0,9})".repeat(400)).matches(&text[..300]));
    }

    /// With what it did not count, or did again and again, each of these took from a second to
    /// minutes.
    #[test]
    fn no_short_text_takes_long_to_read() {
        let distinct: String = ('\u{4E00}'..'\u{9FFF}').step_by(2).collect();
        let wide = r"a-\x{10FFFF}".repeat(1_500);
        let apart = r"[a-\x{10FFFF}]".repeat(1_000);
        for text in [
            &format!("[{distinct}]"),
            &format!("[{}]", r"\pL".repeat(5_000)),
            &format!("(?i)[{wide}]"),
            &format!("(?i){apart}"),
            &format!("{}{}", "[ab]".repeat(8), "(a)".repeat(1_000)),
        ] {
            assert!(!pattern(text).matches(""), "{text:.40}");
        }
        let within = format!("{}{}{}", "(?:a".repeat(900), "[ab]".repeat(3_000), ")".repeat(900));
        let Err(Error::Syntax { code, .. }) = Pattern::new(&within, Dot::Every) else { panic!() };
        assert_eq!(code, crate::ErrorCode::NestingDepth);
    }

    #[test]
    fn no_depth_exhausts_the_stack() {
        let nested = |depth: usize| format!("{}x{}", "(".repeat(depth), ")".repeat(depth));
        assert!(pattern(&nested(999)).matches("x"));
        assert!(Regex::new(&nested(300)).expect("deep").is_match("x"));
        let alternating = format!("{}x{}", "(a|".repeat(330), ")*".repeat(330));
        assert!(!pattern(&alternating).matches("y"));
        for text in [&nested(1000), &nested(200_000), &"(a|".repeat(200_000)] {
            assert!(Regex::new(text).is_err());
        }
        // Groups that do not capture are not there once they are closed.
        let text = nested(100_000).replace('(', "(?:");
        assert!(Regex::new(&text).expect("flat").is_match("x"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"([a-zé(){}\[\]|*+?^$.:\\<>,0-9-]|\(\?|\[:|\\p|\\x|\\Q){0,40}") {
            let _ = Regex::new(&text).map(|regex| regex.replace_all("aé{id}", "$1"));
            let (whole, part) = (Pattern::new(&text, Dot::Every), Regex::new(&text));
            prop_assert_eq!(whole.is_ok(), part.is_ok());
        }

        /// Texts without an automaton match what the automaton does.
        #[test]
        fn shapes_match_as_automata(
            text in r"[ab]{0,2}(\|[abc]?|[ab]\?|\[ab\]|\(a\|b\)|\(\?i\)a|\.\*|\.\+){0,3}",
            tried in "[abcA\n]{0,4}",
        ) {
            let whole = Regex::new(&format!("^(?s:{text})$")).expect("an expression");
            prop_assert_eq!(pattern(&text).matches(&tried), whole.is_match(&tried), "{}", text);
        }
    }
}
