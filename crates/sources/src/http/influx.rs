//! `POST /api/v2/write` and `/write`: the line protocol, with the answers of InfluxDB.

use bellwire_ingest::Decoded;
use bellwire_ingest::line_protocol::{self, Precision};
use bellwire_model::Timestamp;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{Answer, JSON, Protocol, json_bytes, spoken};
use crate::kind::Kind;
use crate::outcome::Outcome;

/// Answers 204, or 400 that says what was refused.
#[derive(Clone, Copy, Debug)]
pub struct Influx;

impl Protocol for Influx {
    type Form = Precision;

    const KIND: Kind = Kind::Influx;

    fn begin(&self, head: &Parts) -> Result<Precision, Box<Answer>> {
        let query = head.uri.query().unwrap_or_default();
        let mut parameters = url::form_urlencoded::parse(query.as_bytes());
        let precision = parameters.find(|(name, _)| name == "precision");
        let precision = precision.as_ref().map_or("ns", |(_, precision)| precision);
        precision.parse().map_err(|error| Box::new(invalid(&format!("`precision`: {error}"))))
    }

    fn decode(
        &self,
        precision: &Precision,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Decoded, Problem> {
        Ok(line_protocol::decode(body, *precision, now))
    }

    fn answer(&self, _: &Precision, outcome: Outcome) -> Answer {
        if outcome.decoded.rejected > 0 {
            let (rejected, first) = (outcome.decoded.rejected, outcome.first_reason());
            return invalid(&format!("partial write: {rejected} of the lines refused: {first}"));
        }
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer
    }

    fn refuse(&self, _: &HeaderMap, problem: Problem) -> Answer {
        let body = error(problem.code.as_str(), problem.detail());
        let mut answer = spoken(&problem, json_bytes(&body), Some(JSON));
        // Clients send again after a 503, and know nothing of 507.
        if problem.code == Code::JournalFull {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    }
}

/// An error of InfluxDB: `code` and `message` are version 2's, `error` is version 1's.
pub fn error(code: &str, reason: &str) -> Value {
    json!({ "code": code, "message": reason, "error": reason })
}

fn invalid(reason: &str) -> Answer {
    let mut answer = Response::new(json_bytes(&error("invalid", reason)));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_waited_for_and_all_else_is_as_it_is_everywhere() {
        for code in Code::ALL {
            let answer = Influx.refuse(&HeaderMap::new(), Problem::new(*code, "why"));
            let expected = if *code == Code::JournalFull { 503 } else { code.status() };
            assert_eq!(answer.status(), expected, "{code:?}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], JSON);
        }
    }
}
