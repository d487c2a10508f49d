//! What the report says of each workload: the figures that count, and what they do not show.

mod nodes;

/// A workload as the report presents it.
#[derive(Debug)]
pub(super) struct Headline {
    pub(super) workload: &'static str,
    /// One sentence.
    pub(super) about: &'static str,
    /// The figures that get a line, and what stands for their names.
    pub(super) figures: &'static [(&'static str, &'static str)],
    /// The parameters that tell runs apart.
    pub(super) parameters: &'static [&'static str],
    /// The figures by which systems are compared.
    pub(super) compared: &'static [&'static str],
    pub(super) not_shown: &'static str,
}

/// All workloads, in the order of the report.
pub(super) fn all() -> impl Iterator<Item = &'static Headline> {
    HEADLINES.iter().chain(nodes::HEADLINES)
}

const HEADLINES: &[Headline] = &[
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
        compared: &[],
        not_shown: "networks; many subscribers; many alerts at once; rules with `for`, which wait \
                    on purpose.",
    },
    Headline {
        workload: "live-queries",
        about: "The same without and with queries that are followed, each over the series of one \
                metric, whose answers change with each round of other samples. Then one of them \
                alone is followed by one client, and by very many, while it changes some times a \
                second: what that costs the thread of the rules, which takes in the samples, too.",
        figures: &[
            ("alone_p99_ms", "sample to alert without queries, 99th percentile, ms"),
            ("latency_p50_ms", "sample to alert with them, median, ms"),
            ("latency_p99_ms", "the same, 99th percentile, ms"),
            ("latency_max_ms", "the same, longest, ms"),
            ("background_samples_per_s", "other samples a second that were taken meanwhile"),
            ("engine_busy_percent_alone", "of a core that the rules took without queries, %"),
            ("engine_busy_percent", "of a core that rules and queries took, %"),
            ("queries_paced", "queries that were told later than their samples"),
            ("received_bytes_per_s", "bytes a second of what queries came to"),
            (
                "engine_cpu_us_per_update_of_one",
                "a change, one follower: CPU of the rules' thread, µs",
            ),
            ("engine_cpu_us_per_update_of_many", "the same, very many followers, µs"),
            ("engine_cpu_ratio_of_followers", "the latter by the former"),
        ],
        parameters: &["series", "rules", "queries", "followers", "background_samples_per_s"],
        compared: &[],
        not_shown: "networks; queries over very many series each, which are evaluated less often \
                    where they come to more than their share; the generator reads on the same \
                    cores.",
    },
    Headline {
        workload: "reactions",
        about: "An audience: who taps has a WebSocket over which taps go as samples, and each viewer \
                a stream on which it follows what a recording rule makes of those of all, the sum of \
                the last 2 s by emoji, with `max_rate=4`. The latency is that from sending one more \
                tap to where the first and the last viewer who came both have the new sum; up to \
                250 ms of it the rate holds it back. CPU is in percent of one core.",
        figures: &[
            ("latency_p50_ms", "tap to heatmap, median, ms"),
            ("latency_p99_ms", "the same, 99th percentile, ms"),
            ("latency_max_ms", "the same, longest, ms"),
            ("sent_reactions_per_s", "taps a second"),
            ("refused_reactions", "taps that the server was too busy to take"),
            ("received_bytes_per_s", "bytes a second to all viewers"),
            ("server_busy_percent", "of a core that the server took, %"),
            ("engine_busy_percent", "of that the thread of the rules, %"),
            (
                "rss_growth_bytes_per_viewer",
                "memory for a viewer, WebSockets and series included, bytes",
            ),
        ],
        parameters: &["viewers", "tapping", "reactions_per_s"],
        compared: &[],
        not_shown: "networks; browsers, which draw it; the generator reads and sends on the same \
                    cores.",
    },
    Headline {
        workload: "rules",
        about: "From the bytes of requests to what 1,000 rules in the proportions of kube-prometheus \
                make of them: one core, 100,000 series of eight or nine labels on targets that send \
                every 15 s, windows of 5 and 10 minutes full. Requests are as their senders make \
                them: 1,000 lines of line protocol with one figure each, 2,000 samples of remote \
                write in snappy, 8,192 points of OTLP in Protocol Buffers, what a target of 100, 500 \
                or 1,000 series exposes, 100 messages of MQTT with quality 1 and a number.\
                \n\nBy hand, on Intel(R) Xeon(R) Processor, 2 cores, 24 GiB, which others \
                kept busy, so that CPU time counts and the clock says little \
                (2026-11-28):\n\n- A restart with 888,889 series, as many as one metric \
                may have, and 20 samples of each takes 4.5 to 5.2 s of CPU time and 1.20 \
                to 1.22 times the memory of before, 616 MB (commit `fc311ee`). By the \
                clock it took 22 s beside nine other busy threads; 10 s are wanted.\n- \
                100,000 firing alerts take 0.3 to 0.5 % of a core while no sample comes, \
                and 7.8 % where the same samples come every 15 s (commit `fc311ee`); 10 % \
                are wanted.\n- 50,000 rules of as many groups load in 3.1 s of CPU time, \
                and take 187 MB (commit `041ecc2`, `cargo bench -p bellwire-rules --bench \
                fleet fifty`); by the clock it took 5.5 s at best. 4 s and 300 MB are \
                wanted.\n- Beside 16 clients of `sum by (site) (rate(x[5m]))` over 100,000 \
                series an alert came 27 ms after its sample in the median and 312 ms at \
                most, without them 4.9 and 86 ms: 0.2 ms where nobody else is busy (commit \
                `fc311ee`).",
        figures: &[
            ("samples_per_s", "samples a second, decoded and applied"),
            ("decode_ns_per_sample", "decoding one, ns"),
            ("apply_ns_per_sample", "applying one, ns"),
            ("remote_write_samples_per_s", "the same by Prometheus' remote write 1.0"),
            ("remote_write_decode_ns_per_sample", "decoding one, ns"),
            ("remote_write_2_samples_per_s", "the same by remote write 2.0"),
            ("remote_write_2_decode_ns_per_sample", "decoding one, ns"),
            ("otlp_samples_per_s", "the same by OTLP in Protocol Buffers"),
            ("otlp_decode_ns_per_sample", "decoding one, ns"),
            ("scrape_samples_per_s", "the same by scrapes of the text format"),
            ("scrape_decode_ns_per_sample", "decoding one, ns"),
            ("mqtt_samples_per_s", "the same by MQTT, a message each, acknowledged"),
            ("mqtt_decode_ns_per_sample", "decoding one, ns"),
            ("load_s_per_20000_rules", "loading 20,000 rules, s"),
        ],
        parameters: &["series", "rules"],
        compared: &[],
        not_shown: "sockets, and gzip; the journal and the rules' log behind the changes; many alerts that \
                    fire, which cost more; memory: 544 bytes a series, of which windows are about \
                    256 at 16 bytes a sample (`cargo bench -p bellwire-rules --bench fleet`, \
                    the system's allocator).",
    },
    Headline {
        workload: "fanout",
        about: "One topic, many subscribers, one publisher.",
        figures: &[
            ("deliveries_per_s", "deliveries a second"),
            ("server_cpu_us_per_delivery", "server CPU for each delivery, µs"),
            ("latency_p50_ms", "publish to receive, median, ms"),
            ("latency_p99_ms", "publish to receive, 99th percentile, ms"),
            ("latency_max_ms", "publish to receive, longest, ms"),
        ],
        parameters: &["subscribers", "rate", "body_bytes", "durability", "state"],
        compared: &["deliveries_per_s", "server_cpu_us_per_delivery", "latency_p99_ms"],
        not_shown: "networks; slow readers; the generator reads on the same cores, so \
                    latency and rate are those of both together. Without a rate, several events \
                    share a write.",
    },
    Headline {
        workload: "latency",
        about: "From just before an event is sent to the server until a subscriber has read it, \
                where nothing is short.",
        figures: &[
            ("latency_p50_ms", "publish to receive, median, ms"),
            ("latency_p99_ms", "publish to receive, 99th percentile, ms"),
            ("latency_max_ms", "publish to receive, longest, ms"),
            ("server_cpu_us_per_delivery", "server CPU for each delivery, µs"),
            ("received_bytes_per_delivery", "bytes that a subscriber gets for an event"),
            ("sent_bytes_per_delivery", "bytes that it sends for one"),
        ],
        parameters: &["subscribers", "rate", "body_bytes", "durability"],
        compared: &["latency_p50_ms", "latency_p99_ms"],
        not_shown: "networks; the generator reads on the same cores.",
    },
    Headline {
        workload: "connect",
        about: "Subscribers that come, some at once, and stay: from the connect until each is live.",
        figures: &[
            ("connects_per_s", "connects a second"),
            ("server_cpu_us_per_connect", "server CPU for each connect, µs"),
            ("time_to_live_p50_ms", "connect to live, median, ms"),
            ("time_to_live_p99_ms", "connect to live, 99th percentile, ms"),
        ],
        parameters: &["connections", "at_once"],
        compared: &["server_cpu_us_per_connect", "time_to_live_p99_ms"],
        not_shown: "networks; TLS sessions that are resumed.",
    },
    Headline {
        workload: "resume-storm",
        about: "All subscribers of a topic return at once with an old cursor; those of another \
                topic stayed, and get events meanwhile.",
        figures: &[
            ("caught_up_s", "until all have caught up, s"),
            ("caught_up_p50_ms", "until half have caught up, ms"),
            ("received_bytes_per_s", "bytes a second that they received"),
            ("server_cpu_us_per_delivery", "server CPU for each delivery, µs"),
            (
                "live_before_p99_ms",
                "publish to receive of those who stayed, before, 99th percentile, ms",
            ),
            ("live_meanwhile_p99_ms", "the same, meanwhile, ms"),
            ("live_meanwhile_max_ms", "the same, meanwhile, longest, ms"),
        ],
        parameters: &["connections", "behind", "stayed", "rate", "body_bytes"],
        compared: &["caught_up_s", "live_meanwhile_p99_ms"],
        not_shown: "networks, which are slower than this; cursors that differ; a cold page cache.",
    },
    Headline {
        workload: "slow-reader",
        about: "Some subscribers of a topic stop to read, half of them altogether, half but for a \
                byte a second; the latency is that of the others.",
        figures: &[
            ("all_read_p99_ms", "publish to receive, all read, 99th percentile, ms"),
            ("some_slow_p99_ms", "publish to receive, some slow, 99th percentile, ms"),
            (
                "pss_growth_bytes_per_slow_subscriber",
                "more user memory for each slow subscriber, PSS, bytes",
            ),
        ],
        parameters: &["subscribers", "slow_percent", "rate", "body_bytes"],
        compared: &["all_read_p99_ms", "some_slow_p99_ms", "pss_growth_bytes_per_slow_subscriber"],
        not_shown: "what the kernel holds for who does not read; who is slow for longer than this.",
    },
    Headline {
        workload: "fairness",
        about: "A topic with few subscribers, while one with very many is silent, then busy.",
        figures: &[
            ("small_quiet_p99_ms", "small topic, other silent, 99th percentile, ms"),
            ("small_busy_p99_ms", "small topic, other busy, 99th percentile, ms"),
            ("small_delay_p99_ms", "delay of the 99th percentile, ms"),
            ("small_delay_max_ms", "delay of the longest, ms"),
        ],
        parameters: &["subscribers", "rate", "small_subscribers", "small_rate", "body_bytes"],
        compared: &["small_busy_p99_ms", "small_delay_p99_ms"],
        not_shown: "networks; the generator reads for the large topic on the same cores.",
    },
    Headline {
        workload: "attack",
        about: "A server that asks who one is, and subscribers whom it knows: first in peace, then \
                beside connections whose heads never end, requests that are none, and streams \
                asked for with tokens, or one in twenty with a password, that count for nothing.",
        figures: &[
            ("peace_p50_ms", "publish to receive, in peace, median, ms"),
            ("peace_p99_ms", "publish to receive, in peace, 99th percentile, ms"),
            ("attack_p50_ms", "publish to receive, under attack, median, ms"),
            ("attack_p99_ms", "publish to receive, under attack, 99th percentile, ms"),
            ("attack_p99_ratio", "how many times the 99th percentile is that of peace"),
            ("peace_server_cpu_cores", "server CPU in peace, cores"),
            ("attack_server_cpu_cores", "server CPU under attack, cores"),
            ("bad_requests_refused_per_s", "bad requests refused a second"),
            ("bad_tokens_refused_per_s", "bad tokens refused a second"),
            ("slow_heads_ended_per_s", "heads that took too long, ended a second"),
        ],
        parameters: &[
            "subscribers",
            "rate",
            "body_bytes",
            "slow_heads",
            "bad_requests",
            "bad_tokens",
            "durability",
        ],
        compared: &[],
        not_shown: "attackers on other machines: here they \
                    take their share of the same cores.",
    },
    Headline {
        workload: "idle",
        about: "Subscribers without traffic: growth of the server's memory, heartbeats included.",
        figures: &[
            ("pss_growth_bytes_per_connection", "user memory for each connection, PSS, bytes"),
            ("rss_growth_bytes_per_connection", "user memory for each connection, RSS, bytes"),
            ("kernel_growth_bytes_per_pair", "kernel memory for each connection, both ends, bytes"),
        ],
        parameters: &["connections"],
        compared: &["pss_growth_bytes_per_connection"],
        not_shown: "connections with filters of their own.",
    },
    Headline {
        workload: "publish",
        about: "Publishers in a closed loop over HTTP/1.1 or WebSockets, each on a connection of its own.",
        figures: &[
            ("acknowledged_events_per_s", "acknowledged events a second"),
            ("request_p50_ms", "request, median, ms"),
            ("request_p99_ms", "request, 99th percentile, ms"),
            ("server_cpu_us_per_event", "server CPU for each event, µs"),
            ("sent_bytes_per_event", "bytes sent for each event"),
            ("received_bytes_per_event", "bytes received for each event"),
        ],
        parameters: &["publishers", "batch", "body_bytes", "durability"],
        compared: &[],
        not_shown: "subscribers; disks with slower or faster syncs than this one; latency below \
                    saturation; the generator takes its share of the same cores.",
    },
    Headline {
        workload: "mqtt",
        about: "Sensors over MQTT 3.1.1 in a closed loop, each message a number with quality 1, \
                acknowledged once 1,000 rules over 100,000 series have seen it.",
        figures: &[
            ("acknowledged_messages_per_s", "acknowledged messages a second"),
            ("server_cpu_us_per_message", "server CPU for each message, µs"),
            ("server_cpu_cores", "server CPU, cores"),
        ],
        parameters: &["clients", "in_flight", "series", "rules", "durability"],
        compared: &[],
        not_shown: "networks; TLS; the generator takes its share of the same cores.",
    },
    Headline {
        workload: "keys",
        about: "Keys of one state topic, put in batches that are whole or not at all; then, with \
                those on the disk, a start that finds them.",
        figures: &[
            ("put_keys_per_s", "keys a second that are put"),
            ("server_cpu_us_per_key", "server CPU for each, µs"),
            (
                "rss_bytes_per_key_beside_its_own",
                "memory of a key beside its text and value, bytes",
            ),
            ("start_s", "until a server that starts listens, s"),
            ("rss_bytes_per_key_after_start_beside_its_own", "memory of a key after that, bytes"),
            ("rss_after_start_bytes", "memory of the server then, bytes"),
        ],
        parameters: &["keys", "body_bytes", "durability"],
        compared: &[],
        not_shown: "keys that somebody follows, which take more; many topics; a cold page cache.",
    },
    Headline {
        workload: "soak",
        about: "Followers on each transport, side by side behind a proxy that cuts connections, \
                aborts them, holds all bytes back for a while, goes mute, or takes nobody for a \
                while, each in its turn. They come back with their cursor by the rules of our \
                clients: after 2.5 heartbeats of silence, and waits that are drawn at random. A \
                recovery is from the end of a fault to the first event that was published after \
                it.",
        figures: &[
            ("deliveries", "events that followers got"),
            ("missed", "events that they missed"),
            ("doubled", "events that they got twice"),
            ("reordered", "events that they got out of order"),
            ("gaps", "gaps that the server told"),
            ("faults", "faults of the network"),
            ("latency_p50_ms", "publish to receive, median, ms"),
            ("latency_p99_ms", "publish to receive, faults included, 99th percentile, ms"),
            ("latency_max_ms", "publish to receive, faults included, longest, ms"),
            ("bytes_per_event", "bytes in both directions for an event"),
            ("requests_per_event", "requests for an event"),
            ("recovery_cut_p50_ms", "recovery from a cut, median, ms"),
            ("recovery_cut_p99_ms", "the same, 99th percentile, ms"),
            ("recovery_reset_p50_ms", "recovery from a reset, median, ms"),
            ("recovery_reset_p99_ms", "the same, 99th percentile, ms"),
            ("recovery_stall_p50_ms", "recovery from a stall, median, ms"),
            ("recovery_stall_p99_ms", "the same, 99th percentile, ms"),
            ("recovery_mute_p50_ms", "recovery from a connection gone mute, median, ms"),
            ("recovery_mute_p99_ms", "the same, 99th percentile, ms"),
            ("recovery_away_p50_ms", "recovery from a network that was away, median, ms"),
            ("recovery_away_p99_ms", "the same, 99th percentile, ms"),
            ("server_rss_begin_bytes", "memory of the server after a tenth of the run, bytes"),
            ("server_rss_end_bytes", "memory of the server at its end, bytes"),
            ("own_rss_begin_bytes", "memory of followers and proxy after a tenth, bytes"),
            ("own_rss_end_bytes", "memory of followers and proxy at its end, bytes"),
        ],
        parameters: &[
            "seconds",
            "followers",
            "rate",
            "body_bytes",
            "fault_interval_ms",
            "backoff_ms",
            "heartbeat_ms",
        ],
        compared: &[],
        not_shown: "real networks; TLS; very many followers; a server that restarts; heartbeats \
                    that are as rare as by default, with which a mute connection is noticed \
                    after a minute.",
    },
    Headline {
        workload: "replay",
        about: "The whole journal read in pages by one reader, inside the process.",
        figures: &[
            ("events_per_s", "events a second"),
            ("filled_events_per_s", "events a second appended before, durability interval"),
        ],
        parameters: &["events", "body_bytes", "page_events"],
        compared: &[],
        not_shown: "encoding and sending; a cold page cache; filters that skip; several readers.",
    },
];
