//! What ends the reading of something.

use crate::decoded::Refusal;
use crate::protobuf::Error;

/// Why a message could not be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// Its bytes are no message: nothing behind them can be trusted.
    Malformed(Error),
    /// It is a message, but nothing that can be taken. What stands beside it can.
    Refused(Refusal),
}

impl Fault {
    /// A text is not UTF-8.
    pub(super) fn utf8() -> Self {
        Self::Refused(Refusal::new("utf8_invalid", "a name or a value is not UTF-8"))
    }

    /// What was read or refused; fails where its bytes are no message.
    pub(super) fn unless_malformed<T>(read: Result<T, Self>) -> Result<Result<T, Refusal>, Self> {
        match read {
            Ok(read) => Ok(Ok(read)),
            Err(Self::Refused(refusal)) => Ok(Err(refusal)),
            Err(Self::Malformed(error)) => Err(Self::Malformed(error)),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Malformed(error)
    }
}
