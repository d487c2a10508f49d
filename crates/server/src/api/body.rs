//! Reading request bodies: bounded in bytes and in time.

use std::io::Read;

use axum::body::{Body, HttpBody};
use bellwire_model::limits::{
    BODY_BYTES_MAX, BODY_TIMEOUT, INFLATION_ASSUMED, LARGE_BODY_BYTES_MIN, NESTING_MAX,
};
use bellwire_model::{is_nested_deeper, without_byte_order_mark};
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderName, header};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use crate::admission::Admission;

/// A body, and its part of what bodies may take together: keep it until the request is done.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    place: OwnedSemaphorePermit,
}

/// The whole body, inflated where it is compressed.
pub(super) async fn read(
    admission: &Admission,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Held, Problem> {
    let coding = Coding::of(headers)?;
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    let collected = tokio::time::timeout(BODY_TIMEOUT, collect(admission, body, bytes_max)).await;
    let mut held = collected.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
        Problem::new(Code::BodyTimeout, detail)
    })??;
    if coding == Coding::Gzip {
        let bytes = held.bytes.len().saturating_mul(INFLATION_ASSUMED);
        held.bytes = work_through(admission, bytes, || inflate(&held.bytes, bytes_max)).await?;
        held.place.merge(admission.body(held.bytes.len())?);
    }
    Ok(held)
}

/// Does work that grows with the bytes of a body: what is little at once, the rest when its turn
/// comes. The runtime's other tasks are given to another thread meanwhile.
pub(super) async fn work_through<T>(
    admission: &Admission,
    bytes: usize,
    work: impl FnOnce() -> T,
) -> T {
    if bytes < LARGE_BODY_BYTES_MIN {
        return work();
    }
    let _turn = admission.large_body().await;
    tokio::task::block_in_place(work)
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
}

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut coding = Self::Plain;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            let names = value.to_str().unwrap_or("?").split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty()) {
                let is = |known| name.eq_ignore_ascii_case(known);
                coding = match coding {
                    coding if is("identity") => coding,
                    // What RFC 9110 calls an alias is what old clients say.
                    Self::Plain if is("gzip") || is("x-gzip") => Self::Gzip,
                    _ => {
                        let detail = "bodies come plain or as `gzip`, once";
                        return Err(Problem::new(Code::EncodingUnsupported, detail));
                    }
                };
            }
        }
        Ok(coding)
    }
}

async fn collect(admission: &Admission, mut body: Body, bytes_max: usize) -> Result<Held, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let announced = announced.min(bytes_max);
    let mut place = admission.body(announced)?;
    // A copy: what a body is read into is a block many times the size of a small one.
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let broken =
            |error| Problem::new(Code::BodyInvalid, format!("the body broke off: {error}"));
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if bytes.len() + data.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&data);
        if bytes.len() > place.num_permits() {
            place.merge(admission.body(bytes.len() - place.num_permits())?);
        }
    }
    Ok(Held { bytes: bytes.into(), place })
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

/// A body of JSON: what it says, or what is wrong with it.
pub(super) fn json<'a, T: serde::Deserialize<'a>>(held: &'a Held) -> Result<T, String> {
    let json = without_byte_order_mark(&held.bytes);
    if is_nested_deeper(json, NESTING_MAX) {
        return Err(format!("arrays and objects are nested more than {NESTING_MAX} times"));
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// The whole body of a request that carries many items.
pub(super) async fn read_batch(
    admission: &Admission,
    headers: &HeaderMap,
    body: Body,
) -> Result<Held, Problem> {
    read(admission, headers, body, BODY_BYTES_MAX).await
}

/// A header's text, where it stands, once, and is text.
pub(super) fn header(
    headers: &HeaderMap,
    name: impl Into<HeaderName>,
) -> Result<Option<&str>, Problem> {
    let name = name.into();
    let mut values = headers.get_all(&name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let detail = format!("the header `{name}` stands twice: which one counts?");
        return Err(Problem::new(Code::ParameterInvalid, detail));
    }
    // Header values may be UTF-8 here: topics and keys are.
    std::str::from_utf8(value.as_bytes()).map(Some).map_err(|_| {
        Problem::new(Code::ParameterInvalid, format!("the header `{name}` is not UTF-8"))
    })
}
