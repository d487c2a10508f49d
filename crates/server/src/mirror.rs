//! What the keeper of the desk shows of samples, rules and queries, on nodes that are not the keeper.
//!
//! ```text
//! keeper: state topics ─▶ its shards ── one stream of NDJSON, signed ──▶ Follower ─▶ state topics here ─▶ shards
//!                                       ◀── which filters: those that are followed here, for all their clients ──
//! ```
//!
//! A node is a client of the keeper that sees everything. It has two streams there at most, however many follow
//! something here, and none while nobody does: what each client may see of it is asked here. A keeper
//! that is slow is waited for by a task alone; one that conflates loses nothing but what is not newest.
//! Once the node is the keeper itself there is nobody to follow, and whoever wants something has it.
//!
//! All values come anew with each stream: those that are here already are told to nobody again, and those that
//! are gone are deleted. Of a keeper that is not reached they stay for a moment, and then go.

mod follower;
mod line;
mod pace;
mod wanted;

use std::sync::Arc;

use bellwire_model::limits::{
    MIRROR_BEGIN_PATIENCE, MIRROR_FILTERS_MAX, MIRROR_UPDATES_PER_SECOND,
};
use bellwire_model::{Filter, FilterSet, MaxRate, Topic};
use bellwire_shards::Subscriptions;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::watch;

pub(crate) use self::follower::{Follower, Ground};

use crate::page::Elsewhere;

/// Where the keeper is asked for it.
pub(crate) const PATH: &str = "/v1/nodes/shown";

/// See the module.
#[derive(Debug)]
pub(crate) struct Mirror {
    subscriptions: Arc<Subscriptions>,
    /// What is wanted by whoever is no subscriber, or none yet.
    asked: Subscriptions,
    parts: [Part; 2],
    /// The keeper that was asked for all queries that are followed here.
    stand_at: watch::Sender<Option<Box<str>>>,
}

/// Topics that are followed by one stream.
#[derive(Debug)]
struct Part {
    topics: FilterSet,
    extent: Extent,
    /// What is here as the keeper shows it.
    shown: watch::Sender<FilterSet>,
}

/// How much is followed where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// What is wanted.
    Wanted,
    /// All: what is wanted is another thing all the time, and to begin anew for each brings all of all.
    All,
}

/// Somebody who wants to be shown something, until this is dropped.
#[derive(Debug)]
pub(crate) struct Want {
    mirror: Arc<Mirror>,
    filters: FilterSet,
}

/// The topics that the keeper alone shows, each with those that come by the same stream.
fn topics() -> [(FilterSet, Extent); 2] {
    let all = |first: &str| -> Filter { format!("{first}/**").parse().expect("a filter") };
    let series = FilterSet::gathered(vec![all("samples"), all("rules")]);
    [(series, Extent::Wanted), (all(Topic::QUERIES).into(), Extent::All)]
}

/// All that the keeper alone shows.
pub(crate) fn of_keeper() -> FilterSet {
    let [(series, _), (queries, _)] = topics();
    series.union(&queries)
}

impl Mirror {
    /// What is followed by these subscribers is shown, once there are [followers](Follower).
    pub(crate) fn new(subscriptions: &Arc<Subscriptions>) -> Arc<Self> {
        let part = |(topics, extent)| {
            let shown = watch::Sender::new(FilterSet::none());
            Part { topics, extent, shown }
        };
        let (subscriptions, asked) = (Arc::clone(subscriptions), Subscriptions::default());
        let (parts, stand_at) = (topics().map(part), watch::Sender::new(None));
        Arc::new(Self { subscriptions, asked, parts, stand_at })
    }

    /// This node is the keeper from now on: all that the keeper shows is here.
    pub(crate) fn be_keeper(&self) {
        for part in &self.parts {
            part.shown.send_replace(part.topics.clone());
        }
    }

    /// Another node is, and what it shows comes once it is followed.
    pub(crate) fn be_other(&self) {
        self.stand_at.send_replace(None);
        for part in &self.parts {
            part.shown.send_replace(FilterSet::none());
        }
    }

    /// All queries that are followed here stand at this keeper.
    pub(crate) fn stand_at(&self, node: &str) {
        self.stand_at.send_replace(Some(node.into()));
    }

    /// Waits for that, where it is what comes by this part: what does not come at once is taken for gone.
    async fn stands(&self, part: usize, node: &str) {
        if self.parts[part].extent == Extent::All {
            let mut stand_at = self.stand_at.subscribe();
            let is_it = |at: &Option<Box<str>>| at.as_deref() == Some(node);
            let stands = stand_at.wait_for(is_it);
            let _ = tokio::time::timeout(MIRROR_BEGIN_PATIENCE, stands).await;
        }
    }

    /// Somebody wants this.
    pub(crate) fn want(self: &Arc<Self>, filters: &FilterSet) -> Want {
        self.asked.join(filters);
        Want { mirror: Arc::clone(self), filters: filters.clone() }
    }

