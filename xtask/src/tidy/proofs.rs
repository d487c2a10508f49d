//! What the pages for engineers name must be there: tests that hold invariants, and constants.

use std::collections::HashSet;

const INVARIANTS: &str = "docs/internals/invariants.md";

/// Pages, and beginnings of their paths, that name constants of the code.
const PAGES: &[&str] =
    &["ARCHITECTURE.md", "docs/decisions/", "docs/internals/", "docs/shortcomings.md"];

/// What the tree defines, and what its pages name.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    functions: HashSet<String>,
    constants: HashSet<String>,
    named: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    page: String,
    name: String,
}

impl Proofs {
    /// Takes note of what a Rust file defines.
    pub(super) fn note_code(&mut self, text: &str) {
        self.functions.extend(names_after("fn ", text));
        self.constants.extend(names_after("const ", text));
    }

    /// Takes note of what a page names.
    pub(super) fn note_page(&mut self, page: &str, text: &str) {
        if !PAGES.iter().any(|start| page.starts_with(start)) {
            return;
        }
        let is_proof = |name: &&str| is_constant(name) || (page == INVARIANTS && is_test(name));
        let named = text.split('`').skip(1).step_by(2).filter(is_proof);
        let named = named.map(|name| Named { page: page.to_owned(), name: name.to_owned() });
        self.named.extend(named);
    }

    /// A complaint for each thing that is named and is nowhere.
    pub(super) fn missing(&self) -> Vec<String> {
        let is_missing =
            |it: &&Named| !self.functions.contains(&it.name) && !self.constants.contains(&it.name);
        let complaint =
            |Named { page, name }: &Named| format!("{page}: there is no `{name}` in the code");
        self.named.iter().filter(is_missing).map(complaint).collect()
    }
}

/// The names that follow a keyword.
fn names_after<'a>(keyword: &'a str, text: &'a str) -> impl Iterator<Item = String> + 'a {
    text.split(keyword).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    })
}

/// Whether this is called as tests are: in three words or more.
fn is_test(name: &str) -> bool {
    let is_of_names = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.matches('_').count() >= 2 && name.chars().all(is_of_names)
}

/// Whether this is called as constants are, in two words or more; names of variables of the
/// environment are not ours to find.
fn is_constant(name: &str) -> bool {
    let is_of_names = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_named = name.contains('_') && name.starts_with(|c: char| c.is_ascii_uppercase());
    is_named && name.chars().all(is_of_names) && !name.starts_with("BELLWIRE_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_names_must_be_there() {
        for (page, text, missing) in [
            (INVARIANTS, "| 1 | `it_is_there`, `so_is_this` (hub) |", 0),
            (INVARIANTS, "| 1 | `it_was_there` (hub), `it_is_there` |", 1),
            (INVARIANTS, "`clippy.toml` and `bad_input`, in words it_was_there", 0),
            ("docs/decisions/a.md", "`RING_BYTES_MAX` and `it_was_there`", 0),
            ("docs/decisions/a.md", "`RING_BYTES`, `BELLWIRE_DATA`, `SIGHUP`, `1_000`", 1),
            ("docs/protocol.md", "`RING_BYTES`", 0),
        ] {
            let mut proofs = Proofs::default();
            proofs.note_code("#[test]\nfn it_is_there() {}\n    fn so_is_this<T>(it: T) {}\n");
            proofs.note_code("pub const RING_BYTES_MAX: usize = 1;\n");
            proofs.note_page(page, text);
            assert_eq!(proofs.missing().len(), missing, "{text}");
        }
    }
}
