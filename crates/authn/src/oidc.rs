//! Logging in at a provider (OIDC, authorization code with PKCE): a browser is sent there, and comes
//! back with a code, for which the provider says who it is.
//!
//! The way there costs nothing and leaves nothing here. The way back asks the provider once, for
//! browsers alone that have been sent there, and for so many at a time.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use bellwire_access::discovery::Discovered;
use bellwire_access::jwt::TokenError;
use bellwire_access::login::{LOGIN_RANDOM_BYTES, LocalPath, Login, LoginError, Tokens};
use bellwire_model::Timestamp;
use bellwire_model::limits::{
    HMAC_SECRET_BYTES_MAX, LOGIN_LASTS, LOGIN_TEXT_BYTES_MAX, LOGINS_FINISHING_MAX,
    LOGINS_FINISHING_OF_NETWORK_MAX, TOKENS_BYTES_MAX,
};
use bellwire_wire::problem::{Code, Problem};
use http::HeaderValue;
use thiserror::Error;
use url::Url;

use crate::config::LoginConfig;
use crate::outward::{AddressError, Client, ClientSecret, RequestError};
use crate::places::{Place, Places};
use crate::secret::Seal;

/// The cookie of a login that is under way.
pub(crate) const LOGIN_COOKIE: &str = "__Host-bellwire-login";

/// A provider that people log in at.
#[derive(Debug)]
pub(crate) struct Provider {
    config: LoginConfig,
    redirect_url: Url,
    client_secret: Option<ClientSecret>,
    /// What logins under way are sealed with.
    secret: Seal,
    /// Places for those who come back.
    finishing: Places,
}

/// A browser that is to go to the provider.
#[derive(Debug)]
pub struct Departure {
    /// Where to.
    pub location: String,
    /// What `Set-Cookie` says.
    pub cookie: String,
}

/// What a browser brings back from the provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct Return<'a> {
    /// The login that it says to be of.
    pub state: Option<&'a str>,
    /// What its tokens are to be had for.
    pub code: Option<&'a str>,
    /// Why there is none.
    pub error: Option<&'a str>,
    /// Which provider says so, where it says that (RFC 9207).
    pub issuer: Option<&'a str>,
    /// The cookie of the login.
    pub cookie: Option<&'a str>,
}

/// What whoever is not logged in is told.
#[derive(Debug)]
pub struct Unarrived {
    /// Why.
    pub problem: Problem,
    /// Whether the browser keeps its login: the code was shown to nobody, so that coming back with it
    /// once more may do; or what has come is of another login than the browser's.
    pub keeps_login: bool,
}

impl From<Problem> for Unarrived {
    fn from(problem: Problem) -> Self {
        Self { problem, keeps_login: false }
    }
}

/// Why nobody is logged in. For logs.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("no login of this browser is under way")]
    NotUnderWay,
    #[error("another provider answers")]
    OtherProvider,
    #[error("the provider refuses: {0}")]
    Refused(String),
    #[error("the provider sends neither a code nor a reason")]
    NoCode,
    #[error("as many logins come to their end as may at a time")]
    Full,
    #[error("the provider says nothing of itself")]
    Unknown,
    #[error("the provider has no address for logins")]
    NoAddress,
    #[error("an address of the provider")]
    Address(#[from] AddressError),
    #[error("the code")]
    Code(#[from] RequestError),
    #[error("the provider's keys are missing")]
    KeysMissing,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error("what they have was taken back")]
    TakenBack,
    #[error("no chance or no room for a login: {0}")]
    System(String),
}

impl Failure {
    /// What the browser is told.
    pub(crate) fn told(&self) -> Unarrived {
        let keeps_login = matches!(self, Self::NotUnderWay | Self::Full | Self::Unknown);
        Unarrived { problem: self.problem(), keeps_login }
    }

    /// Nothing of what the provider has said.
    fn problem(&self) -> Problem {
        let detail = match self {
            Self::NotUnderWay => {
                "no login of this browser is under way: it took longer than ten minutes, was begun \
                 anew elsewhere, or has ended"
            }
            Self::Refused(_) => "the provider has not let you in",
            Self::Full | Self::Unknown | Self::KeysMissing | Self::System(_) => {
                let detail = "nobody can log in at the provider now: try again";
                return Problem::new(Code::IssuerUnavailable, detail).retry_after(1);
            }
            _ => "what the provider says does not count here",
        };
        Problem::new(Code::LoginFailed, detail)
    }
}

impl Provider {
    /// Reads the client's secret, where there is one.
    pub(crate) fn new(config: LoginConfig, secret: Seal) -> io::Result<Self> {
        let client_secret = match &config.client_secret_file {
            None => None,
            Some(path) => Some(ClientSecret::new(read(path)?)),
        };
        let redirect_url = config.redirect_url.clone();
        let redirect_url = redirect_url.ok_or_else(|| io::Error::other("no `redirect_url`"))?;
        let finishing = Places::new(LOGINS_FINISHING_MAX, LOGINS_FINISHING_OF_NETWORK_MAX);
        Ok(Self { config, redirect_url, client_secret, secret, finishing })
    }

    /// The issuer that the provider is.
    pub(crate) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// The name that the provider knows this server by.
    pub(crate) fn client_id(&self) -> &str {
        &self.config.client_id
    }

