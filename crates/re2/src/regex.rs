//! An expression that was compiled.

use std::fmt;

use regex_automata::meta;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::captures::Captures;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

use crate::error::Error;
use crate::expansion;
use crate::limits::REGEX_BYTES_MAX;
use crate::parse::{self, Flags};

/// Bytes of the states that an automaton remembers while it matches, and makes again when there are
/// more.
const CACHE_BYTES_MAX: usize = 256 * 1024;
/// Bytes that an automaton notes of what groups have matched: for each of its states all groups. The
/// largest automaton has room for one, and one of a usual size for hundreds.
const SLOT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An expression as Go's package `regexp` compiles it.
#[derive(Clone, Debug)]
pub struct Regex {
    text: Box<str>,
    automaton: meta::Regex,
    names: Box<[(Box<str>, usize)]>,
    bytes: usize,
}

impl Regex {
    /// Compiles an expression.
    pub fn new(text: &str) -> Result<Self, Error> {
        let parsed = parse::parse(text, Flags::NONE)?;
        let automaton = compiled(&parsed.hir)?;
        let slot_bytes = slot_bytes(&automaton, &parsed.hir)?;
        if slot_bytes > SLOT_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let bytes = text.len() + bytes(&automaton) + slot_bytes;
        Ok(Self { text: text.into(), automaton, names: parsed.names.into(), bytes })
    }

    /// Whether it matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.automaton.is_match(text)
    }

    /// What the template comes to with what the groups of the first match hold; nothing where there
    /// is no match.
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let mut captures = self.automaton.create_captures();
        self.automaton.captures(text, &mut captures);
        if !captures.is_match() {
            return None;
        }
        let mut expanded = String::new();
        self.expand_captures(text, template, &captures, &mut expanded);
        Some(expanded)
    }

    /// The text with every match replaced by what the template comes to.
    pub fn replace_all(&self, text: &str, template: &str) -> String {
        let mut captures = self.automaton.create_captures();
        let mut replaced = String::with_capacity(text.len());
        let mut copied = 0;
        let mut searched = 0;
        // Where the last match ended; a match of nothing does not follow another at once.
        let mut ended = None;
        while searched <= text.len() {
            let input = Input::new(text).range(searched..).anchored(Anchored::No);
            self.automaton.search_captures(&input, &mut captures);
            let Some(found) = captures.get_match() else { break };
            replaced.push_str(&text[copied..found.start()]);
            copied = found.end();
            if !found.is_empty() || ended != Some(found.end()) {
                self.expand_captures(text, template, &captures, &mut replaced);
            }
            ended = Some(found.end());
            let width = text[searched..].chars().next().map_or(1, char::len_utf8);
            searched = found.end().max(searched + width);
        }
        replaced.push_str(&text[copied..]);
        replaced
    }

    fn expand_captures(&self, text: &str, template: &str, captures: &Captures, out: &mut String) {
        let numbered = |number| captures.get_group(number).map(|span| &text[span.start..span.end]);
        // Several groups may have one name; the first that took part counts.
        let named = |name: &str| {
            let mut groups = self.names.iter().filter(|(known, _)| **known == *name);
            groups.find_map(|(_, number)| numbered(*number))
        };
        expansion::expand(template, out, numbered, named);
    }

    /// Bytes that it takes: compiled, and for what it notes while it matches.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Display for Regex {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn bytes(automaton: &meta::Regex) -> usize {
    automaton.memory_usage() + automaton.create_cache().memory_usage()
}

/// What matches an expression.
fn compiled(hir: &Hir) -> Result<meta::Regex, Error> {
    let config = meta::Config::new()
        .which_captures(WhichCaptures::All)
        .nfa_size_limit(Some(REGEX_BYTES_MAX))
        .onepass_size_limit(Some(REGEX_BYTES_MAX))
        .hybrid_cache_capacity(CACHE_BYTES_MAX);
    // Syntax was checked before; what is left is the size.
    meta::Builder::new().configure(config).build_from_hir(hir).map_err(|_| Error::TooLarge)
}

/// Bytes that are noted of what groups have matched, at most.
fn slot_bytes(automaton: &meta::Regex, hir: &Hir) -> Result<usize, Error> {
    let config = thompson::Config::new().nfa_size_limit(Some(REGEX_BYTES_MAX));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir);
    let states = nfa.map_err(|_| Error::TooLarge)?.states().len();
    // Where each group begins and where it ends, for this character and for the next.
    Ok(states * automaton.captures_len() * 2 * size_of::<usize>() * 2)
}
