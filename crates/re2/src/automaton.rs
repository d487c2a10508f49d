//! Automata that match all of a text in a known number of steps.
//!
//! One that remembers its states while it matches, as most do, takes a step for each byte until
//! the text makes it forget them, and thousands from then on. Nobody can tell beforehand. So the
//! states are all made beforehand, as a table, where they are few; where they are not, those that
//! are possible are followed side by side, and counted.
//!
//! To make a table takes as long as to follow the states through thousands of texts, and of thousands
//! of expressions most are asked seldom. So there are automata that get their table only once they
//! have followed states for so long.

mod growing;
mod threads;

use std::sync::Arc;

use regex_automata::dfa::{Automaton as States, StartKind, dense, sparse};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

use self::growing::Growing;
use self::threads::Threads;
use crate::error::Error;
use crate::limits::{REGEX_BYTES_MAX, TABLE_BYTES_MAX};
use crate::tables::Tables;

/// Bytes of a table in which each state has a place for each byte; a larger one is packed, which
/// takes a tenth and is slower.
const WIDE_TABLE_BYTES_MAX: usize = 16 * 1024;
/// As how many steps one of a packed table counts.
const PACKED_STEPS: usize = 4;

/// What matches all of a text.
#[derive(Debug)]
pub(crate) enum Automaton {
    Table(Box<Table>),
    /// There would be too many states for a table.
    Threads(Box<NFA>),
    /// It may get a table yet.
    Growing(Box<Growing>),
}

/// All states of an automaton.
#[derive(Debug)]
pub(crate) enum Table {
    Wide(dense::DFA<Vec<u32>>),
    Packed(sparse::DFA<Vec<u8>>),
}

impl Automaton {
    /// One that has its table from the beginning.
    pub(crate) fn new(hir: &Hir) -> Result<Self, Error> {
        let nfa = nfa(hir)?;
        Ok(match Table::within(&nfa, TABLE_BYTES_MAX) {
            Some(table) => Self::Table(Box::new(table)),
            None => Self::Threads(Box::new(nfa)),
        })
    }

    /// One that gets its table once it is worth it.
    pub(crate) fn growing(hir: &Hir, tables: &Arc<Tables>) -> Result<Self, Error> {
        Ok(Self::Growing(Box::new(Growing::new(nfa(hir)?, Arc::clone(tables)))))
    }

    /// Whether it matches, however many steps that takes.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Growing(growing) => growing.matches(text),
            _ => self.matches_within(text, &mut usize::MAX.clone()).unwrap_or(false),
        }
    }

    /// Whether it matches; nothing where that takes more steps than are left. This makes no table.
    pub(crate) fn matches_within(&self, text: &str, steps: &mut usize) -> Option<bool> {
        match self {
            Self::Table(table) => table.matches_within(text, steps),
            Self::Threads(nfa) => Threads::new(nfa, text.as_bytes(), steps)?.run(),
            Self::Growing(growing) => growing.matches_within(text, steps),
        }
    }

    /// Makes its table now, if it may get one; says how many bytes it took to make it or to find out
    /// that there is none.
    pub(crate) fn make_table(&self) -> usize {
        match self {
            Self::Growing(growing) => growing.make_table(TABLE_BYTES_MAX),
            Self::Table(_) | Self::Threads(_) => 0,
        }
    }

    /// Bytes that it takes, without a table that it may get yet. One for which a table was tried in
    /// vain counts as if it had the largest.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Table(table) => table.bytes(),
            Self::Threads(nfa) => nfa.memory_usage() + TABLE_BYTES_MAX,
            Self::Growing(growing) => size_of::<Growing>() + growing.bytes(),
        }
    }
}

impl Table {
    /// The table of an automaton where it takes so many bytes at most.
    fn within(nfa: &NFA, bytes_max: usize) -> Option<Self> {
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .accelerate(false)
            .dfa_size_limit(Some(bytes_max))
            .determinize_size_limit(Some(bytes_max));
        let table = dense::Builder::new().configure(config).build_from_nfa(nfa).ok()?;
        if table.memory_usage() <= WIDE_TABLE_BYTES_MAX {
            return Some(Self::Wide(table));
        }
        table.to_sparse().ok().map(Self::Packed)
    }

