//! Why a packet is refused or a connection ends.

macro_rules! reasons {
    ($($name:ident $code:literal $word:literal $meaning:literal;)*) => {
        /// Why a packet is refused or a connection ends, as MQTT 5 numbers it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Reason { $(#[doc = $meaning] $name = $code,)* }

        impl Reason {
            /// The reason of a number of MQTT 5; one that is not known says nothing.
            pub const fn of(code: u8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    _ => Self::Unspecified,
                }
            }

            /// In one word, for figures.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

reasons! {
    Success 0x00 "success" "Nothing is wrong.";
    DisconnectWithWill 0x04 "success" "The connection ends, and the will message is to be published.";
    Unspecified 0x80 "unspecified" "It is not said what is wrong.";
    Malformed 0x81 "malformed" "The bytes are no packet.";
    Protocol 0x82 "protocol" "The packet may not come here.";
    ImplementationSpecific 0x83 "implementation_specific" "It may come, but not to this server.";
    UnsupportedVersion 0x84 "version" "The version is not spoken here.";
    ClientIdentifier 0x85 "client_id" "The client's name cannot be taken.";
    BadCredentials 0x86 "credentials" "Name or password are wrong.";
    NotAuthorized 0x87 "not_authorized" "Whoever it is may not do that.";
    Unavailable 0x88 "unavailable" "The server cannot now.";
    Busy 0x89 "busy" "The server has too much to do.";
    Banned 0x8a "banned" "The client is kept out.";
    ShuttingDown 0x8b "shutting_down" "The server ends.";
    BadAuthentication 0x8c "authentication_method" "The method of authentication is not known here.";
    KeepAlive 0x8d "keep_alive" "Nothing came for one and a half times the agreed interval.";
    TakenOver 0x8e "taken_over" "Another connection has come with the client's name.";
    TopicFilter 0x8f "topic_filter" "The filter means nothing here.";
    TopicName 0x90 "topic" "The topic means nothing here.";
    ReceiveMaximum 0x93 "receive_maximum" "More messages wait for their acknowledgement than was agreed.";
    TopicAlias 0x94 "topic_alias" "A topic alias that was not agreed.";
    PacketTooLarge 0x95 "packet_too_large" "A packet larger than was agreed.";
    MessageRate 0x96 "message_rate" "Messages come too fast.";
    QuotaExceeded 0x97 "quota" "More than the server allows.";
    Administrative 0x98 "administrative" "Whoever runs the server wants it so.";
    PayloadFormat 0x99 "payload" "The payload is not what it should be.";
    Quality 0x9b "qos" "The quality of service is not supported.";
    AnotherServer 0x9c "another_server" "Another server is to be used for now.";
    ServerMoved 0x9d "server_moved" "Another server is to be used from now on.";
    SharedSubscriptions 0x9e "shared_subscriptions" "Shared subscriptions are not supported.";
    ConnectionRate 0x9f "connection_rate" "Connections come too fast.";
    MaximumConnectTime 0xa0 "expired" "What was shown counts no more.";
    Wildcards 0xa2 "wildcards" "Filters with wildcards are not supported.";
}

impl Reason {
    /// As 3.1.1 answers a `CONNECT`, which knows five reasons.
    pub const fn connect_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::UnsupportedVersion => 1,
            Self::ClientIdentifier => 2,
            Self::BadCredentials | Self::BadAuthentication => 4,
            Self::NotAuthorized => 5,
            _ => 3,
        }
    }

    /// What a broker answers a `CONNECT` with. Those of 3.1.1 stand in the answers, too, of brokers
    /// that know no newer version, whichever they were asked in.
    pub const fn of_connect(code: u8) -> Self {
        match code {
            1 => Self::UnsupportedVersion,
            2 => Self::ClientIdentifier,
            3 => Self::Unavailable,
            4 => Self::BadCredentials,
            5 => Self::NotAuthorized,
            code => Self::of(code),
        }
    }
}
