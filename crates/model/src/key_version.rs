//! Which change made the newest value of a key of a state topic, and what may be asked of it before
//! the key is written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::offset::{Cursor, Epoch, Life, Offset, StateMark, Version};

/// The version of a key: the change that made its value. Two values never have the same one, of
/// whichever life they are.
///
/// Text form `s9-77` for what is in memory and `e7-1042` for what is in the journal, as a
/// [`Cursor`] has its parts; opaque to clients, who compare it for being the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyVersion {
    /// Of the state table.
    Table {
        /// The table's life.
        life: Life,
        /// The change.
        version: Version,
    },
    /// Of the journal.
    Journal {
        /// The journal's epoch.
        epoch: Epoch,
        /// The change.
        offset: Offset,
    },
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { life, version } => write!(f, "s{}-{}", life.get(), version.get()),
            Self::Journal { epoch, offset } => Cursor::new(*epoch, *offset).fmt(f),
        }
    }
}

/// The text is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a version looks like `s9-77`: send back the `version` of an event exactly as it came")]
pub struct KeyVersionError;

impl FromStr for KeyVersion {
    type Err = KeyVersionError;

    fn from_str(text: &str) -> Result<Self, KeyVersionError> {
        // It is written as the parts of a cursor are.
        let is_of_table = text.starts_with('s');
        let cursor = if is_of_table { format!("e0-0.{text}") } else { text.to_owned() };
        match cursor.parse().map_err(|_| KeyVersionError)? {
            Cursor { epoch, offset, state: None } => Ok(Self::Journal { epoch, offset }),
            Cursor { state: Some(StateMark { life, version, since, durable: None }), .. }
                if is_of_table && version == since =>
            {
                Ok(Self::Table { life, version })
            }
            _ => Err(KeyVersionError),
        }
    }
}

/// What has to be so of a key for it to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing.
    #[default]
    Always,
    /// There is no such key.
    Absent,
    /// Its value is this one.
    At(KeyVersion),
}

/// How a key of a state topic is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WriteTerms {
    /// What has to be so of the key.
    pub condition: Condition,
    /// After which time the value goes by itself.
    pub ttl: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_back_what_it_prints() {
        let in_memory = KeyVersion::Table { life: Life::new(9), version: Version::new(77) };
        let on_disk = KeyVersion::Journal { epoch: Epoch::new(7), offset: Offset::new(1042) };
        for (version, text) in [(in_memory, "s9-77"), (on_disk, "e7-1042")] {
            assert_eq!(version.to_string(), text);
            assert_eq!(text.parse(), Ok(version));
        }
    }

    #[test]
    fn anything_else_is_no_version() {
        for text in [
            "",
            "77",
            "s",
            "s9",
            "s9-",
            "s9-77-78",
            "s0-77",
            "e7",
            "e7-1.s9-77",
            "s9-77.s9-77",
            "9-77",
            "s9-+77",
            "s9-77 ",
            "\"s9-77\"",
            "*",
        ] {
            assert_eq!(text.parse::<KeyVersion>(), Err(KeyVersionError), "{text:?}");
        }
    }
}
