//! From the text of an expression to what Rust's automata are built of.
//!
//! It reads as Go's `regexp/syntax` does, in one pass with a stack of the groups that are open, so
//! that no text is deep enough to exhaust ours.

use regex_syntax::hir::{
    Capture, Class, ClassUnicode, ClassUnicodeRange, Dot as AnyCharacter, Hir, HirKind, Look,
    Repetition,
};

use crate::class::{self, Case};
use crate::error::{Error, ErrorCode};
use crate::escape;
use crate::limits::REGEX_BYTES_MAX;

/// How often something may be repeated, repetitions within repetitions multiplied.
const REPETITIONS_MAX: u64 = 1000;
/// How deep parts may be within parts.
const HEIGHT_MAX: u32 = 1000;
/// Parts that are joined with others, for each byte of the text. Those of groups that do not capture
/// are joined once more at each level: many of them deep within others would take long.
const JOINED_PER_BYTE_MAX: usize = 32;
/// A number in a repetition that is larger than any other is read as this one.
const COUNT_MAX: u32 = 100_000_000;

/// An expression that was read.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) hir: Hir,
    /// The groups that have a name, in the order of the text.
    pub(crate) names: Vec<(Box<str>, usize)>,
}

/// How the text from here on is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// `i`.
    pub(crate) case: Case,
    /// `m`: `^` and `$` are about lines.
    pub(crate) is_multi_line: bool,
    /// `s`: `.` is a line break, too.
    pub(crate) dot_is_newline: bool,
    /// `U`: repetitions take as little as they can.
    pub(crate) is_reluctant: bool,
}

impl Flags {
    /// Those that hold where no others are asked for.
    pub(crate) const NONE: Self =
        Self { case: Case::Kept, is_multi_line: false, dot_is_newline: false, is_reluctant: false };
}

/// A part of an expression.
struct Part {
    hir: Hir,
    /// How deep the parts within it are.
    height: u32,
    /// How often the part within it that is repeated most often is.
    repetitions: u64,
}

/// A group that is open; the expression itself is the first.
struct Group {
    /// Its number, where it captures.
    capture: Option<u32>,
    /// The flags that hold again behind it.
    flags_behind: Flags,
    branches: Vec<Part>,
    parts: Vec<Part>,
    /// Plain characters behind the last part. They are one part, unless the last is repeated.
    run: String,
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    flags: Flags,
    groups: Vec<Group>,
    captures: u32,
    names: Vec<(Box<str>, usize)>,
    /// Bytes that classes take.
    class_bytes: usize,
    /// Parts that were joined with others.
    joined: usize,
}

/// A repetition, and where it begins and ends, in bytes of what is left of the text.
struct Counted<'a> {
    min: u32,
    max: Option<u32>,
    rest: &'a str,
}

/// Reads an expression.
pub(crate) fn parse(text: &str, flags: Flags) -> Result<Parsed, Error> {
    parse_each(text, flags, |_| {})
}

/// Reads an expression, and shows each of its items once it is read.
pub(crate) fn parse_each<'a>(
    text: &'a str,
    flags: Flags,
    mut each: impl FnMut(&'a str),
) -> Result<Parsed, Error> {
    let groups = vec![Group::new(None, flags)];
    let mut parser = Parser {
        text,
        rest: text,
        flags,
        groups,
        captures: 0,
        names: Vec::new(),
        class_bytes: 0,
        joined: 0,
    };
    // Where the repetition began that was just read, for a second one behind it.
    let mut repeated = None;
    while let Some(next) = parser.rest.chars().next() {
        let before = parser.rest;
        let is_repetition = parser.item(next, repeated)?;
        each(&before[..before.len() - parser.rest.len()]);
        repeated = is_repetition.then_some(before);
    }
    let Some(group) = parser.groups.pop().filter(|_| parser.groups.is_empty()) else {
        return Err(ErrorCode::MissingParenthesis.at(text));
    };
    let part = parser.closed(group)?;
    Ok(Parsed { hir: part.hir, names: parser.names })
}

