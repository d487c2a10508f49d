//! The keys that an issuer publishes: a JSON Web Key Set (RFC 7517), and when it is fetched anew.
//!
//! [`read`] turns a document into a [`KeySet`]; [`Refetching`] decides in virtual time when to fetch
//! the next one, and how long the last one counts. Whoever fetches has one of these for each issuer:
//! what one of them publishes never counts for another.

mod document;
mod refetching;

pub use document::{JwksError, Published, Skipped, SkippedReason, read};
pub use refetching::{Refetching, Standing};
