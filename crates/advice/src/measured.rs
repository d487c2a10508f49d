//! What each transport costs, as it was measured: the one table that all advice takes its figures from.
//!
//! A test holds it against the results that it was taken from.

use serde::Serialize;

/// How events reach a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Server-Sent Events; what the client sends goes by `POST`.
    Sse,
    /// A WebSocket, both ways.
    Websocket,
    /// Long polls; what the client sends goes by `POST`.
    LongPoll,
}

impl Transport {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 3] = [Self::Sse, Self::Websocket, Self::LongPoll];

    /// How it is called among people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sse => "SSE",
            Self::Websocket => "WebSocket",
            Self::LongPoll => "long poll",
        }
    }
}

/// One figure of each transport.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Of SSE, WebSocket and long poll; null where it was not measured. What a long poll's client sends it
    /// sends as one of SSE does.
    pub of: [Option<f64>; 3],
    /// Where it is from.
    pub source: Source,
}

/// Where a figure is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// A workload of `bellwire bench`, and what its results in `bench/results` have.
    Bench {
        /// Its name.
        workload: &'static str,
        /// The figure's name there.
        figure: &'static str,
        /// The commit that was measured.
        commit: &'static str,
        /// When, and on which machine.
        on: &'static str,
    },
    /// A test that counts the bytes on a socket each time it runs.
    Test {
        /// Its name, in `crates/bellwire/tests/it/advice.rs`.
        test: &'static str,
    },
}

const EPYC: &str = "2026-11-30, EPYC, 2 cores";

/// Payload of an event in the workload `soak`, and in the test of what is published.
const DELIVERED_BODY_BYTES: f64 = 128.0;

const MEMORY: Figure = Figure {
    name: "memory of a connection without traffic",
    unit: "B",
    of: [Some(275.7), Some(319.9), Some(47_889.0)],
    source: Source::Bench {
        workload: "idle",
        figure: "pss_growth_bytes_per_connection",
        commit: "21a81cdcf66a",
        on: EPYC,
    },
};
const DELIVERY_CPU: Figure = Figure {
    name: "processor time of the server for an event to one client, each a write of its own",
    unit: "µs",
    of: [Some(7.8), Some(7.325), Some(37.98)],
    source: Source::Bench {
        workload: "latency",
        figure: "server_cpu_us_per_delivery",
        commit: "21a81cdcf66a",
        on: EPYC,
    },
};
const LATENCY: Figure = Figure {
    name: "from publishing to a client, median, where nothing is short",
    unit: "ms",
    of: [Some(0.725), Some(0.6881), Some(1.384)],
    source: Source::Bench {
        workload: "latency",
        figure: "latency_p50_ms",
        commit: "21a81cdcf66a",
        on: EPYC,
    },
};
const DELIVERY_BYTES: Figure = Figure {
    name: "bytes both ways for an event of 128 B to a client, 20 a second, in a network that fails",
    unit: "B",
    of: [Some(242.9), Some(212.6), Some(529.1)],
    source: Source::Bench {
        workload: "soak",
        figure: "bytes_per_event",
        commit: "2a108f37447f",
        on: EPYC,
    },
};
const DELIVERY_REQUESTS: Figure = Figure {
    name: "requests for such an event",
    unit: "",
    of: [Some(0.00349), Some(0.003_516), Some(0.8103)],
    source: Source::Bench {
        workload: "soak",
        figure: "requests_per_event",
        commit: "2a108f37447f",
        on: EPYC,
    },
};
const RECOVERY: Figure = Figure {
    name: "back after a connection was cut, median, with waits below 1 s",
    unit: "ms",
    of: [Some(620.8), Some(463.5), Some(341.8)],
    source: Source::Bench {
        workload: "soak",
        figure: "recovery_cut_p50_ms",
        commit: "2a108f37447f",
        on: EPYC,
    },
};
const PUBLISH_CPU: Figure = Figure {
    name: "processor time of the server for an event from a client, synced to the disk",
    unit: "µs",
    of: [Some(33.78), Some(17.07), Some(33.78)],
    source: Source::Bench {
        workload: "publish",
        figure: "server_cpu_us_per_event",
        commit: "21a81cdcf66a",
        on: EPYC,
    },
};
const PUBLISH_BYTES: Figure = Figure {
    name: "bytes both ways around an event from a client, with the shortest head there is",
    unit: "B",
    of: [Some(377.0), Some(105.0), Some(377.0)],
    source: Source::Test { test: "bytes_around_what_is_published_are_those_of_the_table" },
};

