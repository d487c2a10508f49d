//! Pairs of replicas that send the same: of each cluster one is elected, and what the others send is
//! passed over until it has been silent for a while.
//!
//! ```text
//! cluster (its sender, values of its labels) ─▶ elected replica, when it was last heard
//! ```
//!
//! Replicas of a pair are one subject: labels can be chosen by whoever may send series, and nobody is
//! to be passed over for what another subject sends. What names the replica is taken from the labels,
//! so that rules see one series whoever sends it; rights are asked of that one, and of what they
//! refuse nobody is elected.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_ingest::{Decoded, Verdict};
use bellwire_model::limits::CLUSTERS_MAX;
use bellwire_model::{Holder, IdentityHash, Labels, NameMap, Sample, Shares, Timestamp};

use crate::intake::Sender;

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

#[derive(Debug)]
struct Table {
    /// By the hash of what names a cluster: as a text it may be of many thousand bytes.
    clusters: NameMap<u128, Elected>,
    /// Before this nobody of a full table is silent: it is not looked through for each sample.
    full_until: Timestamp,
    room: Shares,
}

impl Default for Table {
    fn default() -> Self {
        let full_until = Timestamp::default();
        Self { clusters: NameMap::default(), full_until, room: Shares::new(CLUSTERS_MAX) }
    }
}

#[derive(Debug)]
struct Elected {
    /// Who sends the cluster.
    holder: Holder,
    /// The hash of its name.
    replica: u128,
    /// When it was last heard, on a clock that goes on evenly.
    heard: Timestamp,
}