    /// Sends a browser there.
    pub(crate) fn depart(
        &self,
        (address, path): (Url, Option<LocalPath>),
        now: Timestamp,
    ) -> Result<Departure, Failure> {
        let mut random = [0; LOGIN_RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|error| Failure::System(error.to_string()))?;
        let path = path.unwrap_or_else(|| self.home());
        let login = Login::begin(&random, path, now);
        let LoginConfig { client_id, scopes, .. } = &self.config;
        let mut location = address;
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", self.redirect_url.as_str())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &login.state)
            .append_pair("nonce", &login.nonce)
            .append_pair("code_challenge", &login.challenge())
            .append_pair("code_challenge_method", "S256");
        let sealed =
            login.seal(self.secret.get()).map_err(|error| Failure::System(error.to_string()))?;
        let cookie = login_cookie(&sealed, LOGIN_LASTS.as_secs());
        Ok(Departure { location: location.into(), cookie })
    }

    /// Where the page is, below which the provider sends browsers back.
    fn home(&self) -> LocalPath {
        let path = self.redirect_url.path().strip_suffix(CALLBACK_PATH);
        let path = path.and_then(|path| LocalPath::read(&format!("{path}/")));
        path.unwrap_or_default()
    }

    /// The login that a browser comes back from, and the code that it brings.
    pub(crate) fn arrived<'a>(
        &self,
        back: Return<'a>,
        now: Timestamp,
    ) -> Result<(Login, &'a str), Failure> {
        let Return { state, code, error, issuer, cookie } = back;
        let login = cookie
            .zip(state)
            .and_then(|(cookie, state)| Login::open(cookie, self.secret.get(), state, now));
        let login = login.ok_or(Failure::NotUnderWay)?;
        if issuer.is_some_and(|issuer| issuer != &*self.config.issuer) {
            return Err(Failure::OtherProvider);
        }
        match (code, error) {
            (_, Some(error)) => Err(Failure::Refused(error.escape_debug().take(64).collect())),
            (Some(code), None) if code.len() <= LOGIN_TEXT_BYTES_MAX => Ok((login, code)),
            _ => Err(Failure::NoCode),
        }
    }

    /// A place for whoever comes back from this address.
    pub(crate) fn place(&self, from: Option<IpAddr>) -> Result<Place<'_>, Failure> {
        self.finishing.take(from).ok_or(Failure::Full)
    }

    /// Has the provider say who it is that it has given a code.
    pub(crate) async fn exchange(
        &self,
        (client, address): (&Client, &Url),
        discovered: &Discovered,
        (login, code): (&Login, &str),
    ) -> Result<Tokens, Failure> {
        let asked = self.form(discovered, login, code);
        let answer = client.post(address, asked, TOKENS_BYTES_MAX).await?;
        Ok(Tokens::read(&answer)?)
    }

    /// The form that says which login a code is of, and the header that says who asks.
    fn form(
        &self,
        discovered: &Discovered,
        login: &Login,
        code: &str,
    ) -> (String, Option<HeaderValue>) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", self.redirect_url.as_str())
            .append_pair("code_verifier", &login.verifier);
        let authorization = match &self.client_secret {
            None => {
                form.append_pair("client_id", self.client_id());
                None
            }
            Some(secret) if discovered.takes_secret_in_form => {
                form.append_pair("client_id", self.client_id());
                secret.append_to(&mut form);
                None
            }
            Some(secret) => Some(secret.basic(self.client_id())),
        };
        (form.finish(), authorization)
    }
}

/// Where the provider sends browsers back to, below where people reach the server.
pub const CALLBACK_PATH: &str = "/v1/session/callback";

fn login_cookie(value: &str, lasts_s: u64) -> String {
    format!("{LOGIN_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={lasts_s}")
}

/// Has the browser forget the login.
pub fn cleared_login_cookie() -> String {
    login_cookie("", 0)
}

/// The secret of a file, without the end of its line.
fn read(path: &Path) -> io::Result<String> {
    use std::io::Read as _;

    let mut text = String::new();
    std::fs::File::open(path)?.take(HMAC_SECRET_BYTES_MAX as u64).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use bellwire_access::ServerSecret;

    use super::*;

    #[test]
    fn whoever_finds_no_place_may_come_back_with_the_same_login() {
        let config = LoginConfig {
            issuer: "https://id.example".into(),
            client_id: "bellwire".into(),
            client_secret_file: None,
            scopes: vec!["openid".into()],
            redirect_url: Url::parse("https://bell.example/v1/session/callback").ok(),
        };
        let secret = ServerSecret::new(&[7; 32]).expect("long enough");
        let provider = Provider::new(config, Seal::of(secret)).expect("nothing to read");
        let from = |text: &str| Some(text.parse().expect("an address"));
        let place = || provider.place(from("2001:db8:7::1"));
        let places: Vec<_> = (0..LOGINS_FINISHING_OF_NETWORK_MAX).map(|_| place()).collect();
        assert!(places.iter().all(Result::is_ok));
        let told = place().expect_err("the network has its share").told();
        assert!(told.keeps_login && told.problem.retry_after_s().is_some());
        assert_eq!(told.problem.code, Code::IssuerUnavailable);
        assert!(provider.place(from("192.0.2.1")).is_ok(), "others have theirs");
        assert!(!Failure::NoCode.told().keeps_login, "that login has ended");
    }
}