/// The table.
pub const FIGURES: [Figure; 8] = [
    MEMORY,
    DELIVERY_CPU,
    LATENCY,
    DELIVERY_BYTES,
    DELIVERY_REQUESTS,
    RECOVERY,
    PUBLISH_CPU,
    PUBLISH_BYTES,
];

impl Figure {
    /// Of this transport; `None` where it was not measured.
    pub fn of(&self, transport: Transport) -> Option<f64> {
        self.of[transport as usize]
    }

    /// The same of what every transport has.
    fn known(&self, transport: Transport) -> f64 {
        self.of(transport).expect("a test holds that it was measured")
    }
}

/// Bytes of user memory of a connection.
pub(crate) fn memory_bytes(transport: Transport) -> Option<f64> {
    MEMORY.of(transport)
}

/// Seconds of processor time of an event to one client. Where several go out in one write it is less.
pub(crate) fn delivery_cpu_s(transport: Transport) -> Option<f64> {
    Some(DELIVERY_CPU.of(transport)? / 1e6)
}

/// Seconds of processor time of an event from a client, or of a request with several.
pub(crate) fn publish_cpu_s(transport: Transport) -> Option<f64> {
    Some(PUBLISH_CPU.of(transport)? / 1e6)
}

/// Bytes for an event to a client, beyond its payload, and beyond the request that a poll takes.
pub(crate) fn bytes_around_delivery(transport: Transport) -> f64 {
    match transport {
        Transport::Sse | Transport::Websocket => {
            DELIVERY_BYTES.known(transport) - DELIVERED_BODY_BYTES
        }
        // The event is the same JSON in a page of them as in a message.
        Transport::LongPoll => DELIVERY_BYTES.known(Transport::Websocket) - DELIVERED_BODY_BYTES,
    }
}

/// Bytes of a poll and its answer, beyond the events in it: the difference to a WebSocket is that.
pub(crate) fn bytes_of_poll() -> f64 {
    let poll = DELIVERY_BYTES.known(Transport::LongPoll);
    let message = DELIVERY_BYTES.known(Transport::Websocket);
    (poll - message) / DELIVERY_REQUESTS.known(Transport::LongPoll)
}

/// Bytes both ways for an event from a client, or of a request with several, beyond the payload.
pub(crate) fn bytes_around_publish(transport: Transport) -> f64 {
    PUBLISH_BYTES.known(transport)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const RESULTS: &str = include_str!("../../../bench/results/epyc-2-cores.ndjson");

    /// What a result calls its transport; it is left out where there was no other.
    fn is_of(result: &Value, transport: Transport) -> bool {
        match (&result["parameters"]["transport"], transport) {
            (Value::Null, Transport::Sse | Transport::LongPoll) => true,
            (Value::String(name), Transport::Sse) => name == "sse",
            (Value::String(name), Transport::Websocket) => name == "websocket",
            (Value::String(name), Transport::LongPoll) => name == "poll",
            _ => false,
        }
    }

    /// Whether it was measured as the table's figures are: this server, without TLS, one event at a time.
    fn is_plain(result: &Value) -> bool {
        let parameters = &result["parameters"];
        let is = |name: &str, plain: Value| [Value::Null, plain].contains(&parameters[name]);
        is("system", "bellwire".into())
            && is("tls", false.into())
            && is("batch", 1.into())
            && (parameters["durability"] != "interval" || result["workload"] != "publish")
    }

    #[test]
    fn each_figure_is_the_median_of_what_was_measured() {
        let results: Vec<Value> =
            RESULTS.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for figure in FIGURES {
            let Source::Bench { workload, figure: name, commit, on } = figure.source else {
                continue;
            };
            for transport in Transport::ALL {
                let Some(told) = figure.of(transport) else { continue };
                let found = results.iter().filter(|result| {
                    result["workload"] == workload
                        && result["commit"] == commit
                        && is_plain(result)
                        && is_of(result, transport)
                });
                let mut values = Vec::new();
                for result in found {
                    assert!(on.starts_with(result["date"].as_str().expect("a date")), "{on}");
                    values.push(result["figures"][name].as_f64().expect(name));
                }
                assert!(!values.is_empty(), "{}: {transport:?} was not measured", figure.name);
                values.sort_by(f64::total_cmp);
                let median = values[values.len() / 2];
                let is_it = (told - median).abs() < 1e-9;
                assert!(is_it, "{}: {transport:?}: {median}", figure.name);
            }
        }
    }

    #[test]
    fn what_is_around_a_payload_is_not_less_than_nothing() {
        for transport in Transport::ALL {
            assert!(bytes_around_delivery(transport) > 0.0, "{transport:?}");
            assert!(bytes_around_publish(transport) > 0.0, "{transport:?}");
        }
        assert!(bytes_of_poll() > 0.0);
    }
}
