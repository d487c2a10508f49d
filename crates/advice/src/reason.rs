//! Reasons: what is said of a flow, with a code for programs and a sentence for people.

use std::collections::BTreeMap;

use serde::Serialize;

/// The numbers and names of a reason, by name; what shows it in other words takes them from here.
pub type Values = BTreeMap<&'static str, serde_json::Value>;

/// Why something is advised, or what to look out for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// Which of the six steps it comes from, from 1.
    pub step: u8,
    /// What it is; it stays the same, other than the text.
    pub code: &'static str,
    /// A sentence or two.
    pub text: String,
    /// What stands in it.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub values: Values,
}

impl Reason {
    /// A reason with nothing in it that differs.
    pub(crate) fn new(step: u8, code: &'static str, text: impl Into<String>) -> Self {
        Self { step, code, text: text.into(), values: Values::new() }
    }

    /// With a value of its text.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.values.insert(name, value.into());
        self
    }
}
