//! The time at which an event was sent, within its body.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::marker::Marker;
use super::request;

const MARK: &str = "\"sent_ns\":\"";
const DIGITS: usize = 16;

/// Stands where the time goes.
const PLACEHOLDER: &str = "0000000000000000";

/// Times count from here.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds from a common beginning to a time.
pub(super) fn ns_at(time: Instant) -> u64 {
    time.saturating_duration_since(*BEGIN).as_nanos() as u64
}

/// What is searched for in a stream.
pub(super) fn marker() -> Marker {
    Marker::new(MARK, DIGITS)
}

/// The time that follows the mark.
pub(super) fn parse(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// How long ago that time was.
pub(super) fn since(sent_ns: u64, now: Instant) -> Duration {
    Duration::from_nanos(ns_at(now).saturating_sub(sent_ns))
}

/// A JSON body with a place for a time.
pub(super) fn body(bytes: usize) -> Result<String> {
    request::padded_json(&format!("{MARK}{PLACEHOLDER}\","), bytes)
}

/// A request with such a body, however it is escaped.
#[derive(Debug)]
pub(super) struct Stamped {
    request: Vec<u8>,
    digits_at: usize,
}

impl Stamped {
    pub(super) fn new(request: Vec<u8>) -> Result<Self> {
        let digits_at = memchr::memmem::find(&request, PLACEHOLDER.as_bytes())
            .context("the request has no place for a time")?;
        Ok(Self { request, digits_at })
    }

    /// The request as sent now.
    pub(super) fn now(&mut self) -> &[u8] {
        let mut rest = ns_at(Instant::now());
        for digit in self.request[self.digits_at..][..DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_request_tells_when_it_was_sent() {
        let body = body(128).expect("large enough");
        let mut stamped = Stamped::new(format!("POST {body}").into_bytes()).expect("has a place");
        let mut before = 0;
        for _ in 0..3 {
            let mut found = Vec::new();
            marker().scan(stamped.now(), |digits| found.push(parse(digits)));
            let [Some(sent_ns)] = found[..] else { panic!("{found:?}") };
            assert!(sent_ns >= before && sent_ns <= ns_at(Instant::now()), "{sent_ns}");
            before = sent_ns;
        }
        assert!(Stamped::new(b"POST {}".to_vec()).is_err());
        assert_eq!(parse(b"12a4"), None);
    }
}
