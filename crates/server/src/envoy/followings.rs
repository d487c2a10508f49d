//! Queries that clients of this node follow, which stand at the keeper, whichever node that is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::limits::LIVE_QUERIES_OF_ONE_MAX;
use bellwire_model::{Filter, NameMap, Topic};
use bellwire_wire::problem::{Code, Problem};

use crate::mirror::{Mirror, Want};

/// When somebody may find room whom there is none for now.
const FULL_RETRY_SECONDS: u32 = 30;

/// What was asked for: equal for equal queries of the same somebody.
pub(crate) type Asked = Arc<[u8]>;

/// Which are followed, and by whom. It is the same in each role of the node.
#[derive(Debug)]
pub(crate) struct Followings {
    mirror: Arc<Mirror>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_topic: NameMap<Topic, NameMap<Asked, usize>>,
    of_askers: NameMap<Box<str>, usize>,
}

/// Somebody follows a query, until this is dropped.
#[derive(Debug)]
pub(crate) struct Following {
    followings: Arc<Followings>,
    topic: Topic,
    asked: Asked,
    asker: Box<str>,
    /// What has its answer shown here.
    _want: Want,
}

impl Followings {
    /// Whose answers this shows.
    pub(crate) fn new(mirror: &Arc<Mirror>) -> Arc<Self> {
        Arc::new(Self { mirror: Arc::clone(mirror), table: Mutex::default() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more follows one.
    pub(super) fn enter(
        self: &Arc<Self>,
        topic: Topic,
        (asked, who): (Vec<u8>, &str),
    ) -> Result<Following, Problem> {
        let want = self.mirror.want(&Filter::from(&topic).into());
        let mut table = self.table();
        let of_one = table.of_askers.get(who).copied().unwrap_or_default();
        if of_one >= LIVE_QUERIES_OF_ONE_MAX {
            let detail = format!(
                "you follow {of_one} queries, each connection counted, the most that one may: \
                 follow fewer"
            );
            return Err(
                Problem::new(Code::QueriesExhausted, detail).retry_after(FULL_RETRY_SECONDS)
            );
        }
        *table.of_askers.entry(who.into()).or_default() += 1;
        let of_topic = table.by_topic.entry(topic.clone()).or_default();
        let known = of_topic.get_key_value(&*asked).map(|(known, _)| Arc::clone(known));
        let asked = known.unwrap_or_else(|| asked.into());
        *of_topic.entry(Arc::clone(&asked)).or_default() += 1;
        let followings = Arc::clone(self);
        Ok(Following { followings, topic, asked, asker: who.into(), _want: want })
    }

    fn leave(&self, topic: &Topic, (asked, who): (&Asked, &str)) {
        let mut table = self.table();
        let Table { by_topic, of_askers } = &mut *table;
        if let Some(of_topic) = by_topic.get_mut(topic) {
            if let Some(count) = of_topic.get_mut(asked) {
                *count -= 1;
                if *count == 0 {
                    of_topic.remove(asked);
                }
            }
            if of_topic.is_empty() {
                by_topic.remove(topic);
            }
        }
        if let Some(count) = of_askers.get_mut(who) {
            *count -= 1;
            if *count == 0 {
                of_askers.remove(who);
            }
        }
    }

    /// Of each query what was asked for, by so many of those who follow it at most.
    pub(super) fn all(&self, askers_max: usize) -> Vec<Vec<Asked>> {
        let table = self.table();
        table.by_topic.values().map(|of| some(of, askers_max)).collect()
    }

    /// Where the answers are of all that are followed.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.table().by_topic.keys().cloned().collect()
    }

    /// The same of one that is followed still.
    pub(crate) fn asked(&self, topic: &Topic, askers_max: usize) -> Vec<Asked> {
        self.table().by_topic.get(topic).map_or_else(Vec::new, |of| some(of, askers_max))
    }
}

fn some(of: &NameMap<Asked, usize>, askers_max: usize) -> Vec<Asked> {
    of.keys().take(askers_max).cloned().collect()
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followings.leave(&self.topic, (&self.asked, &self.asker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_asked_for_once_for_all_of_one_who_follow_it() {
        let followings = Followings::new(&Mirror::new(&Arc::default()));
        let topic = |name: &str| -> Topic { name.parse().expect("a topic") };
        let enter = |name: &str, asker: &str| {
            let asked = format!("{name} for {asker}").into_bytes();
            followings.enter(topic(name), (asked, asker))
        };
        let held = [("query/1", "ada"), ("query/1", "ada"), ("query/1", "bob"), ("query/2", "bob")]
            .map(|(name, asker)| enter(name, asker).expect("there is room"));
        let count = |max| {
            let mut counts: Vec<usize> = followings.all(max).iter().map(Vec::len).collect();
            counts.sort_unstable();
            counts
        };
        assert_eq!((count(9), count(1)), (vec![1, 2], vec![1, 1]));
        let many: Vec<_> = (0..LIVE_QUERIES_OF_ONE_MAX).map(|_| enter("query/3", "eve")).collect();
        assert!(many.iter().all(Result::is_ok));
        let refused = enter("query/4", "eve").expect_err("she follows as many as one may");
        assert_eq!(refused.code, Code::QueriesExhausted);
        enter("query/4", "bob").expect("others have theirs");
        drop((held, many));
        assert!(followings.all(9).is_empty() && followings.table().of_askers.is_empty());
    }
}
