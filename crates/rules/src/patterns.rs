//! Regular expressions of selectors, each compiled once however many rules have it.

use bellwire_re2::{Dot, Error, Pattern};
use rustc_hash::FxHashMap;

/// Those that were compiled. Equal ones share their automaton.
#[derive(Debug, Default)]
pub(crate) struct Patterns(FxHashMap<Box<str>, Pattern>);

impl Patterns {
    /// What an expression of a selector is compiled to.
    pub(crate) fn compile(&mut self, text: &str) -> Result<Pattern, Error> {
        if let Some(known) = self.0.get(text) {
            return Ok(known.clone());
        }
        let pattern = Pattern::new(text, Dot::Every)?;
        self.0.insert(text.into(), pattern.clone());
        Ok(pattern)
    }
}
