//! A small HTTP/1.1 client of a Bellwire server: what the commands need and no more.

mod problem;
mod tls;

use std::env::VarError;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

pub(crate) use self::problem::{Problem, retry_after};
use self::tls::{Refused, Tls};

/// Where the commands look for a server that is not named.
pub(crate) const SERVER_DEFAULT: &str = "http://127.0.0.1:8080";
/// The variable that names another one.
pub(crate) const SERVER_VARIABLE: &str = "BELLWIRE_SERVER";

/// The variable that has a token or an API key to show.
const TOKEN_VARIABLE: &str = "BELLWIRE_TOKEN";

/// Time that a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that an answer may take, its body included.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// Bytes of an answer that is read whole; a server's problems and cursors are far smaller.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// `--server URL`, for commands that are clients.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerFlag {
    /// URL of the server.
    // The variable is read by hand: clap's own support for it would print its value in `--help`.
    #[arg(long, visible_alias = "url", value_name = "URL", help = server_help())]
    server: Option<String>,
    /// PEM file of the certificates to trust in place of the system's, for `https`.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File of the token or API key to show, for a server that asks; the list of processes shows none.
    #[arg(long, value_name = "FILE", help = token_help())]
    token_file: Option<PathBuf>,
}

fn token_help() -> String {
    format!("File of the token or API key to show [env: {TOKEN_VARIABLE}, the token itself]")
}

/// What whoever has shown nothing to a server that asks may do about it.
fn credential_advice() -> String {
    format!(
        "the server asks who you are: name a token or an API key by `--token-file`, or in the variable {TOKEN_VARIABLE}"
    )
}

fn server_help() -> String {
    format!("URL of the server [default: {SERVER_DEFAULT}] [env: {SERVER_VARIABLE}]")
}

impl ServerFlag {
    /// Whether the command line names a server.
    pub(crate) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// The server of the flag, of the environment, or of this machine.
    pub(crate) fn server(self) -> Result<Server> {
        let url = match (self.server, std::env::var(SERVER_VARIABLE)) {
            (Some(url), _) | (None, Ok(url)) => url,
            (None, Err(VarError::NotPresent)) => SERVER_DEFAULT.into(),
            (None, Err(error)) => return Err(error).context(SERVER_VARIABLE),
        };
        let mut server = Server::parse(&url)?;
        if server.scheme == Scheme::Https {
            server.tls = Some(Tls::new(&server.host, self.ca.as_deref())?);
        } else if self.ca.is_some() {
            bail!("`--ca` is for servers that speak TLS: write https in `{url}`");
        }
        server.authorization = authorization(self.token_file.as_deref())?;
        Ok(server)
    }
}

/// What a server is shown that asks who somebody is.
fn authorization(token_file: Option<&Path>) -> Result<Option<HeaderValue>> {
    let token = match (token_file, std::env::var(TOKEN_VARIABLE)) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path);
            text.with_context(|| format!("cannot read {}", path.display()))?
        }
        (None, Ok(token)) => token,
        (None, Err(VarError::NotPresent)) => return Ok(None),
        (None, Err(error)) => return Err(error).context(TOKEN_VARIABLE),
    };
    bearer(token.trim()).map(Some)
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.context("the token has characters that no header may have")?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    scheme: Scheme,
    /// How to speak TLS, where the scheme asks for it.
    tls: Option<Tls>,
    host: String,
    port: u16,
    authority: HeaderValue,
    authorization: Option<HeaderValue>,
    /// In front of every path, for a server behind a proxy; without a `/` at its end.
    base_path: String,
}

impl Server {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let with_scheme =
            if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme)
            .with_context(|| format!("`{text}` is no URL such as {SERVER_DEFAULT}"))?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => bail!("`{text}`: `{other}` is neither http nor https"),
        };
        let Some(host) = url.host() else { bail!("`{text}` names no host") };
        let port = url.port_or_known_default().context("both schemes have a default port")?;
        let authority = url.authority().rsplit('@').next().unwrap_or_default();
        Ok(Self {
            scheme,
            tls: None,
            // Without the brackets that a URL puts around IPv6 addresses.
            host: match host {
                url::Host::Ipv6(address) => address.to_string(),
                other => other.to_string(),
            },
            port,
            authority: HeaderValue::from_str(authority).context("the URL's host")?,
            authorization: None,
            base_path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Shows this token or key with each request.
    pub(crate) fn show(&mut self, token: &str) -> Result<()> {
        self.authorization = Some(bearer(token)?);
        Ok(())
    }

    /// Host and port, for people.
    pub(crate) fn name(&self) -> &str {
        self.authority.to_str().unwrap_or(&self.host)
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        let connected = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                None => speak(stream).await,
                Some(tls) => speak(tls.handshake(stream).await?).await,
            }
        };
        let context = || format!("cannot connect to {}", self.name());
        let result = timeout(CONNECT_TIMEOUT, connected).await.with_context(context)?;
        Ok(Connection { server: self.clone(), sender: result.with_context(context)? })
    }
}

