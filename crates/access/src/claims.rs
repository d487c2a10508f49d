//! What a verified credential says of whoever shows it.

use std::collections::BTreeMap;
use std::fmt;

use bellwire_model::Timestamp;
use bellwire_model::limits::{
    CLAIM_OVERHEAD_BYTES, CLAIMS_BYTES_MAX, CLAIMS_MAX, SUBJECT_BYTES_MAX,
};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a credential says, once it is verified: who it is of, what else is said of them, since when and
/// until when. Rights are worked out from it, and nothing else of the credential is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claims {
    /// Who it is, as whoever vouches for them knows them.
    pub subject: Box<str>,
    /// What else is said of them, by its name.
    pub values: BTreeMap<Box<str>, Claim>,
    /// When all of this ends to be so; nothing where it does not by itself.
    pub ends_at: Option<Timestamp>,
    /// When it was issued at the earliest, by this server's clock; nothing where nobody says so. What
    /// is taken back is all that was issued before.
    pub issued_at: Option<Timestamp>,
    /// The issue of the credential that was shown at first, where this was made of another: of that is
    /// what was taken back, whenever something was made of it. Nothing where this is the first, or a
    /// version before has sealed it.
    pub first: Option<FirstIssue>,
}

/// When the credential was issued that something was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstIssue {
    /// Then, in milliseconds.
    At(i64),
    /// Nobody says when.
    Unsaid,
}

impl FirstIssue {
    /// When; nothing where nobody says so.
    pub fn at(self) -> Option<Timestamp> {
        if let Self::At(ms) = self { Some(Timestamp::from_ms(ms)) } else { None }
    }
}

/// What one claim says. Texts only: nothing else can be compared with a topic or a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Claim {
    /// One text.
    Text(Box<str>),
    /// Any number of them, in the order in which they were given.
    List(Box<[Box<str>]>),
}

impl Claim {
    /// What it says: one text, or all of the list.
    pub fn texts(&self) -> &[Box<str>] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
        }
    }

    fn size_bytes(&self) -> usize {
        self.texts().iter().map(|text| text.len() + CLAIM_OVERHEAD_BYTES).sum()
    }
}

impl Claims {
    /// Claims that are within all bounds. Every reader of a credential makes them here, and says when
    /// it was [issued](Self::issued) where it knows.
    pub fn new(
        subject: &str,
        values: BTreeMap<Box<str>, Claim>,
        ends_at: Option<Timestamp>,
    ) -> Result<Self, ClaimsError> {
        check_subject(subject)?;
        if values.len() > CLAIMS_MAX {
            return Err(ClaimsError::TooMany);
        }
        let claims =
            Self { subject: subject.into(), values, ends_at, issued_at: None, first: None };
        if claims.size_bytes() > CLAIMS_BYTES_MAX {
            return Err(ClaimsError::TooLarge);
        }
        Ok(claims)
    }

    /// The same, of a credential that was issued then.
    #[must_use]
    pub fn issued(self, at: Option<Timestamp>) -> Self {
        Self { issued_at: at, ..self }
    }

    /// The same, of what was made of a credential that says this.
    #[must_use]
    pub fn made_of(self, first: Option<FirstIssue>) -> Self {
        Self { first, ..self }
    }

    /// The issue of the credential that was shown at first.
    pub fn first_issue(&self) -> FirstIssue {
        let own = || self.issued_at.map_or(FirstIssue::Unsaid, |at| FirstIssue::At(at.as_ms()));
        self.first.unwrap_or_else(own)
    }

    /// Of whoever has not said who they are.
    pub fn anonymous() -> Self {
        let subject = "anonymous".into();
        Self { subject, values: BTreeMap::new(), ends_at: None, issued_at: None, first: None }
    }

    /// What is said under this name.
    pub fn get(&self, name: &str) -> Option<&Claim> {
        self.values.get(name)
    }

    /// Bytes that these claims keep, about.
    pub fn size_bytes(&self) -> usize {
        let values = self.values.iter();
        let bytes =
            values.map(|(name, claim)| name.len() + CLAIM_OVERHEAD_BYTES + claim.size_bytes());
        self.subject.len() + bytes.sum::<usize>()
    }
}

/// Reads claims as JSON has them, each of which stands there once: of two that differ nobody could say
/// which was meant.
pub fn read_distinct<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Box<str>, Claim>, D::Error> {
    struct Values;

    impl<'de> Visitor<'de> for Values {
        type Value = BTreeMap<Box<str>, Claim>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("claims by their names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut values = BTreeMap::new();
            while let Some((name, claim)) = entries.next_entry::<Box<str>, Claim>()? {
                if values.insert(name, claim).is_some() {
                    return Err(A::Error::custom("a claim is there twice"));
                }
            }
            Ok(values)
        }
    }

    deserializer.deserialize_map(Values)
}

