//! What an issuer says of itself: OIDC Discovery 1.0, as far as it is of use here.

use bellwire_model::limits::DISCOVERY_BYTES_MAX;
use thiserror::Error;

use crate::json::{self, Json, Members};
use crate::shown::shown;

/// Where it is below the issuer's name.
pub const PATH: &str = "/.well-known/openid-configuration";

/// Addresses that an issuer gives out. They are texts: whoever asks there looks at what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// Where its keys are (`jwks_uri`).
    pub keys_url: Box<str>,
    /// Where people log in, if they do (`authorization_endpoint`).
    pub authorization_url: Option<Box<str>>,
    /// Where a code is exchanged for tokens (`token_endpoint`).
    pub token_url: Option<Box<str>>,
    /// Whether a client's secret is taken in the form alone, not in a header
    /// (`token_endpoint_auth_methods_supported`).
    pub takes_secret_in_form: bool,
}

/// Why a document says nothing that could be believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// It is too large.
    #[error("what an issuer says of itself has at most {DISCOVERY_BYTES_MAX} bytes")]
    TooLarge,
    /// It is something else.
    #[error("this is no JSON object with the texts `issuer` and `jwks_uri`")]
    Malformed,
    /// Another issuer speaks: its keys are not those of this one.
    #[error("the issuer calls itself `{}`, and its name has to be that to the letter", shown(.name))]
    OtherIssuer {
        /// What it calls itself.
        name: Box<str>,
    },
}

/// Reads a document of the issuer of this name.
pub fn read(document: &[u8], issuer: &str) -> Result<Discovered, DiscoveryError> {
    if document.len() > DISCOVERY_BYTES_MAX {
        return Err(DiscoveryError::TooLarge);
    }
    let members = json::read_object(document).map_err(|_| DiscoveryError::Malformed)?;
    let name = text(&members, "issuer")?.ok_or(DiscoveryError::Malformed)?;
    if &*name != issuer {
        return Err(DiscoveryError::OtherIssuer { name });
    }
    let methods = members.get("token_endpoint_auth_methods_supported").and_then(Json::as_texts);
    let takes = |method: &str| methods.as_ref().map(|methods| methods.contains(&method));
    Ok(Discovered {
        keys_url: text(&members, "jwks_uri")?.ok_or(DiscoveryError::Malformed)?,
        authorization_url: text(&members, "authorization_endpoint")?,
        token_url: text(&members, "token_endpoint")?,
        takes_secret_in_form: takes("client_secret_basic") == Some(false)
            && takes("client_secret_post") == Some(true),
    })
}

fn text(members: &Members, name: &str) -> Result<Option<Box<str>>, DiscoveryError> {
    match members.get(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(DiscoveryError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "https://id.example";

    fn read_text(text: &str) -> Result<Discovered, DiscoveryError> {
        read(text.as_bytes(), NAME)
    }

    #[test]
    fn addresses_are_those_of_the_issuer_that_was_asked() {
        let full = format!(
            r#"{{"issuer":"{NAME}","jwks_uri":"https://keys.example/k","authorization_endpoint":"a",
               "token_endpoint":"t","scopes_supported":["openid"]}}"#
        );
        let discovered = read_text(&full).unwrap();
        assert_eq!(&*discovered.keys_url, "https://keys.example/k");
        assert_eq!(discovered.authorization_url.as_deref(), Some("a"));
        assert_eq!(discovered.token_url.as_deref(), Some("t"));
        assert!(!discovered.takes_secret_in_form);
        for (methods, in_form) in [
            (r#"["client_secret_post"]"#, true),
            (r#"["client_secret_post","client_secret_basic"]"#, false),
            (r#"["private_key_jwt"]"#, false),
            ("7", false),
        ] {
            let members = r#""token_endpoint_auth_methods_supported""#;
            let text = full.replacen('{', &format!("{{{members}:{methods},"), 1);
            assert_eq!(read_text(&text).unwrap().takes_secret_in_form, in_form, "{methods}");
        }
        for other in ["https://id.example/", "https://ID.example", "http://id.example", ""] {
            let text = format!(r#"{{"issuer":"{other}","jwks_uri":"u"}}"#);
            let name = other.into();
            assert_eq!(read_text(&text), Err(DiscoveryError::OtherIssuer { name }));
        }
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for text in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"issuer":"https://id.example"}"#,
            r#"{"issuer":"https://id.example","jwks_uri":7}"#,
            r#"{"issuer":"https://id.example","jwks_uri":"u","token_endpoint":[]}"#,
            r#"{"issuer":"https://id.example","issuer":"https://id.example","jwks_uri":"u"}"#,
        ] {
            assert_eq!(read_text(text), Err(DiscoveryError::Malformed), "{text}");
        }
        let large = " ".repeat(DISCOVERY_BYTES_MAX + 1);
        assert_eq!(read_text(&large), Err(DiscoveryError::TooLarge));
    }
}