impl<'a> Parser<'a> {
    /// Reads what `next` begins. Says whether it was a repetition.
    fn item(&mut self, next: char, repeated: Option<&'a str>) -> Result<bool, Error> {
        match next {
            '(' if self.rest.starts_with("(?") => self.perl_group()?,
            '(' => {
                self.step(1);
                self.captures += 1;
                self.groups.push(Group::new(Some(self.captures), self.flags));
            }
            '|' => {
                self.step(1);
                self.end_branch()?;
            }
            ')' => {
                self.step(1);
                self.close()?;
            }
            '^' => {
                self.look(1, if self.flags.is_multi_line { Look::StartLF } else { Look::Start })?;
            }
            '$' => self.look(1, if self.flags.is_multi_line { Look::EndLF } else { Look::End })?,
            '.' => {
                self.step(1);
                let dot = if self.flags.dot_is_newline {
                    AnyCharacter::AnyChar
                } else {
                    AnyCharacter::AnyCharExceptLF
                };
                self.push(Part::leaf(Hir::dot(dot)))?;
            }
            '[' => {
                let (class, rest) = class::bracketed(self.rest, self.flags.case)?;
                self.rest = rest;
                self.class(class)?;
            }
            '*' => return self.repeat(1, 0, None, repeated),
            '+' => return self.repeat(1, 1, None, repeated),
            '?' => return self.repeat(1, 0, Some(1), repeated),
            '{' => return self.brace(repeated),
            '\\' => self.backslash()?,
            _ => {
                self.step(next.len_utf8());
                self.literal(next)?;
            }
        }
        Ok(false)
    }

