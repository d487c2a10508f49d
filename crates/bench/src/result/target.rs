//! What the figures shall be.

use super::number::grouped;

/// A bound of one figure of a workload, under the parameters that it is promised for.
#[derive(Debug)]
pub(crate) struct Target {
    workload: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    figure: &'static str,
    bound: Bound,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Least(f64),
    Most(f64),
    /// At most so many times what the floor has on the same machine.
    Floors(f64),
}

const PLAIN_SSE: (&str, &str) = ("transport", "sse");
const PLAIN: (&str, &str) = ("tls", "false");

const TARGETS: &[Target] = &[
    Target {
        workload: "alert",
        parameters: &[("series", "10000"), ("rules", "100"), ("durability", "interval")],
        figure: "latency_p99_ms",
        bound: Bound::Most(5.0),
    },
    Target {
        workload: "alert",
        parameters: &[("series", "100000"), ("rules", "1000"), ("durability", "interval")],
        figure: "latency_p99_ms",
        bound: Bound::Most(5.0),
    },
    Target {
        workload: "live-queries",
        parameters: &[("series", "100000"), ("rules", "1000"), ("queries", "1000")],
        figure: "latency_p99_ms",
        bound: Bound::Most(5.0),
    },
    Target {
        workload: "live-queries",
        parameters: &[("followers", "10000")],
        figure: "engine_cpu_ratio_of_followers",
        bound: Bound::Most(1.2),
    },
    Target {
        workload: "rules",
        parameters: &[],
        figure: "samples_per_s",
        bound: Bound::Least(1_000_000.0),
    },
    Target {
        workload: "rules",
        parameters: &[],
        figure: "remote_write_samples_per_s",
        bound: Bound::Least(1_000_000.0),
    },
    Target {
        workload: "rules",
        parameters: &[],
        figure: "remote_write_2_samples_per_s",
        bound: Bound::Least(1_000_000.0),
    },
    Target {
        workload: "rules",
        parameters: &[],
        figure: "otlp_samples_per_s",
        bound: Bound::Least(700_000.0),
    },
    Target {
        workload: "rules",
        parameters: &[],
        figure: "scrape_samples_per_s",
        bound: Bound::Least(1_000_000.0),
    },
    Target {
        workload: "rules",
        parameters: &[],
        figure: "mqtt_samples_per_s",
        bound: Bound::Least(100_000.0),
    },
    Target {
        workload: "rules",
        parameters: &[],
        figure: "load_s_per_20000_rules",
        bound: Bound::Most(2.0),
    },
    Target {
        workload: "idle",
        parameters: &[PLAIN],
        figure: "pss_growth_bytes_per_connection",
        bound: Bound::Most(512.0),
    },
    Target {
        workload: "idle",
        parameters: &[("tls", "true")],
        figure: "pss_growth_bytes_per_connection",
        bound: Bound::Most(4_500.0),
    },
    Target {
        workload: "fanout",
        parameters: &[("subscribers", "18000"), ("rate", "5.0"), PLAIN_SSE, PLAIN],
        figure: "server_cpu_us_per_delivery",
        bound: Bound::Floors(1.1),
    },
    Target {
        workload: "fanout",
        parameters: &[("subscribers", "1000"), ("rate", "0.0"), PLAIN_SSE, PLAIN],
        figure: "deliveries_per_s",
        bound: Bound::Least(2_500_000.0),
    },
    Target {
        workload: "latency",
        parameters: &[("subscribers", "100"), ("rate", "200.0"), PLAIN_SSE, PLAIN],
        figure: "latency_p99_ms",
        bound: Bound::Floors(1.0),
    },
    Target {
        workload: "connect",
        parameters: &[PLAIN_SSE, PLAIN],
        figure: "server_cpu_us_per_connect",
        bound: Bound::Most(25.0),
    },
    Target {
        workload: "resume-storm",
        parameters: &[("connections", "18000"), ("behind", "1000"), PLAIN_SSE, PLAIN],
        figure: "caught_up_s",
        bound: Bound::Most(10.0),
    },
    Target {
        workload: "resume-storm",
        parameters: &[("connections", "18000"), ("behind", "1000"), PLAIN_SSE, PLAIN],
        figure: "live_meanwhile_p99_ms",
        bound: Bound::Most(50.0),
    },
    Target {
        workload: "nodes-latency",
        parameters: &[("nodes", "2"), ("rate", "1000.0")],
        figure: "latency_p99_ms",
        bound: Bound::Most(10.0),
    },
    Target {
        workload: "nodes-publish",
        parameters: &[("nodes", "2"), ("batch", "1")],
        figure: "acknowledged_events_per_s",
        bound: Bound::Least(50_000.0),
    },
    Target {
        workload: "nodes-publish",
        parameters: &[("nodes", "2"), ("batch", "100")],
        figure: "acknowledged_events_per_s",
        bound: Bound::Least(200_000.0),
    },
    Target {
        workload: "nodes-failover",
        parameters: &[("nodes", "2")],
        figure: "back_max_ms",
        bound: Bound::Most(5_000.0),
    },
    Target {
        workload: "fairness",
        parameters: &[("subscribers", "18000"), PLAIN_SSE, PLAIN],
        figure: "small_delay_p99_ms",
        bound: Bound::Most(5.0),
    },
    Target {
        workload: "attack",
        parameters: &[
            ("subscribers", "1000"),
            ("slow_heads", "5000"),
            ("bad_requests", "1000.0"),
            ("bad_tokens", "1000.0"),
        ],
        figure: "attack_p99_ratio",
        bound: Bound::Most(2.0),
    },
    Target {
        workload: "publish",
        parameters: &[("publishers", "64"), ("batch", "1"), ("durability", "sync")],
        figure: "acknowledged_events_per_s",
        bound: Bound::Least(30_000.0),
    },
    Target {
        workload: "publish",
        parameters: &[("publishers", "64"), ("batch", "100"), ("durability", "sync")],
        figure: "acknowledged_events_per_s",
        bound: Bound::Least(150_000.0),
    },
    // One core, and 100,000 messages a second.
    Target {
        workload: "mqtt",
        parameters: &[],
        figure: "server_cpu_us_per_message",
        bound: Bound::Most(10.0),
    },
    Target {
        workload: "keys",
        parameters: &[],
        figure: "rss_bytes_per_key_beside_its_own",
        bound: Bound::Most(200.0),
    },
    Target {
        workload: "keys",
        parameters: &[("durability", "disk")],
        figure: "rss_bytes_per_key_after_start_beside_its_own",
        bound: Bound::Most(200.0),
    },
    // Of ten million keys, and so of any number that there may be.
    Target {
        workload: "keys",
        parameters: &[("durability", "disk")],
        figure: "start_s",
        bound: Bound::Most(20.0),
    },
    Target {
        workload: "keys",
        parameters: &[("durability", "disk")],
        figure: "put_keys_per_s",
        bound: Bound::Least(100_000.0),
    },
    Target {
        workload: "replay",
        parameters: &[],
        figure: "events_per_s",
        bound: Bound::Least(500_000.0),
    },
    Target { workload: "soak", parameters: &[], figure: "missed", bound: Bound::Most(0.0) },
    Target { workload: "soak", parameters: &[], figure: "doubled", bound: Bound::Most(0.0) },
    Target { workload: "soak", parameters: &[], figure: "reordered", bound: Bound::Most(0.0) },
];

