//! Names of hosts, as browsers write them: lower case, other letters than ASCII encoded, no dot at
//! the end.

use thiserror::Error;
use url::Url;

/// Names that a server may be asked by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Whatever there is.
    All,
    One(String),
    /// `*.example.com`: what is behind the star.
    Below(String),
}

/// The text names no host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum HostError {
    #[error("expected a name such as `bellwire.example`, without a scheme, a path or a user")]
    MoreThanName,
    #[error("`*` stands alone, or for what is before a domain: `*.example.com`")]
    Star,
    #[error(transparent)]
    Url(#[from] url::ParseError),
}

impl Hosts {
    /// Reads each of them, or says what is wrong with one.
    pub(super) fn read(texts: &[String]) -> Result<Self, String> {
        let texts = texts.iter().filter(|text| !text.is_empty());
        let read =
            |text: &String| Pattern::read(text).map_err(|error| format!("`{text}`: {error}"));
        texts.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Those of these names that are some.
    pub(crate) fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter_map(|name| Pattern::read(name).ok()).collect())
    }

    /// Whether a host is among them. The name is without port and without a dot at its end.
    pub(crate) fn have(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

impl Pattern {
    fn read(text: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(Self::All);
        }
        match text.strip_prefix("*.") {
            Some(domain) => Ok(Self::Below(format!(".{}", normal(domain)?))),
            None => normal(text).map(Self::One),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one.eq_ignore_ascii_case(name),
            Self::Below(domain) => name
                .len()
                .checked_sub(domain.len())
                .filter(|below| *below > 0)
                .and_then(|below| name.get(below..))
                .is_some_and(|end| end.eq_ignore_ascii_case(domain)),
        }
    }
}

/// As browsers write it. A port is left out: a name is known on each of them.
fn normal(text: &str) -> Result<String, HostError> {
    if text.contains('*') {
        return Err(HostError::Star);
    }
    if text.contains(['/', '@', '?', '#', '\\']) {
        return Err(HostError::MoreThanName);
    }
    let url = Url::parse(&format!("http://{text}"))?;
    let host = url.host_str().ok_or(HostError::MoreThanName)?;
    Ok(host.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(texts: &[&str]) -> Result<Hosts, String> {
        Hosts::read(&texts.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn names_are_those_that_browsers_write() {
        for (text, name) in [
            ("Bellwire.Example", "bellwire.example"),
            ("bellwire.example.", "bellwire.example"),
            ("bellwire.example:8443", "bellwire.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("bellwire", "bellwire"),
            ("bellwire", "BELLWIRE"),
            ("*.example.com", "a.example.com"),
            ("*.Example.com.", "a.b.EXAMPLE.com"),
            ("*", "whatever.example"),
        ] {
            assert!(hosts(&[text]).expect(text).have(name), "{text} {name}");
        }
        for (text, name) in [
            ("bellwire.example", "www.bellwire.example"),
            ("bellwire.example", "bellwire.example.evil"),
            ("*.example.com", "example.com"),
            ("*.example.com", ".example.com"),
            ("*.example.com", "evilexample.com"),
            ("bellwire", ""),
        ] {
            assert!(!hosts(&[text]).expect(text).have(name), "{text} {name}");
        }
        assert!(!hosts(&["", "a.example"]).expect("valid").have(""));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["https://a.example", "a.example/path", "me@a.example", "a.*.example", "a b", "*x"]
        {
            let error = hosts(&[text]).expect_err(text);
            assert!(error.starts_with(&format!("`{text}`: ")), "{error}");
        }
    }
}
