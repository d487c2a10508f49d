//! A shard on the bench: turned by hand, over real sockets, with what it does counted.

mod catch_up;
mod conversations;
mod farewell;
mod greedy;
mod heartbeats;
mod journeys;
mod moved;
mod reconsidering;
mod rig;
mod standing;
