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
use bellwire_model::{IdentityHash, Labels, NameMap, Sample, Timestamp};

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
    elected: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// By the hash of what names a cluster: as a text it may be of many thousand bytes.
    clusters: NameMap<u128, Elected>,
    /// Before this nobody of a full table is silent: it is not looked through for each sample.
    full_until: Timestamp,
}

#[derive(Debug)]
struct Elected {
    /// The hash of its name.
    replica: u128,
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

impl Elections {
    pub(super) fn new(replicas: Replicas) -> Self {
        Self { replicas, elected: Mutex::default() }
    }

    /// Takes out what the replicas have sent that are not elected, and the labels of those that are.
    pub(super) fn settle(&self, decoded: &mut Decoded, now: Timestamp) {
        // A request is of one replica, and a series has its samples one after the other.
        let mut last: Option<(Labels, Election)> = None;
        let mut renamed: Option<(Labels, Labels)> = None;
        decoded.sift(|sample| {
            let election = match &last {
                Some((of, election)) if self.are_of_one(of, &sample.series) => *election,
                _ => {
                    let Some(from) = self.sender(&sample.series) else { return Verdict::Kept };
                    let election = self.elect(from, now);
                    last = Some((sample.series.clone(), election));
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

    /// Whether one replica has sent both.
    fn are_of_one(&self, one: &Labels, other: &Labels) -> bool {
        let mut labels = self.replicas.cluster_labels.iter().chain([&self.replicas.replica_label]);
        labels.all(|label| one.get(label) == other.get(label))
    }

    /// What the replica watches, and which it is.
    fn sender(&self, series: &Labels) -> Option<(u128, u128)> {
        let replica = series.get(&self.replicas.replica_label)?;
        let labels = &self.replicas.cluster_labels;
        let cluster: Option<Vec<&str>> = labels.iter().map(|label| series.get(label)).collect();
        Some((hash_of(cluster?), hash_of([replica])))
    }

    fn elect(&self, (cluster, replica): (u128, u128), now: Timestamp) -> Election {
        let mut elected = self.elected();
        let Table { clusters, full_until } = &mut *elected;
        let timeout = self.replicas.failover_timeout;
        let is_silent = |of: &Elected| now.saturating_since(of.heard) >= timeout;
        if let Some(of) = clusters.get_mut(&cluster) {
            if of.replica != replica {
                if !is_silent(of) {
                    return Election::Lost;
                }
                of.replica = replica;
            }
            of.heard = now;
            return Election::Won;
        }
        if clusters.len() >= CLUSTERS_MAX {
            if now < *full_until {
                return Election::Crowded;
            }
            clusters.retain(|_, of| !is_silent(of));
            if clusters.len() >= CLUSTERS_MAX {
                let first = clusters.values().map(|of| of.heard).min().unwrap_or(now);
                *full_until = first.saturating_add(timeout);
                return Election::Crowded;
            }
        }
        clusters.insert(cluster, Elected { replica, heard: now });
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

    fn elected(&self) -> MutexGuard<'_, Table> {
        self.elected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands for texts.
fn hash_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> u128 {
    let mut hash = IdentityHash::new("replica 1");
    texts.into_iter().for_each(|text| hash.write_text(text));
    hash.finish_wide()
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
            assert_eq!(elections.elect((number as u128, 0), Timestamp::from_ms(0)), Election::Won);
        }
        let at = |ms| elections.elect((CLUSTERS_MAX as u128, 0), Timestamp::from_ms(ms));
        assert_eq!(at(1), Election::Crowded);
        // Those that come meanwhile do not look through all of them.
        assert_eq!(elections.elected().full_until, Timestamp::from_ms(30_000));
        assert_eq!((at(29_999), at(30_000)), (Election::Crowded, Election::Won));
        assert_eq!(elections.elected().clusters.len(), 1);
    }
}
