//! Refusals in the words that a route's clients read: those of Alertmanager, Prometheus and InfluxDB
//! know no problem JSON, and would tell their users that the answer cannot be read. Those of senders
//! of samples are in `sources`, each with its protocol.

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bellwire_sources::http::{Influx, Protocol, RemoteWrite, refuse_otlp};
use bellwire_wire::problem::Problem;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::problem::Refused;

/// The refusal of a route, by the path that the router has it under.
pub(super) fn refuse(path: &str, asked: &HeaderMap, problem: Problem) -> Response {
    match path {
        "/write" | "/query" | "/api/v2/write" => Influx.refuse(asked, problem).map(Body::from),
        "/v1/metrics" | "/v1/logs" | "/v1/traces" => refuse_otlp(asked, &problem).map(Body::from),
        "/api/v1/write" => RemoteWrite::default().refuse(asked, problem).map(Body::from),
        _ if path.starts_with("/api/v2/") => {
            let text = Value::from(problem.detail());
            spoken(problem, &text)
        }
        _ if path.starts_with("/api/v1/") => {
            let error = json!({
                "status": "error",
                "errorType": problem.code.as_str(),
                "error": problem.detail(),
            });
            spoken(problem, &error)
        }
        _ => Refused(problem).into_response(),
    }
}

/// A refusal as clients of InfluxDB read it.
pub(super) fn of_influxdb(problem: Problem) -> Response {
    Influx.refuse(&HeaderMap::new(), problem).map(Body::from)
}

fn spoken(problem: Problem, body: &Value) -> Response {
    let (mut head, _) = Refused(problem).into_response().into_parts();
    let (words, body) = Json(body).into_response().into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.extend(words.headers);
    Response::from_parts(head, body)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use bellwire_wire::problem::Code;

    use super::*;

    #[tokio::test]
    async fn each_client_reads_its_own_words() {
        for (path, kind, body) in [
            ("/v1/alerts", "application/problem+json", r#""code":"credential_missing""#),
            ("/api/v2/alerts", "application/json", r#""who are you""#),
            ("/api/v2/silence/{id}", "application/json", r#""who are you""#),
            ("/api/v2/write", "application/json", r#""message":"who are you""#),
            ("/write", "application/json", r#""error":"who are you""#),
            ("/query", "application/json", r#""error":"who are you""#),
            ("/v1/metrics", "application/json", r#""message":"credential_missing: who are you""#),
            ("/api/v1/write", "text/plain; charset=utf-8", "credential_missing: who are you\n"),
            ("/api/v1/query", "application/json", r#""status":"error""#),
            ("/api/v1/rules", "application/json", r#""error":"who are you""#),
        ] {
            let problem = Problem::new(Code::CredentialMissing, "who are you").retry_after(3);
            let (head, told) = refuse(path, &HeaderMap::new(), problem).into_parts();
            assert_eq!(head.status, 401, "{path}");
            assert_eq!(head.headers[header::CONTENT_TYPE], kind, "{path}");
            assert_eq!(head.headers[header::RETRY_AFTER], "3", "{path}");
            assert!(head.headers.contains_key(header::WWW_AUTHENTICATE), "{path}");
            let told = to_bytes(told, 4096).await.expect("bytes");
            assert!(String::from_utf8_lossy(&told).contains(body), "{path}: {told:?}");
        }
    }
}
