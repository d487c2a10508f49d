//! What a client is made of.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use super::Client;
use crate::address::Address;
use crate::backoff::Backoff;
use crate::error::{ArgumentError, BoxError, Error};
use crate::http::{Http, Hyper};
use crate::surroundings::Surroundings;
use crate::token::{Source, Token};
use crate::trust::Trust;

/// A client that is to be.
#[derive(Debug)]
#[must_use = "it is no client before `build` is called"]
pub struct ClientBuilder {
    address: Address,
    trust: Trust,
    token: Token,
}

impl ClientBuilder {
    pub(super) fn new(url: &str) -> Result<Self, Error> {
        let token = Token::new(Source::Fixed(None));
        Ok(Self { address: Address::parse(url)?, trust: Trust::default(), token })
    }

    /// A token or an API key to show with every request.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        let token: String = token.into();
        self.token = Token::new(Source::Fixed(Some(token.into())));
        self
    }

    /// A function that gives tokens. It is asked again when the server says that one ends soon, and
    /// once where one is refused; one newer token is for all streams, which go on under it.
    pub fn token_source<Ask, Answer>(mut self, ask: Ask) -> Self
    where
        Ask: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Option<String>, BoxError>> + Send + 'static,
    {
        self.token = Token::new(Source::of_function(ask));
        self
    }

    /// A PEM file of the certificates to trust, in place of those that the system trusts.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.trust = Trust::File(path.into());
        self
    }

    /// The client. It connects to nothing yet.
    pub fn build(self) -> Result<Client, Error> {
        let trust = match (self.trust, self.address.is_tls()) {
            (trust, true) => trust,
            (Trust::File(_), false) => {
                let url = format!("http://{}", self.address.name());
                return Err(ArgumentError::TrustUnused { url }.into());
            }
            _ => Trust::SystemOrNobody,
        };
        let tls = trust.config()?;
        let http = Http::new(self.address, Arc::new(Hyper::new(tls)));
        Ok(Client::with(Surroundings {
            http,
            token: Arc::new(self.token),
            renewal: Arc::default(),
            backoff: Backoff::default(),
        }))
    }
}
