//! What clients write to state topics, and why it may not be written.

use bellwire_hub::ChangeError;
use bellwire_model::{Condition, Event, Topic, WriteTerms};
use bellwire_wire::problem::{Code, Problem};

/// A value of a state topic, or, where it has no body, that the key is to go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StateWrite {
    /// Its topic, key and value.
    pub(crate) event: Event,
    /// What has to be so of the key, and when it goes by itself.
    pub(crate) terms: WriteTerms,
}

impl StateWrite {
    pub(crate) fn name(&self) -> (&Topic, &str) {
        (&self.event.topic, self.event.key.as_deref().unwrap_or_default())
    }

    /// Why it is not written. A key that has another version than is asked for has its own beside it.
    pub(crate) fn refusal(&self, error: ChangeError) -> Problem {
        let (topic, key) = self.name();
        let failed = |detail: String| Problem::new(Code::ConditionFailed, detail);
        match error {
            ChangeError::Full(error) => Problem::new(Code::StateFull, error),
            ChangeError::Missing => {
                Problem::new(Code::KeyNotFound, format!("`{topic}` has no key `{key}`"))
            }
            ChangeError::Again => failed(format!(
                "`{key}` of `{topic}` was written before by the same request, so that nobody knows \
                 its version yet: write each key once"
            )),
            ChangeError::Condition { found: None } => {
                failed(format!("`{topic}` has no key `{key}`, so that it has no version"))
            }
            ChangeError::Condition { found: Some(version) } => {
                let asked = match self.terms.condition {
                    Condition::At(asked) => format!("and no longer `{asked}`"),
                    Condition::Absent | Condition::Always => "and is not absent".to_owned(),
                };
                let detail = format!(
                    "`{key}` of `{topic}` has the version `{version}` {asked}: look at its value, \
                     then write again"
                );
                failed(detail).with("version", version.to_string().into())
            }
        }
    }
}
