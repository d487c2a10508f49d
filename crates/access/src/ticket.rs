//! Stream tickets: how a bare `EventSource` of another site shows who it is, in its address.
//!
//! A ticket is made for a stream with certain filters, opened by a page of a certain origin. It opens
//! the stream within a minute of its making; after that it may only take the stream up again, since an
//! `EventSource` does so by itself, with the same address ([`TicketTable`]).

mod table;

use bellwire_model::limits::TICKET_OPENS_WITHIN;
use bellwire_model::{Filter, FilterSet, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::table::TicketTable;
use crate::behind::Behind;
use crate::claims::{Claims, FirstIssue};
use crate::sealed::{HolderText, ID_BYTES, SealError, ServerSecret, Use};

/// The name of a ticket. It opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketId([u8; ID_BYTES]);

impl TicketId {
    /// One that was drawn.
    pub const fn new(random: [u8; ID_BYTES]) -> Self {
        Self(random)
    }

    /// As it was drawn.
    pub const fn bytes(self) -> [u8; ID_BYTES] {
        self.0
    }
}

/// What a stream may be opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its own name.
    pub id: TicketId,
    /// Who it is of, and until when: the end of the credential that it was made with.
    pub claims: Claims,
    /// The names of their roles, where the credential behind it has some of its own.
    pub roles: Box<[Box<str>]>,
    /// What the stream may follow.
    pub bound: Bound,
    /// The credential behind it, where that can be taken back by itself.
    pub behind: Behind,
    /// When that was issued which it was made with, such as a session; nothing where nobody says so, or
    /// a version before has sealed it.
    pub made_of_at: Option<Timestamp>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Until when it may be opened for the first time.
    pub opens_until: Timestamp,
}

/// What a ticket is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What the stream may follow: these, or less.
    pub filters: FilterSet,
    /// The origin of the page that opens it, as its browser says it; nothing for what is no page.
    pub origin: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct TicketText {
    jti: TicketId,
    iat: i64,
    open: i64,
    filters: Vec<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Box<str>>,
    #[serde(default)]
    by: Behind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<FirstIssue>,
    #[serde(flatten)]
    holder: HolderText,
}

/// Why a ticket opens nothing. For logs; a client is told no more than that its credential is invalid,
/// or has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TicketRefusal {
    /// It is for a page of another site.
    #[error("the ticket is for another origin")]
    Origin,
    /// It is for less than is asked for.
    #[error("the ticket is for other filters")]
    Filters,
    /// The credential that it was made with has ended.
    #[error("the ticket has expired")]
    Expired,
    /// It was not opened in time, or not used for too long.
    #[error("the ticket was not opened in time, or not used for too long")]
    Late,
    /// There are as many as are kept.
    #[error("there are as many open tickets as there may be")]
    Full,
}

impl Ticket {
    /// A ticket that is made now, with a credential that says these claims.
    pub fn new(
        id: TicketId,
        (claims, roles): (Claims, &[Box<str>]),
        bound: Bound,
        now: Timestamp,
    ) -> Self {
        let opens_until = now.saturating_add(TICKET_OPENS_WITHIN);
        let (made_of_at, first) = (claims.issued_at, Some(claims.first_issue()));
        let (claims, roles) = (claims.issued(Some(now)).made_of(first), roles.into());
        let behind = Behind::Other;
        Self { id, claims, roles, bound, behind, made_of_at, issued_at: now, opens_until }
    }

    /// What the address has.
    pub fn seal(&self, secret: &ServerSecret) -> Result<String, SealError> {
        let text = TicketText {
            jti: self.id,
            iat: self.issued_at.as_ms(),
            open: self.opens_until.as_ms(),
            filters: self.bound.filters.iter().map(|filter| filter.as_str().into()).collect(),
            origin: self.bound.origin.clone(),
            by: self.behind.clone(),
            of: self.made_of_at.map(Timestamp::as_ms),
            first: self.claims.first,
            holder: HolderText::new(&self.claims, &self.roles)?,
        };
        secret.seal(Use::Ticket, &text)
    }

