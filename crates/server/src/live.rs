//! Queries that are followed, for those who ask over HTTP and over WebSockets.

mod pasts;

use std::ops::ControlFlow;
use std::sync::Arc;

use bellwire_access::Identity;
use bellwire_alerting::{Followed, LiveQueries, LiveQuery};
use bellwire_model::{AskedQuery, Filter, FilterSet};
use bellwire_shards::States;
use bellwire_wire::problem::{Code, Problem};

pub(crate) use self::pasts::QueryPasts;
use crate::access;
use crate::turns::Asker;

/// Reads queries that somebody wants to follow who may query; equal ones are one. To read an expression that is
/// full of patterns takes long.
pub(crate) async fn read(
    live: &Arc<LiveQueries>,
    identity: &Identity,
    asked: Vec<AskedQuery>,
) -> Result<Vec<LiveQuery>, Problem> {
    let (live, sight) = (Arc::clone(live), access::sight(&identity.rights));
    let read = move || -> Result<Vec<LiveQuery>, Problem> {
        asked.iter().map(|asked| live.read(asked, &sight)).collect()
    };
    let read = tokio::task::spawn_blocking(read).await;
    let mut read = read.map_err(|error| Problem::new(Code::Draining, error))??;
    read.sort_unstable_by_key(LiveQuery::id);
    read.dedup_by_key(|query| query.id());
    Ok(read)
}

/// How many keys the answers on these topics have.
pub(crate) fn keys(states: &States, topics: Vec<Filter>) -> usize {
    states.read(&FilterSet::gathered(topics), |_| ControlFlow::Break(()))
}

/// Follows queries: returns once all of them stand, and what they were before is remembered where that
/// is wanted.
pub(crate) async fn follow(
    live: &Arc<LiveQueries>,
    (queries, pasts): (Vec<LiveQuery>, Option<&QueryPasts>),
    asker: &Asker,
) -> Result<Vec<Followed>, Problem> {
    let mut followed = Vec::with_capacity(queries.len());
    for query in queries {
        let again = query.clone();
        let held = live.follow(query, asker.name()).await?;
        if let Some(pasts) = pasts {
            let found = pasts.fill(live, (again, held.still_stands()), asker.clone());
            // On its own: every long poll would have the room for it while it waits.
            Box::pin(held.fill(found)).await;
        }
        followed.push(held);
    }
    Ok(followed)
}
