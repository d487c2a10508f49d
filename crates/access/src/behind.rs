//! What a session or a ticket was made of: it counts for as long as that does.

use serde::{Deserialize, Serialize};

/// The credential that was shown for a session or a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behind {
    /// One of which nothing is kept here that could go.
    #[default]
    Other,
    /// A token of this issuer.
    Issuer(Box<str>),
    /// The API key of this id.
    Key(Box<str>),
    /// The local user of this name.
    User(Box<str>),
    /// The session of this name, and what that was made of.
    Session(Box<str>, Box<Self>),
}

impl Behind {
    /// What was shown at first: a ticket may be of a session, which is of that.
    pub fn first(&self) -> &Self {
        match self {
            Self::Session(_, behind) => behind.first(),
            first => first,
        }
    }

    /// By whose word it says who somebody is. `None`: by this server's own.
    pub fn issuer(&self) -> Option<&str> {
        if let Self::Issuer(name) = self.first() { Some(name) } else { None }
    }
}
