//! A shard on the bench: turned by hand, over real sockets, with what it does counted.

mod greedy;
mod heartbeats;
mod moved;
mod rig;