/// Who sends, as hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Replica {
    /// Its subject, and what names its cluster.
    cluster: u128,
    /// Which of the cluster's it is.
    name: u128,
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

    /// Takes out what the sender may not send and what the replicas have sent that are not elected,
    /// and the labels of those that are.
    pub(super) fn settle(&self, decoded: &mut Decoded, sender: &Sender, now: Timestamp) {
        let (rights, holder) = (&sender.identity.rights.ingest, sender.holder());
        let subject = sender.identity.own_name("");
        // A request is of one replica, and a series has its samples one after the other.
        let mut last: Option<(Labels, Option<Replica>)> = None;
        let mut outcome: Option<(Replica, Election)> = None;
        let mut renamed: Option<(Labels, Labels)> = None;
        decoded.sift(|sample| {
            let replica = match &last {
                Some((of, replica)) if self.are_of_one(of, &sample.series) => *replica,
                _ => {
                    let replica = self.replica(&subject, &sample.series);
                    last = Some((sample.series.clone(), replica));
                    replica
                }
            };
            if replica.is_some() {
                self.rename(sample, &mut renamed);
            }
            if !rights.passes(&sample.series) {
                return Verdict::forbidden(&sample.series);
            }
            let Some(replica) = replica else { return Verdict::Kept };
            let election = match outcome {
                Some((of, election)) if of == replica => election,
                _ => {
                    let election = self.elect(replica, holder, now);
                    outcome = Some((replica, election));
                    election
                }
            };
            match election {
                Election::Won => Verdict::Kept,
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

    /// What the replica of a subject watches, and which it is.
    fn replica(&self, subject: &str, series: &Labels) -> Option<Replica> {
        let name = series.get(&self.replicas.replica_label)?;
        let labels = &self.replicas.cluster_labels;
        let cluster: Option<Vec<&str>> = labels.iter().map(|label| series.get(label)).collect();
        let cluster = hash_of([subject].into_iter().chain(cluster?));
        Some(Replica { cluster, name: hash_of([name]) })
    }

    fn elect(&self, from: Replica, holder: Holder, now: Timestamp) -> Election {
        let mut elected = self.elected();
        let Table { clusters, full_until, room } = &mut *elected;
        let timeout = self.replicas.failover_timeout;
        let is_silent = |of: &Elected| now.saturating_since(of.heard) >= timeout;
        if let Some(of) = clusters.get_mut(&from.cluster) {
            if of.replica != from.name {
                if !is_silent(of) {
                    return Election::Lost;
                }
                of.replica = from.name;
            }
            of.heard = now;
            return Election::Won;
        }
        if room.check(holder, 1).is_err() {
            if now < *full_until {
                return Election::Crowded;
            }
            clusters.retain(|_, of| {
                let is_silent = is_silent(of);
                if is_silent {
                    room.give_back(of.holder, 1);
                }
                !is_silent
            });
            if room.check(holder, 1).is_err() {
                let first = clusters.values().map(|of| of.heard).min().unwrap_or(now);
                *full_until = first.saturating_add(timeout);
                return Election::Crowded;
            }
        }
        room.take(holder, 1);
        clusters.insert(from.cluster, Elected { holder, replica: from.name, heard: now });
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
    use std::sync::Arc;

    use bellwire_access::{Claims, Identity, Means};
    use bellwire_model::{METRIC_NAME, Scope};

    use super::*;

    fn elections() -> Elections {
        Elections::new(Replicas {
            cluster_labels: vec!["team".into(), "cluster".into()],
            replica_label: "__replica__".into(),
            failover_timeout: Duration::from_secs(30),
        })
    }

    /// A subject by the word of an issuer, which may send what these matchers let pass.
    fn sender(subject: &str, issuer: &str, matchers: &str) -> Sender {
        let mut identity = Identity {
            claims: Claims { subject: subject.into(), ..Claims::anonymous() },
            means: Means::Token(issuer.into()),
            ..Identity::open()
        };
        if !matchers.is_empty() {
            identity.rights.ingest = Scope::of(vec![matchers.parse().expect("matchers")]);
        }
        Sender::new(Arc::new(identity), None)
    }

    /// What is left of a request of a replica of a cluster, and how many samples were passed over.
    fn sent(elections: &Elections, from: (&str, &str), second: i64) -> (Vec<String>, usize) {
        let decoded = sent_by(elections, &sender("ada", "a", ""), from, second);
        assert_eq!(decoded.rejected, 0);
        let left = decoded.samples.iter().map(|sample| sample.series.to_string());
        (left.collect(), decoded.passed_over)
    }

    fn sent_by(
        elections: &Elections,
        sender: &Sender,
        (cluster, replica): (&str, &str),
        second: i64,
    ) -> Decoded {
        let mut decoded = Decoded::default();
        for name in ["a", "b"] {
            let mut pairs = vec![(METRIC_NAME, name), ("team", "t"), ("cluster", cluster)];
            pairs.push(("__replica__", replica));
            let series = Labels::from_pairs(pairs).expect("labels");
            decoded.samples.push(Sample { series, value: 1.0, time: Timestamp::from_ms(0) });
            decoded.lines.push(1);
        }
        elections.settle(&mut decoded, sender, Timestamp::from_ms(second * 1_000));
        assert_eq!(decoded.samples.len(), decoded.lines.len());
        decoded
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
    fn nobody_is_passed_over_for_what_another_subject_sends() {
        let elections = elections();
        let senders = [("ada", "a"), ("ada", "b"), ("mallory", "a")];
        for (place, (subject, issuer)) in senders.into_iter().enumerate() {
            let from = ("x", &*place.to_string());
            let decoded = sent_by(&elections, &sender(subject, issuer, ""), from, 0);
            assert_eq!((decoded.samples.len(), decoded.passed_over), (2, 0), "{subject} {issuer}");
        }
    }

    #[test]
    fn rights_are_asked_of_the_series_that_there_will_be_and_first() {
        let elections = elections();
        // A role that allows no label of a replica, and one that allows nothing of this cluster.
        let allowed = sender("ada", "a", r#"{team="t",__replica__=""}"#);
        let refused = sender("ada", "a", r#"{team="t",cluster="other"}"#);
        let decoded = sent_by(&elections, &refused, ("x", "0"), 0);
        assert_eq!((decoded.samples.len(), decoded.by_code), (0, vec![("sample_forbidden", 2)]));
        let decoded = sent_by(&elections, &allowed, ("x", "1"), 0);
        assert_eq!((decoded.samples.len(), decoded.passed_over), (2, 0));
    }

    #[test]
    fn there_is_room_again_once_clusters_are_silent() {
        let elections = elections();
        let [ada, bob] = ["ada", "bob"].map(Holder::named);
        let elect = |number: usize, holder, ms| {
            let from = Replica { cluster: number as u128, name: 0 };
            elections.elect(from, holder, Timestamp::from_ms(ms))
        };
        let share = (0..CLUSTERS_MAX).take_while(|&it| elect(it, ada, 0) == Election::Won).count();
        assert!(share < CLUSTERS_MAX && share > CLUSTERS_MAX / 2, "{share}");
        // Those that come meanwhile do not look through all of them.
        assert_eq!(elections.elected().full_until, Timestamp::from_ms(30_000));
        // Whoever has no share of it yet has room.
        assert_eq!(elect(CLUSTERS_MAX, bob, 1), Election::Won);
        let at = |ms| elect(CLUSTERS_MAX + 1, ada, ms);
        assert_eq!((at(29_999), at(30_000)), (Election::Crowded, Election::Won));
        assert_eq!(elections.elected().clusters.len(), 2);
        assert_eq!(elections.elected().room.used(), 2);
    }
}
