//! JSON of strangers, read strictly: a member that is there twice is refused at any depth.
//!
//! Of two equal members some readers take the first and others the last, so that two of them that
//! look at one token see two (RFC 8725, section 2.4). Here it is no token.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Flag(bool),
    /// What is beyond the numbers that a program reckons with is no JSON here.
    Number(f64),
    Text(Box<str>),
    List(Vec<Json>),
    Object(Members),
}

/// The members of an object.
pub(crate) type Members = BTreeMap<Box<str>, Json>;

impl Json {
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// All of a list of texts, or the one text that stands in its place.
    pub(crate) fn as_texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(text) => Some(vec![text]),
            Self::List(list) => list.iter().map(Self::as_text).collect(),
            _ => None,
        }
    }
}

/// The object that these bytes are.
pub(crate) fn read_object(bytes: &[u8]) -> Result<Members, serde_json::Error> {
    match serde_json::from_slice(bytes)? {
        Json::Object(members) => Ok(members),
        _ => Err(Error::custom("not an object")),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut members = Members::new();
        while let Some((name, value)) = entries.next_entry::<Box<str>, Json>()? {
            if members.insert(name, value).is_some() {
                return Err(Error::custom("a member is there twice"));
            }
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_there_twice_is_refused_at_any_depth() {
        for (text, is_read) in [
            (r#"{"a":1,"b":2}"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            (r#"{"a":{"b":1,"b":2}}"#, false),
            (r#"{"a":[{"b":1,"b":2}]}"#, false),
            (r#"{"a":{"b":1},"b":2}"#, true),
        ] {
            assert_eq!(read_object(text.as_bytes()).is_ok(), is_read, "{text}");
        }
    }

    #[test]
    fn only_a_whole_object_is_one() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(4000), "}".repeat(4000));
        for text in ["", "1", "[]", r#""a""#, "{", "{} {}", r#"{"a":1e999}"#, "{a:1}", &deep] {
            assert!(read_object(text.as_bytes()).is_err(), "{text:.40}");
        }
        assert!(read_object(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(read_object(b"{}").unwrap(), Members::new());
    }

    #[test]
    fn one_text_stands_for_a_list_of_one() {
        let texts = |text: &str| {
            let read: Json = serde_json::from_str(text).unwrap();
            read.as_texts().map(|texts| texts.iter().map(|text| (*text).to_owned()).collect())
        };
        assert_eq!(texts(r#""a""#), Some(vec!["a".to_owned()]));
        assert_eq!(texts(r#"["a","b"]"#), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(texts(r#"["a",1]"#), None);
        assert_eq!(texts("1"), None);
    }
}
