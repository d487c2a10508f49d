//! Texts with places to fill in: `{{ $labels.site }} is at {{ $value | humanize }}`.
//!
//! These are Go's templates (`text/template`) with the functions that Prometheus adds. A text is
//! cut to tokens (`token`), read to a tree (`parse`, `tree`) when its rule is loaded, and filled in
//! (`expand`) when it fires: values (`value`) go through functions (`signature` has their names and
//! types, `builtin`, `prometheus` and `method` what they do) and are printed as Go's `fmt` prints
//! them (`format`, `printf`). An error names the place that Go names (`place`).

mod builtin;
mod expand;
mod fault;
mod float;
mod format;
mod host;
mod humanize;
mod method;
mod parse;
mod place;
mod printf;
mod prometheus;
mod quote;
mod range;
mod signature;
mod surroundings;
mod time;
mod title;
mod token;
mod tree;
mod typing;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use self::fault::Parsed;
pub use self::fault::{TemplateError, TemplateReason};
pub use self::surroundings::Externals;
pub(crate) use self::surroundings::{Fill, Queries};
use self::tree::{Node, Operand, Term, Tree};
use crate::number::go_text;

/// The variables that a template has from the start.
const VARIABLES: [&str; 5] = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

/// A text with places to fill in. Clones share it.
#[derive(Clone)]
pub(crate) struct Template(Arc<Text>);

struct Text {
    written: Box<str>,
    tree: Tree,
    depends_on_value: bool,
}

/// A template is what its text says.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.0.written == other.0.written
    }
}

impl Eq for Template {}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Parsed<Self> {
        let tree = parse::tree(text, &VARIABLES)?;
        let depends_on_value = tree.depends_on_value();
        Ok(Self(Arc::new(Text { written: text.into(), tree, depends_on_value })))
    }

    /// The template as written.
    pub(crate) fn text(&self) -> &str {
        &self.0.written
    }

    /// Whether the text may change although the labels do not.
    pub(crate) fn depends_on_value(&self) -> bool {
        self.0.depends_on_value
    }

    /// The text for an element of the alert of that name. A label that it lacks reads as empty.
    /// What cannot be filled in is told in the text, as Prometheus does: an alert must not be lost
    /// for its annotation.
    pub(crate) fn fill<'a>(&'a self, alert: &str, fill: &Fill<'a>) -> Cow<'a, str> {
        match &*self.0.tree.root {
            [] => return Cow::Borrowed(""),
            [Node::Text(text)] => return Cow::Borrowed(text),
            [Node::Action(pipeline)] => {
                if let Some(Operand { term: Term::Variable { name, fields }, .. }) =
                    pipeline.only_operand()
                {
                    match (&**name, &**fields) {
                        ("$labels", [label]) => {
                            return Cow::Borrowed(fill.labels.get(label).unwrap_or_default());
                        }
                        ("$value", []) => return Cow::Owned(go_text(fill.value)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        match expand::expand((&self.0.tree, &self.0.written), &format!("__alert_{alert}"), fill) {
            Ok(text) => Cow::Owned(text),
            Err(reason) => Cow::Owned(format!("<error expanding template: {reason}>")),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.written)
    }
}

#[cfg(test)]
mod tests;
