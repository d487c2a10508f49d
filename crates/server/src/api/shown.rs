//! What the keeper of the desk shows of samples, rules and queries, for the other nodes.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::Identity;
use bellwire_hub::Start;
use bellwire_model::EffectiveFilter;
use bellwire_shards::{Coding, Encoding, Form, Framing, HttpForm, StreamRequest};
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{Method, StatusCode, Version};

use super::App;
use crate::front_door::{Opening, Passage};
use crate::mirror;
use crate::peers::FromNode;
use crate::problem::Refused;
use crate::relay;

/// `GET /v1/nodes/shown?topic=…`: these topics, as somebody follows them who sees everything.
pub(super) async fn shown(
    State(app): State<Arc<App>>,
    Extension(passage): Extension<Passage>,
    _from: FromNode,
    parts: Parts,
) -> Result<Response, Refused> {
    let Some(cluster) = &app.cluster else {
        return Err(Problem::new(Code::NotFound, "this server stands alone").into());
    };
    if !cluster.is_in_charge() {
        return Err(relay::nobody_keeps("another node has the samples and alerts").into());
    }
    let filters = mirror::read_filters(parts.uri.query().unwrap_or_default())?;
    if parts.method == Method::HEAD {
        return Ok(StatusCode::OK.into_response());
    }
    let framing =
        if parts.version == Version::HTTP_11 { Framing::Chunked } else { Framing::Plain };
    let form = HttpForm { encoding: Encoding::Ndjson, coding: Coding::Identity, framing };
    let follows = EffectiveFilter::paced(filters, Some(mirror::pace()));
    let stream = StreamRequest::new(follows, Start::Latest, Form::Http(form));
    // What its clients may see of it is asked there.
    let permitted = app.access.admit(&Arc::new(Identity::open()), stream)?;
    let visitor = parts.extensions.get().cloned();
    Ok(passage.open(Opening { permitted, visitor, followed: Vec::new() }).await?)
}
