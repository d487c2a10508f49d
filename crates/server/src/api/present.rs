//! Those who show themselves at this node, for the other nodes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_wire::problem::{Code, Problem};
use http::{Method, StatusCode, header};
use tokio::sync::mpsc;

use super::App;
use super::pieces::{Piece, Pieces};
use crate::neighbours;
use crate::peers::FromNode;
use crate::problem::Refused;

/// `GET /v1/nodes/present`: all of them, and then who comes and goes.
pub(super) async fn present(
    State(app): State<Arc<App>>,
    method: Method,
    _from: FromNode,
) -> Result<Response, Refused> {
    let presence = app.present.as_ref().filter(|_| app.cluster.is_some());
    let Some(presence) = presence else {
        return Err(Problem::new(Code::NotFound, "there is no presence here").into());
    };
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    if method == Method::HEAD {
        return Ok((StatusCode::OK, headers).into_response());
    }
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(neighbours::tell::<Piece>(Arc::clone(presence), sender));
    Ok((headers, Body::new(Pieces::new(pieces))).into_response())
}
