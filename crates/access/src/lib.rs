//! Who may do what: what a client shows becomes claims, and claims become rights.
//!
//! Everything here is a function of its arguments: key material, randomness and time come in, and
//! nothing reads a clock, a file or a socket.
//!
//! ```text
//! token, key, password, session, ticket ── credentials ──▶ Claims ── roles ──▶ rights
//! ```
#![deny(missing_docs)]

mod allowance;
mod behind;
pub mod between_nodes;
mod claims;
pub mod discovery;
mod gathering;
mod identity;
mod json;
pub mod jwks;
pub mod jwt;
pub mod key;
pub mod login;
mod mandate;
mod names;
pub mod password;
mod policy;
mod register;
mod rights;
mod role;
mod sealed;
mod session;
mod shown;
mod template;
#[cfg(test)]
mod tests;
pub mod ticket;

pub use allowance::{Bucket, Limits};
pub use behind::Behind;
pub use claims::{Claim, Claims, ClaimsError, FirstIssue, read_distinct as read_distinct_claims};
pub use identity::{Identity, Means};
pub use key::StoredKey;
pub use mandate::Mandate;
pub use names::Names;
pub use policy::Policy;
pub use register::{Register, Renewal, RenewalError, Standing};
pub use rights::Rights;
pub use role::{Role, RoleError, RoleText};
pub use sealed::{ID_BYTES, SealError, ServerSecret, ServerSecretError};
pub use session::Session;
pub use template::TemplateError;
