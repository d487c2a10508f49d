//! What an expression comes to, as a test compares it.

use bellwire_model::{Labels, Timestamp};

use crate::evaluation::{Conventions, Element, Value, query};
use crate::plan::Plan;
use crate::storage::Storage;

/// A number counts as an element without labels.
pub(super) fn elements(
    plan: &Plan,
    storage: &Storage,
    conventions: &Conventions,
    time: Timestamp,
) -> Result<Vec<Element>, String> {
    let answer = query(plan, storage, conventions, time);
    match answer.map_err(|error| error.to_string())?.value {
        Value::Vector(elements) => Ok(elements),
        Value::Scalar(value) => Ok(vec![Element { labels: Labels::empty(), value }]),
        Value::Text(_) | Value::Matrix(_) => {
            Err("the expression is neither a vector nor a number".into())
        }
    }
}
