//! Control events: what the server says about the stream itself.

use std::time::Duration;

use bellwire_model::{Closure, Cursor, Filter, FilterSet, Topic};

use crate::outage::Outage;
use crate::problem::Problem;
use crate::request::RequestId;
use crate::{msgpack, write};

/// Something that the server tells a subscriber about its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    /// Snapshot and catch-up are done; what follows is live.
    Ready {
        /// Where the subscriber is.
        cursor: Cursor,
        /// How long the stream is silent at most. A client that hears nothing for twice as long
        /// should reconnect.
        heartbeat_interval: Duration,
    },
    /// Events between two cursors will not come.
    Gap {
        /// The last that the subscriber has seen, or asked to resume after.
        from: Cursor,
        /// What follows comes after this.
        to: Cursor,
        /// Why they are gone.
        reason: GapReason,
        /// What the subscriber follows: the filters that may have missed something.
        filters: &'a FilterSet,
    },
    /// A topic has ended: nothing more is published to it.
    End {
        /// Which.
        topic: &'a Topic,
        /// Where the subscriber is.
        cursor: Cursor,
    },
    /// A topic that had ended goes on.
    Reopened {
        /// Which.
        topic: &'a Topic,
        /// Where the subscriber is.
        cursor: Cursor,
    },
    /// What the subscriber has of state topics is void: all there is comes anew.
    Reset {
        /// Where its streams go on, and nothing more: whoever drops what it has must not come back
        /// with a cursor that says that it has it.
        cursor: Cursor,
        /// What the subscriber follows.
        filters: &'a FilterSet,
    },
    /// What the subscriber may read leaves less of what it follows than it has asked for, or than
    /// there was before.
    Narrowed {
        /// What is left.
        topics: &'a FilterSet,
    },
    /// What the subscriber has shown of who it is ends soon: it shows something newer, or the stream
    /// ends with it.
    Renew {
        /// How long it still counts.
        expires_in: Duration,
        /// Whose streams go on, for whoever shows something newer. Opaque.
        renews: &'a str,
    },
    /// The server takes no events in. The stream stays open.
    Degraded {
        /// Why, and what works meanwhile.
        outage: Outage,
    },
    /// It does again.
    Restored,
    /// The server ends the stream.
    Bye {
        /// Why.
        reason: ByeReason,
        /// When to come back.
        retry: Duration,
    },
    /// The server has no room for the stream now: a `bye` in place of a status, for those who could
    /// not read that.
    Refused {
        /// Why.
        problem: &'a Problem,
        /// When to come back.
        retry: Duration,
    },
}

/// Why there is a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The events are past their retention.
    Expired,
    /// The cursor is of another epoch of the journal.
    Epoch,
}

impl GapReason {
    /// The reason as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Epoch => "epoch",
        }
    }
}

/// Why the server ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByeReason {
    /// The server is shutting down; another node may be up.
    Drain,
    /// The subscriber took no byte for too long.
    Stalled,
    /// The server has no room for this stream.
    Limit,
    /// What the subscriber has shown of who it is has ended.
    CredentialExpired,
    /// It was taken back.
    CredentialRevoked,
    /// Another connection has come with the ticket, which one may use.
    Displaced,
    /// What the subscriber has renewed it with leaves nothing of what it follows.
    Forbidden,
    /// What it has renewed it with lets it see other alerts or series: it begins anew.
    RightsChanged,
}

impl ByeReason {
    /// The reason as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Stalled => "stalled",
            Self::Limit => "limit",
            Self::CredentialExpired => "credential_expired",
            Self::CredentialRevoked => "credential_revoked",
            Self::Displaced => "displaced",
            Self::Forbidden => "forbidden",
            Self::RightsChanged => "rights_changed",
        }
    }
}

impl<'a> Control<'a> {
    /// What becomes of a topic, to a subscriber that is there.
    pub const fn of_closure(closure: Closure, topic: &'a Topic, cursor: Cursor) -> Self {
        match closure {
            Closure::End => Self::End { topic, cursor },
            Closure::Reopened => Self::Reopened { topic, cursor },
        }
    }
}

