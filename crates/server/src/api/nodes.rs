//! The nodes of a cluster, and what one of them does for all.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bellwire_cluster::{Seat, Standing};
use bellwire_journal::Journal;
use bellwire_model::limits::CATCH_UP_TIMEOUT;
use bellwire_shared_log::Assurance;
use bellwire_wire::problem::{Code, Problem};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::permission::{Asks, Caller};
use super::{App, status};
use crate::membership::{Membership, Role};
use crate::problem::Refused;
use crate::relay::Effect;
use crate::{relay, standby};

/// Streams of Durable Streams, which are changed one after the other.
const STREAMS: &str = "/v1/ds/";

/// What the keeper of the desk does alone.
const OF_DESK: [&str; 11] = [
    status::PATH,
    "/v1/samples",
    "/v1/metrics",
    "/v1/silences",
    "/v1/alerts",
    "/v1/rules",
    "/v1/record",
    "/v1/queries",
    "/v1/push",
    "/write",
    "/query",
];

/// The same of what is below.
const OF_DESK_BELOW: [&str; 6] =
    ["/v1/silences/", "/v1/alerts/", "/v1/queries/", "/v1/push/", "/api/v1/", "/api/v2/"];

/// What the keeper alone has of topics: their values and their pasts.
const SHOWN_BELOW: [&str; 3] = ["/v1/topics/samples/", "/v1/topics/rules/", "/v1/topics/query/"];

/// What all have, and the keeper more of.
const LISTING: &str = "/v1/topics";

/// When to ask again while the engine is away, in seconds.
const AWAY_S: u32 = 5;

/// `GET /v1/nodes`: the nodes of the cluster, as they say themselves; an empty list where a server
/// stands alone.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Value>, Refused> {
    Asks::Admin.check(caller.rights())?;
    let Some(cluster) = &app.cluster else { return Ok(Json(json!({ "nodes": [] }))) };
    let journal = Arc::clone(&cluster.journal);
    let told = tokio::task::spawn_blocking(move || {
        Ok((journal.nodes()?, journal.assurance()?, journal.span()?))
    });
    let told = told.await.map_err(|error| Problem::new(Code::Draining, error.to_string()))?;
    let (nodes, assurance, span) = told.map_err(|error: bellwire_cluster::Error| away(&error))?;
    let Assurance { engine, losses, doubts } = assurance;
    let losses = [losses, doubts].concat();
    let node = |mark: bellwire_cluster::NodeMark| {
        json!({
            "id": mark.id,
            "version": mark.version,
            "address": mark.address,
            "run": format!("{:016x}", mark.run),
            "beat": mark.beat,
            "applied": mark.applied.map(|applied| applied.position.get()),
        })
    };
    Ok(Json(json!({
        "cluster": cluster.name,
        "node": cluster.node,
        "epoch": cluster.journal.epoch().to_string(),
        "standing": standing(cluster),
        "desk": desk(cluster),
        "standby": standby::told(cluster),
        "engine": engine,
        "losses": losses,
        "log": { "trimmed": span.trimmed.get(), "tail": span.tail.get() },
        "nodes": nodes.into_iter().map(node).collect::<Vec<_>>(),
    })))
}

