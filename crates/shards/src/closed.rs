//! Streams that have ended: how many for which reason, and of each reason the newest, so that whoever
//! runs the server can see why.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{CLOSED_STREAMS_PAUSE, CLOSED_STREAMS_TOLD_MAX};
use bellwire_process::{Family, Figure};
use bellwire_wire::ByeReason;

use crate::transport::Transport;

/// Why a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client has closed it, or its half of it.
    ClientClosed,
    /// The connection broke: it was reset, or the network says that nobody is there.
    ConnectionLost,
    /// The client has taken no byte for too long, although there was something to send.
    Stalled,
    /// The client of a WebSocket has not answered pings, or not completed what it began to send.
    Unanswered,
    /// The client has sent more on a stream that nobody listens to than it may.
    InputExceeded,
    /// What the client of a WebSocket sent breaks the protocol.
    ProtocolViolation,
    /// The client of a WebSocket had the server hold too much that came only in part.
    Hoarding,
    /// The client held up others: too many deleted keys waited for it.
    HeldUpOthers,
    /// Who it is has ended.
    CredentialExpired,
    /// Who it is was taken back.
    CredentialRevoked,
    /// Another connection has come with its ticket.
    Displaced,
    /// What it was renewed with leaves nothing of what it followed.
    Forbidden,
    /// What it was renewed with shows it other alerts or series.
    RightsChanged,
    /// All topics that it followed have ended, or it has to ask again.
    TopicsEnded,
    /// The journal cannot be read.
    JournalUnreadable,
    /// The server ends.
    Drain,
    /// An invariant was broken for it.
    ServerFault,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::ClientClosed,
        Self::ConnectionLost,
        Self::Stalled,
        Self::Unanswered,
        Self::InputExceeded,
        Self::ProtocolViolation,
        Self::Hoarding,
        Self::HeldUpOthers,
        Self::CredentialExpired,
        Self::CredentialRevoked,
        Self::Displaced,
        Self::Forbidden,
        Self::RightsChanged,
        Self::TopicsEnded,
        Self::JournalUnreadable,
        Self::Drain,
        Self::ServerFault,
    ];

    /// The reason as text; those that a `bye` tells are called as they are there.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ConnectionLost => "connection_lost",
            Self::Stalled => ByeReason::Stalled.as_str(),
            Self::Unanswered => "unanswered",
            Self::InputExceeded => "input_exceeded",
            Self::ProtocolViolation => "protocol_violation",
            Self::Hoarding => "hoarding",
            Self::HeldUpOthers => "held_up_others",
            Self::CredentialExpired => ByeReason::CredentialExpired.as_str(),
            Self::CredentialRevoked => ByeReason::CredentialRevoked.as_str(),
            Self::Displaced => ByeReason::Displaced.as_str(),
            Self::Forbidden => ByeReason::Forbidden.as_str(),
            Self::RightsChanged => ByeReason::RightsChanged.as_str(),
            Self::TopicsEnded => "topics_ended",
            Self::JournalUnreadable => "journal_unreadable",
            Self::Drain => ByeReason::Drain.as_str(),
            Self::ServerFault => "server_fault",
        }
    }
}

impl From<ByeReason> for CloseReason {
    fn from(reason: ByeReason) -> Self {
        match reason {
            ByeReason::Drain | ByeReason::Limit => Self::Drain,
            ByeReason::Stalled => Self::Stalled,
            ByeReason::CredentialExpired => Self::CredentialExpired,
            ByeReason::CredentialRevoked => Self::CredentialRevoked,
            ByeReason::Displaced => Self::Displaced,
            ByeReason::Forbidden => Self::Forbidden,
            ByeReason::RightsChanged => Self::RightsChanged,
        }
    }
}

/// One stream that has ended.
#[derive(Clone, Debug)]
pub struct ClosedStream {
    /// When it did.
    pub time: Timestamp,
    /// The address of its client; the shard's name for it where a connection that broke has none.
    pub name: Box<str>,
    /// Who it was of, where anybody is asked.
    pub subject: Option<Box<str>>,
    pub transport: Transport,
    pub reason: CloseReason,
    /// The first of its filters.
    pub filters: Box<[Box<str>]>,
    /// How many it had beside these.
    pub filters_left_out: usize,
    /// How long it was open.
    pub duration: Duration,
    /// Bytes that its socket took, 4 GiB at most.
    pub bytes: u32,
    /// Whether it lagged.
    pub was_lagging: bool,
}

