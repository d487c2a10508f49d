//! Reading request bodies: bounded in bytes and in time.

mod object;

use std::io::Read;

use axum::body::{Body, HttpBody};
use bellwire_model::limits::{
    BODY_BYTES_MAX, BODY_TIMEOUT, INFLATION_ASSUMED, LARGE_BODY_BYTES_MIN, NESTING_MAX,
    SNAPPY_RATIO_MAX,
};
use bellwire_model::{excerpt, is_nested_deeper, without_byte_order_mark};
use bellwire_sources::http as sources;
pub(super) use bellwire_sources::http::header;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use self::object::Object;
pub(super) use self::object::objects;
use super::watched::is_of_the_revoked;
use crate::admission::Admission;
use crate::peers::NotAsSigned;
use crate::relay;

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
    read_coded(admission, Coding::of(headers, &[])?, body, bytes_max).await
}

async fn read_coded(
    admission: &Admission,
    coding: Coding,
    body: Body,
    bytes_max: usize,
) -> Result<Held, Problem> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    let mut held = tokio::select! {
        biased;
        collected = collect(admission, body, bytes_max) => collected?,
        () = admission.last_call() => {
            let detail = "the server ends, and the body is not complete: send it again";
            return Err(Problem::new(Code::Draining, detail).retry_after(RETRY_S));
        }
        () = sleep(BODY_TIMEOUT) => {
            let detail = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            return Err(Problem::new(Code::BodyTimeout, detail));
        }
    };
    match coding {
        Coding::Plain => {}
        Coding::Gzip => {
            let bytes = held.bytes.len().saturating_mul(INFLATION_ASSUMED);
            held.bytes = work_through(admission, bytes, || inflate(&held.bytes, bytes_max)).await?;
            held.place.merge(admission.body(held.bytes.len())?);
        }
        Coding::Snappy => {
            // It says how long it is, so that there is room before any of it is made.
            let bytes = snappy_bytes(&held.bytes, bytes_max)?;
            held.place.merge(admission.body(bytes)?);
            held.bytes = work_through(admission, bytes, || unsnap(&held.bytes)).await?;
        }
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
    /// Of blocks.
    Snappy,
}

impl Coding {
    fn of(headers: &HeaderMap, more: &[sources::Coding]) -> Result<Self, Problem> {
        let has_snappy = more.contains(&sources::Coding::Snappy);
        let mut coding = Self::Plain;
        for value in headers.get_all(CONTENT_ENCODING) {
            let names = value.to_str().unwrap_or("?").split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty()) {
                let is = |known| name.eq_ignore_ascii_case(known);
                coding = match coding {
                    coding if is("identity") => coding,
                    // What RFC 9110 calls an alias is what old clients say.
                    Self::Plain if is("gzip") || is("x-gzip") => Self::Gzip,
                    Self::Plain if has_snappy && is("snappy") => Self::Snappy,
                    _ => {
                        let more = if has_snappy { ", or as `snappy`" } else { "" };
                        let detail = format!("bodies come plain or as `gzip`{more}, once");
                        return Err(Problem::new(Code::EncodingUnsupported, detail));
                    }
                };
            }
        }
        Ok(coding)
    }
}

/// Seconds after which there may be a server again.
const RETRY_S: u32 = 1;

async fn collect(admission: &Admission, mut body: Body, bytes_max: usize) -> Result<Held, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let announced = announced.min(bytes_max);
    let mut place = admission.body(announced)?;
    // A copy: what a body is read into is a block many times the size of a small one.
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let broken = |error| {
            if is_of_the_revoked(&error) {
                let detail = "the credential was taken back before the body had come";
                return Problem::new(Code::CredentialInvalid, detail);
            }
            if NotAsSigned::is_cause_of(&error) {
                return relay::not_as_passed_on(&NotAsSigned.to_string());
            }
            Problem::new(Code::BodyInvalid, format!("the body broke off: {error}"))
        };
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        let needed = bytes.len() + data.len();
        if needed > bytes_max {
            return Err(too_large(bytes_max));
        }
        if needed > bytes.capacity() {
            // What is counted is the room that it takes, not what fills it.
            let room = needed.max(bytes.capacity() * 2).min(bytes_max);
            place.merge(admission.body(room.saturating_sub(place.num_permits()))?);
            bytes.reserve_exact(room - bytes.len());
        }
        bytes.extend_from_slice(&data);
    }
    bytes.shrink_to_fit();
    drop(place.split(place.num_permits() - bytes.len()));
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

/// The length that a block of snappy says that it has.
fn snappy_bytes(bytes: &[u8], bytes_max: usize) -> Result<usize, Problem> {
    let length = snap::raw::decompress_len(bytes).map_err(|error| no_snappy(&error))?;
    // A byte stands for 64 at most: what says more is not what it says.
    let most = bytes.len().saturating_mul(SNAPPY_RATIO_MAX);
    if length > bytes_max {
        return Err(too_large(bytes_max));
    }
    if length > most {
        let detail =
            format!("the body is not snappy: {} bytes say that they are {length}", bytes.len());
        return Err(Problem::new(Code::BodyInvalid, detail));
    }
    Ok(length)
}

