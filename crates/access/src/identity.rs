//! Who somebody is, once their credential has been verified.

use std::sync::Arc;

use bellwire_model::Timestamp;

use crate::behind::Behind;
use crate::claims::Claims;
use crate::rights::Rights;
use crate::ticket::Ticket;

/// How somebody has shown who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// Nobody is asked: no access is configured.
    Open,
    /// Not at all.
    Anonymous,
    /// Not yet: the first message of a WebSocket is to say it.
    Pending,
    /// A token of this issuer.
    Token(Box<str>),
    /// The API key of this id.
    Key(Box<str>),
    /// A name and a password.
    Password,
    /// The session of a browser of this name, made of that.
    Session(Box<str>, Behind),
    /// This ticket for a stream.
    Ticket(Arc<Ticket>),
    /// A header of a proxy that is trusted.
    Proxy,
}

impl Means {
    /// In one word, for people.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Anonymous => "anonymous",
            Self::Pending => "pending",
            Self::Token(_) => "token",
            Self::Key(_) => "key",
            Self::Password => "password",
            Self::Session(..) => "session",
            Self::Ticket(_) => "ticket",
            Self::Proxy => "proxy",
        }
    }
}

/// Somebody, and what they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who it is (`anonymous` for strangers), what else is said of them, and until when.
    pub claims: Claims,
    /// How that is known.
    pub means: Means,
    /// The names of the roles that they have here.
    pub roles: Box<[Box<str>]>,
    /// What they may do.
    pub rights: Rights,
}

impl Identity {
    /// Whoever comes to a server that asks nobody.
    pub fn open() -> Self {
        Self {
            claims: Claims::anonymous(),
            means: Means::Open,
            roles: Box::new([]),
            rights: Rights::all(),
        }
    }

    /// Whoever has yet to say who they are, until then.
    pub fn pending(until: Timestamp) -> Self {
        Self {
            claims: Claims { ends_at: Some(until), ..Claims::anonymous() },
            means: Means::Pending,
            roles: Box::new([]),
            rights: Rights::none(),
        }
    }

    /// Who it is.
    pub fn subject(&self) -> &str {
        &self.claims.subject
    }

    /// When what they have shown ends.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.claims.ends_at
    }

    /// What is made of what they have shown is made of this.
    pub fn behind(&self) -> Behind {
        match &self.means {
            Means::Token(issuer) => Behind::Issuer(issuer.clone()),
            Means::Key(id) => Behind::Key(id.clone()),
            Means::Password => Behind::User(self.claims.subject.clone()),
            Means::Session(id, behind) => Behind::Session(id.clone(), behind.clone().into()),
            _ => Behind::Other,
        }
    }

    /// By whose word they are who they are: the issuer's of their token, or of the one that their
    /// session or ticket was made of. `None`: by this server's own, of keys, users and proxies.
    pub fn issuer(&self) -> Option<&str> {
        match &self.means {
            Means::Token(issuer) => Some(issuer),
            Means::Session(_, behind) => behind.issuer(),
            Means::Ticket(ticket) => ticket.behind.issuer(),
            _ => None,
        }
    }

    /// A name that this caller has chosen, told apart from the same name of anybody else. Where nobody
    /// is asked who they are it is everybody's, as it always was.
    pub fn own_name(&self, name: &str) -> Box<str> {
        if self.means == Means::Open {
            return name.into();
        }
        // None of them has a line's end within but the name.
        let issuer = self.issuer().unwrap_or_default();
        [issuer, "\n", self.subject(), "\n", name].concat().into()
    }

    /// Whether `newer` is the same somebody: the same subject, by the same issuer's word, whatever was
    /// made of that meanwhile. Whoever has not said yet who they are may be anybody.
    pub fn is_renewed_by(&self, newer: &Self) -> bool {
        let is_stranger =
            |means: &Means| matches!(means, Means::Open | Means::Anonymous | Means::Pending);
        let (old, new) = (&self.means, &newer.means);
        if *old == Means::Pending {
            return !is_stranger(new);
        }
        self.subject() == newer.subject()
            && !is_stranger(old)
            && !is_stranger(new)
            && self.issuer() == newer.issuer()
    }

    /// Bytes that it keeps, about.
    pub fn size_bytes(&self) -> usize {
        let roles: usize = self.roles.iter().map(|role| role.len()).sum();
        size_of::<Self>() + self.claims.size_bytes() + roles + self.rights.size_bytes()
    }

    /// Whether it has ended.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|ends_at| ends_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::{Filter, FilterSet};

    use super::*;
    use crate::ticket::{Bound, TicketId};

    fn somebody(subject: &str, means: Means) -> Identity {
        let claims = Claims { subject: subject.into(), ..Claims::anonymous() };
        Identity { claims, means, ..Identity::open() }
    }

    fn token(issuer: &str) -> Means {
        Means::Token(issuer.into())
    }

    /// A session and a ticket of what somebody has shown, and a ticket of that session.
    fn made_of(subject: &str, shown: Means) -> [Means; 3] {
        let ticket = |means: &Means| {
            let identity = somebody(subject, means.clone());
            let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
            let (bound, now) = (Bound { filters, origin: None }, Timestamp::from_ms(0));
            let (id, holder) = (TicketId::new([7; 16]), (identity.claims.clone(), &[][..]));
            let ticket = Ticket::new(id, holder, bound, now);
            Means::Ticket(Arc::new(Ticket { behind: identity.behind(), ..ticket }))
        };
        let behind = somebody(subject, shown.clone()).behind();
        let session = Means::Session("s1".into(), behind);
        [ticket(&shown), ticket(&session), session]
    }

    #[test]
    fn names_of_two_callers_are_two() {
        let of = |subject: &str, means: Means| somebody(subject, means).own_name("order-1");
        let names = [
            of("ada", token("a")),
            of("ada", token("b")),
            of("bob", token("a")),
            of("ada", Means::Key("01234567".into())),
            of("bob", Means::Key("01234567".into())),
        ];
        let apart: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(apart.len(), names.len());
        assert_eq!(&*of("anonymous", Means::Open), "order-1");
    }

    #[test]
    fn what_was_made_of_a_credential_is_of_the_same_caller() {
        let key = || Means::Key("01234567".into());
        for shown in [token("a"), key(), Means::Password, Means::Proxy] {
            let first = somebody("ada", shown.clone());
            for means in made_of("ada", shown.clone()) {
                let made = somebody("ada", means);
                assert_eq!(made.issuer(), first.issuer(), "{made:?}");
                assert_eq!(made.own_name("order-1"), first.own_name("order-1"), "{made:?}");
                assert!(made.is_renewed_by(&first) && first.is_renewed_by(&made), "{made:?}");
            }
        }
    }

    #[test]
    fn the_same_name_by_anothers_word_is_somebody_else() {
        let shown = [token("a"), token("b"), Means::Key("01234567".into())];
        for (place, one) in shown.iter().enumerate() {
            for other in shown.iter().skip(place + 1) {
                for one in made_of("ada", one.clone()).into_iter().chain([one.clone()]) {
                    for other in made_of("ada", other.clone()).into_iter().chain([other.clone()]) {
                        let (one, other) = (somebody("ada", one.clone()), somebody("ada", other));
                        assert_ne!(one.own_name(""), other.own_name(""), "{one:?} {other:?}");
                        assert!(!one.is_renewed_by(&other) && !other.is_renewed_by(&one));
                    }
                }
            }
        }
        let bob = somebody("bob", token("a"));
        assert!(!somebody("ada", token("a")).is_renewed_by(&bob));
    }
}
