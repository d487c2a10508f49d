//! Automata that get their table once they have been asked for so long that it would have paid.
//!
//! To wait until then costs twice what would have been best at most, whichever that is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use regex_automata::nfa::thompson::NFA;

use super::Table;
use super::threads::Threads;
use crate::limits::TABLE_BYTES_MAX;
use crate::tables::Tables;

/// After how many steps a table is tried, and of how many bytes: about as long as that takes where
/// it is in vain. Most are small, and soon made.
const TRIES: [(usize, usize); 2] =
    [(128 * 1024, TABLE_BYTES_MAX / 8), (4 * 1024 * 1024, TABLE_BYTES_MAX)];

/// An automaton whose table is made when it is worth it.
#[derive(Debug)]
pub(crate) struct Growing {
    nfa: NFA,
    table: OnceLock<Table>,
    /// Steps that it took without a table.
    spent: AtomicUsize,
    tables: Arc<Tables>,
}

impl Growing {
    pub(super) fn new(nfa: NFA, tables: Arc<Tables>) -> Self {
        Self { nfa, table: OnceLock::new(), spent: AtomicUsize::new(0), tables }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let mut left = usize::MAX;
        let found = self.matches_within(text, &mut left).unwrap_or(false);
        if self.table.get().is_none() {
            self.note(usize::MAX - left);
        }
        found
    }

    pub(super) fn matches_within(&self, text: &str, steps: &mut usize) -> Option<bool> {
        match self.table.get() {
            Some(table) => table.matches_within(text, steps),
            None => Threads::new(&self.nfa, text.as_bytes(), steps)?.run(),
        }
    }

    /// Notes steps that it took without a table.
    fn note(&self, steps: usize) {
        let before = self.spent.fetch_add(steps, Ordering::Relaxed);
        let now = before.saturating_add(steps);
        for (_, bytes_max) in TRIES.iter().filter(|(worth, _)| (before..now).contains(worth)) {
            self.make_table(*bytes_max);
        }
    }

    /// Makes a table of so many bytes at most; says how many were taken for it, or for nothing.
    pub(super) fn make_table(&self, bytes_max: usize) -> usize {
        if self.table.get().is_some() {
            return 0;
        }
        let bytes_max = bytes_max.min(self.tables.left());
        let Some(table) = Table::within(&self.nfa, bytes_max) else { return bytes_max };
        let bytes = table.bytes();
        if self.tables.take(bytes) && self.table.set(table).is_err() {
            // Somebody else has made it at the same time.
            self.tables.give_back(bytes);
        }
        bytes
    }

    /// Bytes that it takes without its table, which counts among all [tables](Tables).
    pub(super) fn bytes(&self) -> usize {
        self.nfa.memory_usage()
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        if let Some(table) = self.table.get() {
            self.tables.give_back(table.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dot, Pattern};

    fn growing(text: &str, tables: &Arc<Tables>) -> Growing {
        let hir = regex_syntax::parse(text).expect(text);
        Growing::new(super::super::nfa(&hir).expect(text), Arc::clone(tables))
    }

    fn has_table(growing: &Growing) -> bool {
        growing.table.get().is_some()
    }

    #[test]
    fn a_table_is_made_once_it_has_been_missed_for_long() {
        let tables = Arc::new(Tables::new(TABLE_BYTES_MAX));
        let growing = growing("(?s:.*foo.*bar.*)", &tables);
        let text = "foo ".repeat(100);
        let mut asked = 0;
        while !has_table(&growing) {
            assert!(!growing.matches(&text));
            // Whoever has only so many steps never makes one.
            growing.matches_within(&text, &mut 10_000_000);
            asked += 1;
            assert!(growing.spent.load(Ordering::Relaxed) < 2 * TRIES[0].0);
        }
        assert!(asked > 10, "{asked}");
        assert!(!growing.matches(&text) && growing.matches(&format!("{text}bar")));
        let taken = TABLE_BYTES_MAX - tables.left();
        assert!(taken > 1_000, "{taken}");
        drop(growing);
        assert_eq!(tables.left(), TABLE_BYTES_MAX);
    }

    #[test]
    fn what_has_no_small_table_is_tried_twice_and_not_again() {
        let tables = Arc::new(Tables::new(TABLE_BYTES_MAX));
        let growing = growing("(?s:.*a.{20})", &tables);
        let text = "ab".repeat(500);
        while growing.spent.load(Ordering::Relaxed) < 2 * TRIES[1].0 {
            assert!(!growing.matches(&text));
        }
        assert!(!has_table(&growing));
        assert_eq!(tables.left(), TABLE_BYTES_MAX);
    }

    #[test]
    fn all_tables_together_take_no_more_than_they_may() {
        const BYTES_MAX: usize = 64 * 1024;
        let tables = Arc::new(Tables::new(BYTES_MAX));
        let pattern = |number: usize| format!(".*{number}.*item.*");
        let growing: Vec<Growing> =
            (0..100).map(|number| growing(&format!("(?s:{})", pattern(number)), &tables)).collect();
        // Most expressions of many rules are never asked.
        assert_eq!(tables.left(), BYTES_MAX);
        for growing in &growing {
            growing.make_table(TABLE_BYTES_MAX);
        }
        let made = growing.iter().filter(|growing| has_table(growing)).count();
        assert!((4..50).contains(&made), "{made} of 100");
        let bytes: usize = growing.iter().filter_map(|it| it.table.get()).map(Table::bytes).sum();
        assert_eq!(bytes, BYTES_MAX - tables.left());
        for (number, growing) in growing.iter().enumerate() {
            let whole = Pattern::new(&pattern(number), Dot::Every).expect("a pattern");
            for text in ["17 item", "item 17", "x99item"] {
                assert_eq!(growing.matches(text), whole.matches(text), "{number}: {text}");
            }
        }
    }
}
