//! An expression's tree, as Prometheus' `parse_query` gives it.

use super::{ExpressionError, syntax, token};

/// The tree of an expression in the JSON of Prometheus' `/api/v1/parse_query`, evaluated or not.
pub fn syntax_tree(text: &str) -> Result<serde_json::Value, ExpressionError> {
    let tokens = token::read(text)?;
    let parsed = promql_parser::parser::parse(text);
    let parsed = parsed.map_err(|said| syntax::error(text, &tokens, &said))?;
    Ok(serde_json::to_value(parsed).expect("a tree of texts and numbers is JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_as_prometheus_gives_it() {
        let tree = syntax_tree("sum by (job) (rate(x{a=\"b\"}[5m])) > 1").expect("an expression");
        assert_eq!((&tree["type"], &tree["op"]), (&"binaryExpr".into(), &">".into()));
        let sum = &tree["lhs"];
        assert_eq!((&sum["type"], &sum["grouping"][0]), (&"aggregation".into(), &"job".into()));
        let range = &sum["expr"]["args"][0];
        assert_eq!((&range["type"], &range["range"]), (&"matrixSelector".into(), &300_000.into()));
        assert_eq!(tree["rhs"]["val"], "1");
        assert!(syntax_tree("sum(").is_err());
    }
}
