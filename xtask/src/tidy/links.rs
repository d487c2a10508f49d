//! Links of Markdown files to other files of the tree.

use std::path::Path;

/// A complaint for each relative link that leads nowhere.
pub(super) fn broken(root: &Path, name: &str, text: &str) -> Vec<String> {
    let file = root.join(name);
    let folder = file.parent().unwrap_or(root);
    let mut complaints = Vec::new();
    let mut in_fence = false;
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        if in_fence {
            continue;
        }
        for target in targets(line) {
            let path = target.split('#').next().unwrap_or_default();
            if !leads_elsewhere(&target) && !path.is_empty() && !folder.join(path).exists() {
                complaints.push(format!("{name}:{number}: the link to `{target}` leads nowhere"));
            }
        }
    }
    complaints
}

/// A link with a scheme is for another program to check.
fn leads_elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// Targets of `[text](target)` and `[name]: target`, outside of code.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let first_word = |text: &str| text.split_whitespace().next().map(str::to_owned);
    if prose.starts_with('[')
        && let Some((_, target)) = prose.split_once("]: ")
    {
        return first_word(target).into_iter().collect();
    }
    let inline = prose.split("](").skip(1);
    inline.filter_map(|rest| first_word(rest.split(')').next().unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_links_are_found_outside_of_code() {
        for (line, expected) in [
            ("See [a](b.md) and [c](d/e.md#f \"title\").", vec!["b.md", "d/e.md#f"]),
            ("[a]: b.md", vec!["b.md"]),
            ("![drawing](a.svg)", vec!["a.svg"]),
            ("[`code`](a.md)", vec!["a.md"]),
            ("Write `[a](b.md)`.", vec![]),
            ("no link [here] (there)", vec![]),
        ] {
            assert_eq!(targets(line), expected, "{line}");
        }
    }

    #[test]
    fn a_relative_link_must_lead_to_a_file() {
        let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
        let root = Path::new(&root);
        for (text, complaints) in [
            ("[a](Cargo.toml)", 0),
            ("[a](src/tidy.rs#links)", 0),
            ("[a](#below)", 0),
            ("[a](https://example.org/none.md)", 0),
            ("[a](none.md)", 1),
            ("```\n[a](none.md)\n```\n[a](none.md)", 1),
        ] {
            assert_eq!(broken(root, "README.md", text).len(), complaints, "{text}");
        }
        assert_eq!(broken(root, "src/a.md", "[a](../Cargo.toml)").len(), 0);
    }
}