/// `DELETE /v1/nodes/{node}`: forgets a node that is gone. One that is there says so again.
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(node): Path<String>,
) -> Result<StatusCode, Refused> {
    Asks::Admin.check(caller.rights())?;
    let Some(cluster) = &app.cluster else {
        return Err(Problem::new(Code::NotFound, "this server stands alone").into());
    };
    let journal = Arc::clone(&cluster.journal);
    let forgotten = tokio::task::spawn_blocking(move || journal.forget_node(&node)).await;
    let forgotten = forgotten.map_err(|error| Problem::new(Code::Draining, error.to_string()))?;
    forgotten.map_err(|error| away(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which node has the samples and alerts, as far as this one knows: one that is about to be that has them not
/// yet.
fn desk(cluster: &Membership) -> Option<Box<str>> {
    if cluster.is_over() {
        return None;
    }
    if cluster.is_in_charge() {
        return Some(cluster.node.clone());
    }
    cluster.tenure.seat().other.map(|other| other.node)
}

fn standing(cluster: &Membership) -> Value {
    match cluster.journal.standing() {
        Standing::Starting => json!({ "state": "starting" }),
        Standing::Following { lag } => json!({ "state": "following", "lag": lag }),
        Standing::Away { why } => json!({ "state": "away", "reason": why }),
        Standing::Unfit { why } => json!({ "state": "unfit", "reason": why }),
        Standing::Stuck { why } => json!({ "state": "stuck", "reason": why }),
        Standing::TooOld { why } => json!({ "state": "too_old", "reason": why }),
    }
}

fn away(error: &bellwire_cluster::Error) -> Problem {
    Problem::new(Code::JournalUnavailable, bellwire_model::with_causes(error)).retry_after(AWAY_S)
}

/// Has the keeper of the desk do what it alone does. All else each node does, and the others hear of it.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(cluster) = &app.cluster else { return next.run(request).await };
    let (method, path) = (request.method(), request.uri().path());
    if is_of_desk(path) || changes_nothing(method) && is_shown_by_keeper(path) {
        let is_status = path == status::PATH;
        let answer = of_desk(cluster, request, next).await;
        return if is_status { status::by_way_of(&app, answer).await } else { answer };
    }
    if changes_nothing(method) && path == LISTING {
        return listing(cluster, request, next).await;
    }
    if !path.starts_with(STREAMS) || changes_nothing(method) {
        return next.run(request).await;
    }
    let response = of_desk(cluster, request, next).await;
    if cluster.role != Role::Other {
        return response;
    }
    once_known(response, cluster.catches_up()).await
}

/// The answer of the keeper to a change, once this node has it too: whoever reads here what it has written
/// has to find it.
async fn once_known(
    response: Response,
    catches_up: impl Future<Output = Result<(), Problem>>,
) -> Response {
    if !response.status().is_success() {
        return response;
    }
    match tokio::time::timeout(CATCH_UP_TIMEOUT, catches_up).await {
        Ok(Ok(())) => response,
        Ok(Err(problem)) => Refused(problem.may_be_taken()).into_response(),
        Err(_) => {
            let detail =
                "the node that has the streams has answered, and this one has not heard of it yet";
            Refused(relay::in_doubt(detail, Effect::Maybe)).into_response()
        }
    }
}

/// What the keeper of the desk does: here, or at the node that is it.
async fn of_desk(cluster: &Arc<Membership>, request: Request, next: Next) -> Response {
    if cluster.role == Role::Other {
        let answer = pass_on(cluster, request).await;
        return answer.unwrap_or_else(|problem| Refused(problem).into_response());
    }
    let away = || relay::nobody_keeps("another node may have the samples and alerts by now");
    if changes_nothing(request.method()) {
        let response = next.run(request).await;
        // It was looking for what is another node's by now.
        let is_in_vain = response.status().is_server_error() && cluster.is_over();
        return if is_in_vain { Refused(away()).into_response() } else { response };
    }
    // Who has been asleep may be the keeper no more, and learns it now or while it works. What is kept out
    // of the log by then must not be answered as if it were not.
    if !cluster.is_in_charge() {
        return Refused(away()).into_response();
    }
    let response = next.run(request).await;
    let is_in_vain = response.status().is_server_error() && cluster.is_over();
    if is_in_vain || response.status().is_success() && !cluster.is_in_charge() {
        return Refused(away().may_be_taken()).into_response();
    }
    response
}

/// The topics as the keeper lists them, or where it does not as there are here.
async fn listing(cluster: &Arc<Membership>, request: Request, next: Next) -> Response {
    let (head, _) = request.into_parts();
    let again = || Request::from_parts(head.clone(), Body::empty());
    if cluster.role == Role::Other {
        let listed = pass_on(cluster, again()).await;
        if let Some(listed) = listed.ok().filter(|listed| listed.status().is_success()) {
            return listed;
        }
    }
    next.run(again()).await
}

/// Has the keeper answer.
async fn pass_on(cluster: &Arc<Membership>, request: Request) -> Result<Response, Problem> {
    let (seat, effect) = (cluster.tenure.seat(), Effect::of(request.method()));
    // A keeper that is gone without a word must not keep this node from taking over.
    let answer = tokio::select! {
        answer = cluster.relay.pass_on(seat.clone(), request) => answer?,
        () = is_taken_over(cluster, &seat) => return Err(relay::taken_over(effect)),
    };
    let cluster = Arc::clone(cluster);
    let is_over = async move { is_taken_over(&cluster, &seat).await };
    Ok(answer.map(|body| Body::new(relay::Until::new(body, is_over))))
}

/// Waits until the node of this seat is the keeper no more, as far as this one knows.
async fn is_taken_over(cluster: &Membership, seat: &Seat) {
    tokio::select! {
        () = cluster.role_ends() => {}
        () = cluster.is_succeeded(seat) => {}
    }
}

/// Samples, alerts, what people make of them, rules and what they remember.
fn is_of_desk(path: &str) -> bool {
    let begins = |begin: &str| path.starts_with(begin);
    OF_DESK.contains(&path) || OF_DESK_BELOW.into_iter().any(begins)
}

/// Topics that others follow at the keeper.
fn is_shown_by_keeper(path: &str) -> bool {
    SHOWN_BELOW.into_iter().any(|begin| path.starts_with(begin))
}

fn changes_nothing(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_answered_once_this_node_has_it_and_not_waited_for_without_an_end() {
        use std::future::{pending, ready};

        let of = |status: StatusCode| status.into_response();
        let refused = once_known(of(StatusCode::CONFLICT), pending()).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        let known = once_known(of(StatusCode::CREATED), ready(Ok(()))).await;
        assert_eq!(known.status(), StatusCode::CREATED);
        let away = || Problem::new(Code::JournalUnavailable, "away");
        let (late, failed) = (
            once_known(of(StatusCode::CREATED), pending()).await,
            once_known(of(StatusCode::CREATED), ready(Err(away()))).await,
        );
        for (answer, code) in [(late, "desk_away"), (failed, "journal_unavailable")] {
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
            let problem: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!((&problem["code"], &problem["may_be_taken"]), (&code.into(), &true.into()));
        }
    }

    #[test]
    fn what_the_keeper_alone_knows_is_told_from_what_each_node_does() {
        for path in [
            "/v1/samples",
            "/v1/metrics",
            "/write",
            "/query",
            "/v1/alerts",
            "/v1/alerts/actions",
            "/v1/silences/preview",
            "/v1/rules",
            "/v1/record",
            "/v1/queries/x",
            "/v1/push",
            "/v1/push/subscriptions",
            "/api/v1/write",
            "/api/v1/query",
            "/api/v2/silence/x",
        ] {
            assert!(is_of_desk(path), "{path}");
        }
        for path in [
            "/v1/events",
            "/v1/topics/alerts/active",
            "/v1/topics",
            "/v1/webhooks/x",
            "/v1/nodes",
            "/v1/keys",
            "/metrics",
            "/readyz",
            "/",
            "/push-worker.js",
            "/-/reload",
            "/v1/alertsx",
        ] {
            assert!(!is_of_desk(path), "{path}");
        }
        for (path, is_shown) in [
            ("/v1/topics/samples/a", true),
            ("/v1/topics/query/1", true),
            ("/v1/topics/samplesx", false),
            ("/v1/topics/chat/samples/", false),
        ] {
            assert_eq!(is_shown_by_keeper(path), is_shown, "{path}");
        }
    }
}