    fn step(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn group(&mut self) -> &mut Group {
        self.groups.last_mut().expect("the expression itself stays open until its end")
    }

    fn push(&mut self, part: Part) -> Result<(), Error> {
        if part.height > HEIGHT_MAX {
            return Err(ErrorCode::NestingDepth.at(self.text));
        }
        let group = self.group();
        group.end_run();
        group.parts.push(part);
        Ok(())
    }

    fn look(&mut self, bytes: usize, look: Look) -> Result<(), Error> {
        self.step(bytes);
        self.push(Part::leaf(Hir::look(look)))
    }

    fn literal(&mut self, character: char) -> Result<(), Error> {
        if self.flags.case == Case::Folded {
            let class = ClassUnicode::new([ClassUnicodeRange::new(character, character)]);
            let class = class::folded(class, self.flags.case);
            if class.ranges().len() > 1 || class.ranges()[0].len() > 1 {
                return self.class(class);
            }
        }
        self.group().run.push(character);
        Ok(())
    }

    fn class(&mut self, class: ClassUnicode) -> Result<(), Error> {
        self.class_bytes += size_of_val(class.ranges());
        if self.class_bytes > REGEX_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        self.push(Part::leaf(Hir::class(Class::Unicode(class))))
    }

    fn end_branch(&mut self) -> Result<(), Error> {
        let parts = self.group().take_parts();
        let branch = self.join(parts, Hir::concat)?;
        self.group().branches.push(branch);
        Ok(())
    }

    /// Several parts as one.
    fn join(&mut self, mut parts: Vec<Part>, join: fn(Vec<Hir>) -> Hir) -> Result<Part, Error> {
        if parts.len() == 1 {
            return Ok(parts.swap_remove(0));
        }
        self.joined += parts.iter().map(Part::width).sum::<usize>();
        let height = parts.iter().map(|part| part.height).max().unwrap_or(0) + 1;
        if height > HEIGHT_MAX || self.joined > JOINED_PER_BYTE_MAX * self.text.len() {
            return Err(ErrorCode::NestingDepth.at(self.text));
        }
        let repetitions = parts.iter().map(|part| part.repetitions).max().unwrap_or(1);
        let hir = join(parts.into_iter().map(|part| part.hir).collect());
        Ok(Part { hir, height, repetitions })
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.groups.len() == 1 {
            return Err(ErrorCode::UnexpectedParenthesis.at(self.text));
        }
        let group = self.groups.pop().expect("there are at least two");
        self.flags = group.flags_behind;
        let part = self.closed(group)?;
        self.push(part)
    }

    /// What a group comes to whose end was read.
    fn closed(&mut self, mut group: Group) -> Result<Part, Error> {
        let last = self.join(group.take_parts(), Hir::concat)?;
        group.branches.push(last);
        let part = self.join(group.branches, Hir::alternation)?;
        let part = match group.capture {
            None => part,
            Some(index) => {
                let sub = Box::new(part.hir);
                let hir = Hir::capture(Capture { index, name: None, sub });
                Part { hir, height: part.height + 1, ..part }
            }
        };
        if part.height > HEIGHT_MAX {
            return Err(ErrorCode::NestingDepth.at(self.text));
        }
        Ok(part)
    }

    /// `{2,5}`, or a brace that is a character.
    fn brace(&mut self, repeated: Option<&'a str>) -> Result<bool, Error> {
        let Some(Counted { min, max, rest }) = counted(self.rest) else {
            self.step(1);
            self.literal('{')?;
            return Ok(false);
        };
        let text = &self.rest[..self.rest.len() - rest.len()];
        let most = u64::from(max.unwrap_or(min).max(min));
        if most > REPETITIONS_MAX || max.is_some_and(|max| min > max) {
            return Err(ErrorCode::RepetitionCount.at(text));
        }
        self.repeat(text.len(), min, max, repeated)
    }

    /// Repeats the last part. The operator has `bytes` bytes.
    fn repeat(
        &mut self,
        bytes: usize,
        min: u32,
        max: Option<u32>,
        repeated: Option<&'a str>,
    ) -> Result<bool, Error> {
        let before = self.rest;
        self.step(bytes);
        let mut greedy = !self.flags.is_reluctant;
        if self.rest.starts_with('?') {
            self.step(1);
            greedy = !greedy;
        }
        let from = |start: &'a str, rest: &str| &start[..start.len() - rest.len()];
        if let Some(start) = repeated {
            return Err(ErrorCode::NestedRepetition.at(from(start, self.rest)));
        }
        let text = from(before, self.rest);
        self.group().part_character();
        let Some(sub) = self.group().parts.pop() else {
            return Err(ErrorCode::MissingArgument.at(text));
        };
        let is_counted = before.starts_with('{');
        let copies = if is_counted { u64::from(max.unwrap_or(min).max(1)) } else { 1 };
        let repetitions = if max == Some(0) { 1 } else { copies * sub.repetitions };
        if copies > 1 && repetitions > REPETITIONS_MAX {
            return Err(ErrorCode::RepetitionCount.at(text));
        }
        let repetition = Repetition { min, max, greedy, sub: Box::new(sub.hir) };
        let (hir, height) = (Hir::repetition(repetition), sub.height + 1);
        self.push(Part { hir, height, repetitions })?;
        Ok(true)
    }

    /// `(?i)`, `(?i:`, `(?P<name>`, `(?<name>`.
    fn perl_group(&mut self) -> Result<(), Error> {
        let text = self.rest;
        for opening in ["(?P<", "(?<"] {
            if let Some(inner) = text.strip_prefix(opening).filter(|inner| !inner.is_empty()) {
                return self.named_group(inner);
            }
        }
        let outside = self.flags;
        let mut flags = outside;
        let mut is_set = true;
        let mut has_flag = false;
        let mut characters = text[2..].chars();
        let closing = loop {
            match characters.next() {
                Some('i') => flags.case = if is_set { Case::Folded } else { Case::Kept },
                Some('m') => flags.is_multi_line = is_set,
                Some('s') => flags.dot_is_newline = is_set,
                Some('U') => flags.is_reluctant = is_set,
                Some('-') if is_set => {
                    (is_set, has_flag) = (false, false);
                    continue;
                }
                Some(closing @ (':' | ')')) if is_set || has_flag => break closing,
                _ => {
                    let read = text.len() - characters.as_str().len();
                    return Err(ErrorCode::PerlOperator.at(&text[..read]));
                }
            }
            has_flag = true;
        };
        self.rest = characters.as_str();
        if closing == ':' {
            self.groups.push(Group::new(None, outside));
        }
        self.flags = flags;
        Ok(())
    }

    fn named_group(&mut self, inner: &'a str) -> Result<(), Error> {
        let text = self.rest;
        let Some(end) = inner.find('>') else {
            return Err(ErrorCode::NamedCapture.at(text));
        };
        let (name, rest) = (&inner[..end], &inner[end + 1..]);
        let is_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(ErrorCode::NamedCapture.at(&text[..text.len() - rest.len()]));
        }
        self.rest = rest;
        self.captures += 1;
        self.names.push((name.into(), self.captures as usize));
        self.groups.push(Group::new(Some(self.captures), self.flags));
        Ok(())
    }

