//! The kinds of sources: figures and rejects are told apart by them.

macro_rules! kinds {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// A kind of source.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $(#[doc = $meaning] $variant,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As figures and rejects name it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    Json "json" "JSON on `/v1/samples`.";
    Websocket "websocket" "JSON over a WebSocket.";
    Influx "influx" "The line protocol of InfluxDB.";
    Mqtt "mqtt" "MQTT.";
    RemoteWrite "remote_write" "Prometheus' remote write.";
    Otlp "otlp" "OpenTelemetry's metrics over HTTP.";
    Scrape "scrape" "What is scraped from targets.";
}
