//! Queries that clients of this node follow, which stand at the keeper.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::limits::LIVE_QUERIES_OF_ONE_MAX;
use bellwire_model::{NameMap, Topic};
use bellwire_wire::problem::{Code, Problem};

use crate::mirror::Want;

/// When somebody may find room whom there is none for now.
const FULL_RETRY_SECONDS: u32 = 30;

/// What was asked for: equal for equal queries of the same somebody.
pub(super) type Asked = Arc<[u8]>;

/// Which are followed, and by whom.
#[derive(Debug, Default)]
pub(super) struct Followings(Mutex<Table>);

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
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more follows one.
    pub(super) fn enter(
        self: &Arc<Self>,
        topic: Topic,
        (asked, asker): (Vec<u8>, &str),
        want: Want,
    ) -> Result<Following, Problem> {
        let mut table = self.table();
        let of_one = table.of_askers.get(asker).copied().unwrap_or_default();
        if of_one >= LIVE_QUERIES_OF_ONE_MAX {
            let detail = format!(
                "you follow {of_one} queries, each connection counted, the most that one may: \
                 follow fewer"
            );
            return Err(Problem::new(Code::QueriesExhausted, detail).retry_after(FULL_RETRY_SECONDS));
        }
        *table.of_askers.entry(asker.into()).or_default() += 1;
        let of_topic = table.by_topic.entry(topic.clone()).or_default();
        let known = of_topic.get_key_value(&*asked).map(|(known, _)| Arc::clone(known));
        let asked = known.unwrap_or_else(|| asked.into());
        *of_topic.entry(Arc::clone(&asked)).or_default() += 1;
        let (followings, asker) = (Arc::clone(self), asker.into());
        Ok(Following { followings, topic, asked, asker, _want: want })
    }

    fn leave(&self, topic: &Topic, (asked, asker): (&Asked, &str)) {
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
        if let Some(count) = of_askers.get_mut(asker) {
            *count -= 1;
            if *count == 0 {
                of_askers.remove(asker);
            }
        }
    }

    /// Of each query what was asked for, by so many of those who follow it at most.
    pub(super) fn all(&self, askers_max: usize) -> Vec<Vec<Asked>> {
        let table = self.table();
        let some = |of: &NameMap<Asked, usize>| of.keys().take(askers_max).cloned().collect();
        table.by_topic.values().map(some).collect()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followings.leave(&self.topic, (&self.asked, &self.asker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Mirror;

    #[test]
    fn a_query_is_asked_for_once_for_all_of_one_who_follow_it() {
        let (followings, mirror) = (Arc::<Followings>::default(), Mirror::new(&Arc::default()));
        let topic = |name: &str| -> Topic { name.parse().expect("a topic") };
        let enter = |name: &str, asker: &str| {
            let filter: bellwire_model::Filter = (&topic(name)).into();
            let want = mirror.want(&filter.into());
            let asked = format!("{name} for {asker}").into_bytes();
            followings.enter(topic(name), (asked, asker), want)
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
