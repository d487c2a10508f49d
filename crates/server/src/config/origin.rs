//! Origins of other sites, as browsers write them: a scheme, a host in lower case, and a port
//! where it is not the scheme's own.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use url::Url;

/// Whose pages may use the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<Pattern>);

impl Origins {
    /// Reads each of them, or says what is wrong with one.
    pub(super) fn read(texts: &[String]) -> Result<Self, String> {
        let texts = texts.iter().filter(|text| !text.is_empty());
        let read = |text: &String| text.parse().map_err(|error| format!("`{text}`: {error}"));
        texts.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a page of this origin, as its browser names it, is among them.
    pub(crate) fn allow(&self, origin: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(origin))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Every page there is.
    All,
    One(String),
    /// `https://*.example.com`: the scheme with `://`, and what is behind the star.
    Subdomains {
        scheme: String,
        domain: String,
    },
}

/// The text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum OriginError {
    #[error("an origin begins with a scheme, such as `https://app.example`")]
    NoScheme,
    #[error("browsers name the page's own scheme: write `http` or `https`")]
    WebSocket,
    #[error("an origin is a scheme, a host and perhaps a port, such as `https://app.example`")]
    MoreThanOrigin,
    #[error("`*` stands alone, or for what is before a domain: `https://*.example.com`")]
    Star,
    #[error(transparent)]
    Url(#[from] url::ParseError),
}

impl FromStr for Pattern {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text {
            "*" => return Ok(Self::All),
            // What browsers say of pages from files and sandboxes.
            "null" => return Ok(Self::One(text.to_owned())),
            _ => {}
        }
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::NoScheme)?;
        let Some(domain) = rest.strip_prefix("*.") else {
            return Ok(Self::One(normal(scheme, rest)?));
        };
        let one = normal(scheme, domain)?;
        let (scheme, domain) = one.split_once("://").expect("it has a scheme");
        Ok(Self::Subdomains { scheme: format!("{scheme}://"), domain: format!(".{domain}") })
    }
}

/// As browsers write it.
fn normal(scheme: &str, rest: &str) -> Result<String, OriginError> {
    if rest.contains('*') {
        return Err(OriginError::Star);
    }
    let url = Url::parse(&format!("{scheme}://{rest}"))?;
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().filter(|host| is_bare && !host.is_empty());
    let host = host.ok_or(OriginError::MoreThanOrigin)?.to_ascii_lowercase();
    if matches!(url.scheme(), "ws" | "wss") {
        return Err(OriginError::WebSocket);
    }
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    Ok(format!("{}://{host}{port}", url.scheme()))
}

impl Pattern {
    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one.eq_ignore_ascii_case(origin),
            Self::Subdomains { scheme, domain } => {
                let origin = origin.to_ascii_lowercase();
                let host = origin.strip_prefix(&**scheme);
                let below = host.and_then(|host| host.strip_suffix(&**domain));
                let is_of_host =
                    |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                below.is_some_and(|below| !below.is_empty() && below.chars().all(is_of_host))
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::One(one) => f.write_str(one),
            Self::Subdomains { scheme, domain } => write!(f, "{scheme}*{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let cases = [
            ("https://app.example", "https://app.example"),
            ("https://app.example/", "https://app.example"),
            ("HTTPS://App.Example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:80/", "http://app.example"),
            ("http://app.example:443", "http://app.example:443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://*.Example.com:443/", "https://*.example.com"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("null", "null"),
            ("*", "*"),
        ];
        for (text, expected) in cases {
            let read: Pattern = text.parse().expect(text);
            assert_eq!(read.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_no_browser_would_say_is_refused() {
        let wrong = [
            "app.example",
            "https://",
            "https://app.example/path",
            "https://app.example?a",
            "https://me@app.example",
            "https://app.*.example",
            "https://*",
            "*.example.com",
            "http://localhost:*",
            "wss://app.example",
            "https://a b",
        ];
        for text in wrong {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_what_is_below_a_domain() {
        let texts = ["https://*.example.com", "http://localhost:5173"].map(ToOwned::to_owned);
        let origins = Origins::read(&texts).expect("valid");
        let allowed = ["https://a.example.com", "https://a.b.example.com", "http://localhost:5173"];
        for origin in allowed {
            assert!(origins.allow(origin), "{origin}");
        }
        let foreign = [
            "https://example.com",
            "https://.example.com",
            "https://evilexample.com",
            "http://a.example.com",
            "https://a.example.com:444",
            "https://evil.example/.example.com",
            "https://evil.example:1.example.com",
            "http://localhost:5174",
            "null",
        ];
        for origin in foreign {
            assert!(!origins.allow(origin), "{origin}");
        }
    }
}
