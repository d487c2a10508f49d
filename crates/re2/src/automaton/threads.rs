//! Automata whose states are too many for a table, followed side by side.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;

use super::spend;

/// The states that are possible at a place of a text, all at once.
pub(super) struct Threads<'a> {
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
    pub(super) fn new(nfa: &'a NFA, text: &'a [u8], steps: &'a mut usize) -> Option<Self> {
        let states = nfa.states().len();
        // What the list takes.
        spend(steps, states / 16)?;
        let (reached, waiting) = (vec![0; states], Vec::new());
        Some(Self { nfa, text, steps, reached, waiting, is_match: false })
    }

    /// Whether the whole text matches.
    pub(super) fn run(mut self) -> Option<bool> {
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
