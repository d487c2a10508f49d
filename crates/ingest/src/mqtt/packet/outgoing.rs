//! What is sent: short packets, appended to what waits for the socket.

use super::properties::{
    CLIENT_ID, KEEP_ALIVE, PACKET_MAXIMUM, QUALITY_MAXIMUM, REASON_TEXT, RECEIVE_MAXIMUM,
    RETAIN_AVAILABLE, SESSION_EXPIRY, SHARED_AVAILABLE, SUBSCRIPTION_ID_AVAILABLE,
    WILDCARD_AVAILABLE,
};
use super::{Quality, Reason, Version};

/// A packet to be written.
#[derive(Clone, Copy, Debug)]
pub enum Outgoing<'a> {
    /// The answer to a `CONNECT` that is taken, with what the server takes of it.
    Accept {
        /// Messages that may wait for their acknowledgement.
        receive_maximum: u16,
        /// Bytes of the largest packet.
        packet_bytes_max: u32,
        /// The interval in place of the client's, where it is not taken.
        keep_alive_s: Option<u16>,
        /// The name of a client that has given none.
        client_id: Option<&'a str>,
    },
    /// The answer to a `CONNECT` that is not.
    Refuse(Reason),
    /// The answer to a message of quality 1.
    Acknowledge {
        /// Which.
        packet_id: u16,
        /// Whether it was taken: 3.1.1 cannot say otherwise.
        reason: Reason,
    },
    /// The answer to a subscription: for each filter that it is not granted.
    RefuseSubscription {
        /// Which.
        packet_id: u16,
        /// How many filters it names.
        filters: u16,
    },
    /// The answer where some are asked for no longer, of which there were none.
    Unsubscribed {
        /// Which.
        packet_id: u16,
        /// How many filters it names.
        filters: u16,
    },
    /// This side is there.
    PingResponse,
    /// Is the other side there?
    PingRequest,
    /// This side goes. 3.1.1 knows it from clients only, and without a reason.
    Disconnect(Reason, &'a str),
    /// A connection begins.
    Connect(Login<'a>),
    /// A message of quality 0, of which nothing is kept.
    Publish {
        /// Where.
        topic: &'a str,
        /// What.
        payload: &'a [u8],
    },
    /// Messages are asked for.
    Subscribe {
        /// By what it is answered.
        packet_id: u16,
        /// Of which topics, and how surely.
        subscriptions: &'a [Subscription],
    },
}

/// How a client comes.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The client's name.
    pub client_id: &'a str,
    /// Whether nothing is to be left of earlier connections.
    pub clean_start: bool,
    /// How long the session outlives the connection; only MQTT 5 can say it.
    pub session_expiry_s: u32,
    /// Seconds within which it says something.
    pub keep_alive_s: u16,
    /// Messages that may wait for their acknowledgement; only MQTT 5 can say it.
    pub receive_maximum: u16,
    /// Bytes of the largest packet; only MQTT 5 can say it.
    pub packet_bytes_max: u32,
    /// The user.
    pub username: Option<&'a str>,
    /// The secret.
    pub password: Option<&'a [u8]>,
}

/// Says nothing of the secret.
impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The filter.
    pub filter: Box<str>,
    /// How surely the messages are to arrive.
    pub quality: Quality,
}

/// MQTT 5's reason where there was no such subscription.
const NO_SUBSCRIPTION: u8 = 0x11;
/// MQTT 5's option of a subscription: what is kept is sent only where there was none of this filter.
const RETAINED_IF_NEW: u8 = 1 << 4;
/// Bytes of a reason that is put into words.
const REASON_TEXT_BYTES_MAX: usize = 255;

