//! Reading request bodies: bounded in bytes and in time.

use axum::body::Body;
use bellwire_model::limits::{BODY_BYTES_MAX, BODY_TIMEOUT};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::problem::{Code, Problem};

/// The whole body.
pub(super) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let collect = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collect).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body has at most {bytes_max} bytes here");
            Err(Problem::new(Code::BodyTooLarge, detail))
        }
        Ok(Err(error)) => {
            Err(Problem::new(Code::BodyInvalid, format!("the body broke off: {error}")))
        }
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(Code::BodyTimeout, detail))
        }
    }
}

/// The whole body of a request that carries many items.
pub(super) async fn read_batch(body: Body) -> Result<Bytes, Problem> {
    read(body, BODY_BYTES_MAX).await
}

/// A header's text, where it stands and is text.
pub(super) fn header(
    headers: &HeaderMap,
    name: impl Into<HeaderName>,
) -> Result<Option<&str>, Problem> {
    let name = name.into();
    let Some(value) = headers.get(&name) else { return Ok(None) };
    // Header values may be UTF-8 here: topics and keys are.
    std::str::from_utf8(value.as_bytes()).map(Some).map_err(|_| {
        Problem::new(Code::ParameterInvalid, format!("the header `{name}` is not UTF-8"))
    })
}
