//! Values of a JSON document by paths such as `state.battery[0].volts`, found in one pass: nothing
//! is built of what no path leads to.

use std::fmt;

use bellwire_model::limits::{JSON_PATHS_MAX, NESTING_MAX};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// A path: keys by dots, places of arrays in brackets, keys with other characters in brackets and
/// quotes: `sensors[0]["temp.max"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(Box<str>),
    Place(usize),
}

/// The text is no path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no path into JSON: write keys and places as in `state.cells[0].volts`, keys with \
     other characters as in `[\"a.b\"]`"
)]
pub struct JsonPathError(Box<str>);

impl JsonPath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        let wrong = || JsonPathError(text.into());
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if steps.len() == NESTING_MAX {
                return Err(wrong());
            }
            if let Some(quoted) = rest.strip_prefix("[\"") {
                let (key, after) = quoted.split_once("\"]").ok_or_else(wrong)?;
                steps.push(Step::Key(key.into()));
                rest = after;
            } else if let Some(place) = rest.strip_prefix('[') {
                let (place, after) = place.split_once(']').ok_or_else(wrong)?;
                steps.push(Step::Place(place.parse().map_err(|_| wrong())?));
                rest = after;
            } else {
                let key = if steps.is_empty() { Some(rest) } else { rest.strip_prefix('.') };
                let key = key.ok_or_else(wrong)?;
                let end = key.find(['.', '[']).unwrap_or(key.len());
                if end == 0 || key[..end].contains([']', '"']) {
                    return Err(wrong());
                }
                steps.push(Step::Key(key[..end].into()));
                rest = &key[end..];
            }
        }
        if steps.is_empty() { Err(wrong()) } else { Ok(Self(steps)) }
    }
}

/// What stands at the end of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A number.
    Number(f64),
    /// A whole number, which a double may be too short for.
    Whole(i64),
    /// `true` or `false`.
    Truth(bool),
    /// A text.
    Text(Box<str>),
    /// Something else.
    Other,
}

/// Several paths that are followed at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonPaths {
    root: Node,
    count: usize,
}

/// A place in documents that paths lead to or through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    next: Vec<(Step, Node)>,
    /// The paths that end here.
    ends: Vec<usize>,
}

impl JsonPaths {
    /// Follows these, [`JSON_PATHS_MAX`] at most.
    pub fn new(paths: impl IntoIterator<Item = JsonPath>) -> Self {
        let mut followed = Self::default();
        for JsonPath(steps) in paths.into_iter().take(JSON_PATHS_MAX) {
            let mut node = &mut followed.root;
            for step in steps {
                let known = node.next.iter().position(|(known, _)| *known == step);
                let place = known.unwrap_or_else(|| {
                    node.next.push((step, Node::default()));
                    node.next.len() - 1
                });
                node = &mut node.next[place].1;
            }
            node.ends.push(followed.count);
            followed.count += 1;
        }
        followed
    }

    /// What stands at the end of each path; `None` where there is nothing, or null. Of a key that
    /// stands twice the last one counts.
    pub fn follow(&self, document: &[u8]) -> Result<Vec<Option<Found>>, serde_json::Error> {
        let mut found = vec![None; self.count];
        let mut json = serde_json::Deserializer::from_slice(document);
        Seed { node: &self.root, found: &mut found }.deserialize(&mut json)?;
        json.end()?;
        Ok(found)
    }
}

/// Reads a value at a node.
struct Seed<'a> {
    node: &'a Node,
    found: &'a mut [Option<Found>],
}

impl Seed<'_> {
    fn find(self, found: Option<Found>) {
        for end in &self.node.ends {
            self.found[*end].clone_from(&found);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if !self.node.next.is_empty() {
            return json.deserialize_any(self);
        }
        // As text: the parser's own numbers may be off in the last place.
        let raw = <&'de RawValue>::deserialize(json)?;
        self.find(Found::of(raw.get()));
        Ok(())
    }
}

