//! What was measured, as it is kept.

mod date;
mod machine;
mod record;

pub(crate) use self::record::{OutputFlags, Record, grouped};
