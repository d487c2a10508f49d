//! Whether a journal makes its order itself.

use crate::Error;

/// Said when a journal is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It makes its order itself.
    Alone,
    /// It applies one that is made elsewhere.
    Replica,
}

impl Role {
    /// Fails where nobody may append to it.
    pub(crate) fn check_alone(self) -> Result<(), Error> {
        if self == Self::Alone { Ok(()) } else { Err(Error::Replica) }
    }

    /// Fails where nothing may be applied to it.
    pub(crate) fn check_replica(self) -> Result<(), Error> {
        if self == Self::Replica { Ok(()) } else { Err(Error::NoReplica) }
    }
}
