//! Telemetry over HTTP: one handler for all protocols, which are in `sources`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use bellwire_process::clock;
use bellwire_sources::http::{Answer, Protocol, refuse_otlp};
use bellwire_sources::{Outcome, Sender};
use bellwire_wire::problem::{Code, Problem};
use http::HeaderMap;
use http::request::Parts;

use super::App;
use super::body::{read_coded_batch, work_through};
use super::permission::{Caller, peer};
use crate::allowances::Sent;

/// Takes the requests of a protocol.
pub(super) fn post<P: Protocol>(protocol: P) -> MethodRouter<Arc<App>> {
    let protocol = Arc::new(protocol);
    let take =
        async move |State(app): State<Arc<App>>, caller: Caller, parts: Parts, body: Body| {
            answer(&*protocol, &app, (caller, parts), body).await.map(Body::from)
        };
    routing::post(take)
}

/// `POST /v1/logs`, `POST /v1/traces`: what OpenTelemetry has beside metrics. The answer is one after
/// which nobody sends it again, as every status from 500 on would have some SDKs do.
pub(super) async fn no_signal(headers: HeaderMap) -> Response {
    let detail = "only metrics are taken here, on /v1/metrics: have the sender export its logs and \
                  traces elsewhere, or not at all (OTEL_LOGS_EXPORTER=none, OTEL_TRACES_EXPORTER=none)";
    refuse_otlp(&headers, &Problem::new(Code::SignalUnsupported, detail)).map(Body::from)
}

/// Takes a request, and answers in the protocol's words.
async fn answer<P: Protocol>(
    protocol: &P,
    app: &App,
    (Caller(identity), parts): (Caller, Parts),
    body: Body,
) -> Answer {
    let form = match protocol.begin(&parts) {
        Ok(form) => form,
        Err(answer) => {
            app.figures.sources.note_unread(P::KIND, "head_invalid");
            return *answer;
        }
    };
    let sender = Sender::new(identity, peer(&parts.extensions));
    match outcome((protocol, &form), app, (&sender, &parts), body).await {
        Ok(outcome) => protocol.answer(&form, outcome),
        Err(problem) => {
            app.figures.sources.note_refused(P::KIND, &problem, &sender);
            protocol.refuse(&parts.headers, problem)
        }
    }
}

/// Reads the body, and has the rules see what it says.
async fn outcome<P: Protocol>(
    (protocol, form): (&P, &P::Form),
    app: &App,
    (sender, parts): (&Sender, &Parts),
    body: Body,
) -> Result<Outcome, Problem> {
    app.admission.publication()?;
    let held = read_coded_batch(&app.admission, (&parts.headers, P::CODINGS), body).await?;
    app.access.allowances.spend(&sender.identity, Sent::Bytes(held.bytes.len()))?;
    let decode = || {
        let now = clock::now();
        let mut decoded = protocol.decode(form, &held.bytes, now)?;
        protocol.settle(&mut decoded, sender, now);
        Ok::<_, Problem>(decoded)
    };
    let decoded = work_through(&app.admission, held.bytes.len(), decode).await?;
    // What waits for its turn at the rules is bounded by the bodies that are held.
    let outcome = app.receiver.take(P::KIND, sender, decoded).await;
    drop(held);
    outcome
}
