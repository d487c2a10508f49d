//! What people and other alerts have made of an alert: silenced, inhibited, acknowledged.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::alert::{AlertState, Fingerprint};
use crate::time::Timestamp;

/// Identifies a silence. Text form: a UUID, as Alertmanager has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SilenceId(u128);

impl SilenceId {
    /// An identity out of random bits.
    pub const fn from_random(bits: u128) -> Self {
        // The version (4, random) and the variant of RFC 9562 have places of their own.
        Self(bits & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62)
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bits) = *self;
        let (time_low, time_mid) = (bits >> 96, bits >> 80 & 0xFFFF);
        let (time_high, clock) = (bits >> 64 & 0xFFFF, bits >> 48 & 0xFFFF);
        let node = bits & 0xFFFF_FFFF_FFFF;
        write!(f, "{time_low:08x}-{time_mid:04x}-{time_high:04x}-{clock:04x}-{node:012x}")
    }
}

/// A text is no [`SilenceId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a silence's id is a UUID: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12")]
pub struct SilenceIdError;

impl FromStr for SilenceId {
    type Err = SilenceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let groups: Vec<&str> = text.split('-').collect();
        let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
        let lengths = groups.iter().map(|group| group.len());
        if !lengths.eq([8, 4, 4, 4, 12]) || !groups.iter().all(is_hex) {
            return Err(SilenceIdError);
        }
        u128::from_str_radix(&groups.concat(), 16).map(Self).map_err(|_| SilenceIdError)
    }
}

/// Somebody has taken an alert up. It ends when the alert resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who.
    pub by: Box<str>,
    /// What they say about it; may be empty.
    pub note: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// Who takes an alert up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAcknowledgement {
    /// Who.
    pub by: Box<str>,
    /// What they say about it; may be empty.
    pub note: Box<str>,
}

/// Somebody is to see to an alert. It ends when the alert resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Who is to.
    pub to: Box<str>,
    /// Who says so.
    pub by: Box<str>,
    /// When that was said.
    pub at: Timestamp,
}

/// Who is to see to an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAssignment {
    /// Who is to.
    pub to: Box<str>,
    /// Who says so.
    pub by: Box<str>,
}

/// What somebody has said of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Who.
    pub by: Box<str>,
    /// What.
    pub text: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// What somebody says of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewComment {
    /// Who.
    pub by: Box<str>,
    /// What.
    pub text: Box<str>,
}

/// Who is to see to an alert, and what was said of it while it fires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// Who is to see to it.
    pub assigned: Option<Assignment>,
    /// What was said, the oldest first.
    pub comments: Vec<Arc<Comment>>,
}

/// What an alert is besides what its rule says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertStatus {
    /// The silences in force that match it, sorted; of many the first
    /// [`SILENCES_NAMED_MAX`](crate::limits::SILENCES_NAMED_MAX).
    pub silenced_by: Vec<SilenceId>,
    /// Whether others match it besides.
    pub has_more_silences: bool,
    /// The firing alerts that inhibit it, sorted.
    pub inhibited_by: Vec<Fingerprint>,
    /// Who has acknowledged it.
    pub acknowledged: Option<Arc<Acknowledgement>>,
    /// Who is to see to it, and what was said of it; nothing where there is neither.
    pub attention: Option<Arc<Attention>>,
}

impl AlertStatus {
    /// Whether nobody is to be notified of it now.
    pub fn is_muted(&self) -> bool {
        !self.silenced_by.is_empty() || !self.inhibited_by.is_empty()
    }

    /// The one word that tells most of an alert whose own state is `state`. Only a firing alert
    /// can be silenced, inhibited or acknowledged.
    pub fn shown(&self, state: AlertState) -> &'static str {
        match state {
            AlertState::Firing if !self.silenced_by.is_empty() => "silenced",
            AlertState::Firing if !self.inhibited_by.is_empty() => "inhibited",
            AlertState::Firing if self.acknowledged.is_some() => "acknowledged",
            own => own.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silences_id_is_a_random_uuid() {
        let id = SilenceId::from_random(u128::MAX);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(SilenceId::from_random(0).to_string(), "00000000-0000-4000-8000-000000000000");
        let id = SilenceId::from_random(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(id.to_string().parse(), Ok(id));
        let wrong = [
            "",
            "x",
            "00000000-0000-4000-8000-00000000000",
            "0000000-00000-4000-8000-000000000000",
            "+0000000-0000-4000-8000-000000000000",
            "00000000000040008000000000000000",
        ];
        for text in wrong {
            assert_eq!(text.parse::<SilenceId>(), Err(SilenceIdError), "{text}");
        }
    }

    #[test]
    fn the_word_shown_is_the_one_that_tells_most() {
        let acknowledgement =
            Acknowledgement { by: "ada".into(), note: "".into(), at: Timestamp::MIN };
        let mut status = AlertStatus::default();
        let mut shown = vec![status.shown(AlertState::Firing)];
        status.acknowledged = Some(Arc::new(acknowledgement));
        shown.push(status.shown(AlertState::Firing));
        status.inhibited_by = vec![Fingerprint::of(&crate::Labels::empty())];
        shown.push(status.shown(AlertState::Firing));
        status.silenced_by = vec![SilenceId::from_random(1)];
        shown.push(status.shown(AlertState::Firing));
        assert_eq!(shown, ["firing", "acknowledged", "inhibited", "silenced"]);
        for state in [AlertState::Pending, AlertState::Resolved] {
            assert_eq!(status.shown(state), state.as_str());
        }
    }
}
