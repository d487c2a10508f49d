//! Classes of characters: `[a-z_]`, `\d`, `\pL`, `[[:alpha:]]`.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use crate::error::{Error, ErrorCode};
use crate::escape;

/// Whether letters stand for themselves in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Kept,
    Folded,
}

/// Whether a class is what it names, or everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Named,
    AllElse,
}

/// A class that is a part of the text, and what follows it; nothing where none begins.
type Found<'a> = Result<Option<(ClassUnicode, &'a str)>, Error>;

/// Characters that Perl and POSIX have names for: all ASCII.
type Ascii = &'static [(char, char)];

const DIGITS: Ascii = &[('0', '9')];
const SPACES: Ascii = &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')];
const WORD: Ascii = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// Ranges that are collected before they are put in order.
const RANGES_COLLECTED_MAX: usize = 256;
/// Characters of a range beyond which only those of them are looked at that have another case.
const RANGE_LONG_MIN: usize = 128;

const POSIX: [(&str, Ascii); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7F')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1F'), ('\x7F', '\x7F')]),
    ("digit", DIGITS),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// The class in brackets at the start of `text`, and what follows it.
pub(crate) fn bracketed(text: &str, case: Case) -> Result<(ClassUnicode, &str), Error> {
    let inner = &text[1..];
    let (sign, mut rest) = match inner.strip_prefix('^') {
        Some(rest) => (Sign::AllElse, rest),
        None => (Sign::Named, inner),
    };
    let mut members = Members { ordered: ClassUnicode::empty(), collected: Vec::new() };
    // A bracket is an ordinary character where it comes first.
    let mut is_first = true;
    while is_first || !rest.starts_with(']') {
        is_first = false;
        let (part, after) = match named(rest, case)? {
            Some(found) => found,
            None => range(rest, text)?,
        };
        members.add(&part);
        rest = after;
    }
    // Names have their other cases already.
    Ok((sign.of(folded(members.class(), case)), &rest[1..]))
}

/// What a class in brackets has so far. To keep it in order with each part of it would take a time
/// that grows with the square of its length.
struct Members {
    ordered: ClassUnicode,
    collected: Vec<ClassUnicodeRange>,
}

impl Members {
    fn add(&mut self, part: &ClassUnicode) {
        self.collected.extend_from_slice(part.ranges());
        if self.collected.len() > RANGES_COLLECTED_MAX + self.ordered.ranges().len() {
            self.order();
        }
    }

    fn order(&mut self) {
        self.ordered.union(&ClassUnicode::new(self.collected.drain(..)));
    }

    fn class(mut self) -> ClassUnicode {
        self.order();
        self.ordered
    }
}

/// A class with a name within brackets.
fn named(text: &str, case: Case) -> Found<'_> {
    if let Some(found) = posix(text, case)? {
        return Ok(Some(found));
    }
    escaped(text, case)
}

/// A class that an escape stands for: `\d`, `\pL`, `\P{Greek}`.
pub(crate) fn escaped(text: &str, case: Case) -> Found<'_> {
    let Some(rest) = text.strip_prefix('\\') else { return Ok(None) };
    let Some(letter) = rest.chars().next() else { return Ok(None) };
    let characters = match letter {
        'd' | 'D' => DIGITS,
        's' | 'S' => SPACES,
        'w' | 'W' => WORD,
        'p' | 'P' => return unicode(text, case).map(Some),
        _ => return Ok(None),
    };
    let sign = if letter.is_ascii_uppercase() { Sign::AllElse } else { Sign::Named };
    let class = group(characters, sign, case);
    Ok(Some((class, &rest[1..])))
}

/// `[:alpha:]`, `[:^alpha:]`.
fn posix(text: &str, case: Case) -> Found<'_> {
    let Some(inner) = text.strip_prefix("[:") else { return Ok(None) };
    let Some(end) = inner.find(":]") else { return Ok(None) };
    let (name, rest) = (&inner[..end], &inner[end + 2..]);
    let (sign, name) = match name.strip_prefix('^') {
        Some(name) => (Sign::AllElse, name),
        None => (Sign::Named, name),
    };
    match POSIX.iter().find(|(known, _)| *known == name) {
        Some((_, characters)) => Ok(Some((group(characters, sign, case), rest))),
        None => Err(ErrorCode::CharRange.at(&text[..text.len() - rest.len()])),
    }
}

fn group(characters: Ascii, sign: Sign, case: Case) -> ClassUnicode {
    let ranges = characters.iter().map(|(low, high)| ClassUnicodeRange::new(*low, *high));
    sign.of(folded(ClassUnicode::new(ranges), case))
}

impl Sign {
    fn flipped(self) -> Self {
        if self == Self::Named { Self::AllElse } else { Self::Named }
    }

    fn of(self, mut class: ClassUnicode) -> ClassUnicode {
        if self == Self::AllElse {
            class.negate();
        }
        class
    }
}

