//! What of the translation can be chosen: the options that Prometheus has in its `otlp` section,
//! with its names and its defaults.

use std::collections::BTreeSet;

use super::translation::Strategy;

/// How OTLP becomes series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How names are translated.
    pub translation_strategy: Strategy,
    /// Which attributes of a resource each of its series has too.
    pub promoted: Promoted,
    /// Whether `target_info` has `service.name` and the others that `job` and `instance` tell.
    pub keep_identifying_resource_attributes: bool,
    /// Whether series have labels for the scope that they are of.
    pub promote_scope_metadata: bool,
}

/// Attributes of resources that become labels of series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promoted {
    /// These.
    Only(BTreeSet<String>),
    /// All but these.
    AllBut(BTreeSet<String>),
}

impl Default for Promoted {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Settings {
    pub(super) fn promotes(&self, key: &str) -> bool {
        match &self.promoted {
            Promoted::Only(keys) => keys.contains(key),
            Promoted::AllBut(keys) => !keys.contains(key),
        }
    }
}
