//! `POST /-/reload`: reads the rules again.

use std::sync::Arc;

use axum::extract::State;

use crate::api::App;
use crate::problem::Problem;

/// Reads rule files and the rest of what may change while the server runs; all or nothing.
pub(in crate::api) async fn reload(State(app): State<Arc<App>>) -> Result<(), Problem> {
    app.reload.reload().await
}