impl Found {
    /// What a value is that stands there as this text.
    fn of(raw: &str) -> Option<Self> {
        Some(match raw.as_bytes().first()? {
            b'n' => return None,
            b't' => Self::Truth(true),
            b'f' => Self::Truth(false),
            b'"' => serde_json::from_str::<Box<str>>(raw).map_or(Self::Other, Self::Text),
            b'[' | b'{' => Self::Other,
            _ => match (raw.parse(), raw.parse()) {
                (Ok(whole), _) => Self::Whole(whole),
                (_, Ok(number)) => Self::Number(number),
                _ => Self::Other,
            },
        })
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { node, found } = self;
        while let Some(place) = map.next_key_seed(Keys(node))? {
            match place {
                Some(place) => {
                    let node = &node.next[place].1;
                    map.next_value_seed(Seed { node, found: &mut *found })?;
                }
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Seed { node, found }.find(Some(Found::Other));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { node, found } = self;
        for place in 0.. {
            let step = Step::Place(place);
            let next = node.next.iter().find(|(known, _)| *known == step);
            let is_over = match next {
                Some((_, node)) => items.next_element_seed(Seed { node, found: &mut *found })?,
                None => items.next_element::<IgnoredAny>()?.map(|_| ()),
            };
            if is_over.is_none() {
                break;
            }
        }
        Seed { node, found }.find(Some(Found::Other));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.find(None);
        Ok(())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.find(Some(Found::Truth(truth)));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.find(Some(Found::Whole(number)));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        let whole = i64::try_from(number).map(Found::Whole);
        self.find(Some(whole.unwrap_or(Found::Number(number as f64))));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.find(Some(Found::Number(number)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.find(Some(Found::Text(text.into())));
        Ok(())
    }
}

/// Which of a node's ways a key is.
struct Keys<'a>(&'a Node);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Keys<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        let is_key = |step: &Step| matches!(step, Step::Key(known) if **known == *key);
        Ok(self.0.next.iter().position(|(step, _)| is_key(step)))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Option<usize>, E> {
        Err(E::custom("a key that is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(path: &str, document: &str) -> Option<Found> {
        let path = JsonPath::parse(path).expect(path);
        JsonPaths::new([path]).follow(document.as_bytes()).expect(document).remove(0)
    }

    #[test]
    fn a_path_leads_to_its_value() {
        let document = r#"{"a":{"b":[1,{"c":2.5},"x"]},"a.b":true,"n":null,"d":1,"d":2,"é":-3,
            "big":18446744073709551615}"#;
        for (path, expected) in [
            ("a.b[0]", Some(Found::Whole(1))),
            ("a.b[1].c", Some(Found::Number(2.5))),
            ("a[\"b\"][2]", Some(Found::Text("x".into()))),
            ("[\"a.b\"]", Some(Found::Truth(true))),
            ("a.b", Some(Found::Other)),
            ("a", Some(Found::Other)),
            ("a.b[3]", None),
            ("a.b.c", None),
            ("n", None),
            ("d", Some(Found::Whole(2))),
            ("é", Some(Found::Whole(-3))),
            ("big", Some(Found::Number(18_446_744_073_709_551_615.0))),
            ("nothing", None),
        ] {
            assert_eq!(follow(path, document), expected, "{path}");
        }
        assert_eq!(follow("[0]", "[7]"), Some(Found::Whole(7)));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a]", "[\"a", "a[0]b"] {
            assert!(JsonPath::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let paths = JsonPaths::new([JsonPath::parse("a").expect("a path")]);
        let deep = "[".repeat(100_000);
        for document in ["", "{", "{\"a\":}", "1 2", &deep] {
            assert!(paths.follow(document.as_bytes()).is_err(), "{document:.20}");
        }
        assert!(paths.follow(b"{\"\xff\":1}").is_err());
    }
}
