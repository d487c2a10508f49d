//! A shard on the bench: turned by hand, over real sockets, with what it does counted.

mod catch_up;
mod conversations;
mod durable;
mod farewell;
mod greedy;
mod heartbeats;
mod journeys;
mod marks;
mod moved;
mod outages;
mod pasts;
mod reconsidering;
mod renewing;
mod rig;
mod rights;
mod standing;
