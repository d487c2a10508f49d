//! What packets of a client ask for.

use bellwire_ingest::mqtt::packet::{
    Connect, Frame, Incoming, Outgoing, PacketError, Publish, Quality, Reason, Sender, Version,
};
use bellwire_model::limits::{MQTT_CLIENT_ID_BYTES_MAX, MQTT_IN_FLIGHT_MAX, MQTT_PACKET_BYTES_MAX};

use super::client::Known;
use super::gate::Credential;

/// The longest interval in which a client of MQTT 5 need say nothing.
const KEEP_ALIVE_S_MAX: u16 = 3_600;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// Nothing more.
    Nothing,
    /// A message is to be taken.
    Take(Publish<'a>),
    /// It goes, and its will with it unless it says otherwise.
    Goes(Departure),
}

/// How a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// In order.
    InOrder,
    /// For its will to be heard.
    WithWill,
}

/// Why a connection ends that has not asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) reason: Reason,
    pub(super) detail: &'static str,
}

impl From<PacketError> for Violation {
    fn from(error: PacketError) -> Self {
        Self { reason: error.reason, detail: error.detail }
    }
}

/// Reads the first packet: what the client says of itself, and what it shows. An error says also in
/// which version it can be told.
pub(super) fn begin(frame: Frame<'_>) -> Result<(Known, Credential), (Violation, Version)> {
    let connect = Connect::read(frame).map_err(|(error, version)| (error.into(), version))?;
    let version = connect.version;
    let refuse = |reason, detail| Err((Violation { reason, detail }, version));
    if connect.method.is_some() {
        return refuse(Reason::BadAuthentication, "no method of authentication is known here");
    }
    if connect.will.is_some_and(|will| will.quality == Quality::ExactlyOnce) {
        return refuse(Reason::Quality, "a will of quality 2: 0 and 1 are taken");
    }
    if connect.client_id.len() > MQTT_CLIENT_ID_BYTES_MAX {
        return refuse(Reason::ClientIdentifier, "a client identifier of more than 256 bytes");
    }
    if connect.client_id.is_empty() && version == Version::V311 && !connect.clean_start {
        return refuse(Reason::ClientIdentifier, "a session that is to be kept needs a name");
    }
    let keep_alive_s = match (version, connect.keep_alive_s) {
        (Version::V5, 0 | KEEP_ALIVE_S_MAX..) => KEEP_ALIVE_S_MAX,
        (_, seconds) => seconds,
    };
    let credential = Credential {
        username: connect.username.map(Into::into),
        password: connect.password.map(Into::into),
    };
    Ok((Known::of(&connect, keep_alive_s), credential))
}

/// Tells a client that it is in.
pub(super) fn accept(known: &Known, out: &mut Vec<u8>) {
    let accept = Outgoing::Accept {
        receive_maximum: MQTT_IN_FLIGHT_MAX,
        packet_bytes_max: MQTT_PACKET_BYTES_MAX as u32,
        keep_alive_s: Some(known.keep_alive_s),
        client_id: known.is_named_here.then_some(&*known.client_id),
    };
    accept.write(known.version, out);
}

/// Takes a packet of a client that is in; what it is told is appended.
pub(super) fn step<'a>(
    frame: Frame<'a>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<Step<'a>, Violation> {
    match Incoming::read(frame, version, Sender::Client)? {
        Incoming::Publish(publish) if publish.quality == Quality::ExactlyOnce => {
            let detail = "quality of service 2 is not supported: 0 and 1 are";
            Err(Violation { reason: Reason::Quality, detail })
        }
        Incoming::Publish(publish) => Ok(Step::Take(publish)),
        Incoming::Subscribe { packet_id, filters } => {
            Outgoing::RefuseSubscription { packet_id, filters }.write(version, out);
            Ok(Step::Nothing)
        }
        Incoming::Unsubscribe { packet_id, filters } => {
            Outgoing::Unsubscribed { packet_id, filters }.write(version, out);
            Ok(Step::Nothing)
        }
        Incoming::PingRequest => {
            Outgoing::PingResponse.write(version, out);
            Ok(Step::Nothing)
        }
        // Whoever goes for another reason than that they are done has their will heard.
        Incoming::Disconnect(left) if left.reason == Reason::Success as u8 => {
            Ok(Step::Goes(Departure::InOrder))
        }
        Incoming::Disconnect(_) => Ok(Step::Goes(Departure::WithWill)),
        // A broker's packets were refused when they were read.
        Incoming::Subscribed { .. } | Incoming::PingResponse | Incoming::Accepted(_) => {
            Err(Violation { reason: Reason::Protocol, detail: "a packet of a broker" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_will_is_heard_unless_its_client_is_done() {
        for (packet, version, expected) in [
            (&[0xe0, 0][..], Version::V311, Departure::InOrder),
            (&[0xe0, 0], Version::V5, Departure::InOrder),
            (&[0xe0, 1, 0x00], Version::V5, Departure::InOrder),
            (&[0xe0, 1, 0x04], Version::V5, Departure::WithWill),
            // The client has met an error of its own, or of the server's.
            (&[0xe0, 1, 0x80], Version::V5, Departure::WithWill),
            (&[0xe0, 2, 0x81, 0], Version::V5, Departure::WithWill),
        ] {
            let frame = Frame::first(packet, 16).expect("a packet").expect("all of it");
            let step = step(frame, version, &mut Vec::new()).expect("a step");
            let Step::Goes(departure) = step else { panic!("{packet:?}: {step:?}") };
            assert_eq!(departure, expected, "{packet:?}");
        }
    }
}
