//! What a request shows of who sends it, wherever its client is able to put it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwire_model::limits::CREDENTIAL_BYTES_MAX;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::cookie::{self, Unclear};

/// The cookie of a browser's session. Its prefix has browsers keep it to this host alone.
pub(crate) const SESSION_COOKIE: &str = "__Host-bellwire";

/// What a WebSocket's client puts a credential behind, among the subprotocols that it offers: pages
/// cannot set headers there.
pub(crate) const SUBPROTOCOL_PREFIX: &str = "bellwire.bearer.";

/// The parameter of a stream's ticket: pages cannot set an `EventSource`'s headers either.
const TICKET_PARAMETER: &str = "ticket";

/// The parameters of a name and a password, in version 1 of InfluxDB.
const NAME_PARAMETER: &str = "u";
const PASSWORD_PARAMETER: &str = "p";
/// The parameter with which a WebSocket says that its first message has the credential.
const LATER_PARAMETER: (&str, &str) = ("credential", "message");

/// A credential, as it came.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Shown {
    /// None.
    Nothing,
    /// A token, or an API key.
    Bearer(Box<str>),
    /// A name and a password.
    Password(Box<str>, Box<str>),
    /// The session of a browser.
    Session(Box<str>),
    /// The ticket of a stream.
    Ticket(Box<str>),
    /// What a trusted proxy says: a subject, and groups.
    Proxied(Box<str>, Box<str>),
    /// The first message of a WebSocket will have it.
    Later,
}

/// Says nothing of the secret.
impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Bearer(_) => "Bearer(…)",
            Self::Password(..) => "Password(…)",
            Self::Session(_) => "Session(…)",
            Self::Ticket(_) => "Ticket(…)",
            Self::Proxied(..) => "Proxied(…)",
            Self::Later => "Later",
        })
    }
}

/// Whether cookies say who somebody is: browsers send them along with what pages of other sites
/// ask for, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// The request is of the server's own page, as far as its browser says.
    Count,
    /// It is as if there were none.
    AreNone,
}

/// What the query of a request's target may have of who sends it.
#[derive(Clone, Copy, Default)]
pub enum Query<'a> {
    /// Nothing: it is not looked at.
    #[default]
    Nothing,
    /// A stream's ticket.
    OfStream(&'a str),
    /// Name and password, as clients of version 1 of InfluxDB send them.
    OfInfluxdb(&'a str),
}

/// Says nothing of what is in it.
impl std::fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query").finish_non_exhaustive()
    }
}

/// The parts of a head where a credential may be.
#[derive(Clone, Copy, Default)]
pub struct Places<'a> {
    /// Of `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// All headers of `Cookie`, where those count.
    pub cookies: &'a [&'a [u8]],
    /// All headers of `Sec-WebSocket-Protocol`.
    pub subprotocols: &'a [&'a [u8]],
    /// The query of the target.
    pub query: Query<'a>,
}

/// Says nothing of what is there.
impl std::fmt::Debug for Places<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").finish_non_exhaustive()
    }
}

impl Shown {
    /// Finds it among the headers that hyper has read.
    pub fn of(headers: &HeaderMap, query: Query<'_>, cookies: Cookies) -> Result<Self, Problem> {
        let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
        let authorization = authorizations.next().map(HeaderValue::as_bytes);
        if authorizations.next().is_some() {
            return Err(malformed("`Authorization` stands there twice"));
        }
        let all = |name: HeaderName| -> Vec<&[u8]> {
            headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
        };
        let cookies = if cookies == Cookies::Count { all(header::COOKIE) } else { Vec::new() };
        let subprotocols = all(header::SEC_WEBSOCKET_PROTOCOL);
        let (cookies, subprotocols) = (&*cookies, &*subprotocols);
        Self::at(Places { authorization, cookies, subprotocols, query })
    }

    /// Finds it. What a program sets on purpose goes before what a browser sends along.
    pub fn at(places: Places<'_>) -> Result<Self, Problem> {
        let Places { authorization, cookies, subprotocols, query } = places;
        let shown = match authorization {
            Some(value) => Self::authorization(value)?,
            None => match Self::subprotocol(subprotocols) {
                Some(shown) => shown,
                None => match Self::query(query)? {
                    Some(shown) => shown,
                    None => Self::cookie(cookies)?,
                },
            },
        };
        shown.checked()
    }

    /// A token or an API key, as it was pasted.
    pub fn bearer(text: &str) -> Result<Self, Problem> {
        match text.trim() {
            "" => Err(malformed("it is empty")),
            text => Self::Bearer(text.into()).checked(),
        }
    }

    /// A name and a password, as they were typed.
    pub fn password(name: &str, password: &str) -> Result<Self, Problem> {
        Self::of_name_and_password(name, password).checked()
    }

