//! What the tests of several modules have in common.

pub(crate) mod vectors;
