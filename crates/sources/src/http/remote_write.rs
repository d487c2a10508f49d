//! `POST /api/v1/write`: Prometheus' remote write, versions 1.0 and 2.0.
//!
//! Prometheus sends again whatever gets a status of 5xx, without end, and gives up on all of 4xx, by
//! itself also on 429. So what may be taken later is 503, and what never will be is 400.
//! `docs/decisions/status-codes-by-who-asks.md` has the table.

mod replicas;

use bellwire_ingest::remote_write::{self, EXEMPLAR_UNSUPPORTED, Version};
use bellwire_ingest::{Decoded, Rejection};
use bellwire_model::Timestamp;
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use self::replicas::Elections;
pub use self::replicas::Replicas;
use super::{Answer, Coding, Codings, Protocol, have_sent_again, spoken};
use crate::intake::Sender;
use crate::kind::Kind;
use crate::outcome::Outcome;

const CONTENT_TYPE: &str = "application/x-protobuf";
const TEXT: &str = "text/plain; charset=utf-8";

/// What 2.0 is told of each kind of data, always: a sender counts what is not told as lost.
const SAMPLES_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Answers 204, or 400 that says what was not taken and of which series. What else there was is
/// taken all the same.
#[derive(Debug, Default)]
pub struct RemoteWrite {
    elections: Option<Elections>,
}

impl RemoteWrite {
    /// Takes all that comes; or of each pair of replicas one, where they are configured.
    pub fn new(replicas: Option<Replicas>) -> Self {
        Self { elections: replicas.map(Elections::new) }
    }
}

impl Protocol for RemoteWrite {
    type Form = Version;

    const KIND: Kind = Kind::RemoteWrite;

    /// The first clients do not name the only compression that there is.
    const CODINGS: Codings = Codings { more: &[Coding::Snappy], assumed: Some(Coding::Snappy) };

    fn begin(&self, head: &Parts) -> Result<Version, Box<Answer>> {
        version(&head.headers).map_err(|detail| {
            let mut answer = told(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
            if says_v2(&head.headers) {
                write_counts(&mut answer, 0);
            }
            Box::new(answer)
        })
    }

    fn decode(&self, version: &Version, body: &[u8], now: Timestamp) -> Result<Decoded, Problem> {
        let decoded = remote_write::decode(*version, body, now);
        decoded.map_err(|error| Problem::new(Code::BodyInvalid, error))
    }

    fn settle(&self, decoded: &mut Decoded, sender: &Sender, _: Timestamp) {
        match &self.elections {
            Some(elections) => elections.settle(decoded, sender, clock::steady()),
            None => sender.permit(decoded),
        }
    }

    fn answer(&self, version: &Version, outcome: Outcome) -> Answer {
        let untaken = untaken(*version, &outcome);
        let mut answer = if untaken == 0 {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        } else {
            told(StatusCode::BAD_REQUEST, detail(untaken, &outcome))
        };
        if *version == Version::V2 {
            // What another replica has sent is written, too.
            let written = outcome.accepted - outcome.late + outcome.decoded.passed_over;
            write_counts(&mut answer, written);
        }
        answer
    }

    fn refuse(&self, asked: &HeaderMap, problem: Problem) -> Answer {
        let text = format!("{}: {}\n", problem.code.as_str(), problem.detail());
        let mut answer = spoken(&problem, text.into(), Some(TEXT));
        have_sent_again(&mut answer, &problem);
        if says_v2(asked) {
            write_counts(&mut answer, 0);
        }
        answer
    }
}

/// Which message the body is, as its content type says. None at all is the first version's.
fn version(headers: &HeaderMap) -> Result<Version, String> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Version::V1) };
    let text = value.to_str().unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    if !media.eq_ignore_ascii_case(CONTENT_TYPE) {
        return Err(format!("bodies are `{CONTENT_TYPE}` here, not `{media}`"));
    }
    let named = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("proto").then(|| value.trim().trim_matches('"'))
    });
    match named {
        None => Ok(Version::V1),
        Some(name) => Version::named(name).ok_or_else(|| {
            let known = [Version::V1, Version::V2].map(Version::name).join("` and `");
            format!("`{name}` is no message that is known here: `{known}` are")
        }),
    }
}

/// Whether a sender expects to be told how much was written.
fn says_v2(headers: &HeaderMap) -> bool {
    let told = headers.get("x-prometheus-remote-write-version");
    version(headers) == Ok(Version::V2)
        || told.is_some_and(|told| told.as_bytes().starts_with(b"2."))
}

fn write_counts(answer: &mut Answer, samples: usize) {
    let headers = answer.headers_mut();
    headers.insert(SAMPLES_WRITTEN, samples.into());
    headers.insert(HISTOGRAMS_WRITTEN, HeaderValue::from_static("0"));
    headers.insert(EXEMPLARS_WRITTEN, HeaderValue::from_static("0"));
}

/// How much was not taken that its sender wants taken. Exemplars belong to 2.0 alone: in 1.0 nothing
/// is said of them.
fn untaken(version: Version, outcome: &Outcome) -> usize {
    let passed_over = match version {
        Version::V1 => outcome.decoded.count_of(EXEMPLAR_UNSUPPORTED),
        Version::V2 => 0,
    };
    outcome.decoded.rejected - passed_over + outcome.late
}

/// What was not taken, how often and why, and the first series of it; in one line, since that is
/// what Prometheus logs of it.
fn detail(untaken: usize, outcome: &Outcome) -> String {
    let late = outcome.first_late.first().map(|late| (late.code, outcome.late));
    let reasons = outcome.decoded.by_code.iter().copied().chain(late);
    let reasons: Vec<_> = reasons.map(|(code, count)| format!("{code} {count}")).collect();
    let first = outcome.decoded.rejections.iter().chain(outcome.first_late.first()).next();
    let first = first.map_or_else(String::new, |rejection| {
        let Rejection { line, detail, excerpt, .. } = rejection;
        format!("; the first is series {line}, {excerpt}: {detail}")
    });
    format!("not taken: {untaken} ({}){first}", reasons.join(", "))
}

fn told(status: StatusCode, mut detail: String) -> Answer {
    detail.push('\n');
    let mut answer = Response::new(Bytes::from(detail));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT));
    answer
}

#[cfg(test)]
mod tests;