    /// The ticket that an address has, where the server has sealed it. Whether it opens anything is
    /// said by [`Ticket::check`] and by the table.
    pub fn open(text: &str, secret: &ServerSecret) -> Option<Self> {
        let text: TicketText = secret.open(Use::Ticket, text)?;
        let (claims, roles) = text.holder.read()?;
        let filters: Result<Vec<Filter>, _> =
            text.filters.iter().map(|filter| filter.parse()).collect();
        let filters = FilterSet::new(filters.ok()?).ok()?;
        let issued_at = Timestamp::from_ms(text.iat);
        Some(Self {
            id: text.jti,
            claims: claims.issued(Some(issued_at)).made_of(text.first),
            roles,
            bound: Bound { filters, origin: text.origin },
            behind: text.by,
            made_of_at: text.of.map(Timestamp::from_ms),
            issued_at,
            opens_until: Timestamp::from_ms(text.open),
        })
    }

    /// Whether it is good for a request: for these filters, by a page of this origin, at this time.
    pub fn check(
        &self,
        filters: &FilterSet,
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<(), TicketRefusal> {
        if self.bound.origin.as_deref() != origin {
            return Err(TicketRefusal::Origin);
        }
        if !self.bound.filters.covers(filters) {
            return Err(TicketRefusal::Filters);
        }
        if now >= self.ends_at() { Err(TicketRefusal::Expired) } else { Ok(()) }
    }

    fn ends_at(&self) -> Timestamp {
        self.claims.ends_at.unwrap_or(self.issued_at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn secret() -> ServerSecret {
        ServerSecret::new(b"the secret of a server in a test").unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_ms(second * 1000)
    }

    fn filters(texts: &[&str]) -> FilterSet {
        FilterSet::new(texts.iter().map(|text| text.parse::<Filter>().unwrap())).unwrap()
    }

    fn ticket() -> Ticket {
        let claims = Claims::new("ann", BTreeMap::new(), Some(at(3600))).unwrap();
        let origin = Some("https://app.example".into());
        let bound = Bound { filters: filters(&["alerts/**", "devices/a"]), origin };
        Ticket::new(TicketId::new([7; 16]), (claims, &["team".into()]), bound, at(100))
    }

    #[test]
    fn an_address_brings_back_its_ticket() {
        let sealed = ticket().seal(&secret()).unwrap();
        assert!(sealed.starts_with("bwt_"));
        assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let read = Ticket::open(&sealed, &secret()).unwrap();
        assert_eq!(read, ticket());
        assert_eq!(read.opens_until, at(160));
        assert_eq!(Ticket::open(&sealed.replacen("bwt_", "bws_", 1), &secret()), None);
    }

    #[test]
    fn a_ticket_says_what_it_was_made_of_and_what_was_shown_for_that() {
        let first = Some(FirstIssue::At(5000));
        let claims = ticket().claims.issued(Some(at(7))).made_of(first);
        let made = Ticket::new(ticket().id, (claims, &[]), ticket().bound, at(100));
        let read = Ticket::open(&made.seal(&secret()).unwrap(), &secret()).unwrap();
        assert_eq!((read.made_of_at, read.claims.first), (Some(at(7)), first));
        assert_eq!(read.claims.issued_at, Some(at(100)));
    }

    #[test]
    fn a_ticket_is_good_for_its_origin_its_filters_and_its_time() {
        let good = Some("https://app.example");
        let ours = filters(&["alerts/**"]);
        for (filters, origin, second, expected) in [
            (&ours, good, 200, Ok(())),
            (&filters(&["devices/a"]), good, 3599, Ok(())),
            (&filters(&["alerts/**", "devices/a"]), good, 200, Ok(())),
            (&ours, Some("https://evil.example"), 200, Err(TicketRefusal::Origin)),
            (&ours, Some("http://app.example"), 200, Err(TicketRefusal::Origin)),
            (&ours, Some("null"), 200, Err(TicketRefusal::Origin)),
            (&ours, None, 200, Err(TicketRefusal::Origin)),
            (&filters(&["**"]), good, 200, Err(TicketRefusal::Filters)),
            (&filters(&["alerts/**", "devices/b"]), good, 200, Err(TicketRefusal::Filters)),
            (&ours, good, 3600, Err(TicketRefusal::Expired)),
        ] {
            let said = ticket().check(filters, origin, at(second));
            assert_eq!(said, expected, "{filters} {origin:?} {second}");
        }
    }

    #[test]
    fn a_ticket_of_no_page_is_for_no_page() {
        let ticket = Ticket { bound: Bound { origin: None, ..ticket().bound }, ..ticket() };
        let filters = filters(&["alerts/**"]);
        assert_eq!(ticket.check(&filters, None, at(200)), Ok(()));
        let page = ticket.check(&filters, Some("https://app.example"), at(200));
        assert_eq!(page, Err(TicketRefusal::Origin));
    }
}
