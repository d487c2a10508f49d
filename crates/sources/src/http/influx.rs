//! `POST /api/v2/write` and `/write`: the line protocol, with the answers of InfluxDB.
//!
//! All its clients send again what gets 503. Telegraf drops what gets any other status that says
//! the like: 408 from both paths, 429 from `/write`, 507 nobody waits for.
//! `docs/decisions/status-codes-by-who-asks.md` has the table.

use bellwire_ingest::Decoded;
use bellwire_ingest::line_protocol::{self, Precision};
use bellwire_model::Timestamp;
use bellwire_wire::problem::Problem;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{Answer, JSON, Protocol, have_sent_again, json_bytes, spoken};
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
        // InfluxDB takes an empty one for none.
        let precision = precision.as_ref().filter(|(_, precision)| !precision.is_empty());
        let precision = precision.map_or("ns", |(_, precision)| precision);
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
        have_sent_again(&mut answer, &problem);
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
    use bellwire_wire::problem::Code;

    use super::*;
    use crate::http::may_be_taken_later;

    #[test]
    fn times_are_nanoseconds_unless_something_else_is_said() {
        for (query, expected) in [
            ("/write", Ok(Precision::Nanoseconds)),
            ("/write?db=a&precision=", Ok(Precision::Nanoseconds)),
            ("/write?precision=s", Ok(Precision::Seconds)),
            ("/write?precision=x", Err(StatusCode::BAD_REQUEST)),
        ] {
            let (head, ()) = http::Request::get(query).body(()).expect("a request").into_parts();
            let begun = Influx.begin(&head).map_err(|answer| answer.status());
            assert_eq!(begun, expected, "{query}");
        }
    }

    #[test]
    fn what_may_be_taken_later_is_sent_again_and_nothing_else_is() {
        for code in Code::ALL {
            let problem = Problem::new(*code, "why");
            let is_later = may_be_taken_later(&problem);
            let answer = Influx.refuse(&HeaderMap::new(), problem);
            let expected = if is_later { 503 } else { code.status() };
            assert_eq!(answer.status(), expected, "{code:?}");
            assert_eq!(answer.headers().contains_key(header::RETRY_AFTER), is_later, "{code:?}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], JSON);
        }
    }
}
