//! What nodes show each other when they speak without the log: a secret in a register.
//!
//! Whoever can read the engine can read all that there is, and write it, so that the secret gives nobody
//! more than they have; and whoever cannot is no node.

use std::fmt;

use bellwire_shared_log::{Error as LogError, Generation, SharedLog};
use bytes::Bytes;

use crate::Error;
use crate::fields::Fields;

/// Bytes of the secret.
pub const SECRET_BYTES: usize = 32;

const REGISTER: &str = "secret";
const VERSION: u8 = 1;

/// How often it is looked again where others set it meanwhile.
const LOOKS_MAX: usize = 8;

/// The secret that all nodes of a cluster have.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// That of the log, which is `fresh` where it has none yet: of all that begin at once one sets it. It
    /// has to be random, and of a generator that nobody can guess. Waits for the engine.
    pub fn of(log: &dyn SharedLog, fresh: [u8; SECRET_BYTES]) -> Result<Self, Error> {
        let mut register = log.register(REGISTER)?;
        for _ in 0..LOOKS_MAX {
            if register.generation != Generation::NEVER {
                return Self::decode(&register.value);
            }
            let value = Bytes::from([&[VERSION][..], &fresh].concat());
            match log.set_register(REGISTER, register.generation, value) {
                Ok(_) => return Ok(Self(fresh)),
                Err(LogError::Changed(changed)) => register = changed,
                Err(error) => return Err(error.into()),
            }
        }
        Err(LogError::Away("its secret is set again and again".into()).into())
    }

    /// Whether nodes show each other this one, as the log says; it may say nothing. Waits for the engine.
    pub(crate) fn counts(&self, log: &dyn SharedLog) -> Result<bool, Error> {
        let register = log.register(REGISTER)?;
        Ok(register.generation == Generation::NEVER || Self::decode(&register.value)? == *self)
    }

    fn decode(value: &[u8]) -> Result<Self, Error> {
        let other = |_| Error::Register {
            register: REGISTER.into(),
            what: "it is of another version, or of something else",
        };
        let mut fields = Fields::of(value);
        if fields.byte().map_err(other)? != VERSION || fields.len() != SECRET_BYTES {
            return Err(other(Error::Malformed("another version")));
        }
        fields.array().map(Self).map_err(other)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

/// Says nothing of it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use bellwire_shared_log::MemoryLogs;

    use super::*;

    #[test]
    fn all_nodes_have_the_secret_of_whoever_was_first() {
        let logs = MemoryLogs::immediate();
        let [one, other] = [1, 2].map(|byte| Secret::of(&*logs.handle(), [byte; SECRET_BYTES]));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!((one.bytes(), &one), (&[1; SECRET_BYTES], &other));
        let stale = Secret([2; SECRET_BYTES]);
        assert!(one.counts(&*logs.handle()).unwrap() && !stale.counts(&*logs.handle()).unwrap());
        assert!(stale.counts(&*MemoryLogs::immediate().handle()).unwrap(), "nobody says another");
        assert_eq!(format!("{one:?}"), "Secret(…)");
    }

    #[test]
    fn a_register_of_something_else_is_no_secret() {
        for value in ["", "1", "\u{1}", "\u{2}0123456789abcdef0123456789abcdef"] {
            let log = MemoryLogs::immediate().handle();
            log.set_register(REGISTER, Generation::NEVER, value.into()).unwrap();
            let found = Secret::of(&*log, [7; SECRET_BYTES]);
            assert!(matches!(found, Err(Error::Register { .. })), "{value:?}: {found:?}");
        }
    }
}
