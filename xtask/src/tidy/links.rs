//! Links of Markdown files to other files of the tree, and to headings in them.

use std::fs;
use std::path::Path;

/// A complaint for each relative link that leads nowhere.
pub(super) fn broken(root: &Path, name: &str, text: &str) -> Vec<String> {
    let file = root.join(name);
    let folder = file.parent().unwrap_or(root);
    let mut complaints = Vec::new();
    for (line, number) in prose(text) {
        for target in targets(line) {
            if leads_elsewhere(&target) {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            if !path.is_empty() && !folder.join(path).exists() {
                complaints.push(format!("{name}:{number}: the link to `{target}` leads nowhere"));
            } else if !has_heading(folder, (path, text), heading) {
                complaints.push(format!("{name}:{number}: `{target}`: there is no such heading"));
            }
        }
    }
    complaints
}

/// The lines outside of code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut in_fence = false;
    text.lines().zip(1..).filter(move |(line, _)| {
        in_fence ^= line.trim_start().starts_with("```");
        !in_fence
    })
}

/// Whether the heading is in the file at `path`, or in `text` where there is no path. What is no
/// Markdown has places of its own.
fn has_heading(folder: &Path, (path, text): (&str, &str), heading: &str) -> bool {
    let is_markdown = Path::new(path).extension().is_none_or(|kind| kind == "md");
    if heading.is_empty() || !is_markdown {
        return true;
    }
    let other = fs::read_to_string(folder.join(path)).unwrap_or_default();
    let text = if path.is_empty() { text } else { &other };
    prose(text).any(|(line, _)| line.starts_with('#') && anchor(line) == heading)
}

/// The name under which a heading can be linked to: as GitHub makes it, but that of two equal ones
/// the second cannot.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.chars().filter(is_kept).map(|c| if c == ' ' { '-' } else { c }).collect()
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
            ("[a](#below)", 1),
            ("[a](#below-it-all)\n## Below it: `all`", 0),
            ("[a](#below)\n```\n# below\n```", 1),
            ("[a](../README.md#licence)", 0),
            ("[a](../README.md#license)", 1),
            ("[a](https://example.org/none.md)", 0),
            ("[a](none.md)", 1),
            ("```\n[a](none.md)\n```\n[a](none.md)", 1),
        ] {
            assert_eq!(broken(root, "README.md", text).len(), complaints, "{text}");
        }
        assert_eq!(broken(root, "src/a.md", "[a](../Cargo.toml)").len(), 0);
    }
}
