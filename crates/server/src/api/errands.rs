//! What other nodes ask the keeper of the desk to do, in the name of clients of their own.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use bellwire_access::Identity;
use bellwire_model::limits::{ENVOY_ASKERS_TRIED_MAX, ENVOY_MISSION_BYTES_MAX, LIVE_LINGER};
use bellwire_model::{AskedQuery, NewAcknowledgement, Principal};
use bellwire_process::clock;
use bellwire_shards::FollowedQueries;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::oneshot;

use super::App;
use crate::envoy::Followings;
use crate::envoy::mission::{Done, Errand, Mission, samples_json};
use crate::live;
use crate::peers::{FromNode, NotAsSigned};
use crate::problem::Refused;
use crate::relay;

/// `POST /v1/nodes/errands`: does what a mission says, in somebody's name.
pub(super) async fn errand(
    State(app): State<Arc<App>>,
    _from: FromNode,
    body: Body,
) -> Result<Json<Done>, Refused> {
    let Some(cluster) = &app.cluster else {
        return Err(Problem::new(Code::NotFound, "this server stands alone").into());
    };
    let body = axum::body::to_bytes(body, ENVOY_MISSION_BYTES_MAX).await;
    let body = body.map_err(|error| {
        let is_another = NotAsSigned::is_cause_of(&error);
        let code = if is_another { Code::CredentialInvalid } else { Code::BodyTooLarge };
        Problem::new(code, error)
    })?;
    let mission: Mission =
        serde_json::from_slice(&body).map_err(|error| Problem::new(Code::BodyInvalid, error))?;
    // Who has been asleep may be the keeper no more, and learns it now or while it works.
    let away = || relay::nobody_keeps("another node may have the samples and alerts by now");
    if !cluster.is_in_charge() {
        return Err(away().into());
    }
    let done = perform(&app, mission).await.unwrap_or_else(|problem| Done::refused(&problem));
    if cluster.is_in_charge() { Ok(Json(done)) } else { Err(away().may_be_taken().into()) }
}

/// Whoever it is done for, as far as they may do anything here.
fn identity(app: &App, mission: &Mission) -> Result<Arc<Identity>, Problem> {
    let Some(mandate) = &mission.by else {
        return Ok(app.access.identity(Principal::ANONYMOUS));
    };
    let identity = app.access.authenticator.mandated(mandate, clock::now());
    identity.map(Arc::new).ok_or_else(|| {
        Problem::new(Code::CredentialInvalid, "what was shown elsewhere does not count here")
    })
}

/// Has the queries stand that were followed here while another node was the keeper, for as long as they are. It is
/// asked again and again, as by that node.
pub(crate) async fn keep_standing(app: Arc<App>, followings: Arc<Followings>) {
    let topics = followings.topics();
    loop {
        for topic in &topics {
            for asked in followings.asked(topic, ENVOY_ASKERS_TRIED_MAX) {
                let Ok(mission) = serde_json::from_slice::<Mission>(&asked) else { continue };
                match perform(&app, mission).await {
                    Ok(Done::Stands { .. }) => break,
                    // Whoever may not any more is followed by whoever may.
                    done => tracing::debug!(?done, "A query that is followed does not stand."),
                }
            }
        }
        tokio::time::sleep(LIVE_LINGER / 3).await;
    }
}

async fn perform(app: &App, mission: Mission) -> Result<Done, Problem> {
    let identity = identity(app, &mission)?;
    let Mission { from, errand, .. } = mission;
    let held = app.access.enter(&identity);
    let (principal, errands) = (held.principal(), &app.errands);
    let fingerprint = |text: &str| {
        let parsed = text.parse();
        parsed.map_err(|_| Problem::new(Code::AlertNotFound, "this is no fingerprint"))
    };
    match errand {
        Errand::Samples(text) => {
            let json = samples_json(&text)
                .ok_or_else(|| Problem::new(Code::BodyInvalid, "this is no base64"))?;
            let (reply, replied) = answer();
            errands.take_samples(principal, from, &json, reply)?;
            Ok(Done::of_samples(received(replied).await?))
        }
        Errand::Acknowledge { alert, by, note } => {
            let (reply, replied) = answer();
            let new = NewAcknowledgement { by, note };
            errands.acknowledge(principal, fingerprint(&alert)?, new, reply)?;
            received(replied).await.map(|_| Done::Attended)
        }
        Errand::Unacknowledge { alert } => {
            let (reply, replied) = answer();
            errands.unacknowledge(principal, fingerprint(&alert)?, reply)?;
            received(replied).await.map(|_| Done::Attended)
        }
        Errand::Expression(text) => {
            stand(app, (principal, from), AskedQuery::Expression(text)).await
        }
        Errand::Named(name) => stand(app, (principal, from), AskedQuery::Named(name)).await,
    }
}

/// Has a query stand, and for a while after that.
async fn stand(
    app: &App,
    (principal, from): (Principal, Option<std::net::IpAddr>),
    asked: AskedQuery,
) -> Result<Done, Problem> {
    let (reply, replied) = answer();
    app.errands.follow_queries(principal, from, (vec![asked], None), reply)?;
    let FollowedQueries(followed) = received(replied).await?;
    let filters = followed.iter().map(|(filter, _)| filter.clone()).collect();
    Ok(Done::Stands { keys: live::keys(&app.publisher.states, filters) })
}

/// What replies, and where the reply comes.
type Answer<T> =
    (Box<dyn FnOnce(Result<T, Problem>) + Send>, oneshot::Receiver<Result<T, Problem>>);

fn answer<T: Send + 'static>() -> Answer<T> {
    let (sender, receiver) = oneshot::channel();
    // Whoever asked may be gone.
    let reply = move |result| drop(sender.send(result));
    (Box::new(reply), receiver)
}

async fn received<T>(answer: oneshot::Receiver<Result<T, Problem>>) -> Result<T, Problem> {
    // It was dropped with what was asked for, before that or behind it.
    answer.await.map_err(|_| Problem::new(Code::Draining, "the server ends").may_be_taken())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_never_replied_to_may_be_taken() {
        let (reply, replied) = answer::<()>();
        drop(reply);
        let problem = received(replied).await.expect_err("no reply");
        assert_eq!(problem.is_maybe_taken(), Some(true), "{problem:?}");
        let (reply, replied) = answer();
        reply(Ok(7));
        assert_eq!(received(replied).await, Ok(7));
    }
}