impl Control<'_> {
    /// What kind of control event this is: SSE's `event:` field.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Gap { .. } => "gap",
            Self::End { .. } => Closure::End.as_str(),
            Self::Reopened { .. } => Closure::Reopened.as_str(),
            Self::Reset { .. } => "reset",
            Self::Narrowed { .. } => "narrowed",
            Self::Renew { .. } => "renew",
            Self::Degraded { .. } => "degraded",
            Self::Restored => "restored",
            Self::Bye { .. } | Self::Refused { .. } => "bye",
        }
    }

    /// Where the subscriber is once it has taken this in.
    pub const fn cursor(&self) -> Option<Cursor> {
        match self {
            Self::Ready { cursor, .. }
            | Self::End { cursor, .. }
            | Self::Reopened { cursor, .. }
            | Self::Reset { cursor, .. } => Some(*cursor),
            // Events before `to` may still follow: whoever resumed there would miss them.
            Self::Gap { .. }
            | Self::Narrowed { .. }
            | Self::Renew { .. }
            | Self::Degraded { .. }
            | Self::Restored
            | Self::Bye { .. }
            | Self::Refused { .. } => None,
        }
    }

    /// One line of JSON: `{"control":"ready",…}`.
    pub fn json(&self) -> Vec<u8> {
        self.json_for(None)
    }

    /// [`json`](Self::json) with the `id` of the request that it belongs to.
    pub fn json_for(&self, id: Option<&RequestId>) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        out.extend_from_slice(b"{\"control\":\"");
        out.extend_from_slice(self.name().as_bytes());
        out.push(b'"');
        if let Some(id) = id {
            write::member(&mut out, "id");
            id.write(&mut out);
        }
        match *self {
            Self::Ready { cursor, heartbeat_interval } => {
                write_cursor(&mut out, "cursor", cursor);
                write_ms(&mut out, "heartbeat_interval_ms", heartbeat_interval);
            }
            Self::Gap { from, to, reason, filters } => {
                write_cursor(&mut out, "from", from);
                write_cursor(&mut out, "to", to);
                write::member(&mut out, "reason");
                write::string(&mut out, reason.as_str());
                write_filters(&mut out, "filters", filters);
            }
            Self::End { topic, cursor } | Self::Reopened { topic, cursor } => {
                write::member(&mut out, "topic");
                write::string(&mut out, topic.as_str());
                write_cursor(&mut out, "cursor", cursor);
            }
            Self::Reset { cursor, filters } => {
                write_cursor(&mut out, "cursor", cursor);
                write_filters(&mut out, "filters", filters);
            }
            Self::Narrowed { topics } => write_filters(&mut out, "topics", topics),
            Self::Renew { expires_in, renews } => {
                write_ms(&mut out, "expires_in_ms", expires_in);
                write::member(&mut out, "renews");
                write::string(&mut out, renews);
            }
            Self::Degraded { outage } => {
                write::member(&mut out, "reason");
                write::string(&mut out, outage.as_str());
                write::member(&mut out, "detail");
                write::string(&mut out, outage.detail());
                write_strings(&mut out, "works", outage.works().iter().copied());
                write_strings(&mut out, "fails", outage.fails().iter().copied());
            }
            Self::Restored => {}
            Self::Bye { reason, retry } => {
                write::member(&mut out, "reason");
                write::string(&mut out, reason.as_str());
                write_ms(&mut out, "retry_ms", retry);
            }
            Self::Refused { problem, retry } => {
                write::member(&mut out, "reason");
                write::string(&mut out, problem.code.as_str());
                write::member(&mut out, "status");
                write::integer(&mut out, u128::from(problem.code.status()));
                write::member(&mut out, "detail");
                write::string(&mut out, problem.detail());
                write_ms(&mut out, "retry_ms", retry);
            }
        }
        out.push(b'}');
        out
    }

    /// [`json_for`](Self::json_for) as `MessagePack`.
    pub fn msgpack_for(&self, id: Option<&RequestId>) -> Vec<u8> {
        msgpack::from_json(&self.json_for(id))
    }
}

/// [`heartbeat_json`] as `MessagePack`.
pub fn heartbeat_msgpack(cursor: Cursor) -> Vec<u8> {
    msgpack::from_json(&heartbeat_json(cursor))
}

/// `{"control":"heartbeat","cursor":"…"}`: for transports that have no comments.
pub fn heartbeat_json(cursor: Cursor) -> Vec<u8> {
    let mut out = b"{\"control\":\"heartbeat\"".to_vec();
    write_cursor(&mut out, "cursor", cursor);
    out.push(b'}');
    out
}

pub(crate) fn write_cursor(out: &mut Vec<u8>, name: &str, cursor: Cursor) {
    write::member(out, name);
    out.push(b'"');
    write::cursor(out, cursor);
    out.push(b'"');
}

fn write_ms(out: &mut Vec<u8>, name: &str, duration: Duration) {
    write::member(out, name);
    write::integer(out, duration.as_millis());
}

pub(crate) fn write_filters(out: &mut Vec<u8>, name: &str, filters: &FilterSet) {
    write_strings(out, name, filters.iter().map(Filter::as_str));
}

fn write_strings<'a>(out: &mut Vec<u8>, name: &str, texts: impl Iterator<Item = &'a str>) {
    write::member(out, name);
    out.push(b'[');
    for (index, text) in texts.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write::string(out, text);
    }
    out.push(b']');
}
