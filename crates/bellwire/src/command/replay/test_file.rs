//! `--test`: a test of `promtool test rules` from what was recorded.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use bellwire_rules::RuleFile;
use bellwire_rules::replay::{DraftedTest, Outcome, Stretch, TestDraft};

use super::each_piece;

/// What a test is made of beside the record.
pub(super) struct Order<'a> {
    pub(super) record: &'a Path,
    pub(super) rules: &'a [RuleFile<'a>],
    pub(super) outcome: &'a Outcome,
    pub(super) stretch: Stretch,
    pub(super) interval: Option<Duration>,
}

/// Reads the record once more, and writes a test beside which the rules are found.
pub(super) fn write(path: &Path, order: &Order<'_>) -> Result<DraftedTest> {
    let shown = path.display().to_string();
    let Order { record, rules, outcome, stretch, interval } = *order;
    let drafted = draft(path, record, TestDraft::new(rules, outcome, stretch, interval)?, rules);
    let drafted = drafted.with_context(|| format!("no test was written to {shown}"))?;
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(drafted.text.as_bytes()));
    written.with_context(|| format!("cannot write {shown}"))?;
    Ok(drafted)
}

fn draft(
    path: &Path,
    record: &Path,
    mut draft: TestDraft<'_>,
    rules: &[RuleFile<'_>],
) -> Result<DraftedTest> {
    each_piece(record, |piece| {
        draft.read(piece)?;
        Ok(true)
    })?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = fs::canonicalize(folder)
        .with_context(|| format!("there is no folder {}", folder.display()))?;
    let mut names = Vec::with_capacity(rules.len());
    for rule in rules {
        let file =
            fs::canonicalize(rule.name).with_context(|| format!("cannot read {}", rule.name))?;
        names.push(relative(&folder, &file).display().to_string());
    }
    let name = record.file_name().unwrap_or_default().to_string_lossy();
    Ok(draft.finish(&name, &names)?)
}

/// A file as it is named from a folder; both are absolute.
fn relative(folder: &Path, file: &Path) -> PathBuf {
    let (mut from, mut to) = (folder.components().peekable(), file.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    from.map(|_| Component::ParentDir).chain(to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_a_folder() {
        for (folder, file, expected) in [
            ("/a/b", "/a/b/c.yml", "c.yml"),
            ("/a/b", "/a/c/d.yml", "../c/d.yml"),
            ("/a", "/b.yml", "../b.yml"),
            ("/", "/a/b.yml", "a/b.yml"),
        ] {
            assert_eq!(relative(Path::new(folder), Path::new(file)), Path::new(expected));
        }
    }
}
