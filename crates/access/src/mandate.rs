//! Mandates: what is done in somebody's name while they are away.
//!
//! As a session, it says who somebody is and what they have shown for it, and never what they may:
//! that is asked whenever something is done. Unlike one it is shown to nobody and so not sealed: it is a
//! part of a record of the server's own.

use std::collections::BTreeMap;

use bellwire_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::behind::Behind;
use crate::claims::{Claim, Claims, FirstIssue};
use crate::identity::{Identity, Means};

/// Somebody who has asked for something that goes on while they are away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mandate {
    /// Who it is.
    pub subject: Box<str>,
    /// The names of their roles, where the credential behind it has some of its own.
    #[serde(default, skip_serializing_if = "<[Box<str>]>::is_empty")]
    pub roles: Box<[Box<str>]>,
    /// What else is said of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<Box<str>, Claim>,
    /// What they have shown for it.
    pub behind: Behind,
    /// When what they have shown was issued, where that is known: what is taken back is all that was
    /// issued before some time.
    pub issued_at: Option<i64>,
    /// The same of the credential that was shown at first, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstIssue>,
}

impl Mandate {
    /// What is done in this name from now on. `None`: nobody answers for what a stranger asks for, or
    /// whoever comes with a ticket, which is for one stream.
    pub fn of(identity: &Identity) -> Option<Self> {
        if matches!(identity.means, Means::Anonymous | Means::Pending | Means::Ticket(_)) {
            return None;
        }
        Some(Self {
            subject: identity.claims.subject.clone(),
            roles: identity.roles.clone(),
            claims: identity.claims.values.clone(),
            behind: identity.behind(),
            issued_at: identity.claims.issued_at.map(Timestamp::as_ms),
            first: identity.claims.first,
        })
    }

    /// Who it is, as far as that is known today. It does not end with what was shown: how long it is
    /// good for is said by whoever keeps it. `None`: it is damaged.
    pub fn claims(&self) -> Option<Claims> {
        let claims = Claims::new(&self.subject, self.claims.clone(), None).ok()?;
        Some(claims.issued(self.issued_at.map(Timestamp::from_ms)).made_of(self.first))
    }

    /// As whom it is known: what was taken back of that is taken back of this.
    pub fn means(&self) -> Means {
        match &self.behind {
            Behind::Other => Means::Proxy,
            Behind::Issuer(name) => Means::Token(name.clone()),
            Behind::Key(id) => Means::Key(id.clone()),
            Behind::User(_) => Means::Password,
            Behind::Session(id, behind) => Means::Session(id.clone(), (**behind).clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(means: Means) -> Identity {
        let ends_at = Some(Timestamp::from_ms(9));
        let claims = Claims::new("ada", BTreeMap::new(), ends_at).expect("claims");
        let first = Some(FirstIssue::At(4));
        let claims = claims.issued(Some(Timestamp::from_ms(5))).made_of(first);
        Identity { claims, means, roles: ["viewer".into()].into(), ..Identity::open() }
    }

    #[test]
    fn a_mandate_is_of_whoever_has_shown_something_and_outlives_it() {
        let behind = Behind::User("ada".into());
        for means in [
            Means::Key("01234567".into()),
            Means::Token("corp".into()),
            Means::Password,
            Means::Proxy,
            Means::Session("s".into(), behind),
        ] {
            let identity = identity(means.clone());
            let mandate = Mandate::of(&identity).expect("somebody");
            let text = serde_json::to_string(&mandate).expect("JSON");
            let read: Mandate = serde_json::from_str(&text).expect("its own words");
            assert_eq!(read, mandate);
            assert_eq!(read.means(), means);
            let claims = read.claims().expect("claims");
            assert_eq!((claims.ends_at, claims.issued_at), (None, identity.claims.issued_at));
            assert_eq!(claims.first, identity.claims.first);
        }
    }

    #[test]
    fn nobody_answers_for_a_stranger() {
        for means in [Means::Anonymous, Means::Pending] {
            assert_eq!(Mandate::of(&identity(means)), None);
        }
    }
}
