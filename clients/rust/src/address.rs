//! Where a server is.

use http::Uri;
use url::Url;

use crate::error::ArgumentError;

/// A server's address, with a path before all of its own where it stands behind a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Scheme, host and port, as a request line has them.
    origin: String,
    /// Without a `/` at its end.
    path: String,
    is_tls: bool,
}

impl Address {
    /// Reads a URL, or a bare host and port, which is one of HTTP.
    pub(crate) fn parse(text: &str) -> Result<Self, ArgumentError> {
        let with_scheme =
            if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme)
            .map_err(|source| ArgumentError::Url { text: text.to_owned(), source })?;
        let is_tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                let scheme = other.to_owned();
                return Err(ArgumentError::Scheme { text: text.to_owned(), scheme });
            }
        };
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Self { origin: url.origin().ascii_serialization(), path, is_tls })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Host and port, for people.
    pub(crate) fn name(&self) -> &str {
        self.origin.split_once("://").map_or(&self.origin, |(_, authority)| authority)
    }

    /// The whole of a path of the API, such as `/v1/events?topic=a`.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, ArgumentError> {
        // Without one, a path would go on where the host or the port ends: that is another server.
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{}{slash}{path}", self.path);
        let whole = format!("{}{path}", self.origin);
        whole.parse().map_err(|source| ArgumentError::Path { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_bare_addresses_name_a_server() {
        let cases = [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080/v1/x?a=b"),
            ("http://example.org/", "example.org", "http://example.org/v1/x?a=b"),
            ("http://example.org/bell/", "example.org", "http://example.org/bell/v1/x?a=b"),
            ("http://[::1]:9", "[::1]:9", "http://[::1]:9/v1/x?a=b"),
            ("localhost:8080", "localhost:8080", "http://localhost:8080/v1/x?a=b"),
            ("http://user@host:1", "host:1", "http://host:1/v1/x?a=b"),
            ("https://example.org/bell", "example.org", "https://example.org/bell/v1/x?a=b"),
            ("https://[::1]:9", "[::1]:9", "https://[::1]:9/v1/x?a=b"),
        ];
        for (text, name, whole) in cases {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.name(), name, "{text}");
            assert_eq!(address.join("/v1/x?a=b").expect("a path").to_string(), whole, "{text}");
            assert_eq!(address.is_tls(), whole.starts_with("https:"), "{text}");
        }
    }

    #[test]
    fn no_path_leads_to_another_server() {
        let address = Address::parse("https://bell.example").expect("an address");
        for path in [".evil.example", "@evil.example/", ":1", "http://evil.example/"] {
            let joined = address.join(path).expect(path);
            assert_eq!(
                joined.authority().map(http::uri::Authority::as_str),
                Some("bell.example"),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_no_server_says_why() {
        for (text, reason) in
            [("ftp://example.org", "neither http"), ("http://", "no URL"), ("http://a b", "no URL")]
        {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