fn unsnap(bytes: &[u8]) -> Result<Bytes, Problem> {
    let made = snap::raw::Decoder::new().decompress_vec(bytes);
    made.map(Bytes::from).map_err(|error| no_snappy(&error))
}

fn no_snappy(error: &snap::Error) -> Problem {
    let detail = format!("the body is not snappy in its block format: {error}");
    Problem::new(Code::BodyInvalid, detail)
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body has at most {bytes_max} bytes here"))
}

/// A body that is an object of JSON: what it says, or what is wrong with it.
pub(super) fn json<'a, T: Deserialize<'a>>(held: &'a Held) -> Result<T, String> {
    read_json(held).map(|Object(said)| said)
}

/// A body that is an array of objects.
pub(super) fn array<'a, T: Deserialize<'a>>(held: &'a Held) -> Result<Vec<T>, String> {
    let objects: Vec<Object<T>> = read_json(held)?;
    Ok(objects.into_iter().map(|Object(said)| said).collect())
}

fn read_json<'a, T: Deserialize<'a>>(held: &'a Held) -> Result<T, String> {
    let json = without_byte_order_mark(&held.bytes);
    if is_nested_deeper(json, NESTING_MAX) {
        return Err(format!("arrays and objects are nested more than {NESTING_MAX} times"));
    }
    serde_json::from_slice(json).map_err(|error| excerpt(error.to_string()))
}

/// The whole body of a request that carries many items.
pub(super) async fn read_batch(
    admission: &Admission,
    headers: &HeaderMap,
    body: Body,
) -> Result<Held, Problem> {
    read(admission, headers, body, BODY_BYTES_MAX).await
}

/// The same of one that may be compressed in these ways beside `gzip`.
pub(super) async fn read_coded_batch(
    admission: &Admission,
    (headers, codings): (&HeaderMap, sources::Codings),
    body: Body,
) -> Result<Held, Problem> {
    let coding = match codings.assumed {
        Some(sources::Coding::Snappy) if !headers.contains_key(CONTENT_ENCODING) => Coding::Snappy,
        _ => Coding::of(headers, codings.more)?,
    };
    read_coded(admission, coding, body, BODY_BYTES_MAX).await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use bellwire_model::limits::BODIES_BYTES_MAX;
    use hyper::body::Frame;
    use tokio::sync::watch;

    use super::*;
    use crate::admission::AdmissionLimits;

    /// A body of chunks, so many of them; then it ends, or nothing comes.
    struct Chunks(usize, Then);

    #[derive(Clone, Copy)]
    enum Then {
        End,
        Silence,
    }

    const CHUNK: &[u8] = &[7; 1000];

    impl HttpBody for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match (self.0.checked_sub(1), self.1) {
                (Some(left), _) => {
                    self.0 = left;
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(CHUNK)))))
                }
                (None, Then::End) => Poll::Ready(None),
                (None, Then::Silence) => Poll::Pending,
            }
        }
    }

    fn admission(draining: watch::Receiver<bool>) -> Admission {
        let limits = AdmissionLimits {
            connections: 1,
            connections_per_address: 0,
            connects_per_second_per_address: 0,
            memory_bytes: u64::MAX,
        };
        Admission::new(limits, Arc::default(), draining)
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_takes_the_room_that_is_counted_for_it() {
        let admission = admission(watch::channel(false).1);
        for chunks in [0, 1, 3, 1_234] {
            let body = Body::new(Chunks(chunks, Then::End));
            let held = read_batch(&admission, &HeaderMap::new(), body).await.expect("room");
            let bytes = chunks * CHUNK.len();
            assert_eq!((held.bytes.len(), held.place.num_permits()), (bytes, bytes));
            assert_eq!(Vec::from(held.bytes).capacity(), bytes);
            drop(held.place);
            drop(admission.body(BODIES_BYTES_MAX).expect("nothing is left counted"));
        }
        let body = Body::new(Chunks(BODY_BYTES_MAX / CHUNK.len() + 1, Then::End));
        let refused = read_batch(&admission, &HeaderMap::new(), body).await.expect_err("too large");
        assert_eq!(refused.code, Code::BodyTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_waited_for_and_less_while_the_server_drains() {
        for (is_draining, code) in [(false, Code::BodyTimeout), (true, Code::Draining)] {
            let (_drain, draining) = watch::channel(is_draining);
            let body = Body::new(Chunks(1, Then::Silence));
            let read = read_batch(&admission(draining), &HeaderMap::new(), body).await;
            assert_eq!(read.expect_err("it does not end").code, code);
        }
    }
}
