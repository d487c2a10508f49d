//! Bounds of what nodes of a cluster show each other, and do for each other's clients.

use std::time::Duration;

/// Filters of what a node follows at the keeper of the desk, for its own followers: beyond, it follows all
/// that there may be.
pub const MIRROR_FILTERS_MAX: usize = 32;
/// Updates of a key in a second that a node gets of what the keeper shows: what comes faster is conflated.
pub const MIRROR_UPDATES_PER_SECOND: f64 = 10.0;
/// How long a node goes on to follow there what nobody follows here any more.
pub const MIRROR_GRACE: Duration = Duration::from_secs(30);
/// How long a node shows what it had of a keeper that it does not reach, before it deletes that.
pub const MIRROR_PATIENCE: Duration = Duration::from_secs(10);
/// How long whoever comes waits for what the keeper shows.
pub const MIRROR_BEGIN_PATIENCE: Duration = Duration::from_secs(3);
/// The least time between two beginnings to follow something else there: each brings all values.
pub const MIRROR_PACE: Duration = Duration::from_secs(1);
/// The least time between two of them as a multiple of what all values took to come the last time.
pub const MIRROR_LOAD_SHARE: u32 = 4;
/// Bytes of one value of the keeper's as it comes, with what is around it and its escapes.
pub const MIRROR_LINE_BYTES_MAX: usize = 1024 * 1024;
/// Comings and goings that a node keeps for another one that takes them slowly: beyond, it begins anew.
pub const PRESENCE_MOVES_MAX: usize = 4096;
/// Bytes of what a node says of one of those who are there.
pub const PRESENCE_LINE_BYTES_MAX: usize = 256 * 1024;
/// How often a node that follows others' presence looks which nodes there are.
pub const NEIGHBOURS_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How often a node says that it is there to those who follow its presence.
pub const NEIGHBOUR_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// How long nothing comes of a node before those of it are taken for gone.
pub const NEIGHBOUR_SILENCE_MAX: Duration = Duration::from_secs(7);
/// What clients of WebSockets ask for is passed on to the keeper for so many who ask at once, for each one by one.
pub const ENVOY_LANES: usize = 16;
/// What waits of one who asks.
pub const ENVOY_QUEUED_MAX: usize = 256;
/// Bytes that wait of all, of which nobody has more than are left for others.
pub const ENVOY_QUEUED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes that something that waits counts for at least: for what is kept beside it, so that there are 4096 at most.
pub const ENVOY_JOB_BYTES_MIN: usize = 8 * 1024;
/// Bytes of one mission: the largest message of a WebSocket in base64, and what is said of whose it is.
pub const ENVOY_MISSION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of what the keeper answers.
pub const ENVOY_ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Queries that are asked for at the keeper at a time.
pub const ENVOY_FOLLOWS_MAX: usize = 16;
/// Those who follow a query of whom it is asked for on, where it is refused to others of them.
pub const ENVOY_ASKERS_TRIED_MAX: usize = 4;
