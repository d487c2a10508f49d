//! A shard's connections as they are between two turns, when nothing moves: all that it takes to go
//! on with them elsewhere, but for their sockets.

use bellwire_hub::Delivery;
use bellwire_model::{Cursor, EffectiveFilter};
use bytes::Bytes;

use super::Token;
use super::parts::Shard;
use crate::form::Form;

/// One connection.
#[derive(Debug)]
pub(super) struct Described {
    /// The address of its client, or the shard's name for it.
    pub(super) name: String,
    pub(super) form: Form,
    /// What its socket has not taken of an event that it was begun to be given.
    pub(super) unwritten: Bytes,
    /// What it follows, and those behind it that a WebSocket adds and that are not ready yet.
    pub(super) main: DescribedSubscription,
    pub(super) added: Vec<DescribedSubscription>,
}

/// One of its subscriptions.
#[derive(Debug)]
pub(super) struct DescribedSubscription {
    pub(super) follows: EffectiveFilter,
    /// It has everything up to here.
    pub(super) cursor: Cursor,
}

impl Shard {
    /// Every connection that has a socket.
    pub(super) fn describe_all(&self) -> impl Iterator<Item = Described> {
        let has_socket =
            |token: &Token| self.connections[*token].outlet.socket.collector().is_none();
        let tokens = self.connections.iter().map(|(token, _)| token).filter(has_socket);
        tokens.map(|token| self.describe(token))
    }

    /// One connection.
    pub(super) fn describe(&self, token: Token) -> Described {
        let connection = &self.connections[token];
        let outlet = &connection.outlet;
        let peer = outlet.socket.peer().map(|address| address.to_string());
        let name = match (connection.client(), peer) {
            (Some(client), Some(proxy)) => Some(format!("{client} by {proxy}")),
            (_, peer) => peer,
        };
        let added = connection.subscriptions().skip(1);
        Described {
            name: name.unwrap_or_else(|| format!("shard-{}/{token}", self.index)),
            form: outlet.form,
            unwritten: outlet.unwritten(),
            main: self.describe_subscription(&connection.main.delivery),
            added: added.map(|it| self.describe_subscription(&it.delivery)).collect(),
        }
    }

    fn describe_subscription(&self, delivery: &Delivery) -> DescribedSubscription {
        let follows = self.hub.follows(delivery.lane()).clone();
        DescribedSubscription { follows, cursor: self.hub.cursor(delivery) }
    }
}
