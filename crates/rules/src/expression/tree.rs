//! An expression's tree, as Prometheus' `parse_query` gives it.

use serde_json::{Map, Value, json};

use super::{ExpressionError, token};
use crate::patterns::Patterns;
use bellwire_model::METRIC_NAME;

/// The tree of an expression in the JSON of Prometheus' `/api/v1/parse_query`, evaluated or not.
pub fn syntax_tree(text: &str) -> Result<Value, ExpressionError> {
    let tokens = token::read(text)?;
    let (parsed, _) = super::parse(text, &tokens, &mut Patterns::default())?;
    let mut tree = serde_json::to_value(parsed).expect("a tree of texts and numbers is JSON");
    complete(&mut tree);
    Ok(tree)
}

/// Gives every node the members that Prometheus gives it, and takes those that it does not.
fn complete(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(complete),
        Value::Object(node) => {
            complete_node(node);
            node.values_mut().for_each(complete);
        }
        _ => {}
    }
}

fn complete_node(node: &mut Map<String, Value>) {
    let kind = node.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = &*kind;
    // What the parser does not know is not there.
    let absent: &[&str] = match kind {
        "vectorSelector" => &["offsetExpr"],
        "matrixSelector" => &["offsetExpr", "rangeExpr"],
        "subquery" => &["offsetExpr", "rangeExpr", "stepExpr"],
        _ => &[],
    };
    if kind.ends_with("Selector") {
        let name = node.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.map(|name| json!({ "name": METRIC_NAME, "type": "=", "value": name }));
        if let Some(matchers) = node.get_mut("matchers").and_then(Value::as_array_mut) {
            matchers.extend(name);
        }
        if node["name"].is_null() {
            node.insert("name".to_owned(), "".into());
        }
        node.insert("anchored".to_owned(), false.into());
        node.insert("smoothed".to_owned(), false.into());
    }
    for name in absent {
        node.insert((*name).to_owned(), Value::Null);
    }
    match kind {
        "subquery" if node["step"].is_null() => _ = node.insert("step".to_owned(), 0.into()),
        "numberLiteral" if node["val"] == "Inf" => {
            node.insert("val".to_owned(), "+Inf".into());
        }
        "binaryExpr" => complete_matching(node),
        _ => {}
    }
    if let Some(function) = node.get_mut("func").and_then(Value::as_object_mut) {
        function.remove("experimental");
    }
}

/// Vectors are matched, also where the expression does not say how; numbers are not.
fn complete_matching(node: &mut Map<String, Value>) {
    if is_scalar(&node["lhs"]) || is_scalar(&node["rhs"]) {
        node.insert("matching".to_owned(), Value::Null);
        return;
    }
    let is_set = ["and", "or", "unless"].iter().any(|set| node["op"] == *set);
    let card = if is_set { "many-to-many" } else { "one-to-one" };
    let matching = &mut node["matching"];
    if matching.is_null() {
        let values = json!({ "lhs": null, "rhs": null });
        *matching = json!({
            "card": card, "labels": [], "on": false, "include": [], "fillValues": values,
        });
    }
    // The parser has what is included beside the cardinality.
    if let Some((card, include)) = matching["card"].as_object().and_then(|card| card.iter().next())
    {
        let (card, include) = (card.clone(), include.clone());
        matching["card"] = card.into();
        matching["include"] = include;
    }
}

fn is_scalar(node: &Value) -> bool {
    match node["type"].as_str() {
        Some("numberLiteral") => true,
        Some("unaryExpr" | "parenExpr") => is_scalar(&node["expr"]),
        Some("binaryExpr") => is_scalar(&node["lhs"]) && is_scalar(&node["rhs"]),
        Some("call") => node["func"]["returnType"] == "scalar",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_as_prometheus_gives_it() {
        let tree = syntax_tree("sum by (job) (rate(x{a=\"b\"}[5m])) > 1").expect("an expression");
        assert_eq!((&tree["type"], &tree["op"]), (&json!("binaryExpr"), &json!(">")));
        let sum = &tree["lhs"];
        assert_eq!((&sum["type"], &sum["grouping"][0]), (&json!("aggregation"), &json!("job")));
        assert_eq!(
            sum["expr"]["args"][0],
            json!({
                "type": "matrixSelector", "name": "x", "range": 300_000, "rangeExpr": null,
                "offset": 0, "offsetExpr": null, "timestamp": null, "startOrEnd": null,
                "anchored": false, "smoothed": false,
                "matchers": [
                    { "name": "a", "type": "=", "value": "b" },
                    { "name": "__name__", "type": "=", "value": "x" },
                ],
            })
        );
        assert_eq!(tree["rhs"]["val"], "1");
        assert!(syntax_tree("sum(").is_err());
    }
}
