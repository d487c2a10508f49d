//! What a handle refuses by itself, whether the engine is there or not: the same of every engine.

use bytes::Bytes;

use crate::{BATCH_BYTES_MAX, Error, Fence, REGISTER_BYTES_MAX, REGISTER_NAME_BYTES_MAX};

/// Refuses a batch that is too large, and a fence of what can be no register.
pub fn check_append(batch: &Bytes, fence: Option<&Fence>) -> Result<(), Error> {
    fence.map_or(Ok(()), |fence| check_register_name(&fence.register))?;
    check_size(batch, BATCH_BYTES_MAX)
}

/// Refuses a value that is too large, and a name that no register may have.
pub fn check_set(name: &str, value: &Bytes) -> Result<(), Error> {
    check_register_name(name)?;
    check_size(value, REGISTER_BYTES_MAX)
}

/// Whether a register may have this name.
pub fn is_register_name(name: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=REGISTER_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Refuses a name that no register may have.
pub fn check_register_name(name: &str) -> Result<(), Error> {
    if is_register_name(name) {
        return Ok(());
    }
    Err(Error::Refused(format!("`{}` is no name of a register", name.escape_debug())))
}

fn check_size(bytes: &Bytes, max: usize) -> Result<(), Error> {
    if bytes.len() <= max { Ok(()) } else { Err(Error::TooLarge { bytes: bytes.len(), max }) }
}
