//! Requests and refusals, the same for streams and for what is sent.

mod exchange;
mod redirect;
mod remedy;

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use ::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

#[cfg(test)]
pub(crate) use self::exchange::Exchanging;
pub(crate) use self::exchange::{Answer, Exchange, Failed, Hyper};
pub(crate) use self::remedy::{Remedy, remedy};
use crate::address::Address;
use crate::error::{ArgumentError, ConnectionError, Error, ProtocolError};
use crate::problem::Problem;

/// What a client says of itself.
const OUR_NAME: &str = concat!("bellwire-client/", env!("CARGO_PKG_VERSION"));
/// Bytes of an answer that is read whole.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long the body of a refusal is waited for: its status tells enough.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks one server.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    address: Arc<Address>,
    exchange: Arc<dyn Exchange>,
}

impl Http {
    pub(crate) fn new(address: Address, exchange: Arc<dyn Exchange>) -> Self {
        Self { address: Arc::new(address), exchange }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Asks with a token, and returns the answer once its head is there, whatever its status; where
    /// that leads on, the answer from there. The request's address is a path of the API.
    pub(crate) async fn ask(
        &self,
        mut request: Request<Bytes>,
        token: Option<&str>,
    ) -> Result<Answer, Failed> {
        let path = request.uri().to_string();
        let home = self.address.join(&path).map_err(Failed::before)?;
        *request.uri_mut() = home.clone();
        let headers = request.headers_mut();
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(OUR_NAME));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, bearer(token).map_err(Failed::before)?);
        }
        for _ in 0..redirect::REDIRECTS_MAX {
            let answer = self.exchange.exchange(request.clone(), self.address.name()).await?;
            let asked = (request.method(), request.uri());
            let Some(next) = redirect::next(asked, answer.status(), answer.headers()) else {
                return Ok(answer);
            };
            if !redirect::is_of_one(&home, &next) {
                request.headers_mut().remove(AUTHORIZATION);
            }
            *request.uri_mut() = next;
        }
        self.exchange.exchange(request, self.address.name()).await
    }
}

fn bearer(token: &str) -> Result<HeaderValue, ArgumentError> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| ArgumentError::Header { name: "Authorization" })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads an answer whole.
pub(crate) async fn read(answer: Answer) -> Result<Bytes, Error> {
    let whole = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    whole.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            return ProtocolError::TooLarge { bytes_max: ANSWER_BYTES_MAX }.into();
        }
        match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => ConnectionError::Lost(error).into(),
        }
    })
}

/// What an answer that is no success says.
pub(crate) async fn refusal(answer: Answer) -> Box<Problem> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = timeout(REFUSAL_TIMEOUT, read(answer)).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    Box::new(Problem::read(status, &headers, &body))
}

/// The status of a refusal in a stream.
pub(crate) fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}