/// The class with the other cases of its letters, where they are asked for.
pub(crate) fn folded(mut class: ClassUnicode, case: Case) -> ClassUnicode {
    if case == Case::Kept {
        return class;
    }
    let fold = |class: &mut ClassUnicode| {
        class.try_case_fold_simple().expect("the tables of cases are compiled in");
    };
    if class.ranges().iter().all(|range| range.len() < RANGE_LONG_MIN) {
        fold(&mut class);
    } else {
        // Folding looks at each character, and there are a million.
        let mut letters = class.clone();
        letters.intersect(&CASED);
        fold(&mut letters);
        class.union(&letters);
    }
    class
}

/// The characters that have another case, and a few more.
static CASED: LazyLock<ClassUnicode> = LazyLock::new(|| {
    let is_cased = |c: &char| !c.to_lowercase().eq([*c]) || !c.to_uppercase().eq([*c]);
    let range = |c| ClassUnicodeRange::new(c, c);
    ClassUnicode::new(('\0'..=char::MAX).filter(is_cased).map(range))
});

/// One character, or a range of them, as it is written. `whole` is the text from the opening bracket
/// on.
fn range<'a>(text: &'a str, whole: &str) -> Result<(ClassUnicode, &'a str), Error> {
    let (low, mut rest) = member(text, whole)?;
    let mut high = low;
    // `[a-]` means `a` or `-`.
    if rest.starts_with('-') && rest.len() > 1 && !rest[1..].starts_with(']') {
        (high, rest) = member(&rest[1..], whole)?;
        if high < low {
            return Err(ErrorCode::CharRange.at(&text[..text.len() - rest.len()]));
        }
    }
    Ok((between(low, high), rest))
}

fn member<'a>(text: &'a str, whole: &str) -> Result<(u32, &'a str), Error> {
    let mut characters = text.chars();
    match characters.next() {
        None => Err(ErrorCode::MissingBracket.at(whole)),
        Some('\\') => escape::read(text),
        Some(character) => Ok((u32::from(character), characters.as_str())),
    }
}

/// The characters from one code point to another. Surrogates are none.
pub(crate) fn between(low: u32, high: u32) -> ClassUnicode {
    let first = (low..=high.min(0xDFFF)).find_map(char::from_u32);
    let first = first.or_else(|| char::from_u32(low.max(0xE000)));
    let last = char::from_u32(high).or_else(|| char::from_u32(0xD7FF));
    match (first, last) {
        (Some(first), Some(last)) if first <= last => {
            ClassUnicode::new([ClassUnicodeRange::new(first, last)])
        }
        _ => ClassUnicode::empty(),
    }
}

/// `\pL`, `\p{Greek}`, `\P{^Greek}`.
fn unicode(text: &str, case: Case) -> Result<(ClassUnicode, &str), Error> {
    let sign = if text[1..].starts_with('P') { Sign::AllElse } else { Sign::Named };
    let mut characters = text[2..].chars();
    let (name, rest) = match characters.next() {
        Some('{') => match text.find('}') {
            Some(end) => (&text[3..end], &text[end + 1..]),
            None => return Err(ErrorCode::CharRange.at(text)),
        },
        _ => (&text[2..text.len() - characters.as_str().len()], characters.as_str()),
    };
    let refusal = || ErrorCode::CharRange.at(&text[..text.len() - rest.len()]);
    let (sign, name) = match name.strip_prefix('^') {
        Some(name) => (sign.flipped(), name),
        None => (sign, name),
    };
    let class = property(name).ok_or_else(refusal)?;
    Ok((sign.of(folded(class, case)), rest))
}

/// The characters of a category or a script.
fn property(name: &str) -> Option<ClassUnicode> {
    let name: String = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect();
    let name = name.to_ascii_lowercase();
    let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase());
    match &*name {
        "any" => return Some(between(0, u32::from(char::MAX))),
        "ascii" => return Some(between(0, 0x7F)),
        "assigned" => return Some(Sign::AllElse.of(lookup("gc", "cn")?)),
        // Surrogates are no characters of a text.
        "cs" | "surrogate" => return Some(ClassUnicode::empty()),
        "" => return None,
        // Rust's tables have names that start so, Go's none.
        _ if !is_word || name.starts_with("is") => return None,
        _ => {}
    }
    // Of scripts Go knows the full names only; those with four letters are short for others, but
    // for these.
    let is_short = name.len() == 4 && !["cham", "kawi", "lisu", "thai", "toto"].contains(&&*name);
    lookup("gc", &name).or_else(|| lookup("sc", &name).filter(|_| !is_short))
}

fn lookup(kind: &str, name: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!(r"\p{{{kind}={name}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character is kept as a text.
        HirKind::Literal(literal) => {
            let character = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(character, character)]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_without_another_case_has_one() {
        let mut others = ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)]);
        others.difference(&CASED);
        let mut folded = others.clone();
        folded.try_case_fold_simple().expect("tables of cases");
        assert_eq!(folded, others);
    }
}
