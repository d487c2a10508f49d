//! The nodes of a cluster, and what a node does not do yet.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bellwire_cluster::Standing;
use bellwire_journal::Journal;
use bellwire_shared_log::Assurance;
use bellwire_wire::problem::{Code, Problem};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::App;
use super::permission::{Asks, Caller};
use crate::membership::{Membership, stands_in_cluster};
use crate::problem::Refused;

/// A login at a provider ends at the node at which it began, which a load balancer does not know.
const LOGINS: &str = "/v1/session/";

/// Where everything that a node takes in is in the log: the rest changes what others would not hear of.
const TAKEN_IN: [&str; 4] = ["/v1/events", "/v1/topics/", "/v1/webhooks/", "/v1/nodes/"];

/// What changes nothing, though it is asked for by `POST`.
const ASKED: [&str; 4] =
    ["/v1/advice", "/v1/silences/preview", "/api/v1/query", "/api/v1/parse_query"];

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

/// Refuses what a node of a cluster would do for itself alone: samples, alerts and what people make of
/// them, keys, streams of Durable Streams.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.cluster.is_none() || is_for_all_nodes(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    Refused(stands_in_cluster()).into_response()
}

/// Whether others hear of what this asks for, or need not.
fn is_for_all_nodes(method: &Method, path: &str) -> bool {
    let changes_nothing = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let begins = |paths: &[&str]| paths.iter().any(|begin| path.starts_with(begin));
    changes_nothing && !path.starts_with(LOGINS) || begins(&TAKEN_IN) || begins(&ASKED)
}
