//! Automata that match all of a text in a known number of steps.
//!
//! One that remembers its states while it matches, as most do, takes a step for each byte until
//! the text makes it forget them, and thousands from then on. Nobody can tell beforehand. So the
//! states are all made beforehand, as a table, where they are few; where they are not, those that
//! are possible are followed side by side, and counted.

use regex_automata::dfa::{Automaton as Table, StartKind, dense, sparse};
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

use crate::error::Error;
use crate::limits::{REGEX_BYTES_MAX, TABLE_BYTES_MAX};

/// Bytes of a table in which each state has a place for each byte; a larger one is packed, which
/// takes a tenth and is slower.
const WIDE_TABLE_BYTES_MAX: usize = 16 * 1024;
/// As how many steps one of a packed table counts.
const PACKED_STEPS: usize = 4;

/// What matches all of a text.
#[derive(Debug)]
pub(crate) enum Automaton {
    Wide(dense::DFA<Vec<u32>>),
    Packed(sparse::DFA<Vec<u8>>),
    /// There would be too many states.
    Threads(Box<NFA>),
}

impl Automaton {
    pub(crate) fn new(hir: &Hir) -> Result<Self, Error> {
        Self::within(hir, TABLE_BYTES_MAX)
    }

    /// One whose table takes so many bytes at most.
    fn within(hir: &Hir, bytes_max: usize) -> Result<Self, Error> {
        let config = thompson::Config::new()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(REGEX_BYTES_MAX));
        // Syntax was checked before; what is left is the size.
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir);
        let nfa = nfa.map_err(|_| Error::TooLarge)?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .accelerate(false)
            .dfa_size_limit(Some(bytes_max))
            .determinize_size_limit(Some(bytes_max));
        let Ok(table) = dense::Builder::new().configure(config).build_from_nfa(&nfa) else {
            return Ok(Self::Threads(Box::new(nfa)));
        };
        if table.memory_usage() <= WIDE_TABLE_BYTES_MAX {
            return Ok(Self::Wide(table));
        }
        Ok(table.to_sparse().map_or_else(|_| Self::Threads(Box::new(nfa)), Self::Packed))
    }

    /// Whether it matches; nothing where that takes more steps than are left.
    pub(crate) fn matches_within(&self, text: &str, steps: &mut usize) -> Option<bool> {
        match self {
            Self::Wide(table) => {
                spend(steps, text.len())?;
                Some(is_in(table, text))
            }
            Self::Packed(table) => {
                spend(steps, text.len() * PACKED_STEPS)?;
                Some(is_in(table, text))
            }
            Self::Threads(nfa) => Threads::new(nfa, text.as_bytes(), steps)?.run(),
        }
    }

    /// Bytes that it takes. One without a table counts as if it had the largest, which was tried.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Wide(table) => table.memory_usage(),
            Self::Packed(table) => table.memory_usage(),
            Self::Threads(nfa) => nfa.memory_usage() + TABLE_BYTES_MAX,
        }
    }
}

fn spend(steps: &mut usize, count: usize) -> Option<()> {
    *steps = steps.checked_sub(count)?;
    Some(())
}

fn is_in(table: &impl Table, text: &str) -> bool {
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

/// The states that are possible at a place of a text, all at once.
struct Threads<'a> {
    nfa: &'a NFA,
    text: &'a [u8],
    steps: &'a mut usize,
    /// For each state, behind how many bytes it was reached last, plus one.
    reached: Vec<u32>,
    /// Those that wait for the next byte.
    waiting: Vec<StateID>,
    is_match: bool,
}

impl<'a> Threads<'a> {
    fn new(nfa: &'a NFA, text: &'a [u8], steps: &'a mut usize) -> Option<Self> {
        let states = nfa.states().len();
        // What the list takes.
        spend(steps, states / 16)?;
        let (reached, waiting) = (vec![0; states], Vec::new());
        Some(Self { nfa, text, steps, reached, waiting, is_match: false })
    }

    fn run(mut self) -> Option<bool> {
        let mut open = vec![self.nfa.start_anchored()];
        self.reach(&mut open, 0)?;
        for (at, byte) in self.text.iter().enumerate() {
            let waiting = std::mem::take(&mut self.waiting);
            if waiting.is_empty() {
                return Some(false);
            }
            spend(self.steps, waiting.len())?;
            open.extend(waiting.iter().filter_map(|state| match self.nfa.state(*state) {
                State::ByteRange { trans } => trans.matches_byte(*byte).then_some(trans.next),
                State::Sparse(next) => next.matches_byte(*byte),
                State::Dense(next) => next.matches_byte(*byte),
                _ => None,
            }));
            self.reach(&mut open, at + 1)?;
        }
        Some(self.is_match)
    }

    /// Goes from the states that are open to those that wait for a byte behind so many.
    fn reach(&mut self, open: &mut Vec<StateID>, at: usize) -> Option<()> {
        self.is_match = false;
        while let Some(id) = open.pop() {
            let reached = &mut self.reached[id.as_usize()];
            if std::mem::replace(reached, at as u32 + 1) == at as u32 + 1 {
                continue;
            }
            spend(self.steps, 1)?;
            match self.nfa.state(id) {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => {
                    self.waiting.push(id);
                }
                State::Look { look, next } => {
                    if self.nfa.look_matcher().matches(*look, self.text, at) {
                        open.push(*next);
                    }
                }
                State::Union { alternates } => {
                    spend(self.steps, alternates.len())?;
                    open.extend(alternates);
                }
                State::BinaryUnion { alt1, alt2 } => open.extend([alt1, alt2]),
                State::Capture { next, .. } => open.push(*next),
                State::Match { .. } => self.is_match = true,
                State::Fail => {}
            }
        }
        Some(())
    }
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

    /// One made to fit each kind, as the first of them does that may take so much.
    fn all(text: &str) -> [Automaton; 3] {
        let wide = Automaton::new(&hir(text)).expect(text);
        let Automaton::Wide(table) = &wide else { panic!("{text} has a large table") };
        let packed = Automaton::Packed(table.to_sparse().expect(text));
        [packed, Automaton::within(&hir(text), 0).expect(text), wide]
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
            }
        }
    }
}
