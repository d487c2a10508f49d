//! How long pages are that are to be read in one sitting.

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const ARCHITECTURE_BYTES_MAX: usize = 16 * 1024;

const DECISIONS: &str = "docs/decisions/";
const DECISION_LINES_MAX: usize = 60;

/// A complaint about a page that is too long.
pub(super) fn too_long(name: &str, text: &str) -> Option<String> {
    let (bytes, lines) = (text.len(), text.lines().count());
    let is_decision = name.starts_with(DECISIONS) && !name.ends_with("README.md");
    if name == ARCHITECTURE && bytes > ARCHITECTURE_BYTES_MAX {
        return Some(format!(
            "{name}: {bytes} bytes, {ARCHITECTURE_BYTES_MAX} at most: what concerns one crate goes \
             to its `//!` or to docs/internals, and why it is so to {DECISIONS}"
        ));
    }
    (is_decision && lines > DECISION_LINES_MAX)
        .then(|| format!("{name}: {lines} lines, {DECISION_LINES_MAX} at most"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_are_read_in_one_sitting_are_short() {
        for (name, text, is_too_long) in [
            (ARCHITECTURE, "a".repeat(ARCHITECTURE_BYTES_MAX), false),
            (ARCHITECTURE, "a".repeat(ARCHITECTURE_BYTES_MAX + 1), true),
            ("README.md", "a".repeat(ARCHITECTURE_BYTES_MAX + 1), false),
            ("docs/decisions/a.md", "a\n".repeat(DECISION_LINES_MAX), false),
            ("docs/decisions/a.md", "a\n".repeat(DECISION_LINES_MAX + 1), true),
            ("docs/decisions/README.md", "a\n".repeat(DECISION_LINES_MAX + 1), false),
        ] {
            assert_eq!(too_long(name, &text).is_some(), is_too_long, "{name} of {}", text.len());
        }
    }
}
