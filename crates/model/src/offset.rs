//! Where a subscriber is: epoch, offset, cursor; and the version of a state topic.
//!
//! ```text
//! journal   e7 │ 1041 │ 1042 │ 1043 │        │
//!                        ▲ cursor e7-1042: has seen 1042, resumes with 1043
//! ```

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// One life of a journal's offsets. A journal that cannot continue its old order (it was
/// replaced, or lost acknowledged data to a power cut) starts another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The epoch's number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// Position of an event in the journal's total order. Strictly increasing within an epoch;
/// holes are allowed, so nobody computes the next one. The first event has at least offset 1:
/// [`Offset::ZERO`] stands before every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u64);

impl Offset {
    /// Before the first event.
    pub const ZERO: Self = Self(0);
    /// After every event.
    pub const MAX: Self = Self(u64::MAX);

    /// The offset with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The offset's number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Position in the order of changes to state topics. In memory only: it begins anew with the
/// process, so no client ever sees one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Before the first change.
    pub const ZERO: Self = Self(0);
    /// After every change.
    pub const MAX: Self = Self(u64::MAX);

    /// The version with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The version's number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What a client resumes with: it has seen everything up to and including `offset`.
/// Text form `<epoch>-<offset>`, such as `e7-1042`; opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The journal's epoch when the cursor was given out.
    pub epoch: Epoch,
    /// The newest offset that the client has seen.
    pub offset: Offset,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a cursor looks like `e7-1042`: send back the last `id` or `cursor` exactly as it came")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (epoch, offset) =
            text.strip_prefix('e').and_then(|rest| rest.split_once('-')).ok_or(CursorError)?;
        Ok(Self {
            epoch: Epoch(digits(epoch)?.try_into().map_err(|_| CursorError)?),
            offset: Offset(digits(offset)?),
        })
    }
}

/// Like `u64::from_str`, without the leading `+` that it takes.
fn digits(text: &str) -> Result<u64, CursorError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CursorError);
    }
    text.parse().map_err(|_| CursorError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_what_it_prints() {
        let cursor = Cursor { epoch: Epoch::new(7), offset: Offset::new(1042) };
        assert_eq!(cursor.to_string(), "e7-1042");
        assert_eq!("e7-1042".parse(), Ok(cursor));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in [
            "",
            "e",
            "e7",
            "e7-",
            "7-1",
            "e7-+1",
            "e-1",
            "e7-1.2",
            "e4294967296-1",
            "e7-1 ",
            "latest",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }
}
