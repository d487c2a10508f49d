//! What was measured, as it is kept.

mod date;
mod machine;
mod number;
mod record;
mod target;

pub(crate) use self::number::grouped;
pub(crate) use self::record::{OutputFlags, Record};
#[cfg(test)]
pub(crate) use self::target::figures;
