//! Kinds of deeds, and how many of each are told one by one.

use std::time::Duration;

use bellwire_model::limits::{
    AUDITED_DEEDS_INTERVAL, AUDITED_DEEDS_MAX, AUDITED_LOGINS_INTERVAL, AUDITED_LOGINS_MAX,
    AUDITED_REFUSALS_MAX, AUDITED_RENEWALS_INTERVAL,
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Login,
    Logout,
    Renewed,
    Refused,
    Forbidden,
    TicketMade,
    TicketDisplaced,
    KeyMade,
    KeyRevoked,
    Revoked,
    RevocationDeleted,
    Silenced,
    SilenceEnded,
    Acknowledged,
    Unacknowledged,
    Assigned,
    Unassigned,
    Commented,
    QueryRecorded,
    QueryDeleted,
    PushSubscribed,
    PushUnsubscribed,
    Reloaded,
    ReloadFailed,
    Recorded,
}

impl Kind {
    pub(super) const ALL: [Self; 25] = [
        Self::Login,
        Self::Logout,
        Self::Renewed,
        Self::Refused,
        Self::Forbidden,
        Self::TicketMade,
        Self::TicketDisplaced,
        Self::KeyMade,
        Self::KeyRevoked,
        Self::Revoked,
        Self::RevocationDeleted,
        Self::Silenced,
        Self::SilenceEnded,
        Self::Acknowledged,
        Self::Unacknowledged,
        Self::Assigned,
        Self::Unassigned,
        Self::Commented,
        Self::QueryRecorded,
        Self::QueryDeleted,
        Self::PushSubscribed,
        Self::PushUnsubscribed,
        Self::Reloaded,
        Self::ReloadFailed,
        Self::Recorded,
    ];

    /// As the event's type has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Renewed => "renewed",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::TicketMade => "ticket_made",
            Self::TicketDisplaced => "ticket_displaced",
            Self::KeyMade => "key_made",
            Self::KeyRevoked => "key_revoked",
            Self::Revoked => "revoked",
            Self::RevocationDeleted => "revocation_deleted",
            Self::Silenced => "silenced",
            Self::SilenceEnded => "silence_ended",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged => "unacknowledged",
            Self::Assigned => "assigned",
            Self::Unassigned => "unassigned",
            Self::Commented => "commented",
            Self::QueryRecorded => "query_recorded",
            Self::QueryDeleted => "query_deleted",
            Self::PushSubscribed => "push_subscribed",
            Self::PushUnsubscribed => "push_unsubscribed",
            Self::Reloaded => "reloaded",
            Self::ReloadFailed => "reload_failed",
            Self::Recorded => "recorded",
        }
    }

    /// How many of one somebody are told one by one.
    pub(super) const fn pace(self) -> Pace {
        let (at_once, interval) = match self {
            Self::Login | Self::Logout | Self::TicketMade | Self::TicketDisplaced => {
                (AUDITED_LOGINS_MAX, AUDITED_LOGINS_INTERVAL)
            }
            Self::Refused | Self::Forbidden => (AUDITED_REFUSALS_MAX, AUDITED_LOGINS_INTERVAL),
            Self::Renewed => (1, AUDITED_RENEWALS_INTERVAL),
            _ => (AUDITED_DEEDS_MAX, AUDITED_DEEDS_INTERVAL),
        };
        Pace { at_once, interval }
    }

    /// Whether few may do it, and what they do decides what others may.
    pub(super) const fn is_administrative(self) -> bool {
        matches!(
            self,
            Self::KeyMade
                | Self::KeyRevoked
                | Self::Revoked
                | Self::RevocationDeleted
                | Self::Silenced
                | Self::SilenceEnded
                | Self::Reloaded
                | Self::ReloadFailed
                | Self::Recorded
        )
    }
}

/// So many at once, and behind that one in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) at_once: u32,
    pub(super) interval: Duration,
}