/// Those that have ended lately.
#[derive(Debug)]
pub struct ClosedStreams {
    counts: [Figure; CloseReason::ALL.len()],
    newest: Mutex<[VecDeque<Arc<ClosedStream>>; CloseReason::ALL.len()]>,
}

impl Default for ClosedStreams {
    fn default() -> Self {
        let newest = std::array::from_fn(|_| VecDeque::new());
        Self { counts: Default::default(), newest: Mutex::new(newest) }
    }
}

impl ClosedStreams {
    /// One more has ended. `describe` is asked for the rest where there is room for it: however many
    /// end at once, only some are described.
    pub(crate) fn note(
        &self,
        (reason, now): (CloseReason, Timestamp),
        describe: impl FnOnce() -> ClosedStream,
    ) {
        let place = reason as usize;
        self.counts[place].add(1);
        let is_flood = {
            let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            newest[place].len() >= CLOSED_STREAMS_TOLD_MAX
                && newest[place].front().is_some_and(|oldest| {
                    now.saturating_since(oldest.time) < CLOSED_STREAMS_PAUSE && now >= oldest.time
                })
        };
        if is_flood {
            return;
        }
        let closed = Arc::new(describe());
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let of_reason = &mut newest[place];
        if of_reason.len() >= CLOSED_STREAMS_TOLD_MAX {
            of_reason.pop_front();
        }
        of_reason.push_back(closed);
    }

    /// The newest of each reason, the newest of all first.
    pub fn newest(&self) -> Vec<Arc<ClosedStream>> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever closes a stream waits meanwhile: nothing is copied.
        let mut all: Vec<Arc<ClosedStream>> = newest.iter().flatten().cloned().collect();
        drop(newest);
        all.sort_by_key(|closed| std::cmp::Reverse(closed.time));
        all
    }

    /// How many have ended since the start, by the reason.
    pub fn counts(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        CloseReason::ALL.into_iter().map(|reason| (reason, self.counts[reason as usize].get()))
    }

    /// The same as a figure.
    pub fn family(&self) -> Family {
        Family {
            name: "bellwire_streams_closed_total",
            kind: "counter",
            help: "Streams that have ended, by why.",
            labels: &["reason"],
            values: self.counts().map(|(reason, count)| (vec![reason.as_str()], count)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(at: i64, reason: CloseReason) -> ClosedStream {
        ClosedStream {
            time: Timestamp::from_ms(at),
            name: at.to_string().into(),
            subject: None,
            transport: Transport::Sse,
            reason,
            filters: Box::default(),
            filters_left_out: 0,
            duration: Duration::ZERO,
            bytes: 0,
            was_lagging: false,
        }
    }

    #[test]
    fn those_who_end_by_themselves_do_not_push_out_others() {
        let streams = ClosedStreams::default();
        let note = |at: i64, reason| {
            streams.note((reason, Timestamp::from_ms(at)), || closed(at, reason));
        };
        note(1, CloseReason::Stalled);
        let many = 10 * CLOSED_STREAMS_TOLD_MAX as i64;
        for number in 0..many {
            note(number * 1_000, CloseReason::ClientClosed);
        }
        let newest = streams.newest();
        assert_eq!(newest.len(), 1 + CLOSED_STREAMS_TOLD_MAX);
        assert_eq!(newest[0].time.as_ms(), (many - 1) * 1_000);
        assert_eq!(newest.last().map(|it| it.reason), Some(CloseReason::Stalled));
        let counts: Vec<_> = streams.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(CloseReason::ClientClosed, many as u64), (CloseReason::Stalled, 1)]);
    }

    #[test]
    fn of_very_many_that_end_at_once_all_are_counted_and_some_described() {
        let (streams, mut described) = (ClosedStreams::default(), 0);
        let reason = CloseReason::ConnectionLost;
        for at in [5, 5, 5 + CLOSED_STREAMS_PAUSE.as_millis() as i64] {
            for _ in 0..1_000 {
                streams.note((reason, Timestamp::from_ms(at)), || {
                    described += 1;
                    closed(at, reason)
                });
            }
        }
        assert_eq!(described, 2 * CLOSED_STREAMS_TOLD_MAX);
        assert!(streams.counts().any(|counted| counted == (reason, 3_000)));
    }

    #[test]
    fn each_reason_is_at_its_place_and_has_a_name_of_its_own() {
        let mut names: Vec<_> = CloseReason::ALL.iter().map(|reason| reason.as_str()).collect();
        for (place, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CloseReason::ALL.len());
    }
}
