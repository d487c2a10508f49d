//! Relabeling, as Prometheus 3 has it: rules that change labels, or drop whoever has them.
//!
//! Targets are relabeled before they are scraped, what they expose before it is taken.
//!
//! ```text
//! source_labels ─ joined by separator ─▶ regex ─▶ action ─▶ target_label, replacement
//! ```
//!
//! | action | what it does |
//! |---|---|
//! | `replace` | `target_label` becomes `replacement`, where `regex` matches; both may name groups |
//! | `keep`, `drop` | who does not match, or does, is dropped |
//! | `keepequal`, `dropequal` | likewise, by whether the source is the value of `target_label` |
//! | `hashmod` | `target_label` becomes a hash of the source, modulo `modulus` |
//! | `labelmap` | labels whose names match are copied to names that `replacement` says |
//! | `labeldrop`, `labelkeep` | labels whose names match, or do not, are taken away |
//! | `lowercase`, `uppercase` | `target_label` becomes the source in that case |

mod label_set;
mod rule;

pub use self::label_set::LabelSet;
pub use self::rule::{Action, Config, Error, Rule};

/// What becomes of whoever has the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They stay, with these labels.
    Kept,
    /// They do not, and the labels mean nothing.
    Dropped,
}

impl Verdict {
    const fn opposite(self) -> Self {
        match self {
            Self::Kept => Self::Dropped,
            Self::Dropped => Self::Kept,
        }
    }
}

/// Applies rules in their order, until one drops.
pub fn apply(rules: &[Rule], labels: &mut LabelSet) -> Verdict {
    let is_kept = rules.iter().all(|rule| rule.apply(labels) == Verdict::Kept);
    if is_kept { Verdict::Kept } else { Verdict::Dropped }
}