    fn matches_within(&self, text: &str, steps: &mut usize) -> Option<bool> {
        match self {
            Self::Wide(table) => {
                spend(steps, text.len())?;
                Some(is_in(table, text))
            }
            Self::Packed(table) => {
                spend(steps, text.len() * PACKED_STEPS)?;
                Some(is_in(table, text))
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Wide(table) => table.memory_usage(),
            Self::Packed(table) => table.memory_usage(),
        }
    }
}

fn nfa(hir: &Hir) -> Result<NFA, Error> {
    let config = thompson::Config::new()
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(REGEX_BYTES_MAX));
    // Syntax was checked before; what is left is the size.
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir);
    nfa.map_err(|_| Error::TooLarge)
}

fn spend(steps: &mut usize, count: usize) -> Option<()> {
    *steps = steps.checked_sub(count)?;
    Some(())
}

fn is_in(table: &impl States, text: &str) -> bool {
    let input = Input::new(text).anchored(Anchored::Yes);
    let Ok(mut state) = table.start_state_forward(&input) else { return false };
    for byte in text.bytes() {
        state = table.next_state(state, byte);
        if table.is_special_state(state) && table.is_dead_state(state) {
            return false;
        }
    }
    table.is_match_state(table.next_eoi_state(state))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Regex;
    use crate::parse::{self, Flags};

    fn hir(text: &str) -> Hir {
        let flags = Flags { dot_is_newline: true, ..Flags::NONE };
        parse::parse(text, flags).expect(text).hir
    }

    /// One of each kind, whatever would be made of it.
    fn all(text: &str) -> [Automaton; 5] {
        let new = Automaton::new(&hir(text)).expect(text);
        let Automaton::Table(table) = &new else { panic!("{text} has no table") };
        let Table::Wide(table) = &**table else { panic!("{text} has a large table") };
        let packed = Table::Packed(table.to_sparse().expect(text));
        let packed = Automaton::Table(Box::new(packed));
        let threads = Automaton::Threads(Box::new(nfa(&hir(text)).expect(text)));
        let tables = Arc::new(Tables::new(TABLE_BYTES_MAX));
        let growing = || Automaton::growing(&hir(text), &tables).expect(text);
        let grown = growing();
        assert!(grown.make_table() > 0, "{text}");
        [packed, threads, growing(), grown, new]
    }

    #[test]
    fn a_hostile_text_takes_no_more_steps_than_it_may() {
        let evil = ["a", "b", "ab", "aab"].map(|part| part.repeat(4_096 / part.len()));
        for text in ["(?:[ab]{0,999}c|.*)", ".*a.{20}", "(.*[ab].{0,30}){10}", r"\pL{20}|.*x"] {
            let automaton = Automaton::new(&hir(text)).expect(text);
            for evil in &evil {
                let mut steps = 64 * 1024;
                let within = automaton.matches_within(evil, &mut steps);
                let expected = automaton.matches_within(evil, &mut usize::MAX.clone());
                assert!(within.is_none() || within == expected, "{text}");
            }
        }
        let table = Automaton::new(&hir("(?:[ab]{0,999}c|.*)")).expect("an expression");
        let mut steps = 64 * 1024;
        assert_eq!(table.matches_within(&evil[0], &mut steps), Some(true));
        let threads = Automaton::new(&hir("(.*[ab].{0,30}){10}")).expect("an expression");
        assert_eq!(threads.matches_within(&evil[0], &mut steps), None);
        // What is short is told all the same.
        let mut steps = 64 * 1024;
        assert_eq!(threads.matches_within("oslo-17", &mut steps), Some(false));
        assert_eq!(threads.matches_within("abababababab", &mut steps), Some(true));
    }

    #[test]
    fn what_has_no_table_counts_as_the_largest() {
        let bytes = |text: &str| Automaton::new(&hir(text)).expect(text).bytes();
        assert!(bytes(".*foo.*bar.*") < 8 * 1024);
        assert!(bytes(r"(?i)node-\d+\.(?:oslo|bergen)\..*") <= WIDE_TABLE_BYTES_MAX);
        assert!(bytes(".*a.{20}") > TABLE_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn all_match_what_one_that_remembers_matches(
            text in r"([abé]|\.|\[ab\]|\(a\|ab\)|\\b|\^|\$|\(\?i\)a|\((a|b|\\b)?\)[*+?]|b[*+?]|\|){0,7}",
            tried in "[abAé \n]{0,5}",
        ) {
            let whole = Regex::new(&format!("^(?s:{text})$")).expect("an expression");
            for automaton in all(&text) {
                let found = automaton.matches_within(&tried, &mut usize::MAX.clone());
                prop_assert_eq!(found, Some(whole.is_match(&tried)), "{}: {:?}", &text, &automaton);
                prop_assert_eq!(found, Some(automaton.matches(&tried)));
            }
        }
    }
}
