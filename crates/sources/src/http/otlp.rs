//! `POST /v1/metrics`: OpenTelemetry's metrics, as OTLP/HTTP has them.
//!
//! Senders send again what gets 503, and give up on the rest: most of them also on 429, some only
//! on 4xx. `docs/decisions/status-codes-by-who-asks.md` has the table.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use bellwire_ingest::otlp::{
    self, Encoding, PartialSuccess, Settings, Totals, export_response, status,
};
use bellwire_ingest::{Decoded, Rejection};
use bellwire_model::{Timestamp, excerpt};
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{Answer, Protocol, have_sent_again, may_be_taken_later, spoken};
use crate::intake::Sender;
use crate::kind::Kind;
use crate::outcome::Outcome;

/// Reasons that an answer names.
const REASONS_MAX: usize = 8;

/// Numbers of gRPC for what went wrong.
mod grpc {
    pub(super) const INVALID_ARGUMENT: u8 = 3;
    pub(super) const PERMISSION_DENIED: u8 = 7;
    pub(super) const UNIMPLEMENTED: u8 = 12;
    pub(super) const UNAVAILABLE: u8 = 14;
    pub(super) const UNAUTHENTICATED: u8 = 16;
}

/// Answers 200, with what was not taken of it; 400 where nothing was.
#[derive(Debug, Default)]
pub struct Otlp {
    settings: Settings,
    /// What comes as changes is added up here: requests take turns.
    totals: Mutex<Totals>,
}

impl Otlp {
    /// Takes metrics by these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, totals: Mutex::default() }
    }
}

impl Protocol for Otlp {
    type Form = Encoding;

    const KIND: Kind = Kind::Otlp;

    fn begin(&self, head: &Parts) -> Result<Encoding, Box<Answer>> {
        encoding(&head.headers).ok_or_else(|| {
            let detail = "OTLP is `application/x-protobuf` or `application/json`";
            Box::new(refuse(&head.headers, &Problem::new(Code::ContentTypeUnsupported, detail)))
        })
    }

    fn decode(&self, encoding: &Encoding, body: &[u8], now: Timestamp) -> Result<Decoded, Problem> {
        let decoded = otlp::decode(*encoding, body, &self.settings, now);
        decoded.map_err(|error| Problem::of_decoder(error.code(), error))
    }

    fn settle(&self, decoded: &mut Decoded, sender: &Sender, now: Timestamp) {
        sender.permit(decoded);
        if !decoded.changes.is_empty() {
            let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.settle(decoded, sender.holder(), now);
        }
    }

    fn answer(&self, encoding: &Encoding, outcome: Outcome) -> Answer {
        let Outcome { accepted, decoded, late, .. } = &outcome;
        // Of a point with several series each may have been refused.
        let rejected_points = (decoded.rejected + late).min(decoded.items) as u64;
        let message = reasons(&outcome);
        if *accepted == 0 && decoded.rejected > 0 {
            return answer(StatusCode::BAD_REQUEST, *encoding, {
                status(*encoding, grpc::INVALID_ARGUMENT, &message)
            });
        }
        let outcome = PartialSuccess { rejected_points, message };
        answer(StatusCode::OK, *encoding, export_response(*encoding, &outcome))
    }

    fn refuse(&self, asked: &HeaderMap, problem: Problem) -> Answer {
        refuse(asked, &problem)
    }
}

/// A refusal in OTLP's words, in the encoding of the request.
pub fn refuse(asked: &HeaderMap, problem: &Problem) -> Answer {
    let encoding = encoding(asked).unwrap_or(Encoding::Json);
    let code = match problem.code {
        _ if may_be_taken_later(problem) => grpc::UNAVAILABLE,
        Code::SignalUnsupported => grpc::UNIMPLEMENTED,
        code if code.status() == 401 => grpc::UNAUTHENTICATED,
        code if code.status() == 403 => grpc::PERMISSION_DENIED,
        _ => grpc::INVALID_ARGUMENT,
    };
    let message = format!("{}: {}", problem.code.as_str(), problem.detail());
    let body = status(encoding, code, &message).into();
    let mut answer = spoken(problem, body, Some(encoding.content_type()));
    have_sent_again(&mut answer, problem);
    answer
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Encoding::from_content_type(content_type)
}

/// What was not taken, how often and why, and what else the sender should know.
fn reasons(outcome: &Outcome) -> String {
    let Outcome { decoded, late, first_late, .. } = outcome;
    let late = first_late.first().map(|first| (first.code, *late));
    let mut message = String::new();
    for (code, count) in decoded.by_code.iter().copied().chain(late) {
        let separator = if message.is_empty() { "not taken: " } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(message, "{separator}{code} {count}");
    }
    let rejections = decoded.rejections.iter().chain(first_late.first());
    let of = |rejection: &Rejection| match &*rejection.excerpt {
        "" => rejection.detail.clone(),
        of => format!("{of}: {}", rejection.detail),
    };
    let mut told: Vec<String> = Vec::new();
    // Of one reason one is told, with what it is of, as far as there is room.
    let mut details: Vec<&str> = Vec::new();
    for rejection in rejections {
        if told.len() < REASONS_MAX && !details.contains(&&*rejection.detail) {
            details.push(&rejection.detail);
            told.push(of(rejection));
        }
    }
    for warning in &decoded.warnings {
        if told.len() < REASONS_MAX && !told.contains(warning) {
            told.push(warning.clone());
        }
    }
    for reason in told {
        let separator = if message.is_empty() { "" } else { "; " };
        let _ = write!(message, "{separator}{}", excerpt(reason));
    }
    message
}

fn answer(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let content_type = HeaderValue::from_static(encoding.content_type());
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

#[cfg(test)]
mod tests;
