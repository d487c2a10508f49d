//! Words that have no place in the tree: leftovers, private paths, names that say nothing.

use crate::source;

/// Marks of unfinished work, spliced so that this file does not carry them.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
];

/// Folders of one machine, spliced likewise.
const PRIVATE_FOLDERS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// Names under which anything can be put. They end names of types, functions and files.
const EMPTY_NAMES: &[&str] = &["utils", "helpers", "common", "manager", "misc"];

/// Words for which the glossary has another, in names of types and modules.
const SYNONYMS: &[(&str, &str)] = &[
    ("message", "event, or frame"),
    ("channel", "topic, or lane"),
    ("subject", "topic"),
    ("room", "topic"),
];

/// The first leftover on the line.
pub(super) fn leftover(line: &str) -> Option<&'static str> {
    LEFTOVERS.iter().copied().find(|marker| {
        line.match_indices(marker).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + marker.len()..].chars().next();
            !is_word(before) && (marker.ends_with('!') || !is_word(after))
        })
    })
}

/// The first path on the line that starts in a private folder.
pub(super) fn absolute_path(line: &str) -> Option<&str> {
    let is_start = |at: usize| {
        let before = line[..at].chars().next_back();
        !is_word(before) && !matches!(before, Some('/' | '.' | '*' | '}' | '-' | '~' | '$'))
    };
    let found =
        |folder: &&str| line.match_indices(*folder).map(|(at, _)| at).find(|at| is_start(*at));
    let start = PRIVATE_FOLDERS.iter().find_map(found)?;
    line[start..].split([' ', '`', '"', '\'', ')', ',']).next()
}

/// A complaint if the path has a part named after nothing.
pub(super) fn in_name(path: &str) -> Option<String> {
    let mut parts = path.split('/').map(|part| part.split('.').next().unwrap_or_default());
    let word = parts.find_map(empty_name)?;
    Some(format!("{path}: a name with `{word}` says nothing about what is inside"))
}

/// Complaints about identifiers, once for each.
pub(super) fn in_code(name: &str, code: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut previous = "";
    for word in source::identifiers(code) {
        if let Some(empty) = empty_name(word) {
            complaints.push(format!("{name}: `{word}`: a name with `{empty}` says nothing"));
        }
        let is_named_here = matches!(previous, "struct" | "enum" | "trait" | "type" | "mod");
        let synonym = SYNONYMS.iter().find(|(synonym, _)| last_word(word) == *synonym);
        if let (true, Some((_, better))) = (is_named_here, synonym) {
            complaints.push(format!("{name}: `{word}`: the glossary's word is {better}"));
        }
        previous = word;
    }
    complaints.sort();
    complaints.dedup();
    complaints
}

fn empty_name(identifier: &str) -> Option<&'static str> {
    let last = last_word(identifier);
    EMPTY_NAMES.iter().copied().find(|name| last == *name)
}

/// `manager` of `connection_manager`, `CONNECTION_MANAGER`, `connection-manager` and
/// `ConnectionManager`.
fn last_word(identifier: &str) -> String {
    let last = identifier.rsplit(['_', '-']).next().unwrap_or(identifier);
    let starts_word = |(at, c): &(usize, char)| {
        c.is_uppercase() && last[..*at].chars().next_back().is_some_and(char::is_lowercase)
    };
    let start = last.char_indices().rfind(starts_word).map_or(0, |(at, _)| at);
    last[start..].to_lowercase()
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_found_as_words_only() {
        for marker in LEFTOVERS {
            assert_eq!(leftover(&format!("a {marker}(b)")), Some(*marker));
            assert_eq!(leftover(&format!("a{marker}")), None);
        }
        assert_eq!(leftover("a method, mastodon! and a fixture"), None);
    }

    #[test]
    fn a_path_of_one_machine_is_found_where_a_path_starts() {
        let private = PRIVATE_FOLDERS[0];
        for (line, expected) in [
            (format!("open `{private}ann/a` now"), Some(format!("{private}ann/a"))),
            (format!("\"{private}ann\""), Some(format!("{private}ann"))),
            (format!("topic site{private}kitchen"), None),
            (format!("*{private}kitchen"), None),
        ] {
            assert_eq!(absolute_path(&line), expected.as_deref(), "{line}");
        }
    }

    #[test]
    fn names_that_say_nothing_are_found_at_the_end_of_names() {
        for (name, expected) in [
            ("ConnectionManager", true),
            ("CONNECTION_MANAGER", true),
            ("time-utils", true),
            ("common", true),
            ("common_prefix", false),
            ("Alertmanager", false),
            ("hyper_util", false),
        ] {
            assert_eq!(empty_name(name).is_some(), expected, "{name}");
        }
        assert!(in_name("crates/common/src/lib.rs").is_some());
        assert!(in_name("crates/hub/src/utils.rs").is_some());
        assert!(in_name("crates/hub/src/ring.rs").is_none());
    }

    #[test]
    fn synonyms_are_found_where_a_thing_is_named() {
        for (code, count) in [
            ("struct ChatMessage;", 1),
            ("mod channel;", 1),
            ("let (a, b) = sync::channel(1);", 0),
            ("error.message()", 0),
        ] {
            assert_eq!(in_code("a.rs", code).len(), count, "{code}");
        }
    }
}
