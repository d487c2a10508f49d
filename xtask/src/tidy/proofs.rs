//! The tests that `docs/internals/invariants.md` names: each must be there.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const INVARIANTS: &str = "docs/internals/invariants.md";

/// The functions of the tree.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    functions: HashSet<String>,
}

impl Proofs {
    /// Takes note of what a Rust file defines.
    pub(super) fn note(&mut self, text: &str) {
        let names = text.split("fn ").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            rest[..end.unwrap_or(rest.len())].to_owned()
        });
        self.functions.extend(names);
    }

    /// A complaint for each test that is named and is nowhere.
    pub(super) fn missing(&self, root: &Path) -> Result<Vec<String>> {
        let text = fs::read_to_string(root.join(INVARIANTS))
            .with_context(|| format!("cannot read {INVARIANTS}"))?;
        Ok(self.missing_of(&text))
    }

    fn missing_of(&self, text: &str) -> Vec<String> {
        let is_missing = |name: &&str| is_sentence(name) && !self.functions.contains(*name);
        let names = text.split('`').skip(1).step_by(2).filter(is_missing);
        names.map(|name| format!("{INVARIANTS}: there is no test `{name}`")).collect()
    }
}

/// Whether this is called as tests are: in three words or more.
fn is_sentence(name: &str) -> bool {
    name.matches('_').count() >= 2
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_named_must_be_there() {
        let mut proofs = Proofs::default();
        proofs.note("//! Doc.\n#[test]\nfn it_is_there() {}\n    fn so_is_this<T>(it: T) {}\n");
        for (text, missing) in [
            ("| 1 | `it_is_there`, `so_is_this` (hub) |", 0),
            ("| 1 | `it_was_there` (hub), `it_is_there` |", 1),
            ("`clippy.toml` and `bad_input`, in words it_was_there", 0),
        ] {
            assert_eq!(proofs.missing_of(text).len(), missing, "{text}");
        }
    }
}
