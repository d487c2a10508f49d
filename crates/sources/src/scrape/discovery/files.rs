//! Files of targets, looked at again and again: editors, `mv` and mounted volumes replace files in ways
//! that no one kind of watch hears of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use bellwire_model::limits::{TARGET_FILES_MAX, TARGET_LIST_BYTES_MAX};

use super::super::group::{self, Group};

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// Files that match patterns, as they were the last time.
#[derive(Debug)]
pub(super) struct Files {
    patterns: Vec<String>,
    seen: BTreeMap<String, Stamp>,
    /// Why some cannot be read. What is wrong may end without a trace in their stamps.
    unread: BTreeMap<String, String>,
}

/// What is new of a file: its groups, or that it is gone.
pub(super) type Change = (String, Option<Vec<Group>>);

impl Files {
    pub(super) fn new(patterns: Vec<String>) -> Self {
        Self { patterns, seen: BTreeMap::new(), unread: BTreeMap::new() }
    }

    pub(super) fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// What has changed since the last time. A file that cannot be read is as it was.
    pub(super) fn look(&mut self) -> Vec<Change> {
        let mut present = BTreeMap::new();
        for pattern in &self.patterns {
            // The pattern was checked when the configuration was read.
            let paths = glob::glob(pattern).into_iter().flatten().filter_map(Result::ok);
            for path in paths.take(TARGET_FILES_MAX - present.len()) {
                if let Some(stamp) = stamp(&path) {
                    present.insert(path.display().to_string(), stamp);
                }
            }
        }
        let gone = self.seen.keys().filter(|path| !present.contains_key(*path));
        let mut changes: Vec<Change> = gone.map(|path| (path.clone(), None)).collect();
        self.unread.retain(|path, _| present.contains_key(path));
        for (path, stamp) in &present {
            if self.seen.get(path) == Some(stamp) && !self.unread.contains_key(path) {
                continue;
            }
            match read(path, *stamp) {
                Ok(groups) => {
                    self.unread.remove(path);
                    changes.push((path.clone(), Some(groups)));
                }
                // It is looked at again and again, and told once.
                Err(reason) if self.unread.get(path) == Some(&reason) => {}
                Err(reason) => {
                    tracing::warn!(path, reason, "A file of targets is left as it was.");
                    self.unread.insert(path.clone(), reason);
                }
            }
        }
        self.seen = present;
        changes
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len() })
}

fn read(path: &str, stamp: Stamp) -> Result<Vec<Group>, String> {
    if stamp.bytes > TARGET_LIST_BYTES_MAX as u64 {
        return Err(format!("it has more than {TARGET_LIST_BYTES_MAX} bytes"));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    group::of_file(path, &text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_change_break_and_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        let mut files = Files::new(vec![format!("{}/*.json", folder.path().display())]);
        let name = path.display().to_string();
        let group = |target: &str| Group { targets: vec![target.into()], ..Group::default() };
        assert_eq!(files.look(), []);
        fs::write(&path, r#"[{"targets":["a:1"]}]"#).expect("written");
        assert_eq!(files.look(), [(name.clone(), Some(vec![group("a:1")]))]);
        assert_eq!(files.look(), []);
        fs::write(&path, r#"[{"targets":["a:12"]}]"#).expect("written");
        assert_eq!(files.look(), [(name.clone(), Some(vec![group("a:12")]))]);
        // Half a file says nothing.
        fs::write(&path, r#"[{"targets":["#).expect("written");
        assert_eq!(files.look(), []);
        // What was wrong may end without a trace, as where its rights are changed.
        let modified = fs::metadata(&path).and_then(|of| of.modified()).expect("a time");
        fs::write(&path, "[]          \n").expect("written");
        let file = fs::File::options().write(true).open(&path).expect("a file");
        file.set_modified(modified).expect("a time");
        assert_eq!(files.look(), [(name.clone(), Some(Vec::new()))]);
        assert_eq!(files.look(), []);
        fs::remove_file(&path).expect("removed");
        assert_eq!(files.look(), [(name, None)]);
    }
}
