//! What a template is filled in with.

use bellwire_model::{Labels, Timestamp};

use crate::evaluation::Element;

/// What a template is filled in with.
#[derive(Clone, Copy)]
pub(crate) struct Fill<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) value: f64,
    pub(crate) externals: &'a Externals,
    pub(crate) queries: &'a dyn Queries,
}

/// What templates may name beside the labels and the value of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Externals {
    /// `$externalLabels`.
    pub labels: Labels,
    /// `$externalURL`.
    pub url: Box<str>,
}

impl Default for Externals {
    fn default() -> Self {
        Self { labels: Labels::empty(), url: Box::default() }
    }
}

/// Who answers `query "…"` and `now` in a template.
pub(crate) trait Queries {
    /// The elements that an expression comes to now.
    fn query(&self, expression: &str) -> Result<Vec<Element>, String>;

    /// The time of the evaluation.
    fn now(&self) -> Timestamp;
}
