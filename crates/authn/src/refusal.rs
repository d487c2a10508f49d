//! What whoever is not let in is told.

use bellwire_model::limits::JWKS_REFETCH_INTERVAL;
use bellwire_wire::problem::{Code, Problem};

/// A credential that does not count. Why it does not is for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invalid;

/// Nothing was shown, and nobody comes in without.
pub(crate) fn missing() -> Problem {
    Problem::new(
        Code::CredentialMissing,
        "say who you are: `Authorization: Bearer …` with a token or an API key",
    )
}

/// Says no more: what exactly is wrong is for whoever made the credential.
pub(crate) fn invalid() -> Problem {
    Problem::new(Code::CredentialInvalid, "the credential is not one that is valid here")
}

/// Nothing of access is kept where nobody is asked who they are.
pub(crate) fn open() -> Problem {
    let detail = "this server asks nobody who they are: `[access]` in its configuration has it ask";
    Problem::new(Code::AccessOpen, detail)
}

/// It may well be valid: nobody can tell without the keys of whoever issued it.
pub(crate) fn keys_missing() -> Problem {
    let detail = "the keys of the issuer of the token cannot be had now: try again";
    Problem::new(Code::IssuerUnavailable, detail)
        .retry_after(JWKS_REFETCH_INTERVAL.as_secs() as u32)
}

/// Nobody logs in elsewhere.
pub(crate) fn no_provider() -> Problem {
    let detail = "there is no provider that people log in at: `[access.login]` names one";
    Problem::new(Code::NotFound, detail)
}
