//! How soon a browser is to be woken, by what fires.

/// Which severities a browser is woken for although its battery is low, and which can wait. Others are
/// as most messages are.
const PRESSING: [&str; 7] = ["critical", "page", "fatal", "emergency", "error", "high", "major"];
const MINOR: [&str; 5] = ["info", "information", "notice", "low", "debug"];

/// How soon a browser is to be woken (RFC 8030, section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    Low,
    Normal,
    High,
}

impl Urgency {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    pub(super) fn of(severity: &str) -> Self {
        let is = |known: &str| known.eq_ignore_ascii_case(severity);
        match () {
            () if PRESSING.iter().any(|known| is(known)) => Self::High,
            () if MINOR.iter().any(|known| is(known)) => Self::Low,
            () => Self::Normal,
        }
    }
}
