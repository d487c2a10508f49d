//! Snapshots of this node's replica, for other nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_model::limits::{SNAPSHOT_BYTES_PER_SECOND_MIN, SNAPSHOT_SENT_PATIENCE};
use bellwire_wire::problem::{Code, Problem};
use http::{Method, StatusCode, header};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::App;
use super::pieces::{Piece, Pieces};
use crate::peers::FromNode;
use crate::problem::Refused;
use crate::snapshots::{Made, TOLD, Told, VOUCHED};

/// `GET /v1/nodes/snapshot`: a copy of the replica as it is. `HEAD` says whether there is one.
pub(super) async fn snapshot(
    State(app): State<Arc<App>>,
    method: Method,
    from: FromNode,
) -> Result<Response, Refused> {
    let Some(cluster) = &app.cluster else {
        return Err(Problem::new(Code::NotFound, "this server stands alone").into());
    };
    if method == Method::HEAD {
        cluster.snapshots.check_place()?;
        return Ok(StatusCode::OK.into_response());
    }
    let made = cluster.snapshots.make(&from).await?;
    let told = made.told.to_text();
    let vouched = cluster.peers.key().vouch(&Told::vouched(&told, &from.shown));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, made.told.bytes.to_string()),
        (TOLD, told),
        (VOUCHED, vouched),
    ];
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(send(made, sender, from));
    Ok((headers, Body::new(Pieces::new(pieces))).into_response())
}

/// Sends it for as long as it is taken, and fast enough: it takes room on the disk, and keeps the log.
async fn send(mut made: Made, pieces: mpsc::Sender<Piece>, to: FromNode) {
    let slowest = Duration::from_secs(made.told.bytes / SNAPSHOT_BYTES_PER_SECOND_MIN);
    let until = Instant::now() + SNAPSHOT_SENT_PATIENCE + slowest;
    loop {
        let read = tokio::task::spawn_blocking(move || made.next().map(|piece| (made, piece)));
        let (back, piece) = match read.await.map_err(std::io::Error::other).flatten() {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, node = %to.node, "A snapshot that is sent is cut off.");
                return;
            }
        };
        made = back;
        let is_over = piece.is_empty();
        let piece = if is_over { Piece::End } else { Piece::Bytes(piece) };
        match timeout_at(until, pieces.send(piece)).await {
            Ok(Ok(())) if !is_over => {}
            Ok(Ok(())) => {
                tracing::info!(node = %to.node, "A snapshot was sent.");
                return;
            }
            // The other node has left.
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::warn!(node = %to.node, "A snapshot is taken too slowly, and is cut off.");
                return;
            }
        }
    }
}