    /// What is wanted of a part by anybody.
    fn wanted(&self, part: usize) -> FilterSet {
        let Part { topics, extent, .. } = &self.parts[part];
        let [subscribed, asked] =
            [&*self.subscriptions, &self.asked].map(|it| it.within(topics, MIRROR_FILTERS_MAX));
        let wanted = subscribed.union(&asked);
        if *extent == Extent::All && !wanted.is_empty() { topics.clone() } else { wanted }
    }
}

impl Elsewhere for Mirror {
    fn lacks(&self, filters: &FilterSet) -> bool {
        self.parts.iter().any(|part| {
            let wanted = part.of(filters);
            !part.shown.borrow().covers(&wanted)
        })
    }
}

impl Part {
    /// What of this is among its topics.
    fn of(&self, filters: &FilterSet) -> FilterSet {
        filters.intersection(&self.topics).unwrap_or_else(|_| self.topics.clone())
    }
}

impl Want {
    /// Waits until what is wanted is here. `false`: it is not after a while, since there is no keeper, or it is
    /// not reached.
    pub(crate) async fn is_shown(&self) -> bool {
        let all = async {
            for part in &self.mirror.parts {
                let wanted = part.of(&self.filters);
                let mut shown = part.shown.subscribe();
                // Its sender is the mirror's.
                drop(shown.wait_for(|shown| shown.covers(&wanted)).await);
            }
        };
        tokio::time::timeout(MIRROR_BEGIN_PATIENCE, all).await.is_ok()
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        self.mirror.asked.leave(&self.filters);
    }
}

/// What another node may follow here, as it asks for it.
pub(crate) fn read_filters(query: &str) -> Result<FilterSet, Problem> {
    let invalid = |detail: String| Problem::new(Code::ParameterInvalid, detail);
    let mut filters = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "topic" || filters.len() == MIRROR_FILTERS_MAX {
            let detail =
                format!("nodes ask for `topic`, and {MIRROR_FILTERS_MAX} of these at most");
            return Err(invalid(detail));
        }
        let filter = value.parse::<Filter>().map_err(|error| invalid(error.to_string()))?;
        filters.push(filter);
    }
    let filters = FilterSet::gathered(filters);
    let is_within = topics().iter().any(|(topics, _)| topics.covers(&filters));
    if filters.is_empty() || !is_within {
        return Err(invalid("this is none of what the keeper alone shows".to_owned()));
    }
    Ok(filters)
}

/// How often a key of it comes.
pub(crate) fn pace() -> MaxRate {
    MaxRate::per_second(MIRROR_UPDATES_PER_SECOND).expect("a rate")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(all: &[&str]) -> FilterSet {
        FilterSet::gathered(all.iter().map(|it| it.parse().expect("a filter")).collect())
    }

    #[test]
    fn nodes_follow_what_the_keeper_alone_shows_and_nothing_else() {
        for (query, expected) in [
            ("topic=samples/**", Some(&["samples/**"][..])),
            ("topic=samples/a&topic=rules/*", Some(&["samples/a", "rules/*"])),
            ("topic=query/**", Some(&["query/**"])),
            ("", None),
            ("topic=**", None),
            ("topic=chat/a", None),
            ("topic=samples/a&topic=query/**", None),
            ("topic=samples/a&topic=alerts/active", None),
            ("topic=a//b", None),
            ("max_rate=9", None),
        ] {
            assert_eq!(read_filters(query).ok(), expected.map(filters), "{query}");
        }
        let many = "topic=samples/a&".repeat(MIRROR_FILTERS_MAX + 1);
        assert!(read_filters(&many).is_err());
    }

    #[test]
    fn what_is_wanted_is_what_anybody_follows_of_it() {
        let subscriptions = Arc::<Subscriptions>::default();
        let mirror = Mirror::new(&subscriptions);
        let [samples, queries] = topics().map(|(topics, _)| topics);
        assert!(!mirror.lacks(&filters(&["chat/**", "alerts/active"])));
        subscriptions.join(&filters(&["**"]));
        assert_eq!(mirror.wanted(0), samples);
        assert!(mirror.wanted(1).is_empty(), "queries have to be named");
        subscriptions.leave(&filters(&["**"]));
        let want = mirror.want(&filters(&["query/1", "samples/a"]));
        assert_eq!(mirror.wanted(0), filters(&["samples/a"]));
        assert_eq!(mirror.wanted(1), queries);
        assert!(mirror.lacks(&want.filters));
        mirror.parts[0].shown.send_replace(filters(&["samples/*"]));
        assert!(mirror.lacks(&want.filters), "the query is not there");
        mirror.parts[1].shown.send_replace(queries);
        assert!(!mirror.lacks(&want.filters) && mirror.lacks(&filters(&["samples/**"])));
        drop(want);
        assert!(mirror.wanted(0).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_what_does_not_come_waits_no_longer() {
        let mirror = Mirror::new(&Arc::default());
        let want = mirror.want(&filters(&["samples/a"]));
        assert!(!want.is_shown().await);
        mirror.parts[0].shown.send_replace(filters(&["samples/**"]));
        assert!(want.is_shown().await);
    }
}
