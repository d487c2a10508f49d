//! Samples as lines of `POST /v1/samples`.

use serde_json::{Map, Value, json};

/// Appends a sample's line. Without a timestamp: the server takes it as of now.
pub(super) fn write(name: &str, labels: &[(&str, &str)], value: f64, out: &mut String) {
    let labels: Map<String, Value> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let rounded = (value * 1000.0).round() / 1000.0;
    out.push_str(&json!({ "name": name, "labels": labels, "value": rounded }).to_string());
    out.push('\n');
}