impl Outgoing<'_> {
    /// Appends the packet, as the version writes it.
    pub fn write(self, version: Version, out: &mut Vec<u8>) {
        let is_5 = version == Version::V5;
        match self {
            Self::Acknowledge { packet_id, reason } => {
                let [high, low] = packet_id.to_be_bytes();
                match (is_5, reason) {
                    (false, _) | (true, Reason::Success) => out.extend([0x40, 2, high, low]),
                    (true, reason) => out.extend([0x40, 3, high, low, reason as u8]),
                }
            }
            Self::PingResponse => out.extend([0xd0, 0]),
            Self::PingRequest => out.extend([0xc0, 0]),
            Self::Refuse(reason) if is_5 => out.extend([0x20, 3, 0, reason as u8, 0]),
            Self::Refuse(reason) => out.extend([0x20, 2, 0, reason.connect_code()]),
            Self::Accept { .. } if !is_5 => out.extend([0x20, 2, 0, 0]),
            Self::Disconnect(..) if !is_5 => out.extend([0xe0, 0]),
            _ => {
                let (first, body) = self.body(version);
                out.push(first);
                variable_integer(out, body.len());
                out.extend(body);
            }
        }
    }

    /// The first byte, and the body of a packet that is not always the same.
    fn body(self, version: Version) -> (u8, Vec<u8>) {
        let is_5 = version == Version::V5;
        let mut body = Vec::new();
        match self {
            Self::Accept { receive_maximum, packet_bytes_max, keep_alive_s, client_id } => {
                body.extend([0, 0]);
                let mut properties = vec![SESSION_EXPIRY, 0, 0, 0, 0];
                numbered(&mut properties, RECEIVE_MAXIMUM, &receive_maximum.to_be_bytes());
                numbered(&mut properties, PACKET_MAXIMUM, &packet_bytes_max.to_be_bytes());
                properties.extend([QUALITY_MAXIMUM, 1, RETAIN_AVAILABLE, 1]);
                properties.extend([WILDCARD_AVAILABLE, 0, SUBSCRIPTION_ID_AVAILABLE, 0]);
                properties.extend([SHARED_AVAILABLE, 0]);
                if let Some(seconds) = keep_alive_s {
                    numbered(&mut properties, KEEP_ALIVE, &seconds.to_be_bytes());
                }
                if let Some(id) = client_id {
                    properties.push(CLIENT_ID);
                    text(&mut properties, id.as_bytes());
                }
                with_properties(&mut body, &properties);
                (0x20, body)
            }
            Self::Disconnect(reason, words) => {
                body.push(reason as u8);
                let words = &words[..words.floor_char_boundary(REASON_TEXT_BYTES_MAX)];
                if !words.is_empty() {
                    let mut properties = vec![REASON_TEXT];
                    text(&mut properties, words.as_bytes());
                    with_properties(&mut body, &properties);
                }
                (0xe0, body)
            }
            Self::RefuseSubscription { packet_id, filters } => {
                answer(&mut body, packet_id, version);
                let refused = if is_5 { Reason::NotAuthorized } else { Reason::Unspecified };
                body.resize(body.len() + usize::from(filters), refused as u8);
                (0x90, body)
            }
            Self::Unsubscribed { packet_id, filters } => {
                answer(&mut body, packet_id, version);
                let reasons = if is_5 { usize::from(filters) } else { 0 };
                body.resize(body.len() + reasons, NO_SUBSCRIPTION);
                (0xb0, body)
            }
            Self::Subscribe { packet_id, subscriptions } => {
                answer(&mut body, packet_id, version);
                for Subscription { filter, quality } in subscriptions {
                    text(&mut body, filter.as_bytes());
                    // What a broker keeps comes with the first subscription, and not each time that
                    // it is said again.
                    let retained = if is_5 { RETAINED_IF_NEW } else { 0 };
                    body.push(*quality as u8 | retained);
                }
                (0x82, body)
            }
            Self::Publish { topic, payload } => {
                text(&mut body, topic.as_bytes());
                if is_5 {
                    body.push(0);
                }
                body.extend(payload);
                (0x30, body)
            }
            Self::Connect(login) => (0x10, login.body(version)),
            Self::Acknowledge { .. } | Self::PingRequest | Self::PingResponse | Self::Refuse(_) => {
                (0xc0, body)
            }
        }
    }
}

impl Login<'_> {
    fn body(&self, version: Version) -> Vec<u8> {
        let is_5 = version == Version::V5;
        let mut body = Vec::new();
        text(&mut body, b"MQTT");
        body.push(if is_5 { 5 } else { 4 });
        let flag = |is_set: bool, bit: u8| u8::from(is_set) << bit;
        body.push(
            flag(self.clean_start, 1)
                | flag(self.password.is_some(), 6)
                | flag(self.username.is_some(), 7),
        );
        body.extend(self.keep_alive_s.to_be_bytes());
        if is_5 {
            let mut properties = Vec::new();
            numbered(&mut properties, SESSION_EXPIRY, &self.session_expiry_s.to_be_bytes());
            numbered(&mut properties, RECEIVE_MAXIMUM, &self.receive_maximum.to_be_bytes());
            numbered(&mut properties, PACKET_MAXIMUM, &self.packet_bytes_max.to_be_bytes());
            with_properties(&mut body, &properties);
        }
        text(&mut body, self.client_id.as_bytes());
        for piece in [self.username.map(str::as_bytes), self.password].into_iter().flatten() {
            text(&mut body, piece);
        }
        body
    }
}

/// The beginning of an answer, or of what is to be answered: its number, and no properties.
fn answer(body: &mut Vec<u8>, packet_id: u16, version: Version) {
    body.extend(packet_id.to_be_bytes());
    if version == Version::V5 {
        body.push(0);
    }
}

fn numbered(properties: &mut Vec<u8>, id: u8, value: &[u8]) {
    properties.push(id);
    properties.extend(value);
}

fn with_properties(body: &mut Vec<u8>, properties: &[u8]) {
    variable_integer(body, properties.len());
    body.extend(properties);
}

/// A text, or bytes, of 65,535 bytes at most: what is longer is cut.
fn text(body: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    body.extend((bytes.len() as u16).to_be_bytes());
    body.extend(bytes);
}

fn variable_integer(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let digit = (value & 0x7f) as u8;
        value >>= 7;
        out.push(digit | u8::from(value > 0) << 7);
        if value == 0 {
            return;
        }
    }
}