    fn backslash(&mut self) -> Result<(), Error> {
        match self.rest[1..].chars().next() {
            Some('A') => return self.look(2, Look::Start),
            Some('z') => return self.look(2, Look::End),
            Some('b') => return self.look(2, Look::WordAscii),
            Some('B') => return self.look(2, Look::WordAsciiNegate),
            Some('Q') => {
                let quoted = &self.rest[2..];
                let (literal, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                self.rest = rest;
                return literal.chars().try_for_each(|character| self.literal(character));
            }
            _ => {}
        }
        if let Some((class, rest)) = class::escaped(self.rest, self.flags.case)? {
            self.rest = rest;
            return self.class(class);
        }
        let (code, rest) = escape::read(self.rest)?;
        self.rest = rest;
        match char::from_u32(code) {
            Some(character) => self.literal(character),
            // No text has a surrogate.
            None => self.class(ClassUnicode::empty()),
        }
    }
}

impl Group {
    fn new(capture: Option<u32>, flags_behind: Flags) -> Self {
        let (branches, parts, run) = (Vec::new(), Vec::new(), String::new());
        Self { capture, flags_behind, branches, parts, run }
    }

    fn end_run(&mut self) {
        if !self.run.is_empty() {
            let run = std::mem::take(&mut self.run);
            self.parts.push(Part::leaf(Hir::literal(run.into_bytes())));
        }
    }

    /// Makes the last character of the run a part of its own.
    fn part_character(&mut self) {
        if let Some(last) = self.run.pop() {
            self.end_run();
            self.run.push(last);
            self.end_run();
        }
    }

    fn take_parts(&mut self) -> Vec<Part> {
        self.end_run();
        std::mem::take(&mut self.parts)
    }
}

impl Part {
    fn leaf(hir: Hir) -> Self {
        Self { hir, height: 1, repetitions: 1 }
    }

    /// How many parts are joined where this one is: those within it become its neighbours'.
    fn width(&self) -> usize {
        match self.hir.kind() {
            HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.len(),
            HirKind::Literal(text) => 1 + text.0.len() / 64,
            _ => 1,
        }
    }
}

/// The repetition in braces at the start of `text`. Braces around anything else are characters.
fn counted(text: &str) -> Option<Counted<'_>> {
    let (min, rest) = count(&text[1..])?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some(Counted { min, max: Some(min), rest });
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some(Counted { min, max: None, rest });
    }
    let (max, rest) = count(rest)?;
    Some(Counted { min, max: Some(max), rest: rest.strip_prefix('}')? })
}

/// A number without leading zeros.
fn count(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(COUNT_MAX).min(COUNT_MAX), rest))
}
