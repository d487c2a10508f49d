//! Reading request bodies: bounded in bytes and in time.

use std::io::Read;

use axum::body::{Body, HttpBody};
use bellwire_model::limits::{BODY_BYTES_MAX, BODY_TIMEOUT};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderName, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::problem::{Code, Problem};

/// Smaller bodies are copied out of the block that they were read into.
const SHARED_BYTES_MIN: usize = 64 * 1024;

/// The whole body, inflated where it is compressed.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let encoding = header(headers, header::CONTENT_ENCODING)?.unwrap_or("identity");
    // Who asks before sending is spared it. Others are read: they listen only when they have sent.
    if headers.contains_key(header::EXPECT) && body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    let collect = Limited::new(body, bytes_max).collect();
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, collect).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large(bytes_max)),
        Ok(Err(error)) => {
            return Err(Problem::new(Code::BodyInvalid, format!("the body broke off: {error}")));
        }
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            return Err(Problem::new(Code::BodyTimeout, detail));
        }
    };
    match encoding {
        // A copy of a small body: what was read shares a block many times its size.
        "identity" if bytes.len() < SHARED_BYTES_MIN => Ok(Bytes::copy_from_slice(&bytes)),
        "identity" => Ok(bytes),
        gzip if gzip.eq_ignore_ascii_case("gzip") => inflate(&bytes, bytes_max),
        other => {
            let detail = format!("bodies come plain or as `gzip`, not as `{other}`");
            Err(Problem::new(Code::EncodingUnsupported, detail))
        }
    }
}

/// Inflates gzip, up to a limit: a small body must not become a huge one.
fn inflate(bytes: &[u8], bytes_max: usize) -> Result<Bytes, Problem> {
    let mut inflated = Vec::new();
    let decoder = MultiGzDecoder::new(bytes);
    decoder.take(bytes_max as u64 + 1).read_to_end(&mut inflated).map_err(|error| {
        Problem::new(Code::BodyInvalid, format!("the body is not gzip: {error}"))
    })?;
    if inflated.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    inflated.shrink_to_fit();
    Ok(inflated.into())
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body has at most {bytes_max} bytes here"))
}

/// The whole body of a request that carries many items.
pub(super) async fn read_batch(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    read(headers, body, BODY_BYTES_MAX).await
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
