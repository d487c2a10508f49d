//! What the two registers of a lease say.

use bytes::Bytes;

use crate::Error;
use crate::fields::{Fields, put_bytes, put_number};

const VERSION: u8 = 1;

/// Whose a lease is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The holder; nobody, where it has let go of it.
    pub(super) node: Option<Box<str>>,
    /// Another one each time that it is taken.
    pub(super) nonce: u64,
}

impl Held {
    pub(super) fn encode(&self) -> Bytes {
        let mut value = vec![VERSION];
        put_number(&mut value, self.nonce);
        if let Some(node) = &self.node {
            put_bytes(&mut value, node.as_bytes());
        }
        value.into()
    }

    /// Nothing of what is of another version.
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(value);
        let mut read = || -> Result<Self, Error> {
            if fields.byte()? != VERSION {
                return Err(Error::Malformed("a lease of another version"));
            }
            let nonce = fields.number()?;
            let is_free = fields.is_empty();
            let node = if is_free { None } else { Some(fields.text()?.into()) };
            Ok(Self { node, nonce })
        };
        read().ok()
    }
}

/// That its holder is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) nonce: u64,
    pub(super) count: u64,
}

impl Beat {
    pub(super) fn encode(self) -> Bytes {
        let mut value = vec![VERSION];
        put_number(&mut value, self.nonce);
        put_number(&mut value, self.count);
        value.into()
    }

    /// By which nonce a register has it; nothing of what is of another version, or was never set.
    pub(super) fn nonce(value: &[u8]) -> Option<u64> {
        let mut fields = Fields::of(value);
        (fields.byte().ok()? == VERSION).then(|| fields.number().ok())?
    }
}
