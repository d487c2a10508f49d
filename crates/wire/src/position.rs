//! Where an event stands, as its bytes say it.

use bellwire_model::{Cursor, KeyVersion};

/// Where an event stands among others, as far as its JSON says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Where to resume behind it.
    pub cursor: Option<Cursor>,
    /// Of a value that clients may write: which it is.
    pub version: Option<KeyVersion>,
}

impl From<Option<Cursor>> for Position {
    fn from(cursor: Option<Cursor>) -> Self {
        Self { cursor, version: None }
    }
}
