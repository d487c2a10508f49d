//! Those who show themselves at this node, for the other nodes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_shards::Presence;
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
    let (presence, admission) = (Arc::clone(presence), Arc::clone(&app.admission));
    tokio::spawn(async move { tell(presence, sender, admission.drains()).await });
    Ok((headers, Body::new(Pieces::new(pieces))).into_response())
}

/// Tells it until the server drains: that waits for all that is under way.
async fn tell(
    presence: Arc<Presence>,
    to: mpsc::Sender<Piece>,
    drains: impl Future<Output = ()> + Send,
) {
    tokio::select! {
        () = neighbours::tell(presence, to.clone()) => {}
        () = drains => drop(to.send(Piece::End).await),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_shards::PresenceTerms;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_ends_when_the_server_drains() {
        let topics = vec!["rooms/**".parse().expect("a filter")];
        let terms = PresenceTerms { topics, grace: Duration::ZERO, named_max: 9 };
        let presence = Presence::among_others(terms, "n1").expect("topics have presence");
        let ((sender, mut pieces), (drain, drains)) = (mpsc::channel(1), oneshot::channel());
        let telling = tokio::spawn(tell(presence, sender, async { drains.await.expect("sent") }));
        let first = pieces.recv().await.expect("something");
        assert!(matches!(first, Piece::Bytes(bytes) if bytes == "\"ready\"\n"));
        drain.send(()).expect("it is waited for");
        // It may have said meanwhile that it is there.
        while let Some(Piece::Bytes(bytes)) = pieces.recv().await {
            assert_eq!(bytes, "\n");
        }
        telling.await.expect("it ends");
    }
}
