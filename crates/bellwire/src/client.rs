//! What the commands that speak to a server have in common: which one it is, what it is shown, and
//! what to do where it refuses.

use std::env::VarError;
use std::error::Error as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwire_client::{ArgumentError, Client, Error, TlsFault};
use thiserror::Error;

/// Where the commands look for a server that is not named.
pub(crate) const SERVER_DEFAULT: &str = "http://127.0.0.1:8080";
/// The variable that names another one.
pub(crate) const SERVER_VARIABLE: &str = "BELLWIRE_SERVER";

/// The variable that has a token or an API key to show.
const TOKEN_VARIABLE: &str = "BELLWIRE_TOKEN";

/// The code of whoever has shown nothing. What the server says of it is for those who write heads.
const CREDENTIAL_MISSING: &str = "credential_missing";

/// `--server URL`, for commands that are clients.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerFlag {
    /// URL of the server.
    // The variable is read by hand: clap's own support for it would print its value in `--help`.
    #[arg(long, visible_alias = "url", value_name = "URL", help = server_help())]
    server: Option<String>,
    /// PEM file of the certificates to trust in place of the system's, for `https`.
    #[arg(long, visible_alias = "cacert", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File of the token or API key to show, for a server that asks; the list of processes shows none.
    #[arg(long, value_name = "FILE", help = token_help())]
    token_file: Option<PathBuf>,
}

fn token_help() -> String {
    format!("File of the token or API key to show [env: {TOKEN_VARIABLE}, the token itself]")
}

fn server_help() -> String {
    format!("URL of the server [default: {SERVER_DEFAULT}] [env: {SERVER_VARIABLE}]")
}

impl ServerFlag {
    /// Whether the command line names a server.
    pub(crate) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// A client of the server of the flag, of the environment, or of this machine.
    pub(crate) fn client(self) -> Result<Client> {
        let url = match (self.server, std::env::var(SERVER_VARIABLE)) {
            (Some(url), _) | (None, Ok(url)) => url,
            (None, Err(VarError::NotPresent)) => SERVER_DEFAULT.into(),
            (None, Err(error)) => return Err(error).context(SERVER_VARIABLE),
        };
        let mut builder = Client::builder(&url).map_err(advised)?;
        if let Some(path) = self.ca {
            builder = builder.ca_file(path);
        }
        builder = match (self.token_file, std::env::var(TOKEN_VARIABLE)) {
            (Some(path), _) => {
                read_token(&path).with_context(|| format!("cannot read {}", path.display()))?;
                // Read again for a newer one: a subscription may outlast the first.
                builder.token_source(move || {
                    let token = read_token(&path);
                    async { Ok(Some(token?)) }
                })
            }
            (None, Ok(token)) => builder.token(token.trim()),
            (None, Err(VarError::NotPresent)) => builder,
            (None, Err(error)) => return Err(error).context(TOKEN_VARIABLE),
        };
        builder.build().map_err(advised)
    }
}

fn read_token(file: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(file).map(|text| text.trim().to_owned())
}

/// An error of the client in the words of the command line.
#[derive(Debug, Error)]
#[error("{text}")]
struct Advised {
    text: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Says what to do, where flags of the commands do it.
pub(crate) fn advised(error: Error) -> anyhow::Error {
    let text = match &error {
        Error::Problem(problem) if problem.code() == CREDENTIAL_MISSING => format!(
            "the server asks who you are: name a token or an API key by `--token-file`, or in the \
             variable {TOKEN_VARIABLE} ({}, {CREDENTIAL_MISSING})",
            problem.status
        ),
        Error::Tls(tls) if tls.fault == TlsFault::Untrusted => {
            "its certificate is not trusted here; `--ca FILE` names whom to trust".to_owned()
        }
        Error::Argument(ArgumentError::TrustUnused { url }) => {
            format!("`--ca` is for servers that speak TLS: write https in `{url}`")
        }
        Error::Argument(ArgumentError::TrustNobody { reasons }) => {
            format!("this system trusts no certificate; name some with `--ca FILE` {reasons}")
        }
        _ => return error.into(),
    };
    let source = error.source().map(|source| source.to_string().into());
    Advised { text, source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flags_can_do_is_said() {
        let error = Client::builder("http://a").and_then(|builder| builder.ca_file("x").build());
        let told = format!("{:#}", advised(error.expect_err("there is no TLS")));
        assert_eq!(told, "`--ca` is for servers that speak TLS: write https in `http://a`");
        let error = Client::new("ftp://a").expect_err("another scheme");
        assert!(advised(error).to_string().contains("neither http nor https"));
    }
}
