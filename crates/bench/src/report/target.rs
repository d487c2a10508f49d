//! What the figures shall be.

use serde_json::Value;

use crate::result::{Record, grouped};

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
    AtLeast(f64),
    AtMost(f64),
}

const TARGETS: &[Target] = &[
    Target {
        workload: "alert",
        parameters: &[("series", "10000"), ("rules", "100"), ("durability", "interval")],
        figure: "latency_p99_ms",
        bound: Bound::AtMost(5.0),
    },
    Target {
        workload: "idle",
        parameters: &[("connections", "10000")],
        figure: "pss_growth_bytes_per_connection",
        bound: Bound::AtMost(1024.0),
    },
    Target {
        workload: "publish",
        parameters: &[("publishers", "64"), ("batch", "1"), ("durability", "sync")],
        figure: "acknowledged_events_per_s",
        bound: Bound::AtLeast(30_000.0),
    },
    Target {
        workload: "publish",
        parameters: &[("publishers", "64"), ("batch", "100"), ("durability", "sync")],
        figure: "acknowledged_events_per_s",
        bound: Bound::AtLeast(150_000.0),
    },
    Target {
        workload: "replay",
        parameters: &[],
        figure: "events_per_s",
        bound: Bound::AtLeast(500_000.0),
    },
];

/// The target of a record's figure.
pub(crate) fn of(record: &Record, figure: &str) -> Option<&'static Target> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let is = |(name, expected): &(&str, &str)| {
        record.parameters.get(*name).is_some_and(|value| text(value) == *expected)
    };
    TARGETS.iter().find(|target| {
        target.workload == record.workload
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
    /// Whether the figure is as it shall be.
    pub(crate) fn is_met(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        }
    }

    /// The bound for people.
    pub(crate) fn text(&self) -> String {
        match self.bound {
            Bound::AtLeast(bound) => format!("≥ {}", grouped(bound)),
            Bound::AtMost(bound) => format!("≤ {}", grouped(bound)),
        }
    }

    /// The bound, and whether it holds.
    pub(crate) fn verdict(&self, value: f64) -> String {
        let verdict = if self.is_met(value) { "met" } else { "missed" };
        format!("target {}: {verdict}", self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_holds_for_its_parameters_only() {
        let record = |batch: u32| {
            Record::new("publish")
                .parameter("publishers", 64)
                .parameter("batch", batch)
                .parameter("durability", "sync")
        };
        let verdict = |batch, value| {
            let target = of(&record(batch), "acknowledged_events_per_s");
            target.map(|target| target.verdict(value))
        };
        assert_eq!(verdict(1, 30_000.0).as_deref(), Some("target ≥ 30,000: met"));
        assert_eq!(verdict(100, 149_999.0).as_deref(), Some("target ≥ 150,000: missed"));
        assert_eq!(verdict(10, 1e9), None);
        assert!(of(&record(1), "request_p99_ms").is_none());
    }
}
