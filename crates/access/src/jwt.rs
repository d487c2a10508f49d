//! JSON Web Tokens: RFC 7515 and RFC 7519, as strictly as RFC 8725 asks for.
//!
//! ```text
//! text ── Token::read ──▶ Token ── Issuer::verify (keys, now) ──▶ Claims
//! ```
//!
//! [`Token::read`] says whose token it claims to be; whoever has the issuers looks that one up, and
//! its [`KeySet`]. Only keys of that issuer are tried, and of those only keys for the algorithm that
//! the token names: a key is for one algorithm, by what it is and not by what a token says.
//! Header and claims are read here, since what libraries leave to their users (members that are there
//! twice, `crit`, `typ`, an audience that nobody asks for, a time that is no number) is what tokens
//! are forged with. The signatures are checked by the library that TLS uses.

mod error;
mod issuer;
mod key_set;
mod signing;
mod token;
mod verification_key;

pub use error::TokenError;
pub use issuer::{Expiry, Issuer, Verified};
pub use key_set::KeySet;
pub use signing::signed;
pub use token::Token;
pub(crate) use verification_key::PublicParts;
pub use verification_key::{Algorithm, KeyError, VerificationKey};
