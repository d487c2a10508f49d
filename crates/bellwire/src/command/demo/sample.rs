//! Samples as lines of `POST /v1/samples`.

use serde_json::{Map, Value, json};

/// Appends a sample's line. Without a timestamp: the server takes it as of now.
pub(super) fn write(name: &str, labels: &[(&str, &str)], value: f64, out: &mut String) {
    let labels: Map<String, Value> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    out.push_str(&json!({ "name": name, "labels": labels, "value": rounded(value) }).to_string());
    out.push('\n');
}

/// As a sensor shows it: with one or two decimals.
fn rounded(value: f64) -> f64 {
    let steps = if value.abs() < 10.0 { 100.0 } else { 10.0 };
    (value * steps).round() / steps
}
