//! What the standby of the rules asks the keeper of the desk for.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_access::between_nodes::ContentDigest;
use bellwire_alerting::{NotRead, Standby};
use bellwire_wire::problem::{Code, Problem};
use http::header;

use super::App;
use crate::membership::Membership;
use crate::peers::FromNode;
use crate::problem::Refused;
use crate::relay::nobody_keeps;
use crate::snapshots::{Told, VOUCHED};
use crate::standby::{Asked, TOLD, begun_text, piece_text, read_query};

/// `POST /v1/nodes/standby`: says what another node has of the rules' state, and gets more of it; without
/// a query it begins with that. `leave=…` says that it goes no further.
pub(super) async fn standby(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    from: FromNode,
) -> Result<Response, Refused> {
    let (cluster, standby) = keeper(&app)?;
    let (told, bytes) = match read_query(query.as_deref().unwrap_or_default())? {
        Asked::Begin => {
            let begun = Arc::clone(standby).begin(&from.node).await.map_err(refusal)?;
            (begun_text(&begun), Vec::new())
        }
        Asked::Leave(stream) => {
            standby.leave_copy(stream).map_err(refusal)?;
            (String::new(), Vec::new())
        }
        Asked::More(want) => {
            let piece = Arc::clone(standby).read(want).await.map_err(refusal)?;
            let mut digest = ContentDigest::default();
            digest.update(&piece.bytes);
            (piece_text(&piece, &digest.finish()), piece.bytes)
        }
    };
    let vouched = cluster.peers.key().vouch(&Told::vouched(&told, &from.shown));
    let content_type = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    Ok(([content_type, (TOLD, told), (VOUCHED, vouched)], bytes).into_response())
}

/// What this node has of a standby, where it keeps the desk.
fn keeper(app: &App) -> Result<(&Membership, &Arc<Standby>), Problem> {
    let Some(cluster) = &app.cluster else {
        return Err(Problem::new(Code::NotFound, "this server stands alone"));
    };
    match &cluster.standby {
        Some(standby) if cluster.is_in_charge() => Ok((cluster, standby)),
        _ => Err(nobody_keeps("this node does not evaluate the rules")),
    }
}

fn refusal(error: NotRead) -> Problem {
    match error {
        NotRead::BeginAnew => Problem::new(
            Code::NotFound,
            "what this node knows of the copy is not enough: begin anew",
        ),
        NotRead::NotNow => nobody_keeps("another node is the standby, or none is wanted now"),
    }
}
