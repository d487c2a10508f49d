//! An answer to a request of the application's own.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::error::{ConnectionError, Error, ProtocolError};
use crate::http::{Answer, read};

/// How long a server may be silent.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// An answer that is a success.
#[derive(Debug)]
pub struct Response {
    answer: Answer,
}

impl Response {
    pub(super) fn new(answer: Answer) -> Self {
        Self { answer }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    /// The next piece of its body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = in_time(self.answer.body_mut().frame()).await?;
            let Some(frame) = frame.transpose()? else { return Ok(None) };
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }

    /// Its body whole; one of more than 16 MiB is an error.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        in_time(read(self.answer)).await?
    }

    /// Its body as a type of the application's.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let body = self.bytes().await?;
        serde_json::from_slice(&body).map_err(|error| ProtocolError::NoAnswer(error).into())
    }
}

pub(super) async fn in_time<T>(asking: impl Future<Output = T>) -> Result<T, Error> {
    let silent = || ConnectionError::Silent { silence: SILENCE_MAX };
    timeout(SILENCE_MAX, asking).await.map_err(|_| silent().into())
}
