//! `limits` of a role: how much each of its holders may do.

use std::num::NonZeroU64;

use bellwire_access::Limits;
use serde::Deserialize;

/// What is not there has no limit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    connections: Option<NonZeroU64>,
    connects_per_second: Option<NonZeroU64>,
    subscriptions: Option<NonZeroU64>,
    events_per_second: Option<NonZeroU64>,
    samples_per_second: Option<NonZeroU64>,
    bytes_per_second: Option<NonZeroU64>,
    topics: Option<NonZeroU64>,
    series: Option<NonZeroU64>,
}

impl From<&LimitsTable> for Limits {
    fn from(table: &LimitsTable) -> Self {
        let number = |limit: Option<NonZeroU64>| limit.map(NonZeroU64::get);
        Self {
            connections: number(table.connections),
            connects_per_second: number(table.connects_per_second),
            subscriptions: number(table.subscriptions),
            events_per_second: number(table.events_per_second),
            samples_per_second: number(table.samples_per_second),
            bytes_per_second: number(table.bytes_per_second),
            topics: number(table.topics),
            series: number(table.series),
        }
    }
}
