//! Telemetry over HTTP: one handler for all protocols, which are in `sources`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::routing::{self, MethodRouter};
use bellwire_process::clock;
use bellwire_sources::http::{Answer, Protocol};
use bellwire_sources::{Outcome, Sender};
use bellwire_wire::problem::Problem;
use http::request::Parts;

use super::App;
use super::body::{read_coded_batch, work_through};
use super::permission::{Caller, peer};
use crate::allowances::Sent;
use crate::receiver::permit;

/// Takes the requests of a protocol.
pub(super) fn post<P: Protocol>(protocol: P) -> MethodRouter<Arc<App>> {
    let protocol = Arc::new(protocol);
    let take =
        async move |State(app): State<Arc<App>>, caller: Caller, parts: Parts, body: Body| {
            answer(&*protocol, &app, (caller, parts), body).await.map(Body::from)
        };
    routing::post(take)
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
    let sender = Sender { address: peer(&parts.extensions), identity };
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
        permit(&mut decoded, &sender.identity.rights);
        protocol.settle(&mut decoded, now);
        Ok::<_, Problem>(decoded)
    };
    let decoded = work_through(&app.admission, held.bytes.len(), decode).await?;
    // What waits for its turn at the rules is bounded by the bodies that are held.
    let outcome = app.receiver.take(P::KIND, sender, decoded).await;
    drop(held);
    outcome
}