/// Whether somebody can be called so. A subject stands in logs, in the audit and beside
/// acknowledgements: what could pass for another line or turn its text around is none.
pub(crate) fn check_subject(subject: &str) -> Result<(), ClaimsError> {
    match subject {
        "" => Err(ClaimsError::NoSubject),
        _ if subject.len() > SUBJECT_BYTES_MAX => Err(ClaimsError::SubjectTooLong),
        _ if subject.chars().any(is_invisible) => Err(ClaimsError::SubjectInvisible),
        _ => Ok(()),
    }
}

/// Characters that are not seen and change what is: controls, line ends, marks of direction, and
/// those without a width.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Why claims cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// Nobody is named.
    #[error("the subject is empty")]
    NoSubject,
    /// The name of whoever it is is too long.
    #[error("a subject has at most {SUBJECT_BYTES_MAX} bytes")]
    SubjectTooLong,
    /// The name has characters that are not seen.
    #[error("the subject has characters that cannot be seen")]
    SubjectInvisible,
    /// Too many claims.
    #[error("there are more than {CLAIMS_MAX} claims")]
    TooMany,
    /// Too many bytes of them.
    #[error("claims come to at most {CLAIMS_BYTES_MAX} bytes")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: impl IntoIterator<Item = (String, Claim)>) -> Result<Claims, ClaimsError> {
        let values = values.into_iter().map(|(name, claim)| (name.into(), claim)).collect();
        Claims::new("ann", values, None)
    }

    #[test]
    fn a_subject_is_a_short_text_that_can_be_seen() {
        let long = "a".repeat(SUBJECT_BYTES_MAX + 1);
        for (subject, expected) in [
            ("ann", Ok(())),
            ("Zoë O'Neil <zoe@example.com>", Ok(())),
            ("auth0|5f7c8ec7c33c6c004bbafe82", Ok(())),
            (&long[1..], Ok(())),
            ("", Err(ClaimsError::NoSubject)),
            (&long, Err(ClaimsError::SubjectTooLong)),
            ("ann\nadmin", Err(ClaimsError::SubjectInvisible)),
            ("ann\0", Err(ClaimsError::SubjectInvisible)),
            ("ann\u{85}", Err(ClaimsError::SubjectInvisible)),
            ("\u{202e}nna", Err(ClaimsError::SubjectInvisible)),
            ("an\u{200b}n", Err(ClaimsError::SubjectInvisible)),
            ("ann\u{2028}", Err(ClaimsError::SubjectInvisible)),
            ("ann\u{e0041}", Err(ClaimsError::SubjectInvisible)),
        ] {
            assert_eq!(check_subject(subject), expected, "{subject:?}");
        }
    }

    #[test]
    fn claims_are_bounded_in_number_and_in_bytes() {
        let one = |n: usize| (format!("claim_{n}"), Claim::Text("x".into()));
        assert!(with((0..CLAIMS_MAX).map(one)).is_ok());
        assert_eq!(with((0..=CLAIMS_MAX).map(one)), Err(ClaimsError::TooMany));
        let of = |bytes: usize| Claim::Text("x".repeat(bytes).into());
        assert!(with([("a".into(), of(CLAIMS_BYTES_MAX / 2))]).is_ok());
        assert_eq!(with([("a".into(), of(CLAIMS_BYTES_MAX))]), Err(ClaimsError::TooLarge));
    }

    #[test]
    fn empty_texts_count_for_what_they_take() {
        let empty = vec!["".into(); CLAIMS_BYTES_MAX / CLAIM_OVERHEAD_BYTES + 1];
        let list = Claim::List(empty.into());
        assert_eq!(with([("groups".into(), list)]), Err(ClaimsError::TooLarge));
    }

    #[test]
    fn a_claim_that_is_there_twice_is_refused() {
        let read = |text: &str| read_distinct(&mut serde_json::Deserializer::from_str(text));
        let values = read(r#"{"team":"a","teams":["a","b"]}"#).expect("claims");
        assert_eq!(values["teams"].texts(), ["a".into(), "b".into()]);
        for text in [
            r#"{"team":"a","team":"b"}"#,
            r#"{"team":"a","te\u0061m":"a"}"#,
            r#"{"team":1}"#,
            r#"["team"]"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_text_reads_as_a_list_of_one() {
        assert_eq!(Claim::Text("a".into()).texts(), ["a".into()]);
        assert_eq!(Claim::List(["a".into(), "b".into()].into()).texts(), ["a".into(), "b".into()]);
    }
}
