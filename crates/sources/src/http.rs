//! Protocols over HTTP: a request is a batch of samples, and its answer says what became of them.
//!
//! The server has one handler for all of them; a protocol says what its head means, reads its body,
//! and answers in the words and status codes that its clients know.

mod influx;
mod json;
mod otlp;
mod remote_write;

use bellwire_ingest::Decoded;
use bellwire_model::Timestamp;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

pub use influx::{Influx, error as influx_error};
pub use json::Json;
pub use otlp::{Otlp, refuse as refuse_otlp};
pub use remote_write::{RemoteWrite, Replicas};

use crate::intake::Sender;
use crate::kind::Kind;
use crate::outcome::Outcome;

/// Seconds after which something may be sent again, where its problem does not say.
const RETRY_S: u32 = 5;

/// What a client is told.
pub type Answer = Response<Bytes>;

/// A protocol in which samples come as requests.
pub trait Protocol: Send + Sync + 'static {
    /// What the head of a request says of its body.
    type Form: Send + Sync;

    /// What it is counted as.
    const KIND: Kind;

    /// How bodies are compressed.
    const CODINGS: Codings = Codings { more: &[], assumed: None };

    /// Reads the head of a request; an answer says what is wrong with it.
    fn begin(&self, head: &Parts) -> Result<Self::Form, Box<Answer>>;

    /// Reads a body. What is wrong with one of its items costs none of the others; a problem says
    /// that nothing of it can be read. Samples without a time are of `now`.
    fn decode(&self, form: &Self::Form, body: &[u8], now: Timestamp) -> Result<Decoded, Problem>;

    /// Looks once more at what was read, before the rules see it: leaves what the sender may send, as
    /// what it will be.
    fn settle(&self, decoded: &mut Decoded, sender: &Sender, now: Timestamp) {
        let _ = now;
        sender.permit(decoded);
    }

    /// What the sender is told once the rules have seen its samples.
    fn answer(&self, form: &Self::Form, outcome: Outcome) -> Answer;

    /// What a sender is told of whom nothing was taken. Where the answer has to be of the same form
    /// as the request its headers say which.
    fn refuse(&self, asked: &HeaderMap, problem: Problem) -> Answer;
}

/// How the bodies of a protocol are compressed.
#[derive(Clone, Copy, Debug)]
pub struct Codings {
    /// What there may be beside none at all and `gzip`.
    pub more: &'static [Coding],
    /// What counts where a head says nothing.
    pub assumed: Option<Coding>,
}

/// How a body may be compressed beside `gzip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Snappy's block format, which is not the one with frames.
    Snappy,
}

/// A header's text, where it stands, once, and is text.
pub fn header(headers: &HeaderMap, name: impl Into<HeaderName>) -> Result<Option<&str>, Problem> {
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

/// A problem as it is: in the words of the server's own API.
fn of_problem(problem: &Problem) -> Answer {
    spoken(problem, Bytes::from(problem.json()), None)
}

/// A problem in other words: status and headers are the same in all.
fn spoken(problem: &Problem, body: Bytes, content_type: Option<&'static str>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = problem.status();
    *answer.headers_mut() = problem.headers();
    if let Some(content_type) = content_type {
        let content_type = HeaderValue::from_static(content_type);
        answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    answer
}

const JSON: &str = "application/json";

/// Whether a problem is of this moment or of this server, and not of what was sent.
fn may_be_taken_later(problem: &Problem) -> bool {
    matches!(problem.code.status(), 408 | 429 | 503 | 507)
}

/// Has senders that give up on `429` and `507` send again what may be taken later.
fn have_sent_again(answer: &mut Answer, problem: &Problem) {
    if may_be_taken_later(problem) {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let seconds = problem.retry_after_s().unwrap_or(RETRY_S);
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
}

fn json_bytes(value: &Value) -> Bytes {
    serde_json::to_vec(value).expect("strings and numbers are JSON").into()
}
