//! A stored key as a record: JSON with times in milliseconds. Members that a later version adds are
//! passed over.

use std::collections::BTreeMap;

use bellwire_model::Timestamp;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use serde::{Deserialize as ReadText, Serialize as WriteText};

use super::{StoredKey, hexadecimal};
use crate::claims::Claim;

#[derive(ReadText, WriteText)]
struct KeyText {
    id: Box<str>,
    hash: String,
    subject: Box<str>,
    roles: Box<[Box<str>]>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<Box<str>, Claim>,
    #[serde(default)]
    note: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_at: Option<i64>,
    #[serde(default)]
    made_by: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_at: Option<i64>,
}

impl Serialize for StoredKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = self.clone();
        let text = KeyText {
            id: key.id,
            hash: hexadecimal(&key.hash),
            subject: key.subject,
            roles: key.roles,
            claims: key.claims,
            note: key.note,
            made_at: key.made_at.map(Timestamp::as_ms),
            made_by: key.made_by,
            ends_at: key.ends_at.map(Timestamp::as_ms),
            revoked_at: key.revoked_at.map(Timestamp::as_ms),
            used_at: key.used_at.map(Timestamp::as_ms),
        };
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StoredKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = KeyText::deserialize(deserializer)?;
        let who = (&*text.subject, text.roles);
        let key = Self::new(&text.id, &text.hash, who, &text.note).map_err(D::Error::custom)?;
        Ok(Self {
            claims: text.claims,
            made_at: text.made_at.map(Timestamp::from_ms),
            made_by: text.made_by,
            ends_at: text.ends_at.map(Timestamp::from_ms),
            revoked_at: text.revoked_at.map(Timestamp::from_ms),
            used_at: text.used_at.map(Timestamp::from_ms),
            ..key
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::NewKey;

    fn stored() -> (NewKey, StoredKey) {
        let key = NewKey::make([7; NewKey::RANDOM_BYTES]);
        let who = ("boiler-7", ["sensor".into()].into());
        let stored = StoredKey::new(key.id(), &key.hash(), who, "cellar").expect("its own words");
        (key, stored)
    }

    #[test]
    fn a_record_brings_back_the_key() {
        let (key, stored) = stored();
        let stored = StoredKey {
            claims: BTreeMap::from([
                ("site".into(), Claim::Text("north".into())),
                ("teams".into(), Claim::List(["a".into(), "b".into()].into())),
            ]),
            made_at: Some(Timestamp::from_ms(1_000)),
            made_by: "ann".into(),
            revoked_at: Some(Timestamp::from_ms(2_000)),
            used_at: Some(Timestamp::from_ms(1_500)),
            ..stored
        };
        let text = serde_json::to_string(&stored).expect("JSON");
        assert!(!text.contains(key.text()) && text.contains(r#""revoked_at":2000"#), "{text}");
        assert_eq!(serde_json::from_str::<StoredKey>(&text).expect("a key"), stored);
        let later = text.replacen('{', r#"{"of_a_later_version":[1],"#, 1);
        assert_eq!(serde_json::from_str::<StoredKey>(&later).expect("a key"), stored);
    }

    #[test]
    fn a_record_that_is_damaged_is_no_key() {
        let text = serde_json::to_string(&stored().1).expect("JSON");
        for (from, to) in
            [("boiler-7", ""), (r#""hash":""#, r#""hash":"0"#), (r#""id":""#, r#""id":"0"#)]
        {
            let damaged = text.replace(from, to);
            assert!(serde_json::from_str::<StoredKey>(&damaged).is_err(), "{damaged}");
        }
    }
}
