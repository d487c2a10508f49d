//! Groups of targets, as files and servers list them: `[{"targets":["host:9100"],"labels":{"a":"b"}}]`.

use std::collections::BTreeMap;

use bellwire_model::limits::TARGETS_OF_LIST_MAX;
use serde::Deserialize;
use thiserror::Error;

/// Targets with labels in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Their addresses, `host:port`.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Labels that all of them get.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A list of targets cannot be read.
#[derive(Debug, Error)]
pub(super) enum ListError {
    /// Broken JSON, or JSON of something else.
    #[error("no list of targets: {0}")]
    Json(#[from] serde_json::Error),
    /// Likewise YAML.
    #[error("no list of targets: {0}")]
    Yaml(#[from] Box<serde_saphyr::Error>),
    /// Neither `.json`, `.yml` nor `.yaml`.
    #[error("a file of targets is called `.json`, `.yml` or `.yaml`")]
    Name,
    /// A group of nothing.
    #[error("a list has objects and no `null`")]
    Null,
    /// It would take long to look at each of them.
    #[error("a list has at most {TARGETS_OF_LIST_MAX} targets")]
    TooMany,
}

/// A list in JSON.
pub(super) fn of_json(text: &[u8]) -> Result<Vec<Group>, ListError> {
    let groups: Vec<Option<Group>> = serde_json::from_slice(text)?;
    let groups = groups.into_iter().map(|group| group.ok_or(ListError::Null));
    bounded(groups.collect::<Result<_, _>>()?)
}

/// A list in a file, by the end of the file's name.
pub(super) fn of_file(name: &str, text: &str) -> Result<Vec<Group>, ListError> {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("json") => of_json(text.as_bytes()),
        Some("yml" | "yaml") if text.trim().is_empty() => Ok(Vec::new()),
        Some("yml" | "yaml") => {
            let groups = serde_saphyr::from_str(text);
            bounded(groups.map_err(|error| ListError::Yaml(Box::new(error)))?)
        }
        _ => Err(ListError::Name),
    }
}

fn bounded(groups: Vec<Group>) -> Result<Vec<Group>, ListError> {
    let targets: usize = groups.iter().map(|group| group.targets.len()).sum();
    if targets > TARGETS_OF_LIST_MAX { Err(ListError::TooMany) } else { Ok(groups) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_from_json_and_yaml() {
        let expected = vec![
            Group {
                targets: vec!["a:9100".into(), "b:9100".into()],
                labels: [("site".into(), "oslo".into()), ("port".into(), "9100".into())].into(),
            },
            Group { targets: vec!["c:1".into()], labels: BTreeMap::new() },
        ];
        let json = r#"[{"targets":["a:9100","b:9100"],"labels":{"site":"oslo","port":"9100"}},
                       {"targets":["c:1"]}]"#;
        let yaml = "- targets: ['a:9100', 'b:9100']\n  labels: {site: oslo, port: 9100}\n\
                    - targets:\n  - c:1\n";
        assert_eq!(of_file("x/targets.json", json).expect("json"), expected);
        assert_eq!(of_file("x.d/targets.yml", yaml).expect("yaml"), expected);
        assert_eq!(of_file("empty.yaml", "").expect("yaml"), []);
    }

    #[test]
    fn what_is_no_list_says_so() {
        let cases = [
            ("a.json", "{}"),
            ("a.json", "[null]"),
            ("a.json", r#"[{"targets":"a:1"}]"#),
            ("a.json", r#"[{"target":["a:1"]}]"#),
            ("a.json", ""),
            ("a.yml", "targets: []"),
            ("a.yml", "- {targets: [a:1], lables: {}}"),
            ("a.yml", "- ["),
            ("a.txt", "[]"),
            ("json", "[]"),
        ];
        for (name, text) in cases {
            assert!(of_file(name, text).is_err(), "{name}: {text}");
        }
        let list = |targets| format!(r#"[{{"targets":["a"{}]}}]"#, r#","a""#.repeat(targets - 1));
        assert!(of_file("a.json", &list(TARGETS_OF_LIST_MAX)).is_ok());
        let error = of_file("a.json", &list(TARGETS_OF_LIST_MAX + 1)).expect_err("too many");
        assert!(matches!(error, ListError::TooMany), "{error}");
    }
}