    /// Names stand in logs: what could begin another line there is none.
    fn checked(self) -> Result<Self, Problem> {
        if self.size_bytes() > CREDENTIAL_BYTES_MAX {
            let detail = format!("a credential has at most {CREDENTIAL_BYTES_MAX} bytes");
            return Err(malformed(&detail));
        }
        match &self {
            Self::Password(name, _) if name.chars().any(char::is_control) => {
                Err(malformed("a name has no control characters"))
            }
            _ => Ok(self),
        }
    }

    fn authorization(value: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(value).map_err(|_| malformed("it is no text"))?;
        let (scheme, rest) = bare(text).split_once(' ').unwrap_or((bare(text), ""));
        let rest = bare(rest);
        if rest.is_empty() {
            return Err(malformed("it names a scheme and nothing else"));
        }
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        match () {
            () if is("bearer") => Ok(Self::Bearer(rest.into())),
            () if is("token") => Ok(Self::of_token(rest)),
            () if is("basic") => Self::basic(rest),
            () => Err(malformed("its scheme is one of Bearer, Basic and Token")),
        }
    }

    /// As clients of InfluxDB send it: a token, or in version 1 `name:password`.
    fn of_token(text: &str) -> Self {
        match text.split_once(':') {
            Some((name, password)) => Self::of_name_and_password(name, password),
            None => Self::Bearer(text.into()),
        }
    }

    fn basic(encoded: &str) -> Result<Self, Problem> {
        let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (name, password) =
            pair.ok_or_else(|| malformed("what follows `Basic` is no base64"))?;
        Ok(Self::of_name_and_password(name, password))
    }

    /// Programs that know of names and passwords alone have a key or a token for a password.
    pub fn of_name_and_password(name: &str, password: &str) -> Self {
        let is_token = password.split('.').count() == 3 && password.starts_with("ey");
        if is_token || bellwire_access::key::looks_like_one(password) {
            return Self::Bearer(password.into());
        }
        Self::Password(name.into(), password.into())
    }

    fn subprotocol(values: &[&[u8]]) -> Option<Self> {
        let values = values.iter().filter_map(|value| std::str::from_utf8(value).ok());
        let mut names = values.flat_map(|value| value.split(',')).map(bare);
        let shown = names.find_map(|name| name.strip_prefix(SUBPROTOCOL_PREFIX))?;
        Some(Self::Bearer(shown.into()))
    }

    fn query(query: Query<'_>) -> Result<Option<Self>, Problem> {
        match query {
            Query::Nothing => Ok(None),
            Query::OfStream(query) => {
                let ticket = parameter(query, TICKET_PARAMETER)?;
                let (name, value) = LATER_PARAMETER;
                let is_later = parameter(query, name)?.is_some_and(|it| *it == *value);
                Ok(ticket.map(Self::Ticket).or(is_later.then_some(Self::Later)))
            }
            Query::OfInfluxdb(query) => {
                match (parameter(query, NAME_PARAMETER)?, parameter(query, PASSWORD_PARAMETER)?) {
                    (Some(name), Some(password)) => {
                        Ok(Some(Self::of_name_and_password(&name, &password)))
                    }
                    (None, None) => Ok(None),
                    _ => Err(malformed("`u` and `p` belong together")),
                }
            }
        }
    }

    fn cookie(values: &[&[u8]]) -> Result<Self, Problem> {
        match cookie::named(SESSION_COOKIE, values.iter().copied()) {
            Ok(None) => Ok(Self::Nothing),
            Ok(Some(session)) => Ok(Self::Session(session.into())),
            Err(Unclear::Twice) => Err(malformed("the cookie stands there twice")),
            Err(Unclear::NoText) => Err(malformed("the cookie is no text")),
        }
    }

    /// What it is, in one word: what it says nobody has verified yet.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Bearer(text) if bellwire_access::key::looks_like_one(text) => "key",
            Self::Bearer(_) => "token",
            Self::Password(..) => "password",
            Self::Session(_) => "session",
            Self::Ticket(_) => "ticket",
            Self::Proxied(..) => "proxy",
            Self::Later => "later",
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Nothing | Self::Later => 0,
            Self::Bearer(text) | Self::Session(text) | Self::Ticket(text) => text.len(),
            Self::Password(name, password) => name.len() + password.len(),
            Self::Proxied(subject, groups) => subject.len() + groups.len(),
        }
    }
}

/// A parameter of a query, where it stands once.
fn parameter(query: &str, name: &str) -> Result<Option<Box<str>>, Problem> {
    let parameters = url::form_urlencoded::parse(query.as_bytes());
    let mut values = parameters.filter(|(found, _)| found == name).map(|(_, value)| value);
    let value = values.next().map(|value| Box::from(&*value));
    if values.next().is_some() {
        return Err(malformed(&format!("`{name}` stands in the query twice")));
    }
    Ok(value)
}

