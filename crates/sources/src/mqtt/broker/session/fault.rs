//! Why a connection to a broker ends.

use bellwire_ingest::mqtt::packet::{Accepted, Departure, PacketError, Reason};

/// What the broker has done wrong.
pub(super) type Fault = PacketError;

/// Why a connection ends that nobody here wanted to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Failure {
    /// In one word, for figures.
    pub(in super::super) word: &'static str,
    /// For people.
    pub(in super::super) detail: String,
    /// What the broker has answered to `CONNECT`.
    pub(in super::super) refusal: Option<Reason>,
    /// What the broker is told, where it is to blame.
    pub(in super::super) fault: Option<Fault>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            word: fault.reason.word(),
            detail: format!("it breaks the protocol: {}", fault.detail),
            refusal: None,
            fault: Some(fault),
        }
    }
}

impl Failure {
    /// Something else than what the broker says.
    pub(in super::super) fn other(word: &'static str, detail: impl Into<String>) -> Self {
        Self { word, detail: detail.into(), refusal: None, fault: None }
    }

    pub(super) fn silent(detail: &'static str) -> Self {
        Self::other("silent", detail)
    }

    pub(super) fn protocol(detail: &'static str) -> Self {
        Fault { reason: Reason::Protocol, detail }.into()
    }

    /// The broker does not let us in.
    pub(super) fn refused(accepted: &Accepted<'_>) -> Self {
        let reason = Reason::of_connect(accepted.reason);
        let texts = (accepted.reason_text, accepted.server);
        let detail = told("it refuses the connection", (accepted.reason, reason), texts);
        Self { refusal: Some(reason), ..Self::other(reason.word(), detail) }
    }

    /// The broker sends us away.
    pub(super) fn dismissed(departure: Departure<'_>) -> Self {
        let reason = Reason::of(departure.reason);
        let texts = (departure.reason_text, departure.server);
        Self::other(
            match reason {
                Reason::Success => "closed",
                reason => reason.word(),
            },
            told("it ends the connection", (departure.reason, reason), texts),
        )
    }
}

fn told(
    what: &str,
    (code, reason): (u8, Reason),
    (text, server): (Option<&str>, Option<&str>),
) -> String {
    let text = text.map(|text| format!(": \"{}\"", short(text))).unwrap_or_default();
    // Whoever speaks for the broker must not have our password sent elsewhere.
    let server = server.map(|server| {
        format!("; it names the server \"{}\", which is not gone to by itself", short(server))
    });
    let server = server.unwrap_or_default();
    let hint = match reason {
        Reason::TakenOver => "; is there another client with this `client_id`?",
        _ => "",
    };
    format!("{what}: {} (0x{code:02x}){text}{server}{hint}", reason.word())
}

/// The beginning of what a broker says, without what would end a line.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