/// The target of a workload's figure, given what its parameters are. Of other systems nothing is
/// expected.
pub(super) fn of(
    (workload, figure): (&str, &str),
    parameter: impl Fn(&str) -> Option<String>,
) -> Option<&'static Target> {
    let is = |(name, expected): &(&str, &str)| parameter(name).as_deref() == Some(*expected);
    let is_ours = is(&("system", "bellwire"));
    TARGETS.iter().find(|target| {
        is_ours
            && target.workload == workload
            && target.figure == figure
            && target.parameters.iter().all(is)
    })
}

/// The figures that have a target, each behind its workload.
#[cfg(test)]
pub(crate) fn figures() -> impl Iterator<Item = (&'static str, &'static str)> {
    TARGETS.iter().map(|target| (target.workload, target.figure))
}

impl Target {
    /// Whether the figure is as it shall be, given that of the floor; `None` where that is needed
    /// and not there.
    fn is_met(&self, value: f64, floor: Option<f64>) -> Option<bool> {
        match self.bound {
            Bound::Least(bound) => Some(value >= bound),
            Bound::Most(bound) => Some(value <= bound),
            Bound::Floors(times) => floor.map(|floor| value <= floor * times),
        }
    }

    /// The bound for people.
    fn text(&self) -> String {
        match self.bound {
            Bound::Least(bound) => format!("≥ {}", grouped(bound)),
            Bound::Most(bound) => format!("≤ {}", grouped(bound)),
            Bound::Floors(times) => format!("≤ {} × floor", grouped(times)),
        }
    }

    /// The bound and whether it holds, for a table.
    pub(crate) fn cell(&self, value: f64, floor: Option<f64>) -> String {
        let text = self.text();
        match self.is_met(value, floor) {
            Some(true) => format!("{text}, met"),
            Some(false) => format!("{text}, **missed**"),
            None => text,
        }
    }

    /// The bound and whether it holds, for a terminal.
    pub(crate) fn verdict(&self, value: f64, floor: Option<f64>) -> String {
        let text = self.text();
        match self.is_met(value, floor) {
            Some(true) => format!("target {text}: met"),
            Some(false) => format!("target {text}: missed"),
            None => format!("target {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::result::Record;

    #[test]
    fn a_target_holds_for_its_parameters_only() {
        let record = |batch: u32| {
            Record::new("publish")
                .parameter("publishers", 64)
                .parameter("batch", batch)
                .parameter("durability", "sync")
        };
        let verdict = |batch, value| {
            let record = record(batch);
            let target = record.target("acknowledged_events_per_s");
            target.map(|target| target.verdict(value, None))
        };
        assert_eq!(verdict(1, 30_000.0).as_deref(), Some("target ≥ 30,000: met"));
        assert_eq!(verdict(100, 149_999.0).as_deref(), Some("target ≥ 150,000: missed"));
        assert_eq!(verdict(10, 1e9), None);
        assert!(record(1).target("request_p99_ms").is_none());
    }

    #[test]
    fn a_target_may_be_the_floor_and_holds_for_this_system_only() {
        let record = |system: &str| {
            let record = Record::new("latency").parameter("subscribers", 100);
            record.parameter("rate", 200.0).parameter("system", system)
        };
        let target = record("bellwire").target("latency_p99_ms").expect("has a target");
        for (value, floor, verdict) in [
            (1.0, None, "target ≤ 1 × floor"),
            (1.0, Some(1.5), "target ≤ 1 × floor: met"),
            (2.0, Some(1.5), "target ≤ 1 × floor: missed"),
        ] {
            assert_eq!(target.verdict(value, floor), verdict);
        }
        assert!(record("nchan").target("latency_p99_ms").is_none());
    }
}