/// Without the space that HTTP knows around values; Unicode has more, which is a part of them.
fn bare(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

pub(crate) fn malformed(detail: &str) -> Problem {
    Problem::new(Code::CredentialInvalid, format!("the credential cannot be read: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &[(HeaderName, &str)], query: &str) -> Result<Shown, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        Shown::of(&map, Query::OfStream(query), Cookies::Count)
            .map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn every_client_shows_it_in_its_own_way() {
        let bearer = |text: &str| Ok(Shown::Bearer(text.into()));
        let ada = Ok(Shown::Password("ada".into(), "pa:ss".into()));
        let authorization = header::AUTHORIZATION;
        for (value, expected) in [
            ("Bearer a.b.c", bearer("a.b.c")),
            ("bearer   x", bearer("x")),
            ("Token x", bearer("x")),
            ("Token ada:pa:ss", ada.clone()),
            ("Basic YWRhOnBhOnNz", ada.clone()),
            ("Basic bWU6ZXlKLmEuYg==", bearer("eyJ.a.b")),
        ] {
            assert_eq!(shown(&[(authorization.clone(), value)], ""), expected, "{value}");
        }
        let protocol = header::SEC_WEBSOCKET_PROTOCOL;
        let offers = [(protocol, "bellwire.v1.json, bellwire.bearer.a.b.c")];
        assert_eq!(shown(&offers, ""), bearer("a.b.c"));
        assert_eq!(shown(&[], "topic=a&ticket=t%2B1"), Ok(Shown::Ticket("t+1".into())));
        let cookies = [(header::COOKIE, "a=b; __Host-bellwire=s; c"), (header::COOKIE, "d=e")];
        assert_eq!(shown(&cookies, ""), Ok(Shown::Session("s".into())));
        assert_eq!(shown(&[], "topic=a"), Ok(Shown::Nothing));
        let both = [cookies[0].clone(), (authorization, "Bearer x")];
        // Another site may set these: to browsers they have no prefix.
        for planted in ["\u{a0}__Host-bellwire=x", "\u{2000}__Host-bellwire=x; a=b"] {
            let mut map = HeaderMap::new();
            let planted = HeaderValue::from_bytes(planted.as_bytes()).expect("a value");
            map.append(header::COOKIE, planted);
            let shown = Shown::of(&map, Query::Nothing, Cookies::Count);
            assert_eq!(shown.ok(), Some(Shown::Nothing));
        }
        assert_eq!(shown(&both, "ticket=t"), bearer("x"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_never_taken_for_nothing() {
        let long = format!("Bearer {}", "x".repeat(CREDENTIAL_BYTES_MAX + 1));
        let values = ["", "Bearer", "Bearer ", "Digest x", "Basic ???", "Basic YWRh", &long];
        for value in values {
            assert!(shown(&[(header::AUTHORIZATION, value)], "").is_err(), "{value}");
        }
        let twice = [(header::AUTHORIZATION, "Bearer a"), (header::AUTHORIZATION, "Bearer a")];
        assert!(shown(&twice, "").is_err());
    }

    #[test]
    fn a_cookie_counts_once_and_where_it_may() {
        let cookies = |values: &[&str], rule| {
            let mut map = HeaderMap::new();
            for value in values {
                map.append(header::COOKIE, HeaderValue::from_str(value).expect("a value"));
            }
            Shown::of(&map, Query::Nothing, rule).map_err(|problem| problem.code)
        };
        let session = "a=b; __Host-bellwire=s";
        assert_eq!(cookies(&[session], Cookies::Count), Ok(Shown::Session("s".into())));
        assert_eq!(cookies(&[session], Cookies::AreNone), Ok(Shown::Nothing));
        for twice in [&["__Host-bellwire=s; __Host-bellwire=t"][..], &[session, session]] {
            assert_eq!(cookies(twice, Cookies::Count), Err(Code::CredentialInvalid));
            assert_eq!(cookies(twice, Cookies::AreNone), Ok(Shown::Nothing));
        }
    }

    #[test]
    fn a_query_has_what_its_path_takes_and_says_it_once() {
        let of = |query| Shown::of(&HeaderMap::new(), query, Cookies::Count).map_err(|it| it.code);
        let ada = Shown::Password("ada".into(), "p&q".into());
        assert_eq!(of(Query::OfInfluxdb("db=a&u=ada&p=p%26q")), Ok(ada));
        assert_eq!(of(Query::OfInfluxdb("db=a&ticket=t")), Ok(Shown::Nothing));
        assert_eq!(of(Query::OfStream("u=ada&p=p")), Ok(Shown::Nothing));
        for query in ["u=ada", "p=p", "u=a&u=b&p=p", "u=a&p=p&p=p", "u=a%0Ab&p=p"] {
            assert_eq!(of(Query::OfInfluxdb(query)), Err(Code::CredentialInvalid), "{query}");
        }
        assert_eq!(of(Query::OfStream("ticket=a&ticket=b")), Err(Code::CredentialInvalid));
    }

    #[test]
    fn no_log_has_a_secret() {
        let shown = Shown::Bearer("secret".into());
        assert!(!format!("{shown:?}").contains("secret"));
    }
}
