//! `POST /v1/samples`: JSON, as the server's own API has it.

use bellwire_ingest::{Decoded, Rejection, json};
use bellwire_model::Timestamp;
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::Value;

use super::{Answer, JSON, Protocol, json_bytes, of_problem};
use crate::kind::Kind;
use crate::outcome::Outcome;

/// Answers `{"accepted":n}`, with `"rejected"` and `"errors"` where some samples were refused; they
/// name the line and the reason. The others count all the same.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Protocol for Json {
    type Form = json::Format;

    const KIND: Kind = Kind::Json;

    fn begin(&self, head: &Parts) -> Result<json::Format, Box<Answer>> {
        let content_type = super::header(&head.headers, header::CONTENT_TYPE);
        content_type
            .map(json::Format::from_content_type)
            .map_err(|problem| Box::new(of_problem(&problem)))
    }

    fn decode(
        &self,
        format: &json::Format,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Decoded, Problem> {
        let decoded = json::decode(*format, body, now);
        decoded.map_err(|error| Problem::of_decoder(error.code(), error))
    }

    fn answer(&self, _: &json::Format, outcome: Outcome) -> Answer {
        let summary = summary(&outcome);
        if outcome.accepted == 0 && outcome.decoded.rejected > 0 {
            let problem = Problem::new(Code::SamplesInvalid, outcome.first_reason());
            return of_problem(&problem.with("errors", summary["errors"].clone()));
        }
        let mut answer = Response::new(json_bytes(&summary));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        answer
    }

    fn refuse(&self, _: &HeaderMap, problem: Problem) -> Answer {
        of_problem(&problem)
    }
}

/// What was taken and what was not.
fn summary(Outcome { accepted, decoded, .. }: &Outcome) -> Value {
    if decoded.rejected == 0 {
        return serde_json::json!({ "accepted": accepted });
    }
    let error = |rejection: &Rejection| {
        serde_json::json!({
            "line": rejection.line,
            "code": rejection.code,
            "detail": rejection.detail,
        })
    };
    let errors: Vec<_> = decoded.rejections.iter().map(error).collect();
    let rejected = decoded.rejected;
    serde_json::json!({ "accepted": accepted, "rejected": rejected, "errors": errors })
}
