//! Maps without a secret in their hashes: for numbers of our own only.
//!
//! Who can choose the keys of such a map can choose many that collide, and one look-up then costs as
//! much as all of them. `NameMap` and `NameSet` are for names; they hash with a secret.

/// What the keys of a map without a secret may be: numbers that Bellwire gives out, or that only who
/// runs it can choose. The digest of a name has secrets of its own.
const NUMBERS: &[&str] = &[
    "usize",
    "u32",
    "u64",
    "(GroupId, usize)",
    "ClassId",
    "index::ClassId",
    "GroupId",
    "NameDigest",
    "PartId",
    "RuleId",
    "SeriesId",
    "SilenceId",
    "Token",
    "TopicId",
    "Variant",
    "task::Id",
];

/// Files that hash numbers by themselves.
const OWN_HASHES: &[&str] = &["crates/shards/src/shard/segments.rs"];

/// The maps, and what builds their hashes; spliced, so that this file does not use them.
const MAPS: [&str; 2] = [concat!("FxHash", "Map"), concat!("FxHash", "Set")];
const HASHERS: [&str; 2] = [concat!("Fx", "Hasher"), concat!("FxBuild", "Hasher")];

/// Complaints about a file of code.
pub(super) fn unkeyed(name: &str, code: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let is_product = name.starts_with("crates/") || name.starts_with("clients/");
    for line in code.lines().filter(|line| is_product && !line.starts_with("use ")) {
        let wrong = MAPS.iter().find_map(|map| wrong_key(line, map));
        if let Some(key) = wrong {
            let reason = "its hashes have no secret; names are for `NameMap` and `NameSet`, and \
                          numbers of our own stand in `xtask/src/tidy/maps.rs`";
            complaints.push(format!("{name}: a map by `{key}`: {reason}"));
        }
        let hasher = HASHERS.iter().find(|hasher| has_word(line, hasher));
        if let Some(hasher) = hasher.filter(|_| !OWN_HASHES.contains(&name)) {
            complaints.push(format!("{name}: `{hasher}` has no secret: take `NameHasher`"));
        }
    }
    complaints
}

/// The key of a map on the line that is no number, or that the line does not tell.
fn wrong_key<'a>(line: &'a str, map: &str) -> Option<&'a str> {
    line.match_indices(map).find_map(|(at, _)| {
        let rest = &line[at + map.len()..];
        let Some(key) = rest.strip_prefix('<') else {
            // Without a type beside it nobody sees what it is for.
            let is_untyped = line.trim_start().starts_with("let ") && rest.starts_with("::");
            let tells = MAPS
                .iter()
                .any(|map| line.contains(&format!("{map}<")) || line.contains(&format!(": {map}")));
            return (is_untyped && !tells).then_some("?");
        };
        let is_number = |number: &&str| {
            let rest = key.strip_prefix(*number);
            rest.is_some_and(|rest| rest.starts_with([',', '>']))
        };
        (!NUMBERS.iter().any(is_number)).then(|| {
            let end = key.find([',', '>']).unwrap_or(key.len());
            &key[..end]
        })
    })
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|it| it.is_alphanumeric() || it == '_');
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !is_part(line[..at].chars().next_back()) && !is_part(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_by_names_are_told_from_maps_by_numbers() {
        let [map, set] = MAPS;
        for (line, expected) in [
            (format!("    ids: {map}<TopicId, Topic>,"), 0),
            (format!("    ids: {map}<Topic, TopicId>,"), 1),
            (format!("    ids: {map}<TopicIdentity, u32>,"), 1),
            (format!("type Them = {map}<(GroupId, usize), Vec<u8>>;"), 0),
            (format!("    let mut seen = {set}::default();"), 1),
            (format!("    let seen: {set}<u64> = {set}::default();"), 0),
            (format!("            seen: {set}::default(),"), 0),
            (format!("    let seen: {set}<_> = all.collect();"), 1),
            (format!("use rustc_hash::{{{map}, {set}}};"), 0),
            (format!("    {}.hash_one(key)", HASHERS[1]), 1),
        ] {
            assert_eq!(unkeyed("crates/a/src/b.rs", &line).len(), expected, "{line}");
        }
        let by_name = format!("    ids: {map}<Topic, TopicId>,");
        assert_eq!(unkeyed("xtask/src/a.rs", &by_name).len(), 0);
    }
}
