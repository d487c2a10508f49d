//! Alerts as they are now.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_model::FilterSet;
use http::header;

use super::App;
use crate::evaluator::ALERTS_ACTIVE;

/// `GET /v1/alerts`: what `alerts/active` holds, as one array.
pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    let filter = ALERTS_ACTIVE.parse::<bellwire_model::Filter>().expect("a filter");
    let snapshot = app.publisher.states.snapshot(&FilterSet::from(filter));
    let mut json = b"{\"alerts\":[".to_vec();
    for (index, value) in snapshot.values.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        let body = value.payload.event().body.as_ref();
        json.extend_from_slice(body.expect("a value that is there has a body").bytes());
    }
    json.extend_from_slice(b"]}");
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}
