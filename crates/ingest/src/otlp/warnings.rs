//! What a sender should know of samples that were taken all the same.

use bellwire_model::excerpt;
use bellwire_model::limits::OTLP_WARNINGS_MAX;

/// The first of the warnings, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Warnings(Vec<String>);

impl Warnings {
    /// Adds a warning, where there is room for one.
    pub(super) fn say(&mut self, warning: impl FnOnce() -> String) {
        if self.0.len() == OTLP_WARNINGS_MAX {
            return;
        }
        let warning = excerpt(warning());
        if !self.0.contains(&warning) {
            self.0.push(warning);
        }
    }

    pub(super) fn into_told(self) -> Vec<String> {
        self.0
    }
}
