//! `/api/v1/parse_query`.

use axum::Json;
use serde_json::Value;

use super::parameters::Parameters;
use super::{Failure, success};

/// `GET`, `POST /api/v1/parse_query`: the tree of an expression.
pub(in crate::api) async fn parse_query(parameters: Parameters) -> Result<Json<Value>, Failure> {
    let text = parameters.required("query")?;
    match bellwire_rules::syntax_tree(text) {
        Ok(tree) => Ok(success(tree)),
        Err(error) => Err(Failure::bad_data(super::refusal(text, &error))),
    }
}
