//! Regular expressions of selectors, each compiled once however many rules have it.

use std::sync::Arc;

use bellwire_model::NameMap;
use bellwire_model::limits::{EXPRESSION_TABLES_BYTES_MAX, RULE_TABLES_BYTES_MAX};
use bellwire_re2::{Dot, Error, Pattern, Tables};

/// Those that were compiled. Equal ones share their automaton, and all of them what makes them fast.
#[derive(Debug)]
pub(crate) struct Patterns {
    known: NameMap<Box<str>, Pattern>,
    tables: Arc<Tables>,
}

impl Default for Patterns {
    /// Those of one expression.
    fn default() -> Self {
        Self::within(EXPRESSION_TABLES_BYTES_MAX)
    }
}

impl Patterns {
    /// Those of all rules.
    pub(crate) fn of_rules() -> Self {
        Self::within(RULE_TABLES_BYTES_MAX)
    }

    /// With so many bytes for tables.
    pub(crate) fn within(tables_bytes_max: usize) -> Self {
        let tables = Arc::new(Tables::new(tables_bytes_max));
        Self { known: NameMap::default(), tables }
    }

    /// What an expression of a selector is compiled to.
    pub(crate) fn compile(&mut self, text: &str) -> Result<Pattern, Error> {
        if let Some(known) = self.known.get(text) {
            return Ok(known.clone());
        }
        let pattern = Pattern::growing(text, Dot::Every, &self.tables)?;
        self.known.insert(text.into(), pattern.clone());
        Ok(pattern)
    }
}
