//! Showing: connections that are seen by others who follow the same.

use std::net::IpAddr;

use bellwire_model::{EffectiveFilter, PacedFilter, Principal};
use bellwire_wire::problem::Problem;

use super::Token;
use super::connection::Which;
use super::parts::Shard;
use crate::presence::{self, Place, Present};
use crate::stream_request::StreamRequest;

impl Shard {
    /// Somebody who comes wants to be seen by others. `None`: no, as most.
    pub(super) fn present(
        &self,
        request: &StreamRequest,
        (principal, source): (Principal, Option<IpAddr>),
    ) -> Result<Option<Present>, Problem> {
        let Some(asked) = &request.present else { return Ok(None) };
        let presence = self.surroundings.presence.as_ref().ok_or_else(presence::nowhere)?;
        let name = self.surroundings.authority.follower(principal, source.or(asked.source));
        let mut present = presence.begin((**asked).clone(), name);
        let at = (&[][..], &self.surroundings.table);
        let places = presence.seen_on(asked.named.iter(), &request.follows, at);
        // A WebSocket may name some later.
        if places.is_empty() && request.handshake.is_none() {
            return Err(presence::nowhere());
        }
        present.follow(places)?;
        Ok(Some(present))
    }

    /// Somebody was let in who is seen.
    pub(super) fn keep_present(&mut self, token: Token, present: Option<Present>) {
        if let Some(mut present) = present {
            present.settle();
            self.presents.insert(token, present);
        }
    }

    /// A connection is about to follow more, of what it has named.
    pub(super) fn show_on(
        &mut self,
        token: Token,
        named: &[PacedFilter],
        followed: &EffectiveFilter,
    ) -> Result<(), Problem> {
        let Some(present) = self.presents.get_mut(&token) else { return Ok(()) };
        let Some(presence) = &self.surroundings.presence else { return Ok(()) };
        let mut places: Vec<Place> = present.places().to_vec();
        let named = named.iter().map(|paced| &paced.filter);
        let at = (present.places(), &self.surroundings.table);
        places.extend(presence.seen_on(named, followed, at));
        places.sort_unstable();
        places.dedup();
        present.follow(places)
    }

    /// A connection follows less than it did.
    pub(super) fn note_followed(&mut self, token: Token) {
        if !self.presents.contains_key(&token) {
            return;
        }
        let places = if self.connections[token].websocket.is_some() {
            self.seen_on(token)
        } else {
            let lane = self.connections[token].main.delivery.lane();
            let (follows, present) = (self.hub.follows(lane), &self.presents[&token]);
            let is_left = |place: &&Place| {
                follows.filters().matches(&place.topic) && place.is_seen_by(follows)
            };
            present.places().iter().filter(is_left).cloned().collect()
        };
        if let Some(present) = self.presents.get_mut(&token) {
            // It has entered all that it still follows.
            let _ = present.follow(places);
        }
    }

    /// The client of a connection has shown who it is: it is seen as that.
    pub(super) fn show_anew(&mut self, token: Token, source: Option<IpAddr>) {
        let Some(before) = self.presents.remove(&token) else { return };
        let Some(presence) = &self.surroundings.presence else { return };
        let principal = self.connections[token].principal;
        let name = self.surroundings.authority.follower(principal, source);
        let mut present = presence.begin(before.asked().clone(), name);
        // Where there is no room for it any more it is not seen: what it follows still comes.
        if present.follow(before.places().to_vec()).is_ok() {
            present.settle();
            self.presents.insert(token, present);
        }
        before.retract();
    }

    /// Where a WebSocket is seen.
    fn seen_on(&mut self, token: Token) -> Vec<Place> {
        let Some(presence) = self.surroundings.presence.clone() else { return Vec::new() };
        let mut places = Vec::new();
        for which in self.subscriptions(token).collect::<Vec<Which>>() {
            let lane = which.of(&mut self.connections[token]).delivery.lane();
            let named = self.asked(token, which);
            let named = named.iter().map(|paced| &paced.filter);
            let at = (self.presents[&token].places(), &self.surroundings.table);
            places.extend(presence.seen_on(named, self.hub.follows(lane), at));
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}
