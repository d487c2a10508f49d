//! What the report says of several nodes.

use super::Headline;

/// The parts of `bench nodes`.
pub(super) const HEADLINES: &[Headline] = &[
    Headline {
        workload: "nodes-latency",
        about: "From just before an event is sent to the first node until a subscriber at the last \
                one has read it; with the engine `embedded`, at one server that stands alone, in the \
                same run. How many times its figure is stands beside the cluster's.",
        figures: &[
            ("latency_p50_ms", "publish to receive, median, ms"),
            ("latency_p50_ms_ratio", "how many times that of one server"),
            ("latency_p99_ms", "publish to receive, 99th percentile, ms"),
            ("latency_p99_ms_ratio", "how many times that of one server"),
            ("latency_max_ms", "publish to receive, longest, ms"),
            ("published_events_per_s", "events published a second"),
            ("server_cpu_us_per_event", "CPU of all nodes for each event, µs"),
            ("engine_cpu_us_per_event", "CPU of the engine for each event, µs"),
        ],
        parameters: &[
            "engine",
            "engine_version",
            "engine_settings",
            "nodes",
            "durability",
            "rate",
            "publishers",
            "body_bytes",
        ],
        compared: &[],
        not_shown: "networks between nodes, engine and clients; an engine of several servers; all \
                    of them have their share of the same cores and the same disk.",
    },
    Headline {
        workload: "nodes-publish",
        about: "Publishers in a closed loop at the first node, each on a connection of its own, until \
                acknowledged: an event is in the engine then, and on that node's disk. Afterwards all \
                are read at the last node and counted. With the engine `embedded`, one server that \
                stands alone, in the same run.",
        figures: &[
            ("acknowledged_events_per_s", "acknowledged events a second"),
            ("acknowledged_events_per_s_ratio", "how many times that of one server"),
            ("request_p50_ms", "request, median, ms"),
            ("request_p99_ms", "request, 99th percentile, ms"),
            ("arrived_events", "events at the last node"),
            ("missing_events", "acknowledged events that are not there"),
            ("doubled_events", "acknowledged events that are there twice"),
            ("reordered_events", "acknowledged events that are there out of order"),
            ("unaccounted_events", "events there that nobody has sent"),
            ("server_cpu_us_per_event", "CPU of all nodes for each event, µs"),
            ("engine_cpu_us_per_event", "CPU of the engine for each event, µs"),
        ],
        parameters: &[
            "engine",
            "engine_version",
            "engine_settings",
            "nodes",
            "durability",
            "publishers",
            "batch",
            "body_bytes",
        ],
        compared: &[],
        not_shown: "networks; publishers at several nodes; subscribers; an engine of several servers; \
                    disks with slower or faster syncs than this one.",
    },
    Headline {
        workload: "nodes-failover",
        about: "Followers of a node, which is killed while events are published at another; they come \
                back with their cursors, to all addresses in turns, that of the killed node among \
                them. The time is from the kill until each is live. It is the last node, or with \
                `kill keeper` the one that evaluates the rules: the node that takes over begins anew, \
                and all come back once more. With the engine `embedded`, one server that stands \
                alone is killed and started again at once.",
        figures: &[
            ("back_p50_ms", "kill to live, median, ms"),
            ("back_p99_ms", "kill to live, 99th percentile, ms"),
            ("back_max_ms", "kill to all live, ms"),
            ("back_max_ms_ratio", "how many times that of one server that starts again"),
            ("deliveries", "events that followers got"),
            ("missed", "events that they missed"),
            ("doubled", "events that they got twice"),
            ("reordered", "events that they got out of order"),
            ("gaps", "gaps that the server told"),
            ("latency_p99_ms", "publish to receive, the kill included, 99th percentile, ms"),
            ("latency_max_ms", "publish to receive, the kill included, longest, ms"),
            ("connections_per_client", "connections that a follower had"),
        ],
        parameters: &[
            "engine",
            "engine_version",
            "engine_settings",
            "nodes",
            "durability",
            "kill",
            "clients",
            "rate",
            "body_bytes",
        ],
        compared: &[],
        not_shown: "a machine that vanishes without a word, which takes heartbeats to notice; what a \
                    load balancer adds; the waits, drawn at random, of our client libraries.",
    },
    Headline {
        workload: "nodes-streams",
        about: "Streams of one topic spread over all nodes: the growth of the nodes' memory, and then \
                some events one after the other, each from just before it is sent to the first node \
                until the first, the median and the last stream has it. With the engine `embedded`, \
                all are at one server that stands alone.",
        figures: &[
            ("pss_growth_bytes_per_stream", "memory of the nodes for each stream, PSS, bytes"),
            ("pss_before_bytes_per_node", "memory of a node without streams, PSS, bytes"),
            ("first_p50_ms", "publish to the first stream, median of all events, ms"),
            ("median_p50_ms", "publish to the median stream, ms"),
            ("last_p50_ms", "publish to the last stream, ms"),
            ("last_p50_ms_ratio", "how many times that of one server"),
            ("last_max_ms", "publish to the last stream, longest of all events, ms"),
        ],
        parameters: &[
            "engine",
            "engine_version",
            "engine_settings",
            "nodes",
            "durability",
            "streams",
            "body_bytes",
        ],
        compared: &[],
        not_shown: "networks; nodes with cores of their own, which would write at the same time; \
                    streams with filters of their own.",
    },
];
