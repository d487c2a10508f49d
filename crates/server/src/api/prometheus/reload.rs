//! `POST /-/reload`: reads the rules again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_wire::problem::{Code, Problem};
use http::StatusCode;

use crate::api::App;
use crate::audit::Deed;
use crate::problem::Refused;

/// Reads rule files and the rest of what may change while the server runs; all or nothing.
pub(in crate::api) async fn reload(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    // A client that hangs up must not leave half of it undone.
    let reload = Arc::clone(&app.reload);
    let reload = tokio::spawn(async move { reload.reload().await });
    let reloaded = reload.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
    let deed = Deed::of_reload(&reloaded);
    Ok(deed.told_by(match reloaded {
        Ok(()) => StatusCode::OK.into_response(),
        Err(problem) => Refused(problem).into_response(),
    }))
}
