//! What the report says of each workload: the figures that count, and what they do not show.

/// A workload as the report presents it.
#[derive(Debug)]
pub(crate) struct Headline {
    pub(crate) workload: &'static str,
    /// One sentence.
    pub(crate) about: &'static str,
    /// The figures that get a line, and what stands for their names.
    pub(crate) figures: &'static [(&'static str, &'static str)],
    /// The parameters that tell runs apart.
    pub(crate) parameters: &'static [&'static str],
    pub(crate) not_shown: &'static str,
}

/// All workloads, in the order of the report.
pub(crate) const HEADLINES: &[Headline] = &[
    Headline {
        workload: "alert",
        about: "From the first byte of `POST /v1/samples` with a sample that crosses a threshold \
                to the `alert.firing` event read from a stream.",
        figures: &[
            ("latency_p50_ms", "latency, median, ms"),
            ("latency_p99_ms", "latency, 99th percentile, ms"),
            ("latency_max_ms", "latency, longest, ms"),
        ],
        parameters: &["series", "rules", "background_samples_per_s", "durability"],
        not_shown: "networks; many subscribers; many alerts at once; rules with `for`, which wait \
                    on purpose; expressions of several selectors.",
    },
    Headline {
        workload: "fanout",
        about: "One topic, many streams of Server-Sent Events, one publisher.",
        figures: &[
            ("deliveries_per_s", "deliveries a second"),
            ("server_cpu_us_per_delivery", "server CPU for each delivery, µs"),
            ("latency_p50_ms", "publish to receive, median, ms"),
            ("latency_p99_ms", "publish to receive, 99th percentile, ms"),
            ("latency_max_ms", "publish to receive, longest, ms"),
        ],
        parameters: &["subscribers", "rate", "body_bytes", "durability"],
        not_shown: "networks and TLS; slow readers; the generator reads on the same cores, so \
                    latency and rate are those of both together. Without a rate, several events \
                    share a write.",
    },
    Headline {
        workload: "idle",
        about: "Streams without traffic: growth of the server's memory, heartbeats included.",
        figures: &[
            ("pss_growth_bytes_per_connection", "user memory for each connection, PSS, bytes"),
            ("rss_growth_bytes_per_connection", "user memory for each connection, RSS, bytes"),
        ],
        parameters: &["connections"],
        not_shown: "the kernel's memory for each socket; connections with TLS, of other \
                    transports, or with filters of their own.",
    },
    Headline {
        workload: "publish",
        about: "Publishers in a closed loop over HTTP/1.1, each on a connection of its own.",
        figures: &[
            ("acknowledged_events_per_s", "acknowledged events a second"),
            ("request_p50_ms", "request, median, ms"),
            ("request_p99_ms", "request, 99th percentile, ms"),
            ("server_cpu_us_per_event", "server CPU for each event, µs"),
        ],
        parameters: &["publishers", "batch", "body_bytes", "durability"],
        not_shown: "subscribers; disks with slower or faster syncs than this one; latency below \
                    saturation; the generator takes its share of the same cores.",
    },
    Headline {
        workload: "replay",
        about: "The whole journal read in pages by one reader, inside the process.",
        figures: &[
            ("events_per_s", "events a second"),
            ("filled_events_per_s", "events a second appended before, durability interval"),
        ],
        parameters: &["events", "body_bytes", "page_events"],
        not_shown: "encoding and sending; a cold page cache; filters that skip; several readers.",
    },
];
