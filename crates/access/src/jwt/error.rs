//! Why a token does not count.

use bellwire_model::limits::TOKEN_BYTES_MAX;
use thiserror::Error;

use crate::shown::shown;

/// Why a token does not count. For logs and for whoever holds the token (`bellwire token explain`);
/// a client is told no more than that its credential is invalid, or that it has expired.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is no token at all, or says what no token may say.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// It is larger than any token is.
    #[error("a token has at most {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
    /// It is signed in a way that is not accepted: with nothing, or as its key is not for.
    #[error("the token's algorithm is not accepted for its key")]
    Algorithm,
    /// It is a token for another use.
    #[error("the token is of another kind: `typ` is neither `JWT` nor `at+jwt`")]
    Kind,
    /// It asks for what is not understood here.
    #[error("the token has critical headers (`crit`), of which none is understood")]
    Critical,
    /// It does not say who issued it.
    #[error("the token names no issuer (`iss`)")]
    NoIssuer,
    /// Nobody of this name is trusted.
    #[error("the token's issuer is not trusted: `{}`", shown(.issuer))]
    UnknownIssuer {
        /// The name that it says.
        issuer: Box<str>,
    },
    /// The issuer has no such key, as far as is known. It may be a new one.
    #[error(
        "the issuer `{}` has no key {}",
        shown(.issuer),
        .key_id.as_deref().map_or("that fits a token without `kid`".into(), |id| format!("`{}`", shown(id)))
    )]
    UnknownKey {
        /// Whose key it is said to be.
        issuer: Box<str>,
        /// The name of the key.
        key_id: Option<Box<str>>,
    },
    /// It was not signed with that key.
    #[error("the token's signature is wrong")]
    Signature,
    /// It is meant for somebody else.
    #[error("the token is for another audience (`aud`)")]
    Audience,
    /// It does not say when it ends, and has to.
    #[error("the token does not say when it expires (`exp`)")]
    NoExpiry,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet (`nbf`)")]
    NotYetValid,
    /// It says that it will be issued only: it would outlive that its subject is taken back now.
    #[error("the token says that it will be issued only (`iat`): the issuer's clock is ahead")]
    NotYetIssued,
    /// It does not say who it is of, or names nobody that can be.
    #[error("the token names nobody: {0}")]
    NoSubject(&'static str),
    /// It says more than is kept of one.
    #[error("the token says too much: {0}")]
    Claims(#[source] crate::ClaimsError),
}

impl TokenError {
    /// A word that stays the same: for metrics, and for programs that explain.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooLarge => "too_large",
            Self::Algorithm => "algorithm",
            Self::Kind => "kind",
            Self::Critical => "critical",
            Self::NoIssuer => "no_issuer",
            Self::UnknownIssuer { .. } => "unknown_issuer",
            Self::UnknownKey { .. } => "unknown_key",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NotYetIssued => "not_yet_issued",
            Self::NoSubject(_) => "no_subject",
            Self::Claims(_) => "claims",
        }
    }
}