/// Speaks HTTP/1.1 over what is connected.
async fn speak<S>(stream: S) -> Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, driver) = handshake(TokioIo::new(stream)).await?;
    // Its errors reach whoever waits for an answer.
    tokio::spawn(driver);
    Ok(sender)
}

/// A connection that is kept alive from one request to the next.
#[derive(Debug)]
pub(crate) struct Connection {
    server: Server,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Sends a request and returns the answer once its head is there, whatever its status.
    pub(crate) async fn send(
        &mut self,
        request: Builder,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let context = || format!("no answer from {}", self.server.name());
        let mut request: Request<Full<Bytes>> =
            request.body(Full::new(body)).context("the request is not valid HTTP")?;
        let path = format!("{}{}", self.server.base_path, request.uri());
        *request.uri_mut() = path.parse().with_context(|| format!("the path `{path}`"))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.server.authority.clone());
        if let Some(authorization) = &self.server.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let agent = concat!("bellwire/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        self.sender.ready().await.with_context(context)?;
        timeout(ANSWER_TIMEOUT, self.sender.send_request(request))
            .await
            .with_context(context)?
            .with_context(context)
    }

    /// Sends a request and reads the whole answer; an answer that is an error is one.
    pub(crate) async fn ask(&mut self, request: Builder, body: Bytes) -> Result<Bytes> {
        let request = request.header(ACCEPT, "application/json");
        let response = self.send(request, body).await?;
        let status = response.status();
        let body = read(response.into_body()).await?;
        if status.is_success() { Ok(body) } else { Err(Problem::read(status, &body).into()) }
    }
}

/// Whether what answers is none that we could speak with, however often it is asked.
pub(crate) fn is_lasting(error: &anyhow::Error) -> bool {
    let is_other_protocol = |error: &(dyn std::error::Error + 'static)| {
        error.downcast_ref().is_some_and(hyper::Error::is_parse)
    };
    error.is::<Refused>() || error.chain().any(is_other_protocol)
}

/// Reads an answer's body whole.
pub(crate) async fn read(body: Incoming) -> Result<Bytes> {
    let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX);
    let whole = timeout(ANSWER_TIMEOUT, body.collect()).await.context("the answer stopped")?;
    match whole {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) => Err(anyhow::anyhow!(error).context("the answer cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_bare_addresses_name_a_server() {
        let cases = [
            ("http://127.0.0.1:8080", ("127.0.0.1", 8080, "127.0.0.1:8080", "")),
            ("http://example.org/", ("example.org", 80, "example.org", "")),
            ("http://example.org/bell/", ("example.org", 80, "example.org", "/bell")),
            ("http://[::1]:9", ("::1", 9, "[::1]:9", "")),
            ("localhost:8080", ("localhost", 8080, "localhost:8080", "")),
            ("http://user@host:1", ("host", 1, "host:1", "")),
            ("https://example.org/bell", ("example.org", 443, "example.org", "/bell")),
            ("https://[::1]:9", ("::1", 9, "[::1]:9", "")),
        ];
        for (text, (host, port, authority, base_path)) in cases {
            let server = Server::parse(text).expect(text);
            let found = (server.host.as_str(), server.port, server.name(), &*server.base_path);
            assert_eq!(found, (host, port, authority, base_path), "{text}");
        }
    }

    #[test]
    fn what_is_no_server_says_why() {
        for (text, reason) in
            [("ftp://example.org", "neither http"), ("http://", "no URL"), ("http://a b", "no URL")]
        {
            let error = format!("{:#}", Server::parse(text).expect_err(text));
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
