//! The limit of file descriptors: raised as far as the system allows, and told where it is low.

use bellwire_model::limits::{CONNECTIONS_MAX, TURNED_AWAY_MAX};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that the server itself needs: journal, rule files, polls, listeners, and to say that
/// there is no room.
const RESERVED: usize = 128 + TURNED_AWAY_MAX;

/// A limit below this surprises whoever expects many connections.
const COMFORTABLE: usize = 4096;

/// Raises the soft limit to the hard one; returns how many connections there may be.
pub(crate) fn raise(connections_max: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        if let Err(error) = raised {
            tracing::warn!(%error, "The limit of file descriptors cannot be raised.");
        }
    }
    let limit = getrlimit(Resource::Nofile).current;
    let limit =
        limit.map_or(CONNECTIONS_MAX, |limit| usize::try_from(limit).unwrap_or(CONNECTIONS_MAX));
    let connections = limit.saturating_sub(RESERVED).max(1).min(connections_max);
    if limit < COMFORTABLE {
        tracing::warn!(
            limit,
            connections,
            "The limit of file descriptors is low; raise it with `ulimit -n` or LimitNOFILE."
        );
    }
    connections
}
