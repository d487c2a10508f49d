//! What a request's resources say of themselves: `target_info`, once for each of its series.
//!
//! Several resources of a request may be one, as a collector gathers them, each with the time of its
//! latest point. The newest is told: of one series later samples must not come first.

use bellwire_model::limits::SAMPLES_PER_REQUEST_BYTES_MAX;
use bellwire_model::{Labels, NameMap, Timestamp};

use super::warnings::Warnings;
use crate::decoded::quoted;

const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// The `target_info` of each resource, in the order in which they come first.
#[derive(Debug, Default)]
pub(super) struct Targets {
    newest: Vec<(Labels, Timestamp)>,
    places: NameMap<Labels, usize>,
    /// Where the first is of each that is one by its `job` and `instance`.
    identities: NameMap<Labels, usize>,
    bytes: usize,
}

impl Targets {
    /// A resource has these labels, and its latest point is of this time.
    pub(super) fn put(&mut self, labels: Labels, time: Timestamp, warnings: &mut Warnings) {
        if let Some(place) = self.places.get(&labels) {
            let (_, newest) = &mut self.newest[*place];
            *newest = time.max(*newest);
            return;
        }
        // Each is there three times at most; a request has room for no more of them.
        let bytes = self.bytes + labels.size_bytes() + size_of::<(Labels, Timestamp)>();
        if bytes > SAMPLES_PER_REQUEST_BYTES_MAX {
            return;
        }
        self.bytes = bytes;
        let place = self.newest.len();
        let identity = labels.filtered(|name| name == JOB || name == INSTANCE);
        let first = *self.identities.entry(identity).or_insert(place);
        if first != place {
            let told = |name| labels.get(name).unwrap_or_default();
            warnings.say(|| {
                format!(
                    "several resources are `job=\"{}\", instance=\"{}\"` and differ in their other \
                     attributes: give each a `service.instance.id` of its own",
                    quoted(told(JOB)),
                    quoted(told(INSTANCE))
                )
            });
        }
        self.places.insert(labels.clone(), place);
        self.newest.push((labels, time));
    }

    /// Each, and the time of the latest of its points.
    pub(super) fn into_newest(self) -> Vec<(Labels, Timestamp)> {
        self.newest
    }
}
