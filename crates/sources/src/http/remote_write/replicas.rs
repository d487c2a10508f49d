//! Pairs of replicas that send the same: of each cluster one is elected, and what the others send is
//! passed over until it has been silent for a while.
//!
//! ```text
//! cluster (values of its labels) ─▶ elected replica, when it was last heard
//! ```
//!
//! What names the replica is taken from the labels, so that rules see one series whoever sends it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_ingest::{Decoded, Verdict};
use bellwire_model::limits::CLUSTERS_MAX;
use bellwire_model::{Labels, NameMap, Sample, Timestamp};

/// How replicas are told from clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// Labels that together name what all replicas watch. A series without one of them is taken from
    /// whoever sends it.
    pub cluster_labels: Vec<String>,
    /// The label that names the replica.
    pub replica_label: String,
    /// After so long a silence of the elected replica the next one that comes is elected.
    pub failover_timeout: Duration,
}

/// Who is elected.
#[derive(Debug)]
pub(super) struct Elections {
    replicas: Replicas,
    elected: Mutex<NameMap<Box<str>, Elected>>,
}

#[derive(Debug)]
struct Elected {
    replica: Box<str>,
    /// When it was last heard, on a clock that goes on evenly.
    heard: Timestamp,
}

/// What becomes of what a replica sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Election {
    Won,
    /// Another one is elected.
    Lost,
    /// As many clusters are kept account of as may be.
    Crowded,
}

/// What stands between the values of a cluster's labels: no label's value has it by accident.
const BETWEEN: char = '\u{1f}';

impl Elections {
    pub(super) fn new(replicas: Replicas) -> Self {
        Self { replicas, elected: Mutex::default() }
    }

    /// Takes out what the replicas have sent that are not elected, and the labels of those that are.
    pub(super) fn settle(&self, decoded: &mut Decoded, now: Timestamp) {
        // A request is of one replica, and a series has its samples one after the other.
        let mut last: Option<(String, Box<str>, Election)> = None;
        let mut renamed: Option<(Labels, Labels)> = None;
        decoded.sift(|sample| {
            let replica = sample.series.get(&self.replicas.replica_label);
            let (Some(replica), Some(cluster)) = (replica, self.cluster(&sample.series)) else {
                return Verdict::Kept;
            };
            let election = match &last {
                Some((of, by, election)) if *of == cluster && **by == *replica => *election,
                _ => {
                    let election = self.elect((&cluster, replica), now);
                    last = Some((cluster, replica.into(), election));
                    election
                }
            };
            match election {
                Election::Won => {
                    self.rename(sample, &mut renamed);
                    Verdict::Kept
                }
                Election::Lost => Verdict::PassedOver,
                Election::Crowded => {
                    let detail = format!("{CLUSTERS_MAX} clusters have replicas already");
                    Verdict::Refused("clusters_limit", detail)
                }
            }
        });
    }

    /// The values that name what the replica watches.
    fn cluster(&self, series: &Labels) -> Option<String> {
        let mut cluster = String::new();
        for label in &self.replicas.cluster_labels {
            cluster.push_str(series.get(label)?);
            cluster.push(BETWEEN);
        }
        Some(cluster)
    }

    fn elect(&self, (cluster, replica): (&str, &str), now: Timestamp) -> Election {
        let mut elected = self.elected();
        let is_silent =
            |of: &Elected| now.saturating_since(of.heard) >= self.replicas.failover_timeout;
        if let Some(of) = elected.get_mut(cluster) {
            if *of.replica != *replica {
                if !is_silent(of) {
                    return Election::Lost;
                }
                of.replica = replica.into();
            }
            of.heard = now;
            return Election::Won;
        }
        if elected.len() >= CLUSTERS_MAX {
            elected.retain(|_, of| !is_silent(of));
            if elected.len() >= CLUSTERS_MAX {
                return Election::Crowded;
            }
        }
        elected.insert(cluster.into(), Elected { replica: replica.into(), heard: now });
        Election::Won
    }

    /// Takes the replica's name from the labels. `renamed`: what that came to last.
    fn rename(&self, sample: &mut Sample, renamed: &mut Option<(Labels, Labels)>) {
        if renamed.as_ref().is_none_or(|(from, _)| *from != sample.series) {
            let label = &self.replicas.replica_label;
            let to = sample.series.filtered(|name| name != label);
            *renamed = Some((sample.series.clone(), to));
        }
        if let Some((_, to)) = renamed {
            sample.series = to.clone();
        }
    }

    fn elected(&self) -> MutexGuard<'_, NameMap<Box<str>, Elected>> {
        self.elected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::METRIC_NAME;

    use super::*;

    fn elections() -> Elections {
        Elections::new(Replicas {
            cluster_labels: vec!["team".into(), "cluster".into()],
            replica_label: "__replica__".into(),
            failover_timeout: Duration::from_secs(30),
        })
    }

    /// What is left of a request of a replica of a cluster, and how many samples were passed over.
    fn sent(
        elections: &Elections,
        (cluster, replica): (&str, &str),
        second: i64,
    ) -> (Vec<String>, usize) {
        let mut decoded = Decoded::default();
        for name in ["a", "b"] {
            let mut pairs = vec![(METRIC_NAME, name), ("team", "t"), ("cluster", cluster)];
            pairs.push(("__replica__", replica));
            let series = Labels::from_pairs(pairs).expect("labels");
            decoded.samples.push(Sample { series, value: 1.0, time: Timestamp::from_ms(0) });
            decoded.lines.push(1);
        }
        elections.settle(&mut decoded, Timestamp::from_ms(second * 1_000));
        assert_eq!(decoded.samples.len(), decoded.lines.len());
        assert_eq!(decoded.rejected, 0);
        let left = decoded.samples.iter().map(|sample| sample.series.to_string());
        (left.collect(), decoded.passed_over)
    }

    #[test]
    fn one_replica_of_a_cluster_counts_until_it_is_silent() {
        let elections = elections();
        let both = |cluster: &str| {
            ["a", "b"].map(|name| format!("{name}{{cluster=\"{cluster}\",team=\"t\"}}")).to_vec()
        };
        let steps = [
            (("x", "0"), 0, true),
            (("x", "1"), 1, false),
            (("y", "1"), 1, true),
            (("x", "0"), 20, true),
            (("x", "1"), 49, false),
            (("x", "1"), 50, true),
            (("x", "0"), 51, false),
            (("y", "0"), 51, true),
        ];
        for (from, second, is_taken) in steps {
            let expected = if is_taken { (both(from.0), 0) } else { (Vec::new(), 2) };
            assert_eq!(sent(&elections, from, second), expected, "{from:?} at {second} s");
        }
        // Who has no replica, or lacks what names its cluster, is no pair's.
        for from in [("x", ""), ("", "1")] {
            assert_eq!(sent(&elections, from, 52).0.len(), 2, "{from:?}");
        }
    }

    #[test]
    fn there_is_room_again_once_clusters_are_silent() {
        let elections = elections();
        for number in 0..CLUSTERS_MAX {
            assert_eq!(
                elections.elect((&number.to_string(), "0"), Timestamp::from_ms(0)),
                Election::Won
            );
        }
        let at = |ms| elections.elect(("one more", "0"), Timestamp::from_ms(ms));
        assert_eq!((at(29_999), at(30_000)), (Election::Crowded, Election::Won));
        assert_eq!(elections.elected().len(), 1);
    }
}
